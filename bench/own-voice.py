#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether gemmad hears itself, and who speaks over it, with all of its programs and a real sound server.

    own-voice.py [--answers 200] [--first 1] [--delay 150] [--echo 300] [--gain -6] SAID

What is played on the loudspeaker (a null sink) comes back into the microphone (a FIFO) as in a room: later, weaker, and
with an echo, beside a little noise; the server's own buffers make it a little later still. The microphone is open and
waits for the phrase. Every other answer is spoken into: SAID is a file with a recording's path a line, 16 kHz and mono, of
people who say the phrase (and more), or "stop" and nothing else, in files with stop in their names. Prints a line for each
answer, and in the end
- how many turns began, and how many answers ended, when nobody had spoken,
- how many of those who spoke into an answer were heard while they did so, or soon afterwards.

It takes as long as it sounds, ten seconds an answer; --first has a later run go on where one ended. A machine on which sound
comes late is heard worse: give it a priority (nice) where others work, too. Needs numpy, the programs in $BUILD_DIR (build/
unless it is set), and what tests/system/test-desktop-voice.py needs. PulseAudio only: behind PipeWire's protocol of it a FIFO
lost an eighth of its sound, which no room does.
"""
import argparse
import contextlib
import fcntl
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import wave

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from desktop_test import Desktop  # noqa: E402
from gemmad_test import ASSISTANT, Daemon, wait_until  # noqa: E402
from sound_server import CHUNK, RATE, Mouth, Speaker  # noqa: E402
from voice_server import Voice  # noqa: E402

F_SETPIPE_SZ = 1031         # in Python since 3.10
LOUD = 0.01                 # of what is played; the null sink adds no noise
SILENCE = 2.0               # seconds after which an answer is over: it takes a breath now and then
ANSWERED = 5.0              # seconds after which what somebody said has become a turn, or has not
REACTION = 2.0              # seconds in which it is to be known that somebody has spoken; it would go on for longer
LATE = RATE // 10           # samples that it is held back, so that it may come when it likes
SIZE = 16384                # of a transform: longer than the echo and a chunk
SENTENCES = ["The library is open from nine in the morning until six in the evening.",
             "There are three ways from the station to the old harbour.",
             "Most of the apples of that year were eaten by the birds.",
             "Her brother plays the violin, and she would rather listen to the radio.",
             "It takes about twenty minutes if nobody is in front of you.",
             "The second half of the film is better than the first one.",
             "We had planned to leave on Friday, but the weather was against it.",
             "Every house in this street has a garden with a wall around it."]


def response(delay_ms, echo_ms, gain_db, rng):
    """What one sample of the loudspeaker becomes: the straight way, and noise that dies away."""
    first, n = max(0, delay_ms * RATE // 1000 - LATE), echo_ms * RATE // 1000
    echo = 0.12 * rng.standard_normal(n) / numpy.sqrt(3) * 10 ** (-3 * numpy.arange(n) / n)
    echo[:32], echo[0] = 0, 1
    return numpy.concatenate([numpy.zeros(first), echo * 10 ** (gain_db / 20) / numpy.sqrt(numpy.sum(echo ** 2))])


class Room(Mouth):
    """Hears the loudspeaker, and speaks into the microphone what comes back of it, and what is said."""

    def __init__(self, path, server, heard):
        super().__init__(path)
        self.transform = numpy.fft.rfft(heard, SIZE)
        self.recent = numpy.zeros(SIZE)
        self.played = None
        self.n_late = self.n_lost = 0
        self.last_loud = self.last_word = 0.0
        self.recorder = subprocess.Popen(
            ["parec", "--device=speaker.monitor", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=20"],
            env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self.hear, daemon=True).start()

    def hear(self):
        while data := os.read(self.recorder.stdout.fileno(), 2 * CHUNK):
            samples = numpy.frombuffer(data[:len(data) // 2 * 2], dtype="<i2") / 32768
            if numpy.abs(samples).max(initial=0) > LOUD:
                self.last_loud = time.monotonic()
            with self.lock:
                # What comes too late was silence in the room, so that the way does not become longer.
                if self.played is None or self.n_late > RATE:
                    self.played, self.n_late = numpy.zeros(LATE), 0
                dropped = min(self.n_late, len(samples))
                self.n_late -= dropped
                self.played = numpy.concatenate([self.played, samples[dropped:]])

    def next_chunk(self, i):
        said = numpy.frombuffer(super().next_chunk(i), dtype="<i2") / 32768
        with self.lock:
            played = numpy.zeros(CHUNK)
            if self.played is not None:
                played, self.played = self.played[:CHUNK], self.played[CHUNK:]
                self.n_late += CHUNK - len(played)
        self.recent = numpy.concatenate([self.recent[CHUNK:], played, numpy.zeros(CHUNK - len(played))])
        back = numpy.fft.irfft(numpy.fft.rfft(self.recent) * self.transform)[-CHUNK:]
        return (numpy.clip(said + back, -1, 1) * 32767).astype("<i2").tobytes()

    def run(self):
        """As a microphone: what nobody takes in time is lost, and nothing becomes later by it."""
        pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(pipe, F_SETPIPE_SZ, 4096)
        due, i = time.monotonic(), 0
        while not self.stops:
            due += CHUNK / RATE
            time.sleep(max(0, due - time.monotonic()))
            chunk = self.next_chunk(i)
            i += 1
            try:
                os.write(pipe, chunk)
            except BlockingIOError:
                self.n_lost += 1
        os.close(pipe)

    def say(self, path):
        with wave.open(path) as w:
            assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (RATE, 1, 2), path
            data = w.readframes(w.getnframes())
        with self.lock:
            self.words += data
            self.last_word = time.monotonic()
        return len(data) / 2 / RATE

    def is_silent(self):
        return time.monotonic() - self.last_loud > SILENCE

    def has_said(self):
        """Whether all of it was, a while ago."""
        with self.lock:
            if self.words:
                self.last_word = time.monotonic()
        return time.monotonic() - self.last_word > ANSWERED


class Ear(threading.Thread):
    """Counts the turns that a microphone began."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.client = daemon.client()
        self.client.socket.settimeout(None)
        self.heard = []
        self.start()

    def run(self):
        with contextlib.suppress(OSError, EOFError):
            for reply in self.client.stream(ASSISTANT + "Watch"):
                event = reply["parameters"].get("event", {})
                if event.get("kind") == "done" and event["turn"].get("source") == "microphone":
                    self.heard.append((event["turn"].get("outcome"), event["turn"].get("heard", "")))


