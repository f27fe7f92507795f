#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""io.gemmad.Assistant1 on a session bus of its own, through busctl."""
import contextlib
import json
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, Daemon, Tap, is_sanitized, speech, wait_until  # noqa: E402
from session_bus import NAME, PATH, TOOLS, Bus, Hands, Monitor  # noqa: E402

tap = Tap()
SOUND_LIBRARIES = "built with a sanitizer, which reports the sound libraries"
SLOW = "set-a-timer-for-five-minutes.flite-rms.wav"


def introspection():
    xml = bus.busctl("introspect", "--xml-interface", NAME, PATH)
    for piece in ('<method name="Ask">', '<arg type="s" name="text" direction="in"/>',
                  '<arg type="t" name="turn" direction="out"/>', '<method name="Cancel">',
                  '<signal name="Token">', '<signal name="Heard">', '<signal name="Call">',
                  '<method name="Help">', '<arg type="a(sas)" name="groups" direction="out"/>',
                  '<method name="Listen">', '<method name="Mute">', '<method name="SetMode">',
                  '<signal name="Done">', '<signal name="Transcript">',
                  '<property name="Mode" type="s" access="read">',
                  '<property name="State" type="s" access="read">',
                  '<property name="Muted" type="b" access="read">',
                  '<property name="Model" type="s" access="read">',
                  '<property name="LastHeard" type="s" access="read">',
                  '<property name="LastAnswer" type="s" access="read">'):
        assert piece in xml, (piece, xml)


def properties():
    assert bus.get("State") == "idle" and bus.get("Model") and bus.get("Version")
    assert bus.get("Muted") is False and bus.get("LastHeard") == ""


def asking():
    with contextlib.closing(Monitor(bus)) as monitor:
        turn = bus.call("Ask", "s", "what time is it")
        seen = monitor.until(lambda member, data: member == "Done")
        assert seen[-1][1] == [turn, "answered"], seen
        tokens = "".join(data[1] for member, data in seen if member == "Token" and data[0] == turn)
        assert tokens.strip() and tokens.strip() == bus.get("LastAnswer").strip(), (tokens, seen)
        assert bus.get("LastHeard") == "what time is it"

        changed = {}
        states = []
        for member, data in seen:
            if member == "PropertiesChanged":
                assert data[0] == NAME
                changed.update(data[1])
                if "State" in data[1]:
                    states.append(data[1]["State"]["data"])
        assert "LastAnswer" in changed and "LastHeard" in changed, changed
        assert states and states[-1] == "idle", states
        # It is the turn that the socket knows, too.
        with contextlib.closing(bus.daemon.client()) as c:
            assert c.call(ASSISTANT + "Show", {"id": turn})["parameters"]["turn"]["heard"] == "what time is it"


def others():
    """Turns of clients of the socket are told as well, calls with their arguments."""
    with contextlib.closing(Monitor(bus)) as monitor, contextlib.closing(bus.daemon.client()) as c:
        turn = c.ask(audio_path=speech(SLOW))
        seen = monitor.until(lambda member, data: member == "Done" and data[0] == turn["id"])
        heard = [data[1] for member, data in seen if member == "Heard"]
        assert heard == [turn["heard"]] and bus.get("LastHeard") == turn["heard"], (heard, turn)
        calls = [(data[1], json.loads(data[2])) for member, data in seen if member == "Call"]
        assert calls == [(x["name"], x["arguments"]) for x in turn["calls"]], (calls, turn)


def helping():
    """As gemmactl help shows it."""
    groups = bus.call("Help")
    lines = bus.daemon.ctl("help").stdout.split("\n\n")[0].splitlines()
    assert lines == [line for noun, sentences in groups for line in [noun, *("  " + s for s in sentences)]], lines
    assert any("timer" in s for noun, sentences in groups if noun == "timer" for s in sentences), groups


def cancelling():
    with contextlib.closing(Monitor(bus)) as monitor, contextlib.closing(bus.daemon.client()) as c:
        c.send(ASSISTANT + "Ask", {"audio_path": speech(SLOW), "realtime": True}, more=True)
        turn = c.receive()["parameters"]["event"]["id"]
        assert bus.call("Cancel", "t", str(turn)) is True
        assert monitor.until(lambda member, data: member == "Done")[-1][1] == [turn, "cancelled"]
        assert bus.call("Cancel", "t", "0") is False


