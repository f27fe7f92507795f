#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was forgotten is not in the daemon's memory either."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, Daemon, Tap, as_root, is_sanitized  # noqa: E402

tap = Tap()

# Counts a word in all memory of a process, and never holds it whole itself.
SEARCH = """
import sys
pid, word, n = sys.argv[1], bytes.fromhex(sys.argv[2]), 0
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
    for line in maps:
        span, mode, _, _, inode = line.split()[:5]
        if not mode.startswith("rw") or "[v" in line:
            continue
        begin, end = (int(x, 16) for x in span.split("-"))
        try:
            mem.seek(begin)
            n += mem.read(end - begin).count(word)
        except OSError:
            pass
print(n)
"""


def copies(d, word):
    found = as_root(sys.executable, "-c", SEARCH, str(d.process.pid), word.encode().hex())
    return None if found is None else int(found)


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
