#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers aloud, as the recording of a speaker has them: speech-dispatcher and its voice are real."""
import contextlib
import os
import shutil
import subprocess

from desktop_test import Desktop
from gemmad_test import PATIENCE, Tap, skip_all, wait_until
from sound_server import RATE, Speaker
from voice_server import Voice, why_silent

tap = Tap()
LOUD = 500  # of 32767
LONG = ("This is a sentence. " * 60).split(" ")


def loud():
    """How many tenths of a second had a voice in them."""
    samples, step = server.recorded(), RATE // 10
    return sum(any(abs(x) > LOUD for x in samples[i:i + step:7]) for i in range(0, len(samples), step))


def is_silent_for(seconds):
    """Waits for so much more of the recording, and tells whether it is silent."""
    begun = len(server.recorded())
    wait_until(lambda: len(server.recorded()) >= begun + seconds * RATE, "more of the recording")
    return not any(abs(x) > LOUD for x in server.recorded()[begun:])


def world(setting=""):
    d = Desktop(environment=voice.environment, start=False)
    os.makedirs(d.at("config/gemmad"))
    with open(d.at("config/gemmad/desktop.toml"), "w") as f:
        f.write(setting + "\n")
    return d


def turn(gemmad, number, source, pieces, end=True):
    gemmad.tell(kind="started", id=number, source=source)
    for piece in pieces:
        gemmad.tell(kind="token", id=number, text=piece)
    if end:
        gemmad.tell(kind="done", id=number, turn={"source": source, "outcome": "answered", "answered": "".join(pieces)})


def speaks():
    """What was spoken to is answered aloud; what was typed is not, unless configured."""
    for setting, aloud in (("", {"microphone"}), ('speak = "always"', {"microphone", "text"}), ('speak = "never"', set())):
        with world(setting) as d:
            d.start()
            for number, source in enumerate(("text", "audio", "microphone"), 1):
                server.record()
                turn(d.gemmad, number, source, ["Timer", " set", ", five minutes."])
                if source in aloud:
                    wait_until(lambda: loud() >= 5, f"a voice for {source} with '{setting}'")
                elif source != "audio":
                    assert is_silent_for(3), (source, setting)


def speaks_early():
    """The first sentence does not wait for the others."""
    with world() as d:
        d.start()
        server.record()
        turn(d.gemmad, 1, "microphone", ["It is late.", " And"], end=False)
        wait_until(lambda: loud() >= 4, "the first sentence")


def stops():
    """By "stop", by the next question, and by the end of a turn that was cancelled."""
    with world() as d:
        d.start()
        for number, stop in enumerate((lambda: d.gemmad.say("stop"),
                                       lambda: d.gemmad.tell(kind="started", id=99, source="microphone"),
                                       lambda: d.gemmad.tell(kind="done", id=3, turn={"outcome": "cancelled"})), 1):
            server.record()
            turn(d.gemmad, number, "microphone", [word + " " for word in LONG], end=False)
            wait_until(lambda: loud() >= 10, "the voice")
            stop()
            # What was on its way to the speaker may still come.
            wait_until(lambda: is_silent_for(2), "silence")
            assert loud() < 250, f"all of it was spoken: {loud()}"


def interrupted():
    """gemmad knows while it speaks; who speaks to gemmad silences it, and what was spoken is told."""
    with world() as d:
        d.start()
        server.record()
        turn(d.gemmad, 1, "microphone", ["Hello there, you."])
        wait_until(lambda: d.gemmad.n_speaking == 1, "that it speaks")
        wait_until(lambda: loud() >= 4, "the voice")
        wait_until(lambda: not d.gemmad.speaking, "that it is over")
        server.record()
        turn(d.gemmad, 2, "microphone", [word + " " for word in LONG])
        wait_until(lambda: loud() >= 10, "the voice")
        d.gemmad.interrupt()
        wait_until(lambda: not d.gemmad.speaking, "that it is silent")
        while (method := (call := d.gemmad.told.get(timeout=PATIENCE))[0]) == "History":
            pass
        told = call[1]
        assert method == "Spoken" and told["turn"] == 2, call
        whole = " ".join(LONG).strip()
        assert told["text"] and whole.startswith(told["text"]) and len(told["text"]) < len(whole), told
        wait_until(lambda: is_silent_for(2), "silence")
        assert loud() < 250, f"all of it was spoken: {loud()}"
        # Of what was typed, and is read, nothing is told.
        turn(d.gemmad, 3, "text", ["Hello there, you."])
        assert d.gemmad.say("stop") and "Spoken" not in [m for m, _ in d.gemmad.told.queue]


