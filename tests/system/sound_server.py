# SPDX-License-Identifier: Apache-2.0
"""A sound server of our own, whose microphone is a FIFO that is spoken into."""
import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import wave

from gemmad_test import PATIENCE, speech

RATE = 16000
CHUNK = 320  # samples: 20 ms


class Mouth(threading.Thread):
    """Writes into the FIFO at the pace of the clock: the noise of a quiet room, and what is to be said."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.lock = threading.Lock()
        self.words = b""
        self.is_dead_silent = self.is_last = False
        self.offset = 0
        self.stops = False
        self.ended = None       # when the last sample of what was said last was written
        rng = random.Random(1)
        self.noise = [struct.pack(f"<{CHUNK}h", *(rng.randint(-12, 12) for _ in range(CHUNK)))
                      for _ in range(50)]

    def say(self, name):
        with wave.open(speech(name)) as w:
            assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (RATE, 1, 2), name
            data = w.readframes(w.getnframes())
        with self.lock:
            self.words += data

    def next_chunk(self, i):
        with self.lock:
            if self.is_dead_silent:
                return struct.pack("<h", self.offset) * CHUNK
            chunk, self.words = self.words[:2 * CHUNK], self.words[2 * CHUNK:]
            self.is_last = bool(chunk) and not self.words
        noise = self.noise[i % len(self.noise)]
        chunk += noise[len(chunk):]
        if self.offset:
            samples = (max(-32768, min(32767, s + self.offset)) for s in struct.unpack(f"<{CHUNK}h", chunk))
            chunk = struct.pack(f"<{CHUNK}h", *samples)
        return chunk

    def run(self):
        fd, due, i, chunk = -1, time.monotonic(), 0, None
        while not self.stops:
            due += CHUNK / RATE
            time.sleep(max(0, due - time.monotonic()))
            try:
                if fd < 0:
                    fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
                    due = time.monotonic()
                chunk = chunk or self.next_chunk(i)
                os.write(fd, chunk)
                if self.is_last:
                    self.ended, self.is_last = time.monotonic(), False
                chunk = None
                i += 1
            except BlockingIOError:
                pass  # the server sleeps, and a word that was not written is still to be said
            except OSError:
                if fd >= 0:
                    os.close(fd)
                fd = -1
        if fd >= 0:
            os.close(fd)


class SoundServer:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="gemmad-sound-")
        self.fifo = os.path.join(self.folder, "mic")
        for name in ("run", "home"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        self.runtime = os.path.join(self.folder, "run")
        home = os.path.join(self.folder, "home")
        with open(os.path.join(home, ".asoundrc"), "w") as f:
            f.write('pcm.!default { type pulse hint.description "pulse" }\nctl.!default { type pulse }\n')
        self.environment = {k: v for k, v in os.environ.items()
                            if k not in ("PULSE_SERVER", "PULSE_SOURCE", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        self.environment.update(XDG_RUNTIME_DIR=self.runtime, HOME=home, LC_ALL="C")
        # The daemon has a runtime directory of its own, so it is told where the server is.
        self.server = "unix:" + os.path.join(self.runtime, "pulse/native")
        self.for_daemon = {"HOME": home, "PULSE_SERVER": self.server, "DISPLAY": ""}
        self.process = None
        self.configure()
        self.start()
        self.mouth = Mouth(self.fifo)
        self.mouth.start()

    def configure(self):
        """What the server reads."""

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.fifo)
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                 "-L", "module-native-protocol-unix", "-L", self.source()],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while self.pactl("info").returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("pulseaudio does not start here")
            time.sleep(0.05)

    def source(self):
        return f"module-pipe-source source_name=mic file={self.fifo} format=s16le rate={RATE} channels=1"

    def pactl(self, *arguments):
        return subprocess.run(["pactl", *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE)

    def unplug(self):
        assert self.pactl("unload-module", "module-pipe-source").returncode == 0

    def plug(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.fifo)
        assert self.pactl("load-module", *self.source().split()).returncode == 0

    @contextlib.contextmanager
    def headset(self):
        """A second microphone, named as those of Bluetooth are, that the server prefers."""
        name, fifo = "bluez_input.00_11_22", os.path.join(self.folder, "headset")
        loaded = self.pactl("load-module", "module-pipe-source", f"source_name={name}", f"file={fifo}",
                            "format=s16le", f"rate={RATE}", "channels=1")
        assert loaded.returncode == 0, loaded
        try:
            deadline = time.monotonic() + PATIENCE
            while f"Default Source: {name}" not in self.pactl("info").stdout:
                self.pactl("set-default-source", name)
                assert time.monotonic() < deadline, "the server prefers the headset"
            yield
        finally:
            self.pactl("unload-module", loaded.stdout.strip())
            self.pactl("set-default-source", "mic")

    def is_recorded(self):
        return bool(self.pactl("list", "short", "source-outputs").stdout.strip())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self.mouth.stops = True
        self.mouth.join(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)


class Speaker(SoundServer):
    """... and a speaker that is a null sink; recorded() is what was played on it."""

    def __init__(self):
        self.recorder = None
        super().__init__()

    def start(self):
        super().start()
        assert self.pactl("load-module", "module-null-sink", "sink_name=speaker", f"rate={RATE}",
                          "channels=2").returncode == 0
        assert self.pactl("set-default-sink", "speaker").returncode == 0
        assert self.pactl("set-default-source", "mic").returncode == 0

    def record(self):
        """From now on, into a file."""
        self.stop_recording()
        self.recording = os.path.join(self.folder, "recording")
        with open(self.recording, "wb") as out:
            self.recorder = subprocess.Popen(
                ["parec", "--device=speaker.monitor", "--format=s16le", f"--rate={RATE}", "--channels=1",
                 "--latency-msec=20"], env=self.environment, stdout=out, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not os.path.getsize(self.recording):
            assert time.monotonic() < deadline, "a recording of the speaker"
            time.sleep(0.02)

    def recorded(self):
        """The samples up to now."""
        with open(self.recording, "rb") as f:
            data = f.read()
        return struct.unpack(f"<{len(data) // 2}h", data[:len(data) // 2 * 2])

    def stop_recording(self):
        if self.recorder:
            self.recorder.kill()
            self.recorder.wait()

    def stop(self):
        self.stop_recording()
        super().stop()


# Without Bluetooth, for which WirePlumber wants a logind: until 0.4, since 0.5.
NO_BLUETOOTH = {
    "bluetooth.lua.d/51-none.lua": "bluez_monitor.enabled = false\n",
    "wireplumber.conf.d/none.conf": "wireplumber.profiles = { main = { hardware.bluetooth = disabled } }\n",
}


class PipeWire(SoundServer):
    """Three processes and a bus, behind the protocol of PulseAudio; they end together."""

    def configure(self):
        self.environment["XDG_CONFIG_HOME"] = os.path.join(self.folder, "config")
        for name, text in NO_BLUETOOTH.items():
            path = os.path.join(self.folder, "config/wireplumber", name)
            os.makedirs(os.path.dirname(path))
            with open(path, "w") as f:
                f.write(text)

    def spawn(self, *command):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.processes.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL,
                                                   stdout=log, stderr=log))
        return self.processes[-1]

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            if any(p.poll() is not None for p in self.processes) or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"pipewire does not start here: {what}; {self.last_words()}")
            time.sleep(0.05)

    def last_words(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return (f.read().strip().splitlines() or ["said nothing"])[-1]

    def start(self):
        bus = os.path.join(self.runtime, "bus")
        self.processes = []
        for path in (bus, self.fifo, os.path.join(self.runtime, "pipewire-0")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=" + bus
        self.spawn("dbus-daemon", "--session", "--nofork", "--nopidfile", "--address=unix:path=" + bus)
        self.wait_for(lambda: os.path.exists(bus), "its bus")
        self.process = self.spawn("pipewire")
        self.wait_for(lambda: os.path.exists(os.path.join(self.runtime, "pipewire-0")), "its socket")
        self.spawn("wireplumber")
        self.spawn("pipewire-pulse")
        self.wait_for(lambda: self.pactl("info").returncode == 0, "its face of PulseAudio")
        assert self.pactl("load-module", *self.source().split()).returncode == 0
        self.wait_for(lambda: self.pactl("set-default-source", "mic").returncode == 0, "the microphone")
        self.wait_for(lambda: "Default Source: mic" in self.pactl("info").stdout, "the default")

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def stop(self):
        self.kill()
        super().stop()


class PipeWireSpeaker(Speaker, PipeWire):
    """The same behind PipeWire."""
