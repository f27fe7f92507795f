#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Timers and alarms as they are heard and seen: in the recording of a speaker, and by a notification daemon."""
import contextlib
import os
import shutil
import sqlite3
import subprocess
import time

from desktop_test import GEMMAD_DESKTOP, Bus, Desktop, Dunst
from gemmad_test import PATIENCE, Tap, wait_until
from sound_server import RATE, Speaker

tap = Tap()
LOUD = 500  # of 32767: of a sample that is no silence


def table(desktop):
    with contextlib.closing(sqlite3.connect(desktop.at("state/gemmad/desktop.sqlite"))) as db:
        return db.execute("SELECT name, is_alarm, is_paused FROM timers ORDER BY id").fetchall()


def is_loud(samples):
    return any(abs(s) > LOUD for s in samples)


def several():
    """Named, paused, resumed, added to and cancelled; without anything that rings or shows."""
    with Desktop() as d:
        say = d.gemmad.say
        assert say("get_timer") == "No timer is running."
        assert say("cancel_timer") == "No timer is running."
        assert say("set_timer", amount=5, unit="minute") == "Timer set, five minutes."
        assert say("get_timer").startswith(("Five minutes", "Four minutes"))
        assert say("set_timer", amount=90, unit="minute", name="pizza") == "Pizza timer set, one hour and 30 minutes."
        assert say("pause_timer", name="pizza").startswith("Pizza timer paused, one hour and ")
        assert d.gemmad.refusal("pause_timer", name="pizza") == "Pizza timer is paused already."
        assert "paused" in say("get_timer", name="pizza")
        assert say("resume_timer").startswith("Pizza timer runs again")
        assert d.gemmad.refusal("resume_timer") == "Pizza timer is not paused."
        assert say("add_to_timer", amount=2, unit="hour", name="Pizza").startswith("Pizza timer: three hours and ")
        assert table(d) == [("", 0, 0), ("pizza", 0, 0)], table(d)
        assert len(d.gemmad.call("get_timer")["result"]["timers"]) == 2
        assert d.gemmad.refusal("cancel_timer", name="tea") == "There is no tea timer."
        assert say("cancel_timer") == "Pizza timer cancelled, 1 left."
        assert say("set_timer", amount=20, unit="minute") == "Timer set, 20 minutes."
        assert say("cancel_timer") == "Timer of 20 minutes cancelled, 1 left."
        assert say("set_timer", amount=1, unit="hour", name="tea") == "Tea timer set, one hour."
        assert say("cancel_timer", which="all") == "Two timers cancelled." and table(d) == []
        assert d.gemmad.refusal("pause_timer") == "No timer is running."
        for wrong in ({"amount": 0}, {"amount": -1}, {"amount": 1e9}, {"amount": "many"}, {}):
            assert d.gemmad.refusal("set_timer", unit="hour", **wrong)
        for tool in ("set_timer", "add_to_timer"):  # and not five minutes
            assert d.gemmad.refusal(tool, amount=5, unit="day") == "The unit has to be second, minute or hour."
        for i in range(64):
            say("set_timer", amount=i + 100, unit="minute")
        assert d.gemmad.refusal("set_timer", amount=1, unit="hour") == "There are 64 timers already."


