#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was forgotten is not in the daemon's memory either."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, Daemon, Tap, is_sanitized  # noqa: E402
from memory import found_in  # noqa: E402

tap = Tap()


def copies(d, word):
    found = found_in(d.process.pid, word)
    return None if found is None else found[word]


def text():
    if is_sanitized():
        return "a sanitizer keeps what was freed"
    with Daemon() as d, contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as watcher:
        if copies(d, "gemma") is None:
            return "looking into a process that is not dumpable needs root"
        watcher.send(ASSISTANT + "Watch", more=True)
        for i in range(3):
            c.ask(text=f"my xylophonequagmire number {i} is a secret")
        d.ctl("search", "xylophonequagmire")
        d.ctl("history")
        assert copies(d, "xylophonequagmire") > 0
        assert d.ctl("forget", "--all", "--yes").returncode == 0
        time.sleep(1)
        assert copies(d, "xylophonequagmire") == 0
        assert c.ask(text="what time is it")["outcome"] == "answered"
    return None


tap.rule("forgotten words are nowhere in memory", text)
tap.done()
