#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is typed next answers a question, once and for a while; numbers come from what was typed."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import Daemon, Tap  # noqa: E402

tap = Tap()
# On a slow machine, too, the question is still open.
PATIENT = "[Audio]\nFollowUpSeconds = 600\n"
ASK = [("ask", {"about": "timer"})]


def calls(client, text):
    turn = client.ask(text=text)
    assert turn["outcome"] == "answered" and turn["heard"] == text, turn
    return [(call["name"], call["arguments"]) for call in turn["calls"]]


def timer(amount, unit="minute"):
    return [("set_timer", {"amount": amount, "unit": unit})]


def completed():
    with contextlib.closing(daemon.client()) as c:
        for answer, wanted in (("five minutes", timer(5)), ("for 90 seconds", timer(90, "second")),
                               ("Half an hour, please!", timer(30))):
            assert calls(c, "set a timer") == ASK
            assert calls(c, answer) == wanted, answer
        assert calls(c, "set an alarm") == [("ask", {"about": "alarm"})]
        assert calls(c, "at 7:45") == [("set_alarm", {"hour": 7, "minute": 45})]


def other_client():
    """Each command of a shell is a client of its own."""
    with contextlib.closing(daemon.client()) as c:
        assert calls(c, "set a timer") == ASK
    with contextlib.closing(daemon.client()) as c:
        assert calls(c, "five minutes") == timer(5)


def once():
    with contextlib.closing(daemon.client()) as c:
        assert calls(c, "five minutes") == []
        assert calls(c, "set a timer") == ASK
        assert calls(c, "five minutes") == timer(5)
        assert calls(c, "five minutes") == []
        assert calls(c, "set a timer") == ASK
        assert calls(c, "what time is it") == [("get_time", {})]
        assert calls(c, "five minutes") == []


def dropped():
    with contextlib.closing(daemon.client()) as c:
        for refusal in ("no", "Never mind.", "no thanks"):
            assert calls(c, "set a timer") == ASK
            turn = c.ask(text=refusal)
            assert turn["calls"] == [] and turn["unanswered"] == "not_a_command", turn
            assert calls(c, "five minutes") == []
        # Nobody was asked anything: that is a command of its own, as ever.
        assert calls(c, "no") == [("no", {})]


def forgotten():
    with contextlib.closing(daemon.client()) as c:
        assert calls(c, "set a timer") == ASK
        assert daemon.ctl("forget", "--all", "--yes").returncode == 0
        assert calls(c, "five minutes") == []


def too_late():
    with Daemon("[Audio]\nFollowUpSeconds = 0\n") as d, contextlib.closing(d.client()) as c:
        assert calls(c, "set a timer") == ASK
        assert calls(c, "five minutes") == []


with Daemon(PATIENT) as daemon:
    tap.rule("what a command lacked is said next", completed)
    tap.rule("... by whoever types", other_client)
    tap.rule("a question is answered once, by the next turn", once)
    tap.rule("who does not want it any more says no", dropped)
    tap.rule("what is forgotten is no question either", forgotten)
    tap.rule("without a time to follow up nothing is joined", too_late)
tap.done()