def refusals():
    for text, error in (("", "BadText"), (" \n", "BadText"), ("x" * 70000, "BadText")):
        done = bus.try_busctl("call", NAME, PATH, NAME, "Ask", "s", text)
        assert done.returncode and done.stderr, done
    assert bus.is_well()
    # One runs, as long as its sound, and one more may wait.
    with contextlib.closing(bus.daemon.client()) as c:
        c.send(ASSISTANT + "Ask", {"audio_path": speech(SLOW), "realtime": True}, more=True)
        c.receive()
        assert bus.call("Ask", "s", "help") > 0
        done = bus.try_busctl("call", NAME, PATH, NAME, "Ask", "s", "help")
        assert done.returncode and "1 turns are waiting" in done.stderr, done
        while c.receive().get("continues"):
            pass
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["state"] == "idle", "idle")


def forgetting():
    with contextlib.closing(Monitor(bus)) as monitor:
        bus.call("Ask", "s", "a xylophone")
        monitor.until(lambda member, data: member == "Done")
        assert bus.get("LastHeard") == "a xylophone"
        assert bus.daemon.ctl("forget", "--all", "--yes").returncode == 0
        wait_until(lambda: bus.get("LastHeard") == "" and bus.get("LastAnswer") == "", "nothing is left of it")


def muting():
    with contextlib.closing(Monitor(bus)) as monitor, contextlib.closing(bus.daemon.client()) as c:
        reply = c.call(ASSISTANT + "Mute", {"muted": True})
        assert "error" not in reply, reply
        muted = lambda member, data: member == "PropertiesChanged" and "Muted" in data[1]  # noqa: E731
        assert monitor.until(muted)[-1][1][1]["Muted"]["data"] is True and bus.get("Muted") is True
        c.call(ASSISTANT + "Mute", {"muted": False})
        assert monitor.until(muted)[-1][1][1]["Muted"]["data"] is False
        bus.busctl("call", NAME, PATH, NAME, "Mute", "b", "true")
        assert monitor.until(muted)[-1][1][1]["Muted"]["data"] is True
        assert c.call(ASSISTANT + "Status")["parameters"]["muted"] is True
        done = bus.try_busctl("call", NAME, PATH, NAME, "Listen")
        assert done.returncode and "muted" in done.stderr, done
        bus.busctl("call", NAME, PATH, NAME, "Mute", "b", "false")


def mode():
    """Which opens the microphone, or tries to."""
    if is_sanitized():
        return SOUND_LIBRARIES
    with contextlib.closing(Monitor(bus)) as monitor:
        for name in ("wake", "push"):
            bus.busctl("call", NAME, PATH, NAME, "SetMode", "s", name)
            told = lambda member, data: member == "PropertiesChanged" and "Mode" in data[1]  # noqa: E731
            assert monitor.until(told)[-1][1][1]["Mode"]["data"] == name and bus.get("Mode") == name
    done = bus.try_busctl("call", NAME, PATH, NAME, "SetMode", "s", "shout")
    assert done.returncode and "push, open and wake" in done.stderr, done
    return None


def listening():
    """Here there is no microphone, which the end of the turn tells; test-live.py has one."""
    if is_sanitized():
        return SOUND_LIBRARIES
    with contextlib.closing(Monitor(bus)) as monitor:
        turn = bus.call("Listen")
        assert monitor.until(lambda member, data: member == "Done")[-1][1] == [turn, "failed"]
    return None


def deaf_bus():
    """A bus that does not read holds nothing up."""
    os.kill(bus.process.pid, signal.SIGSTOP)
    try:
        with contextlib.closing(bus.daemon.client()) as c:
            for _ in range(3):
                assert c.ask(text="what time is it")["outcome"] == "answered"
    finally:
        os.kill(bus.process.pid, signal.SIGCONT)
    wait_until(lambda: bus.get("State") == "idle", "idle")


def second():
    """The name is taken: said once, and all else works."""
    with Daemon(environment={"DBUS_SESSION_BUS_ADDRESS": bus.address}) as other, Hands(other) as hands:
        wait_until(lambda: NAME in hands.said(), "a line about the name")
        with contextlib.closing(other.client()) as c:
            assert c.ask(text="help")["outcome"] == "answered"
    assert bus.get("State") == "idle"


