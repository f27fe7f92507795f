#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tools that clients provide: carried out, answered in words, and whatever a provider may do wrong."""
import contextlib
import json
import os
import queue
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, Client, Daemon, Tap, wait_until  # noqa: E402

tap = Tap()
daemon = Daemon()
TIMER = "set a timer for five minutes"
NUMBER = {"type": "object", "properties": {"percent": {"type": "number"}, "name": {"type": "string"},
                                           "loud": {"type": "boolean"}}, "required": ["percent"]}


def tool(name, **more):
    return {"name": name, "description": f"Does {name}.", "parameters": {"type": "object", "properties": {}}, **more}


class Provider:
    """Provides tools and answers with what answer() returns for each call; None: not at all."""

    def __init__(self, tools, answer=None, name="test-desktop", path=None):
        self.calls = queue.Queue()
        self.answer = answer or (lambda call: {"text": f"{call['name']} done."})
        self.client = Client(path or daemon.path)
        self.responses = Client(path or daemon.path)
        self.client.send(ASSISTANT + "Provide", {"tools": tools, "provider": name}, more=True)
        self.first = self.client.receive()
        if "error" not in self.first:
            self.client.socket.settimeout(None)
            threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError, EOFError):
            while True:
                call = self.client.receive()["parameters"]["call"]
                self.calls.put(call)
                response = self.answer(call)
                if response is not None:
                    self.respond(call["id"], **response)

    def respond(self, number, **response):
        return self.responses.call(ASSISTANT + "Respond", {"id": number, **response})

    def close(self):
        # The thread sits in recv(): only a shutdown wakes it, and ends the connection.
        with contextlib.suppress(OSError):
            self.client.socket.shutdown(2)
        self.client.close()
        self.responses.close()
        wait_until(lambda: self.name_is_gone(), "the provider is forgotten")

    def name_is_gone(self):
        with contextlib.closing(daemon.client()) as c:
            tools = c.call(ASSISTANT + "Tools")["parameters"]["tools"]
        return all(t["provider"] != "test-desktop" for t in tools)

    def __enter__(self):
        assert self.first == {"parameters": {}, "continues": True}, self.first
        return self

    def __exit__(self, *_):
        self.close()


def asked(text):
    """The events of one turn."""
    with contextlib.closing(daemon.client()) as c:
        return [r["parameters"]["event"] for r in c.stream(ASSISTANT + "Ask", {"text": text})]


def turn_of(text):
    return asked(text)[-1]["turn"]


def refused(tools, **more):
    with contextlib.closing(daemon.client()) as c:
        return c.call(ASSISTANT + "Provide", {"tools": tools, **more}, more=True).get("error")


def nobody():
    turn = turn_of(TIMER)
    assert turn["answered"] == "Nothing here can set timers: gemmad-desktop is not running.", turn
    assert turn["outcome"] == "answered" and turn["calls"][0]["name"] == "set_timer", turn
    tools = daemon.ctl("--json", "tools")
    assert [t["provider"] for t in json.loads(tools.stdout)["tools"]] == ["gemmad"] * 2, tools


def carried_out():
    with Provider([tool("set_timer")], lambda c: {"text": "Timer set, five minutes.", "result": {"seconds": 300}}) as p:
        events = asked(TIMER)
        call = p.calls.get_nowait()
        assert call["arguments"]["amount"] == 5 and call["arguments"]["unit"] == "minute", call
        assert call["begun"] == "typed" and call["turn"] == events[-1]["id"], call
        kinds = [e["kind"] for e in events]
        assert kinds == ["started", "call", "result", "token", "done"], kinds
        assert events[2]["text"] == "Timer set, five minutes." and events[2]["call"] == events[1]["call"], events
        turn = events[-1]["turn"]
        assert turn["answered"] == "Timer set, five minutes.", turn
        with contextlib.closing(daemon.client()) as c:
            kept = c.call(ASSISTANT + "Show", {"id": turn["id"]})["parameters"]["turn"]
        assert kept["answered"] == "Timer set, five minutes.", kept
    assert "not running" in turn_of(TIMER)["answered"]


def failed():
    with Provider([tool("set_timer")], lambda c: {"error": "There is no clock."}):
        events = asked(TIMER)
        assert [e.get("error") for e in events if e["kind"] == "result"] == ["There is no clock."], events
        assert events[-1]["turn"]["answered"] == "There is no clock.", events
        assert events[-1]["turn"]["outcome"] == "answered", events
    # Nothing to say is an answer, too.
    with Provider([tool("set_timer")], lambda c: {}):
        assert turn_of(TIMER)["answered"] == ""


