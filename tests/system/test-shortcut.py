#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Typed commands with a model that answers freely: what is one beyond doubt is done without it, all else is its own.
The model is a random one of tests/golden, which never calls anything that was asked for."""
import contextlib
import os
import queue
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, SOURCE, Client, Daemon, Tap, wait_until  # noqa: E402

tap = Tap()
MODEL = "[Model]\nPath=" + SOURCE + "/tests/golden/model-b.gguf\nMaxTokens=8\n[Prompt]\nSystem=\nHistoryPositions={}\n"
TEXT = {"type": "string"}
AMOUNT = {"amount": {"type": "number"}, "unit": TEXT}
TOOLS = [{"name": name, "description": name, "parameters": {"type": "object", "properties": properties, "required": required}}
         for name, properties, required in (("set_timer", AMOUNT, ["amount", "unit"]), ("lock_screen", {}, []), ("yes", {}, []),
                                            ("ask", {"about": TEXT}, []), ("open_program", {"title": TEXT}, []),
                                            ("mute", {"state": TEXT, "room": TEXT}, ["room"]))]


class Desktop:
    """Provides the tools and does whatever it is told."""

    def __init__(self, daemon):
        self.calls = queue.Queue()
        self.client, self.responses = daemon.client(), daemon.client()
        self.client.send(ASSISTANT + "Provide", {"tools": TOOLS, "provider": "test"}, more=True)
        first = self.client.receive()
        assert first == {"parameters": {}, "continues": True}, first
        self.client.socket.settimeout(None)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError, EOFError):
            while True:
                call = self.client.receive()["parameters"]["call"]
                self.calls.put((call["name"], call["arguments"]))
                self.responses.call(ASSISTANT + "Respond", {"id": call["id"], "text": f"{call['name']} is done."})

    def taken(self):
        found = []
        while not self.calls.empty():
            found.append(self.calls.get())
        return found


def asked(d, text, desktop=None):
    """The calls that came to the desktop, and the turn."""
    with contextlib.closing(d.client()) as c:
        turn = c.ask(text=text)
    assert turn["outcome"] in ("answered", "cut", "repeated") and turn["heard"] == text, turn
    return desktop.taken() if desktop else None, turn


def done():
    calls, turn = asked(daemon, "Set a timer for 25 minutes, please!", desktop)
    assert calls == [("set_timer", {"amount": 25, "unit": "minute"})], (calls, turn)
    assert turn["answered"] == "set_timer is done.", turn
    calls, turn = asked(daemon, "lock the screen and set a timer for half an hour", desktop)
    assert [name for name, _ in calls] == ["lock_screen", "set_timer"], (calls, turn)
    assert turn["answered"] == "lock_screen is done. set_timer is done.", turn


def own():
    calls, turn = asked(daemon, "what time is it", desktop)
    assert calls == [] and turn["answered"].startswith("It is ") and turn["calls"][0]["name"] == "get_time", turn


def left():
    """No tool of that name, one that takes other arguments, no command, more than one, and what a model says better."""
    for text in ("turn the volume up", "open the browser", "mute the sound", "why is the sky blue", "set a timer",
                 "lock the screen and tell me a joke", "set a timer for five minutes every day", "help", "yes",
                 "what time is it in lima", "do not lock the screen"):
        calls, turn = asked(daemon, text, desktop)
        assert calls == [] and not turn.get("calls"), (text, calls, turn)


def expected():
    with contextlib.closing(daemon.client()) as c:
        c.send(ASSISTANT + "Expect", {"calls": ["yes"]}, more=True)
        assert c.receive() == {"parameters": {}, "continues": True}
        calls, turn = asked(daemon, "yes", desktop)
        assert calls == [("yes", {})], (calls, turn)


def without_tools():
    with Daemon(MODEL.format(0) + "Tools=no\n") as d:
        turn = asked(d, "what time is it")[1]
        assert not turn.get("calls") and not turn["answered"].startswith("It is "), turn


def resting():
    """The large model is not waked for it."""
    with Daemon(MODEL.format(0) + "[Model]\nIdleAfter=1\n") as d, contextlib.closing(d.client()) as c:
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["resting"], "the model rests")
        turn = asked(d, "what time is it")[1]
        assert turn["answered"].startswith("It is "), turn
        assert c.call(ASSISTANT + "Status")["parameters"]["resting"]


def remembered():
    """What comes next is asked behind it."""
    def positions(*texts):
        with Daemon(MODEL.format(200) + "Tools=yes\n") as d:
            return [asked(d, text)[1]["timings"]["prompt_positions"] for text in texts][-1]
    assert positions("what time is it", "why") > positions("why"), (positions("what time is it", "why"), positions("why"))


with Daemon(MODEL.format(0)) as daemon:
    desktop = Desktop(daemon)
    tap.rule("a typed command is carried out without the model, and so are two", done)
    tap.rule("... and what the daemon answers itself", own)
    tap.rule("what has no tool that fits, or is no command beyond doubt, is the model's", left)
    tap.rule("yes is one only while it is waited for", expected)
tap.rule("without tools all is the model's", without_tools)
tap.rule("the model remembers what was done without it", remembered)
tap.rule("a model that rests is not waked by it", resting)
tap.done()
