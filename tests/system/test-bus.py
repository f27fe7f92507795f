#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""io.gemmad.Assistant1 on a session bus of its own, through busctl."""
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, PATIENCE, Daemon, Tap, speech, wait_until  # noqa: E402

tap = Tap()
NAME = "io.gemmad.Assistant1"
PATH = "/io/gemmad/Assistant1"
SLOW = "set-a-timer-for-five-minutes.flite-rms.wav"


class Bus:
    """A dbus-daemon, and a gemmad that is told of it."""

    def __init__(self, config="", is_used=True):
        self.daemon = Daemon(config=config, start=False)
        self.address = "unix:path=" + os.path.join(self.daemon.folder, "bus")
        self.process = self.start_bus()
        self.daemon.environment["DBUS_SESSION_BUS_ADDRESS"] = self.address
        self.daemon.start()
        if is_used:
            wait_until(lambda: NAME in self.busctl("list", "--acquired"), "the name on the bus")

    def start_bus(self):
        process = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1",
                                    "--address=" + self.address], stdout=subprocess.PIPE,
                                   stderr=self.daemon.log)
        process.stdout.readline()
        return process

    def try_busctl(self, *arguments):
        return subprocess.run(["busctl", "--address=" + self.address, "--json=short", "--no-pager", *arguments],
                              capture_output=True, text=True, timeout=PATIENCE)

    def busctl(self, *arguments):
        done = self.try_busctl(*arguments)
        assert done.returncode == 0, done
        return done.stdout

    def call(self, method, *arguments):
        return json.loads(self.busctl("call", NAME, PATH, NAME, method, *arguments))["data"][0]

    def get(self, name):
        return json.loads(self.busctl("get-property", NAME, PATH, NAME, name))["data"]

    def is_well(self):
        return self.daemon.is_well()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.daemon.__exit__(*error)
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Monitor:
    """The signals of our object, as they come: (member, data)."""

    def __init__(self, bus):
        self.signals = queue.Queue()
        self.process = subprocess.Popen(
            ["busctl", "--address=" + bus.address, "--json=short", "monitor", "--match",
             f"type='signal',path='{PATH}'"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # It says on standard error when it has begun.
        while "Monitoring" not in self.process.stderr.readline():
            assert self.process.poll() is None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("type") == "signal":
                self.signals.put((message["member"], message["payload"]["data"]))

    def until(self, condition):
        """All signals up to the one that fulfils it."""
        seen = []
        while not seen or not condition(*seen[-1]):
            seen.append(self.signals.get(timeout=PATIENCE))
        return seen

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def introspection():
    xml = bus.busctl("introspect", "--xml-interface", NAME, PATH)
    for piece in ('<method name="Ask">', '<arg type="s" name="text" direction="in"/>',
                  '<arg type="t" name="turn" direction="out"/>', '<method name="Cancel">',
                  '<signal name="Token">', '<signal name="Heard">', '<signal name="Call">',
                  '<signal name="Done">', '<signal name="Transcript">', '<property name="Mode" type="s" access="read">', '<property name="State" type="s" access="read">',
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
        assert bus.daemon.ctl("forget", "--all").returncode == 0
        assert bus.get("LastHeard") == "" and bus.get("LastAnswer") == ""


def muting():
    with contextlib.closing(Monitor(bus)) as monitor, contextlib.closing(bus.daemon.client()) as c:
        reply = c.call(ASSISTANT + "Mute", {"muted": True})
        if "error" in reply:
            return "no Mute"
        muted = lambda member, data: member == "PropertiesChanged" and "Muted" in data[1]  # noqa: E731
        assert monitor.until(muted)[-1][1][1]["Muted"]["data"] is True and bus.get("Muted") is True
        c.call(ASSISTANT + "Mute", {"muted": False})
        assert monitor.until(muted)[-1][1][1]["Muted"]["data"] is False


def deaf_bus():
    """A bus that does not read holds nothing up."""
    os.kill(bus.process.pid, signal.SIGSTOP)
    try:
        with contextlib.closing(bus.daemon.client()) as c:
            for _ in range(3):
                assert c.ask(text="what time is it")["outcome"] == "answered"
    finally:
        os.kill(bus.process.pid, signal.SIGCONT)
    assert bus.get("State") == "idle"


def second():
    """The name is taken: said once, and all else works."""
    with Daemon(environment={"DBUS_SESSION_BUS_ADDRESS": bus.address}) as other:
        wait_until(lambda: NAME in other.said(), "a line about the name")
        with contextlib.closing(other.client()) as c:
            assert c.ask(text="help")["outcome"] == "answered"
    assert bus.get("State") == "idle"


def lost_bus():
    bus.process.kill()
    bus.process.wait()
    wait_until(lambda: "session bus is gone" in bus.daemon.said(), "a line about the loss")
    with contextlib.closing(bus.daemon.client()) as c:
        assert c.ask(text="what time is it")["outcome"] == "answered"
    assert bus.daemon.stop() == 0


def no_bus():
    with Daemon(environment={"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"}) as d:
        assert d.is_well() and "No session bus" in d.said(), d.said()


def not_wanted():
    with Bus(config="[Bus]\nEnabled=no\n", is_used=False) as b:
        assert NAME not in b.busctl("list", "--acquired") and b.is_well()


def skipped():
    return "no dbus-daemon or busctl"


if not shutil.which("dbus-daemon") or not shutil.which("busctl"):
    tap.rule("a session bus", skipped)
    tap.done()
with Bus(config="[Socket]\nMaxQueuedTurns=1\n") as bus:
    tap.rule("the interface describes itself", introspection)
    tap.rule("properties can be read", properties)
    tap.rule("asking: tokens, the end, and changed properties", asking)
    tap.rule("turns of others are told", others)
    tap.rule("cancelling", cancelling)
    tap.rule("what can not be asked is refused", refusals)
    tap.rule("muting is told", muting)
    tap.rule("what was forgotten is no property", forgetting)
    tap.rule("a bus that does not read holds nothing up", deaf_bus)
    tap.rule("a second daemon goes on without the name", second)
    tap.rule("a bus that is lost takes nothing along", lost_bus)
tap.rule("no bus is no error", no_bus)
tap.rule("no bus when none is wanted", not_wanted)
tap.done()
