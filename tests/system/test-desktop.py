#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gemmad-desktop on the socket: it offers its tools, answers calls, and comes back."""
import datetime
import os
import re
import subprocess
import tempfile
import zoneinfo

from desktop_test import GEMMAD_DESKTOP, Desktop
from gemmad_test import PATIENCE, Tap, wait_until

tap = Tap()


def offers():
    with Desktop() as d:
        names = [tool["name"] for tool in d.tools]
        assert len(names) == len(set(names)) and "set_volume" in names, names
        for tool in d.tools:
            assert tool["description"] and tool["parameters"]["type"] == "object", tool
            for name in tool["parameters"].get("required", ()):
                assert name in tool["parameters"]["properties"], tool


def unknown():
    with Desktop() as d:
        assert "no tool 'make_coffee'" in d.gemmad.refusal("make_coffee")


def without_sound():
    """One sentence that says what is missing."""
    with Desktop() as d:
        assert d.gemmad.refusal("set_volume", percent=40) == "There is no sound server."
        assert "from 0 to 100" in d.gemmad.refusal("set_volume", percent=140)
        assert "from 0 to 100" in d.gemmad.refusal("set_volume", percent="loud")


def comes_back():
    """It connects again after gemmad was gone, and answers nothing to the new one of what the old one asked."""
    with Desktop() as d:
        d.gemmad.close()
        wait_until(lambda: "trying again" in d.said(), "a line about the loss")
        d.gemmad.open()
        assert d.gemmad.provided.get(timeout=PATIENCE) == d.tools
        assert d.gemmad.refusal("make_coffee")


def there(gemmad):
    """The time elsewhere: in a city of the table of zones, in one that is none of it, in a country. Asked twice should it
    be another minute, or day, just then."""
    for place, zone in (("tokyo", "Asia/Tokyo"), ("New York", "America/New_York"), ("buenos aires", "America/Argentina/Buenos_Aires"),
                        ("san francisco", "America/Los_Angeles"), ("india", "Asia/Kolkata"), ("germany", "Europe/Berlin"),
                        ("zürich", "Europe/Zurich"), ("são paulo", "America/Sao_Paulo")):
        name = " ".join(word.capitalize() for word in place.split())
        for _ in range(3):
            now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
            time = gemmad.call("get_time", place=place)
            date = gemmad.call("get_date", place=place, day="tomorrow")
            if (time["result"]["time"] == f"{now:%H:%M}" and
                    date["result"]["date"] == str(now.date() + datetime.timedelta(1))):
                break
        else:
            raise AssertionError((place, now, time, date))
        assert time["text"] in (f"It is {now:%H:%M} in {name}.", f"It is {now:%H:%M} on {now:%A} in {name}."), time
        assert date["text"].startswith("Tomorrow is ") and date["text"].endswith(f" in {name}."), date
    assert gemmad.refusal("get_time", place="atlantis") == "I do not know the time in Atlantis."
    assert gemmad.refusal("get_date", place="australia") == "Australia has several times: in which city?"
    assert "know" in gemmad.refusal("get_time", place="../etc/passwd")
    # A place in the place of a day, and an empty one.
    assert gemmad.say("get_date", day="sydney").endswith(" in Sydney.")
    assert gemmad.refusal("get_date", day="australia") == "Australia has several times: in which city?"
    assert gemmad.refusal("get_date", day="xyzzy") == "I do not know which day xyzzy is."
    assert re.fullmatch(r"It is \d\d:\d\d\.", gemmad.say("get_time", place=""))


def talks():
    """What needs nothing but words, with the examples of help being those of tools."""
    with Desktop() as d:
        say = d.gemmad.say
        assert re.fullmatch(r"It is \d\d:\d\d\.", say("get_time"))
        today, tomorrow = (d.gemmad.call("get_date", **x)["result"]["date"] for x in ({}, {"day": "tomorrow"}))
        assert datetime.date.fromisoformat(tomorrow) - datetime.date.fromisoformat(today) == datetime.timedelta(1)
        assert say("get_date", day="yesterday").startswith("Yesterday was ")
        there(d.gemmad)
        assert say("get_date", day="3 days ago").startswith("3 days ago was ")
        assert say("get_date", day="next friday").split(",")[0].endswith("Friday")
        assert "which day my birthday is" in d.gemmad.refusal("get_date", day="my birthday")
        assert "set a pizza timer for ten minutes" in say("help") and "for sound: " in say("help")
        assert say("stop") == "OK."
        assert say("yes") == say("no") == "I have not asked anything."
        assert say("ask", about="timer") == "For how long?"
        assert "song" in say("cannot", what="song")


def repeats():
    with Desktop() as d:
        assert d.gemmad.say("repeat") == "I have not said anything yet."
        d.gemmad.tell(kind="token", id=1, text="It is")
        d.gemmad.tell(kind="done", id=1, turn={"answered": "It is 12:00."})
        d.gemmad.tell(kind="done", id=2, turn={"answered": ""})
        wait_until(lambda: d.gemmad.say("repeat") == "It is 12:00.", "the answer")


def waits():
    """It starts before gemmad, and says once that it waits."""
    with Desktop(gemmad=False) as d:
        wait_until(lambda: "trying again" in d.said(), "a line about waiting")
        assert d.stop() == 0
        assert d.said().count("trying again") == 1


def nonsense():
    """What is no message of gemmad's ends the connection and not the program."""
    with Desktop() as d:
        for junk in (b"junk\0", b'{"parameters":{"call":{"id":-1}},"continues":true}\0'):
            d.gemmad.providers["gemmad-desktop"].sendall(junk)
            assert d.gemmad.provided.get(timeout=PATIENCE)
        assert d.gemmad.refusal("make_coffee")


def command_line():
    """(In a state of its own: whoever runs this test may have a gemmad-desktop.)"""
    with tempfile.TemporaryDirectory() as state:
        environment = {**{k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}, "XDG_STATE_HOME": state}
        run = lambda *a: subprocess.run([GEMMAD_DESKTOP, *a], capture_output=True, text=True, timeout=PATIENCE,  # noqa: E731
                                        env=environment)
        assert run("--version").stdout.startswith("gemmad-desktop ")
        assert "--socket" in run("--help").stdout
        assert run("--nonsense").returncode == 2 and run("nonsense").returncode == 2
        done = run()
        assert done.returncode == 1 and "XDG_RUNTIME_DIR" in done.stderr, done


tap.rule("it offers its tools", offers)
tap.rule("a tool that there is not is said", unknown)
tap.rule("what is missing is said in a sentence", without_sound)
tap.rule("it connects again", comes_back)
tap.rule("what needs only words", talks)
tap.rule("the last answer is repeated", repeats)
tap.rule("it waits for gemmad", waits)
tap.rule("nonsense from the socket", nonsense)
tap.rule("the command line", command_line)
tap.done()