def two():
    with Provider([tool("set_timer")], lambda c: {"text": "old"}) as old:
        newer = Provider([tool("set_timer")], lambda c: {"text": "new"}, name="newer")
        assert turn_of(TIMER)["answered"] == "new"
        newer.client.socket.shutdown(2)
        wait_until(lambda: turn_of(TIMER)["answered"] == "old", "the older one has it back")
        assert old.calls.qsize() >= 1
    assert "newer provides set_timer now instead of test-desktop" in daemon.said()


def dies():
    """A provider that goes away with a call, one that is late, and then its late answer."""
    p = Provider([tool("set_timer")], lambda c: p.client.socket.shutdown(2))
    assert turn_of(TIMER)["answered"] == "test-desktop did not answer."
    with Provider([tool("set_timer", timeout=0.2)], lambda c: None) as p:
        assert turn_of(TIMER)["answered"] == "test-desktop did not answer."
        late = p.respond(p.calls.get()["id"], text="Too late.")
        assert late["error"] == ASSISTANT + "NoSuchCall", late


def garbage():
    """Answers that are too long, of another type, or to calls that there are not."""
    with Provider([tool("set_timer")], lambda c: {"text": "x" * 5000}):
        assert turn_of(TIMER)["answered"] == "test-desktop gave an answer that can not be used."
    deep = {}
    for _ in range(10):
        deep = {"x": deep}
    with Provider([tool("set_timer")], lambda c: {"result": deep}):
        assert turn_of(TIMER)["answered"] == "test-desktop gave an answer that can not be used."
    with contextlib.closing(daemon.client()) as c:
        for bad in ({"id": 0}, {"id": -1}, {"id": 1, "text": 5}, {"id": "1"}, {}):
            assert c.call(ASSISTANT + "Respond", bad)["error"] == "org.varlink.service.InvalidParameter", bad
        assert c.call(ASSISTANT + "Respond", {"id": 2**62})["error"] == ASSISTANT + "NoSuchCall"


def twice():
    answers = []

    def answer(call):
        for text in ("first", "second"):
            answers.append(p.respond(call["id"], text=text).get("error"))

    p = Provider([tool("set_timer")], answer)
    with p:
        assert turn_of(TIMER)["answered"] == "first"
        wait_until(lambda: len(answers) == 2, "both were answered")
        assert answers == [None, ASSISTANT + "NoSuchCall"], answers


def cancelled():
    """A call without end does not hold up who asks next."""
    with Provider([tool("set_timer", timeout=100)], lambda c: None) as p, contextlib.closing(daemon.client()) as c:
        c.send(ASSISTANT + "Ask", {"text": TIMER})
        p.calls.get(timeout=60)
        assert daemon.is_well()
        with contextlib.closing(daemon.client()) as other:
            assert other.call(ASSISTANT + "Cancel")["parameters"]["cancelled"]
            assert c.receive()["parameters"]["event"]["turn"]["outcome"] == "cancelled"
            assert other.ask(text="what time is it")["answered"].startswith("It is ")
        # Nor when who asked goes away.
        c.send(ASSISTANT + "Ask", {"text": TIMER})
        p.calls.get(timeout=60)
        c.close()
        assert turn_of("what time is it")["answered"].startswith("It is ")


def refusals():
    """What is no tool; and hostile sizes."""
    wrong = "org.varlink.service.InvalidParameter"
    deep = {"type": "object"}
    for _ in range(9):
        deep = {"type": "object", "properties": deep}
    assert refused([]) == wrong
    assert refused([tool("a"), tool("a")]) == wrong
    assert refused([tool(f"t{i}") for i in range(65)]) == wrong
    for bad in ("", "1", "a b", "a" * 65, "<|tool_call>"):
        assert refused([tool(bad)]) == wrong, bad
    assert refused([tool("a", parameters=deep)]) == wrong
    assert refused([tool("a", parameters={"type": "object", "x": "y" * 9000})]) == wrong
    assert refused([tool("a", parameters={"type": "array"})]) == wrong
    assert refused([tool("a", description="x" * 1025)]) == wrong
    assert refused([tool("a", timeout=1e9)]) == wrong
    assert refused([tool("a")], provider="x" * 65) == wrong
    with contextlib.closing(daemon.client()) as c:
        assert c.call(ASSISTANT + "Provide", {"tools": [tool("a")]})["error"] == ASSISTANT + "NeedsMore"
    assert daemon.is_well()


