#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""logind says that the machine goes to sleep: what a daemon without a microphone does about it.  The
microphone itself is in test-live.py."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, Daemon, Tap, wait_until  # noqa: E402
from login1 import Login1, missing  # noqa: E402

tap = Tap()
ASLEEP = "The machine goes to sleep"
AWAKE = "The machine is awake"
NO_DEVICE = {"PULSE_SERVER": "unix:/nonexistent/sound", "DISPLAY": ""}


def start(login1, arguments=()):
    return Daemon(environment={**NO_DEVICE, **login1.environment}, arguments=arguments)


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
        assert d.stop() == 0
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
    with Login1() as login1, start(login1, ["-v"]) as d:
        login1.wait_for("taken sleep delay")
        login1.sleep()
        login1.wait_for("released")
        login1.end_bus()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")
        assert "system bus is gone" in d.said() and d.is_well()
        assert d.stop() == 0


def no_locks():
    """Without a lock sleep is followed all the same."""
    with Login1("refuse") as login1, start(login1, ["-v"]) as d:
        wait_until(lambda: "no locks here" in d.said(), "a line about the lock")
        login1.sleep()
        wait_until(lambda: ASLEEP in d.said(), "a line about sleep")
        login1.wake()
        wait_until(lambda: AWAKE in d.said(), "a line that it is awake")


def no_logind():
    with Login1(has_logind=False) as login1, start(login1, ["-v"]) as d:
        wait_until(lambda: "no time before sleep" in d.said(), "a line about logind")
        assert d.said().count("logind") == 1 and d.is_well(), d.said()


def no_bus():
    """Not an error, and only told to those who look closely."""
    with Daemon() as d:
        assert d.is_well() and "system bus" not in d.said(), d.said()
    with Daemon(arguments=["-v"]) as d:
        assert d.is_well() and d.said().count("No system bus") == 1, d.said()


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
tap.done()