def restarted():
    """A gemmad that ends is told as such, and what it had said is gone; the next one is followed."""
    bus.call("Ask", "s", "what time is it")
    wait_until(lambda: bus.get("LastAnswer") and bus.get("State") == "idle", "an answer")
    assert bus.daemon.stop() == 0
    wait_until(lambda: bus.get("State") == "stopped", "stopped")
    assert bus.get("LastHeard") == "" and bus.get("LastAnswer") == "" and bus.get("Model") == ""
    for method in (["Ask", "s", "help"], ["Listen"], ["Mute", "b", "true"], ["Cancel", "t", "0"]):
        done = bus.try_busctl("call", NAME, PATH, NAME, *method)
        assert done.returncode and "not running" in done.stderr, (method, done)
    bus.daemon.start()
    # The call itself looks for it, without waiting for the next attempt.
    assert bus.call("Ask", "s", "what time is it") > 0
    wait_until(lambda: bus.get("LastAnswer") and bus.get("State") == "idle", "an answer")


def lost_bus():
    bus.process.kill()
    bus.process.wait()
    with contextlib.closing(bus.daemon.client()) as c:
        assert c.ask(text="what time is it")["outcome"] == "answered"
    bus.process.stdout.close()
    bus.process = bus.start_bus()
    wait_until(lambda: NAME in bus.busctl("list", "--acquired"), "the name on the next bus")
    assert bus.get("LastHeard") == "what time is it"


def unread_end():
    """A bus that does not read does not hold up the end, either."""
    os.kill(bus.process.pid, signal.SIGSTOP)
    try:
        with contextlib.closing(bus.daemon.client()) as c:
            assert c.ask(text="what time is it")["outcome"] == "answered"
        assert bus.hands.stop() == 0 and bus.daemon.stop() == 0
    finally:
        os.kill(bus.process.pid, signal.SIGCONT)


def own_connection():
    """gemmad itself is on no bus, though it is told of one."""
    with Bus() as b:
        mine = {b.hands.process.pid}
        rows = [x.split() for x in b.busctl("list", "--unique").splitlines()]
        names = json.loads(b.busctl("list", "--unique")) if rows and rows[0][0].startswith("[") else None
        pids = {x["pid"] for x in names} if names else {int(x[1]) for x in rows if x[1].isdigit()}
        assert mine <= pids and b.daemon.process.pid not in pids, (pids, b.daemon.process.pid)


def no_bus():
    with Daemon() as d, Hands(d, {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"}) as hands:
        wait_until(lambda: "gemmad has taken" in hands.said(), "its tools")
        wait_until(lambda: "No session bus" in hands.said(), "a line about the bus")
        assert d.is_well() and hands.stop() == 0


def not_wanted():
    with Bus(is_used=False, desktop_config="bus = false\n") as b:
        wait_until(lambda: "gemmad has taken" in b.hands.said(), "its tools")
        assert NAME not in b.busctl("list", "--acquired") and b.is_well()


def former_option():
    """An old configuration still is one, and it says where the option went."""
    with Daemon(config="[Bus]\nEnabled=no\n") as d:
        assert d.is_well() and "bus = false" in d.said(), d.said()


def skipped():
    return "no dbus-daemon or busctl"


if not all(map(shutil.which, TOOLS)):
    tap.rule("a session bus", skipped)
    tap.done()
with Bus(config="[Socket]\nMaxQueuedTurns=1\n") as bus:
    tap.rule("the interface describes itself", introspection)
    tap.rule("properties can be read", properties)
    tap.rule("asking: tokens, the end, and changed properties", asking)
    tap.rule("turns of others are told", others)
    tap.rule("help", helping)
    tap.rule("cancelling", cancelling)
    tap.rule("what can not be asked is refused", refusals)
    tap.rule("muting is told", muting)
    tap.rule("the mode can be set", mode)
    tap.rule("listening", listening)
    tap.rule("what was forgotten is no property", forgetting)
    tap.rule("a bus that does not read holds nothing up", deaf_bus)
    tap.rule("a second one goes on without the name", second)
    tap.rule("a gemmad that ends, and the next one", restarted)
    tap.rule("a bus that is lost takes nothing along, and the next one is used", lost_bus)
    tap.rule("a bus that does not read does not hold up the end", unread_end)
tap.rule("gemmad itself is on no bus", own_connection)
tap.rule("no bus is no error", no_bus)
tap.rule("no bus when none is wanted", not_wanted)
tap.rule("the option of before is no error", former_option)
tap.done()
