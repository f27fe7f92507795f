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


def meant():
    """In words that no sentence of the model has: done, called, or said what can not be done."""
    with contextlib.closing(daemon.client()) as c:
        assert calls(c, "remind me in 10 minutes to call my mother") == timer(10)
        assert calls(c, "what is the volume") == [("get_volume", {})]
        turn = c.ask(text="what's the weather like")
        assert turn["outcome"] == "answered" and not turn["calls"] and not turn.get("unanswered"), turn
        assert turn["answered"] == "I can not tell the weather.", turn
        for text in ("don't wake me at 7", "transfer 50 dollars to my savings"):
            turn = c.ask(text=text)
            assert not turn["calls"] and not turn["answered"] and turn["unanswered"] == "not_understood", turn
    done = daemon.ctl("ask", "hello")
    assert done.returncode == 0 and "help" in done.stdout, done


def taken_along():
    """Words that no model has learnt go along with the call."""
    with contextlib.closing(daemon.client()) as c:
        for text, wanted in (("open gimp", ("open_program", {"name": "gimp"})),
                             ("What time is it in Lima, Peru?", ("get_time", {"place": "lima peru"})),
                             ("what day is it 10 days from now", ("get_date", {"day": "10 days from now"})),
                             ("play bohemian rhapsody by queen", ("media", {"action": "play", "name": "bohemian rhapsody by queen"}))):
            assert calls(c, text) == [wanted], text
        # Nobody is there who knows it, and what we know ourselves is not said instead.
        turn = c.ask(text="what time is it in lima")
        assert turn["answered"] == "I only know the time here.", turn
        refused = daemon.ctl("call", "get_time", "place=lima")
        assert refused.returncode != 0 and "It is" not in refused.stdout, refused


def suggested():
    """What is not done for certain is named, with the numbers of what was typed."""
    with contextlib.closing(daemon.client()) as c:
        turn = c.ask(text="tell me the name of this song")
        assert not turn["calls"] and turn["hint"] == "what is playing", turn


def exemplary():
    """The help shows sentences that do what they are shown for, and not the shortest."""
    with contextlib.closing(daemon.client()) as c:
        groups = c.call("io.gemmad.Assistant.Help")["parameters"]["groups"]
        shown = {group["name"]: group["sentences"] for group in groups}
        assert "set a timer for ten minutes" in shown["set_timer"], shown
        for name, sentences in shown.items():
            turn = c.ask(text=sentences[0])
            assert [call["name"] for call in turn["calls"]] == [name], (name, sentences, turn)


with Daemon(PATIENT) as daemon:
    tap.rule("what no sentence says is done as it is meant, or told", meant)
    tap.rule("... with what was typed, where any words can be meant", taken_along)
    tap.rule("... and named where it is not certain", suggested)
    tap.rule("every example of the help does what it is shown for", exemplary)
    tap.rule("what a command lacked is said next", completed)
    tap.rule("... by whoever types", other_client)
    tap.rule("a question is answered once, by the next turn", once)
    tap.rule("who does not want it any more says no", dropped)
    tap.rule("what is forgotten is no question either", forgotten)
    tap.rule("without a time to follow up nothing is joined", too_late)
tap.done()
