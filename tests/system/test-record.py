#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gemmactl record: sentences are asked for one after the other and kept as training/corpus.py reads
them. A script takes the place of the program that records."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import wave

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import GEMMACTL, Tap  # noqa: E402

RATE = 16000
folder = tempfile.mkdtemp(prefix="gemmad-record-")
tap = Tap()


def path_of(name):
    return os.path.join(folder, name)


def raw(name, seconds, level):
    """Samples as a recorder writes them, and a command that ends after them."""
    with open(path_of(name), "wb") as file:
        for i in range(int(seconds * RATE)):
            file.write(struct.pack("<h", level if i % 50 < 25 else -level))
    return f"cat {path_of(name)}"


class Done:
    def __init__(self, returncode, stdout):
        self.returncode, self.stdout = returncode, stdout

    def __repr__(self):
        return f"{self.returncode}: {self.stdout}"


def record(out, answers, recorder, sentences="Turn on the light\n# a comment\n\nnext song\n", ends=False):
    """answers: what is typed at each question; ends: whether Enter ends each recording, or it does so itself."""
    with open(path_of("sentences"), "w", encoding="utf-8") as file:
        file.write(sentences)
    said, answers = "", list(answers)
    with subprocess.Popen([GEMMACTL, "record", path_of(out), "--context", path_of("sentences"), "--recorder", recorder],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while letter := process.stdout.read(1):
            said += letter
            answer = None
            if said.endswith("q to end: "):
                answer = answers.pop(0) if answers else "q"
            elif ends and said.endswith("then Enter\n"):
                answer = ""
            if answer is not None:
                process.stdin.write(answer + "\n")
                process.stdin.flush()
        process.stdin.close()
    return Done(process.wait(), said)


def table(out):
    with open(os.path.join(path_of(out), "transcripts.tsv"), encoding="utf-8") as file:
        return file.read()


def length(out, name):
    with wave.open(os.path.join(path_of(out), name)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2)
        return sound.getnframes()


def kept():
    done = record("a", ["", "", "", ""], raw("one", 1.0, 8000))
    assert done.returncode == 0, done
    assert table("a") == "file\ttext\n00001.wav\tturn on the light\n00002.wav\tnext song\n", table("a")
    assert length("a", "00001.wav") == RATE and length("a", "00002.wav") == RATE
    assert "1.0 s, loudest -12 dB" in done.stdout and "quiet" not in done.stdout and "2 recorded" in done.stdout


def goes_on():
    done = record("a", ["", ""], raw("one", 1.0, 8000), "turn on the light\nnext song\nstop\n")
    assert "stop" in done.stdout and "next song" not in done.stdout, done.stdout
    assert table("a").endswith("\n00003.wav\tstop\n") and table("a").count("file\t") == 1, table("a")


def in_pieces():
    """What is read may end amid a sample, or be one byte."""
    raw("pieces", 0.5, 8000)
    with open(path_of("in-pieces"), "w", encoding="utf-8") as script:
        for begin, size in ((1, 4001), (4002, 1), (4003, RATE)):
            script.write(f"tail -c +{begin} {path_of('pieces')} | head -c {size}; sleep 0.2\n")
    done = record("p", ["", ""], f"sh {path_of('in-pieces')}", "next song\n")
    assert done.returncode == 0 and length("p", "00001.wav") == RATE // 2, done
    with wave.open(os.path.join(path_of("p"), "00001.wav")) as sound, open(path_of("pieces"), "rb") as whole:
        assert sound.readframes(RATE) == whole.read()


def taken_again():
    done = record("b", ["", "r", "", "", "q"], raw("one", 0.5, 8000))
    assert done.returncode == 0 and done.stdout.count("0.5 s") == 2, done.stdout
    assert table("b") == "file\ttext\n00001.wav\tturn on the light\n", table("b")
    done = record("c", ["s", "", ""], raw("one", 0.5, 8000))
    assert table("c") == "file\ttext\n00001.wav\tnext song\n", table("c")
    done = record("d", ["", "s"], raw("one", 0.5, 8000))
    assert done.returncode == 0 and not os.path.exists(os.path.join(path_of("d"), "transcripts.tsv"))


def told():
    assert "very quiet" in record("e", ["", "", "q"], raw("quiet", 0.5, 200)).stdout
    assert "too loud" in record("f", ["", "", "q"], raw("loud", 0.5, 32767)).stdout
    for command in ("true", "/nowhere/recorder", raw("short", 0.1, 8000)):
        done = record("g", ["", "q"], command)
        assert "nothing was recorded" in done.stdout, done
        assert not os.path.exists(os.path.join(path_of("g"), "transcripts.tsv"))


def bounded():
    done = record("h", ["", ""], "cat /dev/urandom", "next song\n")
    assert done.returncode == 0 and length("h", "00001.wav") == 9 * RATE, done
    # Silence on the pipe: only Enter ends it.
    done = record("i", ["", "q"], "sleep 1000", "next song\n", ends=True)
    assert "nothing was recorded" in done.stdout, done


def refused():
    with open(path_of("home.yaml"), "w", encoding="utf-8") as file:
        file.write("# mine\ncontext:\n  expressions: {a: [b]}\n")
    for arguments, code, reason in ((["record"], 2, "which folder"), (["record", path_of("z")], 2, "--context"),
                                    (["record", path_of("z"), "--context", path_of("nowhere")], 4, "nowhere"),
                                    (["record", path_of("z"), "--context", path_of("home.yaml")], 4, "--say")):
        done = subprocess.run([GEMMACTL, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == code and reason in done.stderr, (arguments, done)


try:
    tap.rule("what is kept is a WAV file and a line of the table, in lower case", kept)
    tap.rule("what is there already is not asked for again", goes_on)
    tap.rule("what comes in pieces of any length is put together", in_pieces)
    tap.rule("a recording can be done again, a sentence be left out, and all be ended", taken_again)
    tap.rule("too quiet, too loud and nothing at all are told; nothing is not kept", told)
    tap.rule("a recorder that never ends is ended, by Enter or after nine seconds", bounded)
    tap.rule("no folder, no sentences, and a context in the place of sentences are refused", refused)
finally:
    shutil.rmtree(folder)
tap.done()
