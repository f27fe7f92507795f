# SPDX-License-Identifier: Apache-2.0
"""A session bus for tests, a daemon and the gemmad-desktop that is on the bus, and what that says there."""
import contextlib
import json
import os
import signal
import queue
import subprocess
import threading

from gemmad_test import BUILD, PATIENCE, Daemon, NotifySocket, wait_until

NAME = "io.gemmad.Assistant1"
PATH = "/io/gemmad/Assistant1"
TOOLS = ("dbus-daemon", "busctl")


class Hands:
    """The gemmad-desktop of a daemon: no sound, and no bus unless it is given one."""

    def __init__(self, daemon, environment=None, desktop_config=""):
        self.folder = daemon.folder
        # Timers and their lock are not the daemon's.
        state = os.path.join(daemon.folder, "desktop-state")
        os.makedirs(state, mode=0o700, exist_ok=True)
        self.log = open(os.path.join(daemon.folder, "desktop-log"), "ab")
        self.begun = self.log.tell()             # what was there is of another one of this daemon
        if desktop_config:
            os.makedirs(os.path.join(daemon.folder, "config/gemmad"), exist_ok=True)
            with open(os.path.join(daemon.folder, "config/gemmad/desktop.toml"), "w") as f:
                f.write(desktop_config)
        path = os.path.join(daemon.folder, "desktop-notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        notify = NotifySocket(path)
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "gemmad-desktop"), "--verbose", "--socket", daemon.path],
            stderr=self.log, stdin=subprocess.DEVNULL,
            env={"PULSE_SERVER": "unix:/nonexistent/sound", **daemon.environment, "XDG_STATE_HOME": state,
                 "NOTIFY_SOCKET": notify.path, **(environment or {})})
        notify.wait_for("READY=1")

    def said(self):
        with open(os.path.join(self.folder, "desktop-log"), "rb") as f:
            f.seek(self.begun)
            return f.read().decode(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        if "ERROR: " in self.said() or "runtime error:" in self.said():
            print("# " + self.said().replace("\n", "\n# "))
        self.log.close()


class Bus:
    """A dbus-daemon, a gemmad, and its gemmad-desktop, which is told of it."""

    def __init__(self, config="", is_used=True, environment=None, desktop_config=""):
        self.daemon = Daemon(config=config, start=False, environment=environment)
        self.address = "unix:path=" + os.path.join(self.daemon.folder, "bus")
        self.process = self.start_bus()
        self.daemon.environment["DBUS_SESSION_BUS_ADDRESS"] = self.address
        self.daemon.start()
        self.hands = Hands(self.daemon, desktop_config=desktop_config)
        if is_used:
            wait_until(lambda: NAME in self.busctl("list", "--acquired"), "the name on the bus")
            wait_until(lambda: self.get("State") == "idle", "what gemmad does is known")

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
        self.hands.__exit__(*error)
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
             f"type='signal',path='{PATH}'"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.has_begun = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        # Not every busctl says when it has: it sees a signal of ours then.
        wait_until(lambda: self.is_seen(bus), "busctl has begun")

    def is_seen(self, bus):
        assert self.process.poll() is None
        bus.busctl("emit", PATH, "io.gemmad.Test", "Probe")
        return self.has_begun.wait(0.2)

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("member") == "Probe":
                self.has_begun.set()
            elif message.get("type") == "signal":
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
