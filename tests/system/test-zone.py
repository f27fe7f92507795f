#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Another time zone counts from the next question on: /etc/localtime becomes another link, as timedatectl makes it.
In an /etc of the test's own."""
import datetime
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from desktop_test import Desktop  # noqa: E402
from gemmad_test import Daemon, Tap, skip_all, wait_until  # noqa: E402

tap = Tap()
FOLDER = "GEMMAD_TEST_ZONE"
ENTER = 'mount --bind "$0" /etc && exec "$@"'


def set_zone(hours):
    """So many hours ahead of UTC, in the form of tzfile(5)."""
    path = os.path.join("/etc", f"zone{hours}")
    with open(path, "wb") as f:
        f.write(b"TZif" + bytes(16) + struct.pack(">6i", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", hours * 3600, 0, 0) +
                b"OWN\0")
    os.symlink(path, path + ".new")
    os.replace(path + ".new", "/etc/localtime")


def moments(since, hours):
    """Every minute from then to now, as clocks there show it."""
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    return [datetime.datetime.fromtimestamp(t, zone) for t in (*range(int(since), int(time.time()), 60), time.time())]


def answers(daemon, question, hours, form, days=0):
    """Whether it answers with the time or the date there."""
    since = time.time()
    answer = daemon.ctl("ask", question).stdout
    expected = [(m + datetime.timedelta(days=days)).strftime(form) for m in moments(since, hours)]
    assert any(e in answer for e in expected), (answer, expected)


def time_and_date():
    with Daemon() as d:
        # In one it is always another day than in the other.
        for hours in (-12, 14, -12):
            set_zone(hours)
            answers(d, "what is tomorrow's date", hours, "%A, %-d %B %Y", 1)
            answers(d, "what time is it", hours, "%H:%M")
        set_zone(14)
        answers(d, "what time is it", 14, "%H:%M")
        answers(d, "what day is it", 14, "%A, %-d %B %Y")


def alarms():
    def due():
        return json.loads(d.ctl("--json", "call", "get_alarm").stdout)["result"]["alarms"][0]["due"]

    set_zone(0)
    with Daemon() as d, Desktop(environment={"XDG_RUNTIME_DIR": d.environment["XDG_RUNTIME_DIR"]},
                                gemmad=False) as desktop:
        wait_until(lambda: "gemmad has taken" in desktop.said(), "the tools")
        d.ctl("call", "set_alarm", "hour=13", "day=tomorrow")
        before = due()
        assert before.endswith("T13:00+0000"), before
        for hours in (3, -3, 5):
            set_zone(hours)
            assert due() == before.replace("+0000", f"{hours:+03d}00"), (hours, due(), before)
        set_zone(2)
        said = d.ctl("call", "cancel_alarm").stdout
        assert "13:00" in said and "cancelled" in said, said


def main():
    tap.rule("time and date", time_and_date)
    tap.rule("alarms, which stay where they are on the clock", alarms)
    tap.done()


def enter():
    with tempfile.TemporaryDirectory(prefix="gemmad-test-zone-", ignore_cleanup_errors=True) as etc:
        # What only root may read is not needed.
        subprocess.run(["cp", "-a", "--no-preserve=ownership", "/etc/.", etc], capture_output=True, check=False)
        inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", ENTER, etc]
        try:
            probe = subprocess.run([*inside, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            skip_all("no unshare")
        if probe.returncode:
            skip_all("no /etc of our own: " + probe.stderr.strip())
        environment = {k: v for k, v in os.environ.items() if k != "TZ"}
        return subprocess.run([*inside, sys.executable, os.path.abspath(__file__)],
                              env={**environment, FOLDER: etc}, check=False).returncode


if FOLDER in os.environ:
    main()
else:
    sys.exit(enter())
