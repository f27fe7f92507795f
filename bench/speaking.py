#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How soon a spoken answer is heard, and how soon it is silent, through a real sound server.

    speaking.py [--times 10] [--server pulseaudio|pipewire] [--json]

gemmad-desktop and speech-dispatcher with espeak-ng are real, gemmad is played to them. What is played on the
loudspeaker (a null sink) is recorded from its monitor. Prints the median and the longest of
- the token that completes the first sentence -> its first sound,
- "somebody speaks to you" (the phrase or "stop" was heard by gemmad) -> the last sound,
- the call of stop -> the last sound,
- the start of the next turn -> the last sound.
The recording itself comes some milliseconds late, so that all of them are a little too long.

Needs the programs in $BUILD_DIR (build/ unless it is set) and what tests/system/test-desktop-voice.py needs.
"""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from desktop_test import Desktop  # noqa: E402
from gemmad_test import wait_until  # noqa: E402
from sound_server import RATE, PipeWireSpeaker, Speaker  # noqa: E402
from voice_server import Voice  # noqa: E402

LOUD = 300                  # of 32767; the null sink adds no noise
SILENCE = 1.0               # seconds after which a voice that was stopped has ended
LONG = ["This is a sentence, and it is as long as it takes. "] * 40


class Recorder:
    """What is played, each piece with the moment at which it was here."""

    def __init__(self, server):
        self.first = self.last = None
        self.process = subprocess.Popen(
            ["parec", "--device=speaker.monitor", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=10"],
            env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.n_read = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := os.read(self.process.stdout.fileno(), 4096):
            now = time.monotonic()
            samples = struct.unpack(f"<{len(data) // 2}h", data[:len(data) // 2 * 2])
            loud = [i for i, x in enumerate(samples) if abs(x) > LOUD]
            if loud:
                self.last = now - (len(samples) - 1 - loud[-1]) / RATE
                self.first = self.first or now - (len(samples) - 1 - loud[0]) / RATE
            self.n_read += len(samples)

    def reset(self):
        self.first = self.last = None

    def close(self):
        self.process.kill()
        self.process.wait()


def wait_silence(recorder):
    """Nothing is heard any more."""
    wait_until(lambda: recorder.last is None or time.monotonic() - recorder.last > SILENCE, "silence")


def begin(d, number):
    d.gemmad.tell(kind="started", id=number, source="microphone")
    for word in "This is the first".split():
        d.gemmad.tell(kind="token", id=number, text=word + " ")
    time.sleep(0.1)         # a model takes that for a word
    begun = time.monotonic()
    d.gemmad.tell(kind="token", id=number, text="sentence. ")
    return begun


def end(d, number, outcome="answered"):
    d.gemmad.tell(kind="done", id=number, turn={"id": number, "source": "microphone", "outcome": outcome, "answered": "x"})


def first_word(d, recorder, number):
    recorder.reset()
    begun = begin(d, number)
    wait_until(lambda: recorder.first, "the first word")
    end(d, number)
    took = recorder.first - begun
    wait_silence(recorder)
    return took


def silence(d, recorder, number, stop):
    recorder.reset()
    begin(d, number)
    for text in LONG:
        d.gemmad.tell(kind="token", id=number, text=text)
    wait_until(lambda: recorder.first, "the voice")
    time.sleep(1.0 + 0.13 * (number % 7))   # anywhere in a sentence, but in no pause of it
    while time.monotonic() - recorder.last > 0.02:
        time.sleep(0.002)
    begun = time.monotonic()
    stop(number)
    wait_silence(recorder)
    end(d, number, "cancelled")
    return max(recorder.last - begun, 0)


def measure(server, times):
    voice = Voice(server)
    recorder = Recorder(server)
    found = {}
    with Desktop(environment=voice.environment) as d:
        stops = {
            "somebody speaks to it -> silence": lambda number: d.gemmad.interrupt(),
            "stop is called -> silence": lambda number: d.gemmad.begin("stop"),
            "the next turn starts -> silence": lambda number: d.gemmad.tell(kind="started", id=number + 1, source="microphone"),
        }
        number = 10
        first_word(d, recorder, number)     # speech-dispatcher starts its module
        for _ in range(times):
            number += 10
            found.setdefault("first sentence complete -> first sound", []).append(first_word(d, recorder, number))
            for name, stop in stops.items():
                number += 10
                found.setdefault(name, []).append(silence(d, recorder, number, stop))
    recorder.close()
    voice.kill()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--server", choices=("pulseaudio", "pipewire"), default="pulseaudio")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    server = {"pulseaudio": Speaker, "pipewire": PipeWireSpeaker}[o.server]()
    try:
        found = measure(server, o.times)
    finally:
        server.stop()
    if o.json:
        print(json.dumps({name: [round(1000 * x, 1) for x in all_] for name, all_ in found.items()}))
        return
    for name, all_ in found.items():
        print(f"{name:42} {1000 * statistics.median(all_):5.0f} ms  (at most {1000 * max(all_):.0f})")


main()
