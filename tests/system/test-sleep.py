#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""logind says that the machine goes to sleep: what gemmad-desktop makes of it, and a daemon without a
microphone.  The microphone itself is in test-live.py."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, Daemon, Tap, wait_until  # noqa: E402
from login1 import Login1, missing  # noqa: E402
from session_bus import Hands  # noqa: E402

tap = Tap()
ASLEEP = "The machine goes to sleep"
AWAKE = "The machine is awake"
NO_DEVICE = {"PULSE_SERVER": "unix:/nonexistent/sound", "DISPLAY": ""}


@contextlib.contextmanager
def start(login1):
    """A daemon, which is on no bus, and the hands that tell it of sleep."""
    with Daemon(environment=NO_DEVICE) as d, Hands(d, login1.environment) as hands:
        d.hands = hands
        wait_until(lambda: "gemmad has taken" in hands.said(), "its tools")
        yield d


def delay():
    """A lock is held while awake, and released when the microphone is closed."""
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        for n in range(1, 4):
            login1.sleep()
            login1.wait_for("released")
            login1.wake()
            login1.wait_for("taken sleep delay")
            wait_until(lambda: d.said().count(AWAKE) == n, "a line that it is awake")
        assert d.said().count(ASLEEP) == 3 and d.is_well()
        assert d.hands.stop() == 0
        login1.wait_for("released")


def refused():
    """While the machine goes to sleep nobody can be listened to, but a text is answered."""
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        login1.sleep()
        login1.wait_for("released")
        with contextlib.closing(d.client()) as c:
            reply = c.call(ASSISTANT + "Listen")
            assert reply["error"] == ASSISTANT + "NoMicrophone", reply
            assert "sleep" in reply["parameters"]["reason"], reply
            assert c.ask(text="what time is it")["outcome"] == "answered"


def repeated():
    """Twice the same is once."""
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        login1.wake()
        login1.sleep()
        login1.wait_for("released")
        login1.sleep()
        login1.wake()
        login1.wait_for("taken sleep delay")
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")
        assert d.said().count(AWAKE) == 1 and d.said().count(ASLEEP) == 1, d.said()


def logind_ends():
    """A logind that ends while asleep does not leave us deaf, and the next one is followed."""
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        login1.sleep()
        login1.wait_for("released")
        login1.end_logind()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")
        login1.start_logind()
        login1.wait_for("taken sleep delay")
        login1.sleep()
        login1.wait_for("released")
        assert d.is_well()


def bus_ends():
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        login1.sleep()
        login1.wait_for("released")
        login1.end_bus()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")
        assert "system bus is gone" in d.hands.said() and d.is_well()
        assert d.hands.stop() == 0


def no_locks():
    """Without a lock sleep is followed all the same."""
    with Login1("refuse") as login1, start(login1) as d:
        wait_until(lambda: "no locks here" in d.hands.said(), "a line about the lock")
        login1.sleep()
        wait_until(lambda: ASLEEP in d.said(), "a line about sleep")
        login1.wake()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")


def no_logind():
    with Login1(has_logind=False) as login1, start(login1) as d:
        wait_until(lambda: "no time before sleep" in d.hands.said(), "a line about logind")
        assert d.hands.said().count("logind") == 1 and d.is_well(), d.hands.said()


def no_bus():
    """Not an error, and only told to those who look closely."""
    with Daemon() as d, Hands(d) as hands:
        assert hands.said().count("No system bus") == 1, hands.said()


def no_gemmad():
    """Nobody has to be told, and sleep is not held up for long."""
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        assert d.stop() == 0
        login1.sleep()
        login1.wait_for("released")
        login1.wake()
        login1.wait_for("taken sleep delay")


def hands_end():
    """Who has told of sleep and ends takes it back: it is not for ever."""
    with Login1() as login1, start(login1) as d:
        login1.wait_for("taken sleep delay")
        login1.sleep()
        login1.wait_for("released")
        d.hands.process.kill()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")


def by_clients():
    """Any client can tell of sleep; it lasts as long as one of them does."""
    with Daemon(environment=NO_DEVICE) as d, contextlib.closing(d.client()) as c:
        assert c.call(ASSISTANT + "Sleep")["error"] == ASSISTANT + "NeedsMore"
        with contextlib.closing(d.client()) as first:
            reply = first.call(ASSISTANT + "Sleep", more=True)
            assert reply == {"parameters": {}, "continues": True}, reply
            with contextlib.closing(d.client()) as other:
                assert other.call(ASSISTANT + "Sleep", more=True)["continues"]
            assert c.call(ASSISTANT + "Listen")["error"] == ASSISTANT + "NoMicrophone"
            assert AWAKE not in d.said()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")
        assert d.said().count(ASLEEP) == 1


if missing():
    tap.rule("a system bus", missing)
    tap.done()
tap.rule("sleep waits until the microphone is closed", delay)
tap.rule("nobody is listened to on the way to sleep", refused)
tap.rule("what was told already is not told again", repeated)
tap.rule("a logind that ends leaves nothing asleep", logind_ends)
tap.rule("a system bus that ends leaves nothing asleep", bus_ends)
tap.rule("a lock that is refused is no error", no_locks)
tap.rule("no logind is no error", no_logind)
tap.rule("no system bus is no error", no_bus)
tap.rule("without a gemmad sleep is not held up", no_gemmad)
tap.rule("who has told of sleep and ends takes it back", hands_end)
tap.rule("clients tell of sleep", by_clients)
tap.done()