class World:
    def __init__(self, options):
        self.server = Speaker()
        self.server.mouth.stops = True
        self.server.mouth.join()
        self.server.pactl("set-sink-volume", "speaker", "100%")
        self.room = Room(self.server.fifo, self.server,
                         response(options.delay, options.echo, options.gain, numpy.random.default_rng(1)))
        self.room.start()
        self.voice = Voice(self.server)
        self.daemon = Daemon("[Audio]\nMode=wake\n", environment=self.server.for_daemon)
        self.desktop = Desktop(environment={**self.voice.environment,
                                            "XDG_RUNTIME_DIR": self.daemon.environment["XDG_RUNTIME_DIR"]},
                               gemmad=False, start=False)
        os.makedirs(self.desktop.at("config/gemmad/tools"))
        with open(self.desktop.at("config/gemmad/desktop.toml"), "w") as f:
            f.write('speak = "always"\n')
        for n in range(len(SENTENCES)):
            # A short one, which nobody speaks into, and one that is longer than anybody waits.
            for name, text in (("short", SENTENCES[n]), ("long", " ".join(SENTENCES[n:] + SENTENCES[:n]))):
                with open(self.desktop.at(f"config/gemmad/tools/story_{name}_{n}.toml"), "w") as f:
                    f.write(f'description = "Tells something."\ncommand = ["echo", {json.dumps(text)}]\n')
        self.desktop.start()
        wait_until(lambda: "story_long_7" in self.daemon.ctl("tools").stdout, "the tools")
        wait_until(lambda: self.status()["microphone"] == "live", "the microphone")
        self.ear = Ear(self.daemon)

    def status(self):
        with contextlib.closing(self.daemon.client()) as client:
            return client.call(ASSISTANT + "Status")["parameters"]

    def is_idle(self):
        return self.room.is_silent() and self.room.has_said() and self.status()["state"] == "idle"

    def settle(self):
        """Nothing is heard any more, and what was said into the answer has no effect on the next one."""
        wait_until(self.is_idle, "the end of it all")
        self.server.pactl("set-sink-mute", "speaker", "0")
        self.server.pactl("set-sink-volume", "speaker", "100%")
        self.server.pactl("set-source-mute", "mic", "0")
        self.daemon.ctl("call", "cancel_timer", "which=everything")

    def begin(self, name, number):
        """An answer, and the moment at which it is heard."""
        asked = time.monotonic()
        done = self.daemon.ctl("ask", f"story {name} {number % len(SENTENCES)}")
        assert done.returncode == 0, done
        wait_until(lambda: self.room.last_loud > asked, "the voice")

    def close(self):
        self.desktop.__exit__(None, None, None)
        self.daemon.__exit__(None, None, None)
        self.voice.kill()
        self.room.stops = True
        self.room.recorder.kill()
        self.server.stop()