def floods():
    """Providers without number, one that never reads its calls, and answers without number."""
    clients = [daemon.client() for _ in range(17)]
    replies = [c.call(ASSISTANT + "Provide", {"tools": [tool("a")]}, more=True) for c in clients]
    assert sum(r.get("error") == ASSISTANT + "Busy" for r in replies) == 1, replies
    for c in clients:
        c.close()
    with contextlib.closing(daemon.client()) as deaf, contextlib.closing(daemon.client()) as c:
        assert deaf.call(ASSISTANT + "Provide", {"tools": [tool("a", timeout=0.05)]}, more=True)["continues"]
        big = {"x": "y" * 30000}
        for _ in range(200):
            reply = c.call(ASSISTANT + "Call", {"name": "a", "arguments": big})
            if reply.get("error") == ASSISTANT + "NoSuchTool":
                break
        else:
            raise AssertionError("who does not read provides for ever")
    with contextlib.closing(daemon.client()) as c:
        for i in range(2000):
            c.send(ASSISTANT + "Respond", {"id": i + 10**6}, oneway=True)
        assert c.call(ASSISTANT + "Tools")["parameters"]["tools"]


def called():
    """gemmactl tools and gemmactl call, with a value of every type."""
    with Provider([tool("set_volume", parameters=NUMBER), tool("suspend", confirm=True)],
                  lambda c: {"text": "Volume set."} if c["name"] == "set_volume" else {"error": "No."}) as p:
        r = daemon.ctl("tools")
        assert "set_volume percent=number [name=string] [loud=boolean]\n    Does set_volume. (test-desktop)" in r.stdout, r
        assert "(test-desktop; asks before)" in r.stdout and "get_time" in r.stdout, r
        r = daemon.ctl("call", "set_volume", "percent=40.5", "name=7", "loud=true")
        assert (r.returncode, r.stdout) == (0, "Volume set.\n"), r
        call = p.calls.get_nowait()
        assert call["arguments"] == {"percent": 40.5, "name": "7", "loud": True}, call
        assert call["begun"] == "call" and call["turn"] == 0, call
        r = daemon.ctl("call", "suspend")
        assert r.returncode == 1 and "No." in r.stderr, r
        for bad in (["percent=much"], ["size=1"], ["percent"], ["percent=1", "percent=2"], ["loud=1"]):
            r = daemon.ctl("call", "set_volume", *bad)
            assert r.returncode == 2 and r.stderr, (bad, r)
        assert p.calls.qsize() == 1
    r = daemon.ctl("call", "set_volume", "percent=1")
    assert r.returncode == 1 and "nobody provides this" in r.stderr, r
    r = daemon.ctl("call", "get_time")
    assert r.returncode == 0 and r.stdout.startswith("It is "), r
    assert daemon.ctl("call").returncode == 2


def doctored():
    """The doctor tells when there is nobody who does what is asked for."""
    missing = "gemmad-desktop is not running"
    with Provider([tool("a")]):
        assert missing in daemon.ctl("doctor").stdout
    with Provider([tool("a")], name="gemmad-desktop"):
        r = daemon.ctl("doctor")
        assert "takes calls" in r.stdout and missing not in r.stdout, r


def gone_caller():
    """Who calls and goes away leaves nothing behind."""
    with Provider([tool("a", timeout=100)], lambda c: None) as p:
        for _ in range(40):  # more than may be under way at once
            with contextlib.closing(daemon.client()) as c:
                c.send(ASSISTANT + "Call", {"name": "a", "arguments": {}})
                p.calls.get(timeout=60)
        assert daemon.is_well()
        p.answer = lambda c: {"text": "well"}
        with contextlib.closing(daemon.client()) as c:
            assert c.call(ASSISTANT + "Call", {"name": "a", "arguments": {}})["parameters"] == {"text": "well"}


def ends():
    assert daemon.stop() == 0


with daemon:
    tap.rule("a call that nobody provides is answered in plain words", nobody)
    tap.rule("a provided call is carried out, told and kept", carried_out)
    tap.rule("what could not be done is told", failed)
    tap.rule("of two providers the newer one wins until it goes", two)
    tap.rule("a provider that dies or is late hangs no turn", dies)
    tap.rule("garbage is an error result", garbage)
    tap.rule("the first of two answers counts", twice)
    tap.rule("a turn whose call hangs can be cancelled", cancelled)
    tap.rule("what is no tool is refused", refusals)
    tap.rule("floods are held off", floods)
    tap.rule("gemmactl shows tools and calls them", called)
    tap.rule("the doctor tells when nobody is there for the desktop", doctored)
    tap.rule("a caller that goes leaves no call behind", gone_caller)
    tap.rule("it ends", ends)
tap.done()
