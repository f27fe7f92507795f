#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The short version of bench/echo-speech: gemmad does not hear itself, but who speaks over it. All of the time in
it is computed."""
import os
import re
import subprocess
import tempfile

from gemmad_test import BUILD, Tap, speech

tap = Tap()
SPOKEN = ["how-are-you-today.flite-rms.wav", "what-day-is-it-today.espeak-m8.wav",
          "set-a-timer-for-five-minutes.flite-rms.wav", "lock-the-screen.espeak-f5.wav"]
SAID = ["hey-gemma-play-some-music.festival-ked.wav", "ringing/stop.flite-rms.wav"]


def simulated(*options):
    """(answers, turns by its own voice, interruptions, heard)"""
    with tempfile.TemporaryDirectory() as folder:
        lists = []
        for name, recordings in (("spoken", SPOKEN), ("said", SAID)):
            lists.append(os.path.join(folder, name))
            with open(lists[-1], "w") as f:
                f.write("".join(speech(r) + "\n" for r in recordings))
        done = subprocess.run([os.path.join(BUILD, "bench/echo-speech"), "-n", "12", *options, *lists],
                              capture_output=True, text=True)
    print("# " + done.stdout.strip())
    assert done.returncode == 0, done
    found = re.match(r"(\d+) answers, (\d+) turns by its own voice; (\d+) of (\d+) ", done.stdout)
    answers, own, heard, said = (int(x) for x in found.groups())
    return answers, own, said, heard


def heard():
    answers, own, said, heard = simulated()
    assert (answers, own, said) == (12, 0, 6) and heard >= 3, (answers, own, said, heard)


tap.rule("no answer begins a turn, and who speaks over it is heard", heard)
tap.done()