def alone(world, number):
    """(turns by its own voice, what they heard): nobody speaks into it."""
    before = len(world.ear.heard)
    world.begin("short", number)
    world.settle()
    return world.ear.heard[before:]


def is_interrupted(line, seconds):
    """Whether gemmad tells the one who speaks, within so many seconds, that somebody is heard."""
    line.socket.settimeout(seconds)
    try:
        return line.receive()["parameters"]["interrupted"]
    except TimeoutError:
        return False


def spoken_into(world, number, path):
    """(whether its own voice ended it before, seconds from the beginning of what was said until it was known or None,
    what became a turn)"""
    before = len(world.ear.heard)
    world.begin("long", number)
    with contextlib.closing(world.daemon.client()) as line:
        line.send(ASSISTANT + "Speaking", more=True)
        assert not line.receive()["parameters"]["interrupted"]
        own = is_interrupted(line, random.uniform(1.5, 5)) or len(world.ear.heard) > before
        begun = time.monotonic()
        heard = not own and is_interrupted(line, world.room.say(path) + REACTION)
        took = time.monotonic() - begun if heard else None
    if not heard:
        world.daemon.ctl("call", "stop")
    world.settle()
    return own, took, world.ear.heard[before:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--delay", type=int, default=150)
    parser.add_argument("--echo", type=int, default=300)
    parser.add_argument("--gain", type=float, default=-6)
    parser.add_argument("said")
    o = parser.parse_args()
    with open(o.said) as f:
        said = f.read().split()
    random.Random(1).shuffle(said)
    world = World(o)
    n_own = n_said = 0
    took = []
    try:
        for i in range(o.first - 1, o.first - 1 + o.answers):
            if i % 2 == 0:
                turns = alone(world, i // 2)
                n_own += len(turns)
                print(f"{i + 1}: alone; turns {turns}", flush=True)
                continue
            path = said[i // 2 % len(said)]
            own, seconds, turns = spoken_into(world, i // 2, path)
            n_own += own
            n_said += not own
            if seconds is not None and not own:
                took.append(seconds)
            result = "itself" if own else "not heard" if seconds is None else f"known after {seconds:.2f} s"
            print(f"{i + 1}: {os.path.basename(path)}: {result}; turns {turns}", flush=True)
    finally:
        world.close()
    print(f"{o.answers} answers, {n_own} turns or ends by its own voice; {len(took)} of {n_said} who spoke into one were heard, "
          f"{statistics.median(took or [0]):.2f} s after they began (at most {max(took or [0]):.2f})")


main()