def alarms():
    with Desktop(environment={"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}) as d:
        say = d.gemmad.say
        assert say("get_alarm") == "There is no alarm." == say("cancel_alarm")
        assert say("set_alarm", hour=7, daytime="morning", day="tomorrow") == "Alarm set for tomorrow, 7:00."
        sentence = say("set_alarm", hour=11, minute=45, daytime="evening")
        assert sentence in ("Alarm set for 23:45.", "Alarm set for tomorrow, 23:45."), sentence
        assert say("get_alarm").startswith("Alarms set for ") and "tomorrow, 7:00" in say("get_alarm")
        assert len(d.gemmad.call("get_alarm")["result"]["alarms"]) == 2
        # The next one comes first, not what was set first.
        due = [a["due"] for a in d.gemmad.call("get_alarm")["result"]["alarms"]]
        assert due == sorted(due), due
        # They may have names.
        assert say("set_alarm", hour=6, day="tomorrow", name="tea") == "Tea alarm set for tomorrow, 6:00."
        assert "tomorrow, 6:00, tea" in say("get_alarm")
        assert d.gemmad.refusal("cancel_alarm", name="work") == "There is no work alarm."
        assert say("cancel_alarm", name="Tea") == "Tea alarm for tomorrow, 6:00 cancelled."
        assert d.gemmad.refusal("set_alarm") == "For what time?"
        assert d.gemmad.refusal("set_alarm", hour=25) and d.gemmad.refusal("set_alarm", hour=7, day="someday")
        assert d.gemmad.refusal("set_alarm", hour=7.5) == "The hour has to be a whole number."
        # They are there after a restart.
        d.kill()
        d.start()
        assert say("get_alarm").startswith("Alarms set for ")
        assert say("cancel_alarm").startswith("Alarm for ") and say("get_alarm").startswith("Alarm set for ")
        assert say("cancel_alarm", which="all") == "Alarm cancelled."
        assert say("set_alarm", hour=14) and say("set_timer", amount=1, unit="hour")
        assert say("set_timer", amount=2, unit="hour")
        assert say("cancel_timer", which="everything") == "Three timers and alarms cancelled." and table(d) == []
        assert say("set_alarm", hour=14) and say("cancel_timer", which="everything") == "Alarm cancelled."
        assert say("cancel_timer", which="everything") == "There is no timer."
        assert say("snooze") == "Nothing is ringing."


def heard():
    """Silence before, a sound when it is due, silence after "stop"."""
    with Desktop(environment=server.for_daemon) as d:
        server.record()
        assert not is_loud(server.recorded())
        assert d.gemmad.say("set_timer", amount=2, unit="second") == "Timer set, two seconds."
        wait_until(lambda: is_loud(server.recorded()), "the alarm in the recording")
        assert "is over" in d.gemmad.say("get_timer")
        assert d.gemmad.say("stop") == "Stopped."
        assert d.gemmad.say("get_timer") == "No timer is running." and table(d) == []
        begun = len(server.recorded())
        wait_until(lambda: len(server.recorded()) > begun + 4 * RATE, "four more seconds")
        assert not is_loud(server.recorded()[-RATE * 2:])
        # As soft as a wake-up should begin, and not clipped.
        assert 1000 < max(server.recorded()) < 32000


def snoozed():
    with Desktop(environment=server.for_daemon) as d:
        d.gemmad.say("set_timer", amount=1, unit="second")
        server.record()
        wait_until(lambda: is_loud(server.recorded()), "the alarm")
        assert d.gemmad.say("snooze") == "Again in ten minutes."
        assert d.gemmad.say("get_timer").startswith(("Ten minutes", "Nine minutes"))
        assert d.gemmad.say("add_to_timer", amount=1, unit="minute").startswith("Timer: ")
        assert d.gemmad.say("cancel_timer") == "Timer cancelled."
        d.gemmad.say("set_timer", amount=1, unit="second")
        wait_until(lambda: "is over" in d.gemmad.say("get_timer"), "the next alarm")
        assert d.gemmad.say("snooze", amount=1, unit="second") == "Again in one second."
        wait_until(lambda: "is over" in d.gemmad.say("get_timer"), "it again")
        assert d.gemmad.say("cancel_timer") == "Timer cancelled."


def killed():
    """It rings after kill -9, and what came due meanwhile rings at once."""
    with Desktop(environment=server.for_daemon) as d:
        d.gemmad.say("set_timer", amount=3, unit="second", name="tea")
        d.gemmad.say("set_timer", amount=1, unit="hour")
        d.kill()
        server.record()
        d.start()
        wait_until(lambda: is_loud(server.recorded()), "the alarm")
        assert "Tea timer is over." in d.gemmad.say("get_timer")
        # Killed while it rings, it rings again.
        d.kill()
        server.record()
        d.start()
        wait_until(lambda: is_loud(server.recorded()), "the alarm once more")
        assert d.gemmad.say("stop") == "Stopped."


def damaged():
    """What can be read of a damaged table goes on, and the damaged one is put aside; also one of which
    nothing can be read."""
    with Desktop() as d:
        for i in range(60):
            d.gemmad.say("set_timer", amount=i + 100, unit="minute", name="x" * 40 + str(i))
        path = d.at("state/gemmad/desktop.sqlite")
        d.stop()
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(path, "r+b") as f:
            size = f.seek(0, os.SEEK_END)
            assert size >= 4 * 4096, size
            f.seek(3 * 4096)
            f.write(b"\xa5" * 4096)
        d.start()
        n = len(table(d))
        assert 0 < n < 60 and f"damaged; {n} of them" in d.said(), (n, d.said())
        assert len(d.gemmad.call("get_timer")["result"]["timers"]) == n
        d.stop()
        for name in os.listdir(d.at("state/gemmad")):
            if name.startswith("desktop.sqlite"):
                with open(d.at("state/gemmad/" + name), "wb") as f:
                    f.write(b"no table at all" * 1000)
        d.start()
        assert "damaged; 0 of them" in d.said() and table(d) == []
        d.gemmad.say("set_timer", amount=1, unit="hour", name="tea")
        assert table(d) == [("tea", 0, 0)]


def stop_tells():
    """Where nothing is to be stopped it is said what goes on, rather than OK."""
    with Desktop() as d:
        assert d.gemmad.say("stop") == "OK."
        d.gemmad.say("set_timer", amount=1, unit="hour")
        assert d.gemmad.say("stop") == "Nothing rings. 1 timer is still set: say cancel all timers to end it."
        d.gemmad.say("set_timer", amount=2, unit="hour")
        d.gemmad.say("set_alarm", hour=13)
        assert d.gemmad.say("stop") == ("Nothing rings. 2 timers and 1 alarm are still set: "
                                        "say cancel everything to end them.")
        # As "cancel everything" calls it.
        assert d.gemmad.say("cancel_timer", which="everything") == "Three timers and alarms cancelled."
        d.gemmad.say("set_alarm", hour=13)
        assert d.gemmad.say("stop") == "Nothing rings. 1 alarm is still set: say cancel all alarms to end it."


def second():
    """Another one ends at once, and the timers stay those of the first."""
    with Desktop() as d:
        d.gemmad.say("set_timer", amount=1, unit="hour")
        done = subprocess.run([GEMMAD_DESKTOP], env=d.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 1 and "running already" in done.stderr, done
        assert d.gemmad.say("get_timer").endswith("left.") and len(table(d)) == 1


def sink(what):
    return server.pactl(f"get-sink-{what}", "speaker").stdout


def muted():
    """An output that is muted or nearly silent is made to be heard, and is as before afterwards."""
    server.pactl("set-sink-volume", "speaker", "5%")
    server.pactl("set-sink-mute", "speaker", "1")
    with Desktop(environment=server.for_daemon) as d:
        server.record()
        d.gemmad.say("set_timer", amount=1, unit="second")
        wait_until(lambda: is_loud(server.recorded()), "the alarm")
        assert "no" in sink("mute") and " 40%" in sink("volume"), (sink("mute"), sink("volume"))
        assert d.gemmad.say("stop") == "Stopped."
        wait_until(lambda: "yes" in sink("mute") and " 5%" in sink("volume"), "as it was")

        # Also when nothing could put it back: at the next start.
        d.gemmad.say("set_timer", amount=1, unit="second")
        wait_until(lambda: "no" in sink("mute"), "unmuted")
        d.kill()
        with contextlib.closing(sqlite3.connect(d.at("state/gemmad/desktop.sqlite"))) as db, db:
            db.execute("DELETE FROM timers")
        assert "no" in sink("mute") and " 40%" in sink("volume")
        d.start()
        wait_until(lambda: "yes" in sink("mute") and " 5%" in sink("volume"), "as it was")

        # Who sets it while it rings wants it so.
        d.gemmad.say("set_timer", amount=1, unit="second")
        wait_until(lambda: "no" in sink("mute"), "unmuted")
        server.pactl("set-sink-volume", "speaker", "70%")
        assert d.gemmad.say("stop") == "Stopped."
        d.gemmad.say("set_timer", amount=1, unit="second")
        wait_until(lambda: d.said().count("Ringing") == 4, "it rings")
        assert d.gemmad.say("stop") == "Stopped."
        assert "no" in sink("mute") and " 70%" in sink("volume"), (sink("mute"), sink("volume"))
        assert not os.path.exists(d.at("state/gemmad/desktop-volumes.json"))
    server.pactl("set-sink-volume", "speaker", "100%")


def without_server():
    """It looks for a sound server while it rings."""
    with Desktop(environment=server.for_daemon) as d:
        server.kill()
        d.gemmad.say("set_timer", amount=1, unit="second")
        wait_until(lambda: "can not be heard" in d.said(), "a line about the silence")
        server.start()
        server.record()
        wait_until(lambda: is_loud(server.recorded()), "the alarm")


def shown():
    """A notification that stays, and goes with the ringing; its actions are obeyed."""
    with Bus() as bus:
        dunst = Dunst(bus)
        with Desktop(environment=bus.environment) as d:
            d.gemmad.say("set_timer", amount=1, unit="second", name="pizza")
            wait_until(lambda: dunst.shown() == 1, "a notification")
            assert d.gemmad.say("stop") == "Stopped."
            wait_until(lambda: dunst.shown() == 0, "its end")
            assert dunst.history()[0] == ("Pizza timer", "It was set for one second."), dunst.history()

            d.gemmad.say("set_timer", amount=1, unit="second")
            wait_until(lambda: dunst.shown() == 1, "a notification")
            dunst.choose("Snooze")
            wait_until(lambda: " left." in d.gemmad.say("get_timer"), "a snoozed timer")
            d.gemmad.say("cancel_timer")

            d.gemmad.say("set_timer", amount=1, unit="second")
            wait_until(lambda: dunst.shown() == 1, "a notification")
            dunst.choose("Stop")
            wait_until(lambda: d.gemmad.say("get_timer") == "No timer is running.", "its end")

            # Whoever closes it has seen it.
            d.gemmad.say("set_timer", amount=1, unit="second")
            wait_until(lambda: dunst.shown() == 1, "a notification")
            dunst.ctl("close")
            wait_until(lambda: d.gemmad.say("get_timer") == "No timer is running.", "its end")


def missed():
    """What was due long ago says when."""
    with Bus() as bus:
        dunst = Dunst(bus)
        with Desktop(environment=bus.environment) as d:
            d.gemmad.say("set_timer", amount=1, unit="hour", name="pizza")
            d.kill()
            with contextlib.closing(sqlite3.connect(d.at("state/gemmad/desktop.sqlite"))) as db, db:
                db.execute("UPDATE timers SET boot_id = 'another', due_real = ?", (int((time.time() - 3600) * 1e6),))
            d.start()
            wait_until(lambda: dunst.shown() == 1, "a notification")
            d.gemmad.say("stop")
            wait_until(lambda: dunst.history(), "the history")
            title, body = dunst.history()[0]
            assert title == "Missed: pizza timer" and body.startswith("It was due at "), (title, body)


def skipped(reason):
    return lambda: reason


tap.rule("several timers", several)
tap.rule("alarms", alarms)
tap.rule("a second one ends at once", second)
tap.rule("a damaged table", damaged)
tap.rule("stop tells what it does not stop", stop_tells)
try:
    server = Speaker() if shutil.which("pulseaudio") and shutil.which("pactl") else None
except RuntimeError:
    server = None
with contextlib.ExitStack() as stack:
    if server:
        stack.callback(server.stop)
    for name, run in (("an alarm is heard until it is stopped", heard), ("snoozing", snoozed),
                      ("a muted output does not mute it", muted),
                      ("it rings after a kill", killed), ("a sound server that comes later", without_server)):
        tap.rule(name, run if server else skipped("no pulseaudio that starts here"))
for name, run in (("notifications and their actions", shown), ("what was missed", missed)):
    tap.rule(name, skipped(Dunst.missing()) if Dunst.missing() else run)
tap.done()
