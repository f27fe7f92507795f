# SPDX-License-Identifier: Apache-2.0
"""A session bus for tests, a daemon that is on it, and what that says there."""
import json
import os
import queue
import subprocess
import threading

from gemmad_test import PATIENCE, Daemon, wait_until

NAME = "io.gemmad.Assistant1"
PATH = "/io/gemmad/Assistant1"
TOOLS = ("dbus-daemon", "busctl")


class Bus:
    """A dbus-daemon, and a gemmad that is told of it."""

    def __init__(self, config="", is_used=True, environment=None):
        self.daemon = Daemon(config=config, start=False, environment=environment)
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
