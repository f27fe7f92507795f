#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long somebody waits who has said a command: from its last sound to its call, through a real sound server.

    waiting.py [--rounds 3] [--server pulseaudio|pipewire] [--json]

Says the commands of tests/speech, voices of synthesizers, into a live microphone that nobody takes the key off of, each
in a turn of its own. The last sound is the last sample of a recording that is louder than a thirtieth of the
loudest one, at the moment at which it was written into the server's microphone. A command that is whole ends sooner
than one that could go on (open); each has a line. What was not understood is said, and does not count.

Needs the programs in $BUILD_DIR (build/ unless it is set) and what tests/system/test-live.py needs.
"""
import argparse
import contextlib
import json
import os
import statistics
import struct
import sys
import time
import wave

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from gemmad_test import ASSISTANT, Daemon, speech, wait_until  # noqa: E402
from sound_server import RATE, PipeWire, SoundServer  # noqa: E402

SAID = ["lock-the-screen.espeak-f5.wav", "set-a-timer-for-five-minutes.flite-rms.wav", "turn-the-volume-up.festival-ked.wav",
        "what-day-is-it-today.espeak-m8.wav", "what-time-is-it.flite-rms.wav", "hey-gemma-play-some-music.festival-ked.wav",
        "hey-gemma-open-the-browser.flite-rms.wav"]
QUIETER = 30


def tail(name):
    """Seconds of a recording behind its last sound."""
    with wave.open(speech(name)) as w:
        data = w.readframes(w.getnframes())
    samples = struct.unpack(f"<{len(data) // 2}h", data)
    limit = max(map(abs, samples)) / QUIETER
    return (len(samples) - 1 - max(i for i, x in enumerate(samples) if abs(x) > limit)) / RATE


def state(daemon):
    with contextlib.closing(daemon.client()) as c:
        return c.call(ASSISTANT + "Status")["parameters"]["microphone"]


def say(daemon, sound, name):
    """Seconds from the last sound to the call (None: there was none), and the turn."""
    wait_until(lambda: state(daemon) == "closed", "the microphone is closed")
    called = None
    with contextlib.closing(daemon.client()) as c:
        c.send(ASSISTANT + "Listen", more=True)
        while True:
            event = c.receive()["parameters"]["event"]
            if event["kind"] == "started":
                wait_until(lambda: state(daemon) == "live", "the microphone is live")
                sound.mouth.say(name)
            elif event["kind"] == "call":
                called = called or time.monotonic()
            elif event["kind"] == "done":
                break
    return called and called - (sound.mouth.ended - tail(name)), event["turn"]


def percentile(values, part):
    values = sorted(values)
    return values[max(0, -(-len(values) * part // 100) - 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=("pulseaudio", "pipewire"), default="pulseaudio")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    sound = {"pulseaudio": SoundServer, "pipewire": PipeWire}[o.server]()
    waits, missed = {}, 0
    try:
        with Daemon("[Audio]\nLingerSeconds=0\nPatienceMs=3000\n", environment=sound.for_daemon) as daemon:
            for i in range(o.rounds * len(SAID)):
                wait, turn = say(daemon, sound, SAID[i % len(SAID)])
                if wait is None:
                    missed += 1
                    continue
                waits.setdefault(turn["ending"], []).append(1000 * wait)
                t = turn["timings"]
                print(f"{wait * 1000:5.0f} ms  {turn['ending']:9}{turn['heard']:42}end of speech -> call"
                      f"{t['first_token'] - t['end_of_speech']:5.0f}", file=sys.stderr, flush=True)
    finally:
        sound.stop()
    if o.json:
        print(json.dumps({"waits": {ending: [round(x, 1) for x in all_] for ending, all_ in waits.items()}, "missed": missed}))
        return
    for ending, all_ in waits.items():
        print(f"last sound -> call, {ending:9} median {statistics.median(all_):4.0f} ms, 95 in 100 {percentile(all_, 95):4.0f} ms, "
              f"at most {max(all_):4.0f} ms, of {len(all_)}")
    print(f"{missed} not understood")


main()
