# SPDX-License-Identifier: Apache-2.0
"""What the system tests share: a daemon of their own, a bare Varlink client, and TAP."""
import array
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import wave

BUILD = os.environ.get("BUILD_DIR", os.path.join(os.path.dirname(__file__), "../../build"))
SOURCE = os.environ.get("SOURCE_DIR", os.path.join(os.path.dirname(__file__), "../.."))
SPEECH = os.path.join(SOURCE, "tests/speech")
GEMMAD = os.path.join(BUILD, "gemmad")
GEMMACTL = os.path.join(BUILD, "gemmactl")
ASSISTANT = "io.gemmad.Assistant."
PATIENCE = 120  # seconds before something that should happen counts as not happening


def as_root(*command):
    """Runs a command that may look into a process which is not dumpable; None where nobody lets us."""
    if os.geteuid() != 0:
        command = ("sudo", "-n", *command)
    with contextlib.suppress(OSError):
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout
    return None


def n_descriptors(pid):
    """How many descriptors a daemon has open; None where that can not be seen."""
    listing = as_root("ls", f"/proc/{pid}/fd")
    return None if listing is None else len(listing.split())


class Tap:
    """Rules as functions: a rule passes when it returns, fails when it raises."""

    def __init__(self):
        self.n = self.failed = 0

    def rule(self, name, run):
        self.n += 1
        try:
            skip = run()
            print(f"ok {self.n} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except Exception:
            self.failed += 1
            print(f"not ok {self.n} - {name}")
            print("# " + traceback.format_exc().replace("\n", "\n# "), flush=True)

    def done(self):
        print(f"1..{self.n}")
        sys.exit(self.failed > 0)


class NotifySocket:
    """What systemd would listen on; read all the time, because a full one would stop the sender."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError):
            while True:
                for line in self.socket.recv(4096).decode().split("\n"):
                    self.lines.put(line)

    def wait_for(self, word):
        while self.lines.get(timeout=PATIENCE) != word:
            pass


class Client:
    """A Varlink client in twenty lines, that can also misbehave."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.buffer = b""

    def send(self, method, parameters=None, fds=(), **flags):
        message = json.dumps({"method": method, "parameters": parameters or {}, **flags}).encode() + b"\0"
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self.socket.sendmsg([message], control)
            self.socket.sendall(message[sent:])
        else:
            self.socket.sendall(message)

    def receive(self):
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the daemon closed the connection")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, parameters=None, fds=(), **flags):
        self.send(method, parameters, fds, **flags)
        return self.receive()

    def stream(self, method, parameters=None, fds=()):
        """All replies of a call with `more`."""
        self.send(method, parameters, fds, more=True)
        while True:
            reply = self.receive()
            yield reply
            if not reply.get("continues"):
                return

    def ask(self, **parameters):
        """The finished turn of one Ask."""
        reply = self.call(ASSISTANT + "Ask", parameters)
        assert "error" not in reply, reply
        return reply["parameters"]["event"]["turn"]

    def close(self):
        self.socket.close()


class Daemon:
    """gemmad in folders of its own; started and ready when the constructor returns."""

    def __init__(self, config="", arguments=(), start=True, environment=None):
        self.folder = tempfile.mkdtemp(prefix="gemmad-test-")
        for name in ("run", "state", "config", "data"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        self.path = os.path.join(self.folder, "run/gemmad/io.gemmad.Assistant")
        self.config = os.path.join(self.folder, "gemmad.conf")
        with open(self.config, "w") as f:
            f.write(config)
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": os.path.join(self.folder, "run"),
            "XDG_STATE_HOME": os.path.join(self.folder, "state"),
            "XDG_CONFIG_HOME": os.path.join(self.folder, "config"),
            "XDG_DATA_HOME": os.path.join(self.folder, "data"),
            # Not the bus of whoever runs the tests.
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=" + os.path.join(self.folder, "no-bus"),
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=" + os.path.join(self.folder, "no-bus"),
            **(environment or {}),
        }
        self.arguments = ["--config", self.config, *arguments]
        self.process = None
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.notify = NotifySocket(os.path.join(self.folder, "notify"))
        if start:
            self.start()

    def start(self):
        environment = {**self.environment, "NOTIFY_SOCKET": self.notify.path}
        self.process = subprocess.Popen([GEMMAD, *self.arguments], env=environment, stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        self.notify.wait_for("READY=1")

    def client(self):
        return Client(self.path)

    def ctl(self, *arguments, **options):
        return subprocess.run([GEMMACTL, *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE, **{"stdin": subprocess.DEVNULL, **options})

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE) if self.process else None

    def is_well(self):
        """Whether it still answers."""
        with contextlib.closing(self.client()) as c:
            return "state" in c.call(ASSISTANT + "Status")["parameters"]

    def said(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.stop()
        if self.process and self.process.poll() is None:
            self.process.kill()
        if "ERROR: " in self.said() or "runtime error:" in self.said():
            print("# " + self.said().replace("\n", "\n# "))
        shutil.rmtree(self.folder, ignore_errors=True)


def speech(name):
    return os.path.join(SPEECH, name)


def expected_speech(folder=""):
    """(file, transcript, call) of every recorded request in tests/speech or a folder of it."""
    with open(speech(os.path.join(folder, "expected.tsv"))) as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip()]
    return [(os.path.join(folder, name), transcript, call) for name, transcript, call in rows]


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def is_sanitized():
    """Whether the daemon was built with a sanitizer."""
    linked = subprocess.run(["ldd", GEMMAD], capture_output=True, text=True).stdout
    return any(f"lib{s}san.so" in linked for s in ("a", "t", "ub"))


def write_wav(path, seconds, rate=16000, channels=1, level=0):
    """Silence, or a square wave of that level."""
    samples = [level if i // 40 % 2 else -level for i in range(int(seconds * rate))]
    with wave.open(path, "wb") as w:
        w.setnchannels(channels)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(b"".join(struct.pack("<h", s) * channels for s in samples))
    return path


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)
