# SPDX-License-Identifier: Apache-2.0
"""A gemmad-desktop in a world of its own, and a gemmad that is played to it."""
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from gemmad_test import ASSISTANT, BUILD, PATIENCE, NotifySocket, wait_until

GEMMAD_DESKTOP = os.path.join(BUILD, "gemmad-desktop")


class FakeGemmad:
    """Takes tools, calls them, hears what came of it, and tells events."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.provided = queue.Queue()   # the tools of each Provide
        self.others = queue.Queue()     # (provider, tools) of those that do not ship
        self.answers = {}               # id → queue of the parameters of Respond
        self.told = queue.Queue()       # (method, parameters) of everything else
        self.providers = {}             # name → its connection
        self.owners = {}                # name of a tool → that of its provider
        self.watcher = None
        self.observer = None            # who has asked for the status
        self.speaking = None            # who speaks
        self.n_speaking = 0             # ... how often somebody began to
        self.turns = []                 # what History tells
        self.n_calls = 0
        self.connections = []
        self.open()

    def open(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(self.path)
        self.socket.listen()
        threading.Thread(target=self.accept, args=(self.socket,), daemon=True).start()

    def accept(self, listening):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with self.lock:
                    self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        buffer, descriptors = b"", []
        with contextlib.suppress(OSError):
            while True:
                data, fds, _, _ = socket.recv_fds(connection, 65536, 8)
                if not data:
                    if connection is self.speaking:
                        self.speaking = None
                    return
                descriptors += fds
                buffer += data
                while b"\0" in buffer:
                    message, buffer = buffer.split(b"\0", 1)
                    message = json.loads(message)
                    if descriptors:
                        message["parameters"]["descriptors"], descriptors = descriptors, []
                    self.take(connection, message)

    @staticmethod
    def reply(connection, parameters, **flags):
        connection.sendall(json.dumps({"parameters": parameters, **flags}).encode() + b"\0")

    def take(self, connection, message):
        method, parameters = message["method"].removeprefix(ASSISTANT), message.get("parameters", {})
        if method == "Provide":
            assert message["more"]
            self.reply(connection, {}, continues=True)
            name, tools = parameters["provider"], parameters["tools"]
            with self.lock:
                self.providers[name] = connection
                self.owners = {t: p for t, p in self.owners.items() if p != name}
                self.owners.update((t["name"], name) for t in tools)
            if name == "gemmad-desktop":
                self.provided.put(tools)
            else:
                self.others.put((name, tools))
        elif method == "Watch":
            self.watcher = connection
        elif method == "Speaking":
            assert message["more"]
            self.reply(connection, {"interrupted": False}, continues=True)
            self.speaking = connection
            self.n_speaking += 1
        elif method == "Status":
            self.reply(connection, {"state": "idle", "muted": False, "mode": "push"}, continues=True)
            self.observer = connection
        else:
            if method == "Respond":
                with self.lock:
                    answers = self.answers.setdefault(parameters["id"], queue.Queue())
                answers.put(parameters)
            else:
                self.told.put((method, parameters))
            self.reply(connection, {"turns": self.turns} if method == "History" else {})

    def begin(self, tool, /, begun="typed", sees=None, **arguments):
        with self.lock:
            self.n_calls += 1
            number = self.n_calls
            self.answers.setdefault(number, queue.Queue())
            provider = self.providers[self.owners.get(tool, "gemmad-desktop")]
        call = {"id": number, "name": tool, "arguments": arguments, "turn": number, "begun": begun}
        if sees is not None:
            call["sees"] = sees
        self.reply(provider, {"call": call}, continues=True)
        return number

    def answer(self, number):
        return self.answers[number].get(timeout=PATIENCE)

    def call(self, tool, /, begun="typed", sees=None, **arguments):
        return self.answer(self.begin(tool, begun, sees, **arguments))

    def say(self, tool, /, begun="typed", **arguments):
        """The sentence that a call is answered with."""
        answer = self.call(tool, begun, **arguments)
        assert "text" in answer and not answer.get("error"), answer
        return answer["text"]

    def refusal(self, tool, /, begun="typed", **arguments):
        answer = self.call(tool, begun, **arguments)
        assert answer.get("error") and "text" not in answer, answer
        return answer["error"]

    def wait_for_tool(self, name):
        """Its description, as soon as somebody other than gemmad-desktop itself provides it."""
        while True:
            _, tools = self.others.get(timeout=PATIENCE)
            for tool in tools:
                if tool["name"] == name:
                    return tool

    def tell(self, **event):
        wait_until(lambda: self.watcher, "somebody who watches")
        self.reply(self.watcher, {"event": event}, continues=True)

    def status(self, state, **fields):
        wait_until(lambda: self.observer, "somebody who observes")
        self.reply(self.observer, {"state": state, "muted": False, "mode": "push", **fields}, continues=True)

    def interrupt(self):
        self.reply(self.speaking, {"interrupted": True}, continues=True)

    def close(self):
        self.socket.close()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            self.connections = []


class Desktop:
    """gemmad-desktop in folders of its own, without buses and sound unless it is given some."""

    def __init__(self, environment=None, start=True, gemmad=True):
        self.folder = tempfile.mkdtemp(prefix="gemmad-desktop-")
        for name in ("run", "state", "config", "data", "home", "cache"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        nowhere = "unix:path=" + os.path.join(self.folder, "nowhere")
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "PULSE_SINK",
                                                                "XDG_CURRENT_DESKTOP")},
            "HOME": self.at("home"),
            "XDG_RUNTIME_DIR": self.at("run"),
            "XDG_STATE_HOME": self.at("state"),
            "XDG_CONFIG_HOME": self.at("config"),
            "XDG_DATA_HOME": self.at("data"),
            "XDG_CACHE_HOME": self.at("cache"),
            "DBUS_SESSION_BUS_ADDRESS": nowhere,
            "DBUS_SYSTEM_BUS_ADDRESS": nowhere,
            "PULSE_SERVER": "unix:" + self.at("nowhere"),
            "NO_AT_BRIDGE": "1",
            **(environment or {}),
        }
        self.process = None
        self.log = open(self.at("log"), "ab")
        self.notify = NotifySocket(self.at("notify"))
        self.gemmad = FakeGemmad(self.at("run/gemmad/io.gemmad.Assistant")) if gemmad else None
        if start:
            self.start()

    def at(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        self.process = subprocess.Popen([GEMMAD_DESKTOP, "--verbose"], stderr=self.log, stdin=subprocess.DEVNULL,
                                        env={**self.environment, "NOTIFY_SOCKET": self.notify.path})
        self.notify.wait_for("READY=1")
        if self.gemmad:
            self.tools = self.gemmad.provided.get(timeout=PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE) if self.process else None

    def said(self):
        with open(self.at("log"), errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(Exception):
            self.stop()
        if self.process and self.process.poll() is None:
            self.kill()
        if any(error) or "ERROR: " in self.said() or "runtime error:" in self.said():
            print("# " + self.said().replace("\n", "\n# "))
        if self.gemmad:
            self.gemmad.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Bus:
    """A dbus-daemon of our own, with the rules of a session bus: anybody may own any name."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="gemmad-bus-")
        self.address = "unix:path=" + os.path.join(self.folder, "bus")
        self.children = []
        # No folders of services: nothing of this machine shall be started by a name.
        config = os.path.join(self.folder, "config")
        with open(config, "w") as f:
            f.write(f"<busconfig><type>session</type><listen>{self.address}</listen><auth>EXTERNAL</auth>"
                    '<policy context="default"><allow send_destination="*" eavesdrop="true"/>'
                    '<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>')
        self.process = None
        self.start()
        self.environment = {"DBUS_SESSION_BUS_ADDRESS": self.address}

    def start(self):
        if self.process:
            self.process.stdout.close()
        self.process = subprocess.Popen(["dbus-daemon", f"--config-file={self.folder}/config", "--nofork", "--nopidfile",
                                         "--print-address=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdout.readline()

    def spawn(self, *command, **environment):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.children.append(subprocess.Popen(
                command, env={**os.environ, **self.environment, **environment}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log))
        return self.children[-1]

    def busctl(self, *arguments):
        return subprocess.run(["busctl", "--address=" + self.address, "--json=short", "--no-pager", *arguments],
                              capture_output=True, text=True, timeout=PATIENCE)

    def has(self, name):
        return f'"{name}"' in self.busctl("list", "--acquired").stdout or name in self.busctl("list").stdout

    def close(self):
        for child in [*reversed(self.children), self.process]:
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Dunst:
    """A notification daemon on an X server without a screen."""

    @staticmethod
    def missing():
        for tool in ("dbus-daemon", "busctl", "Xvfb", "dunst", "dunstctl"):
            if not shutil.which(tool):
                return "no " + tool
        return None

    def __init__(self, bus):
        self.bus = bus
        read, write = os.pipe()
        bus.children.append(subprocess.Popen(["Xvfb", "-displayfd", str(write), "-nolisten", "tcp"], pass_fds=(write,),
                                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL))
        os.close(write)
        with os.fdopen(read) as f:
            self.display = ":" + f.readline().strip()
        # Asked for the actions of a notification, its menu chooses the one that is in the file.
        self.choice = os.path.join(bus.folder, "choice")
        menu = os.path.join(bus.folder, "menu")
        with open(menu, "w") as f:
            f.write(f'#!/bin/sh\ngrep -m1 -F "$(cat {self.choice})"\n')
        os.chmod(menu, 0o700)
        config = os.path.join(bus.folder, "dunstrc")
        with open(config, "w") as f:
            f.write(f"[global]\ndmenu = {menu}\nhistory_length = 100\n")
        bus.spawn("dunst", "-conf", config, DISPLAY=self.display)
        wait_until(lambda: self.ctl("count").returncode == 0, "dunst")

    def ctl(self, *arguments):
        return subprocess.run(["dunstctl", *arguments], capture_output=True, text=True, timeout=PATIENCE,
                              env={**os.environ, **self.bus.environment, "DISPLAY": self.display})

    def shown(self):
        return int(self.ctl("count", "displayed").stdout)

    def history(self):
        """(title, text) of those that were closed, newest first."""
        return [(n["summary"]["data"], n["body"]["data"])
                for n in json.loads(self.ctl("history").stdout)["data"][0]]

    def choose(self, label):
        with open(self.choice, "w") as f:
            f.write(label)
        assert self.ctl("context").returncode == 0


def python_with(module):
    """A Python that has it: Debian's modules may be those of another one than ours. None: there is none."""
    for python in (sys.executable, "/usr/bin/python3"):
        if shutil.which(python) and not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
            return python
    return None


class Mock:
    """An object on the bus, played by python-dbusmock, for what can not run in a test."""

    CONTROL = "org.freedesktop.DBus.Mock"

    def __init__(self, bus, name, path, interface):
        self.bus, self.name, self.path, self.interface = bus, name, path, interface
        bus.spawn(python_with("dbusmock"), "-m", "dbusmock", name, path, interface)
        wait_until(lambda: not bus.busctl("call", name, path, "org.freedesktop.DBus.Peer", "Ping").returncode, name)

    def control(self, method, *arguments, path=None):
        done = self.bus.busctl("call", self.name, path or self.path, self.CONTROL, method, *arguments)
        assert done.returncode == 0, done
        return json.loads(done.stdout) if done.stdout.strip() else None

    def method(self, name, takes="", gives="", code="", path=None, interface=None):
        self.control("AddMethod", "sssss", interface or self.interface, name, takes, gives, code, path=path)

    def object(self, path, interface, *properties):
        """properties: key, type, value, and so on."""
        self.control("AddObject", "ssa{sv}a(ssss)", path, interface, str(len(properties) // 3), *properties, "0")

    def calls(self, path=None):
        """(method, arguments) of every call so far."""
        return [(name, [x["data"] for x in arguments])
                for _, name, arguments in self.control("GetCalls", path=path)["data"][0]]
