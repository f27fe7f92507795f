#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model's memory is given back when nobody asks and when memory runs short, and it answers all the same."""
import base64
import contextlib
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, SOURCE, Daemon, Tap, as_root, speech, wait_until  # noqa: E402

tap = Tap()
MODEL = "[Model]\nPath=" + os.path.join(SOURCE, "model/pocket.gguf") + "\n"
TIME = "what-time-is-it.flite-rms.wav"


def status(c):
    return c.call(ASSISTANT + "Status")["parameters"]


def of_files(d):
    """What is in memory of files, in KiB."""
    with open(f"/proc/{d.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssFile:"))


def answers(c):
    turn = c.ask(audio_path=speech(TIME))
    assert turn["outcome"] == "answered" and turn["calls"] == [{"name": "get_time", "arguments": {}}], turn


def kept(d):
    """The files without a name that the daemon keeps beside its history; None where that can not be seen."""
    listing = as_root("ls", "-l", f"/proc/{d.process.pid}/fd")
    folder = os.path.realpath(os.path.join(d.folder, "state/gemmad"))
    return None if listing is None else [line for line in listing.decode().split("\n")
                                         if f"-> {folder}/#" in line and line.endswith(" (deleted)")]


def has_unnamed_files(folder):
    """Not every file system has them."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR))
    except OSError:
        return False
    return True


def idle():
    with Daemon(MODEL + "IdleAfter=1\n") as d, contextlib.closing(d.client()) as c:
        for _ in range(2):
            answers(c)
            assert not status(c)["resting"]
            before = of_files(d)
            wait_until(lambda: status(c)["resting"], "rest")
            # Of the 14 MB of the file the texts of the vocabulary are still looked at.
            assert of_files(d) < before - 5000, (before, of_files(d))
            assert status(c)["positions"] == 0
            files = kept(d)
            assert files is None or len(files) == has_unnamed_files(d.folder), files
        # The grammar alone understands this, and wakes nobody.
        assert c.ask(text="what time is it")["outcome"] == "answered"
        assert status(c)["resting"]
        assert re.search("^resting: +yes$", d.ctl("status").stdout, re.M), d.ctl("status").stdout


def nothing_written():
    """Without a history there is no file, and what the model knew of its prefix is computed again."""
    with Daemon(MODEL + "IdleAfter=1\n[Store]\nEnabled=no\n") as d, contextlib.closing(d.client()) as c:
        for _ in range(2):
            answers(c)
            wait_until(lambda: status(c)["resting"], "rest")
            assert not kept(d)


def short():
    """A pipe in the place of the kernel's file, and what is to be written to it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pressure")
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        environment = {"MEMORY_PRESSURE_WATCH": path,
                       "MEMORY_PRESSURE_WRITE": base64.b64encode(b"some 200000 2000000\0").decode()}
        with Daemon(MODEL, environment=environment) as d, contextlib.closing(d.client()) as c:
            def is_told_and_rests():
                """It is told again and again; what comes just behind a turn is the turn's own."""
                with contextlib.suppress(BlockingIOError):
                    os.write(pipe, b"x")
                return status(c)["resting"]

            for _ in range(2):
                wait_until(is_told_and_rests, "rest")
                answers(c)
                assert not status(c)["resting"]
        os.close(pipe)


def built_in():
    """The built-in model keeps what it has: it is small, and hears the wake phrase."""
    with Daemon("[Model]\nIdleAfter=1\n") as d, contextlib.closing(d.client()) as c:
        answers(c)
        assert not status(c)["resting"]


tap.rule("nobody asks: the memory is given back, and read again", idle)
tap.rule("nothing is written where there is no history", nothing_written)
tap.rule("memory runs short: it is given back at once", short)
tap.rule("the built-in model does not rest", built_in)
tap.done()