def ducks():
    """Others are lower by 12 dB while it speaks, and as they were afterwards."""
    player = subprocess.Popen(["pacat", "--playback", "--raw", "/dev/zero", "--client-name=somebody"],
                              env=server.environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "somebody" in server.pactl("list", "sink-inputs").stdout, "it plays")
        with world() as d:
            d.start()
            turn(d.gemmad, 1, "microphone", [word + " " for word in LONG])
            wait_until(lambda: "-12.0" in server.pactl("list", "sink-inputs").stdout, "lower")
            d.gemmad.interrupt()
            wait_until(lambda: "-12.0" not in server.pactl("list", "sink-inputs").stdout, "as it was")
    finally:
        player.kill()
        player.wait()


def comes_back():
    """A speech-dispatcher that ends, and one that comes."""
    with world() as d:
        d.start()
        server.record()
        turn(d.gemmad, 1, "microphone", ["Hello there, you."])
        wait_until(lambda: loud() >= 4, "the voice")
        voice.kill()
        voice.start()
        server.record()
        turn(d.gemmad, 2, "microphone", ["Hello there you " * 20 + "again. "], end=False)
        wait_until(lambda: loud() >= 4, "the voice again")
        voice.kill()
        voice.start()
        server.record()
        # The sentence that finds nobody is not over: it is said once more, and gemmad knows of it.
        n_before = d.gemmad.n_speaking
        d.gemmad.tell(kind="token", id=2, text="Hello there you " * 10 + "again.")
        d.gemmad.tell(kind="done", id=2, turn={"source": "microphone", "outcome": "answered", "answered": "Hello."})
        wait_until(lambda: loud() >= 4, "the next sentence")
        assert d.gemmad.speaking and d.gemmad.n_speaking == n_before, "that it still speaks is known"
        wait_until(lambda: not d.gemmad.speaking, "that it is over")
        assert loud() >= 40, "it is told when the sentence ends"


def missing():
    """Without speech-dispatcher: one line, and all else works."""
    with world() as d:
        # The library keeps a text of each attempt that failed.
        d.environment["ASAN_OPTIONS"] = "detect_leaks=0"
        d.environment["SPEECHD_ADDRESS"] = "unix_socket:" + d.at("nowhere")
        d.start()
        for number in (1, 2):
            turn(d.gemmad, number, "microphone", ["Hello."])
            wait_until(lambda: "packages for it are speech-dispatcher" in d.said(), "a line")
        assert d.gemmad.say("stop") == "OK." and d.said().count("packages for it") == 1
        assert d.stop() == 0


for tool in ("pulseaudio", "pactl", "parec"):
    if not shutil.which(tool):
        skip_all("no " + tool)
if why_silent():
    skip_all(why_silent())
try:
    server = Speaker()
except RuntimeError as error:
    skip_all(str(error))
try:
    voice = Voice(server)
    tap.rule("answers aloud", speaks)
    tap.rule("the first sentence comes early", speaks_early)
    tap.rule("silence when it is wanted", stops)
    tap.rule("who speaks to it interrupts it", interrupted)
    tap.rule("others are lower while it speaks", ducks)
    tap.rule("speech-dispatcher ends and comes", comes_back)
    tap.rule("no speech-dispatcher", missing)
    voice.kill()
finally:
    server.stop()
tap.done()
