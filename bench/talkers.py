#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long people wait who speak to one gemmad at the same time.

    talkers.py [--talkers 1,2,4,8] [--rounds 5] [--realtime] [--model FILE --projector FILE] [--json]

Needs the programs in $BUILD_DIR (build/ unless it is set). In each round all talkers say a recorded request of
tests/speech at once; what is printed is the median, the 95th percentile and the longest of the time from the end of
what a talker said to the end of his answer. Without --realtime the sound is there at once, as from a file; with it, it
comes as it is spoken, and a talker who has to wait is heard from the beginning when his turn comes.
"""
import argparse
import contextlib
import json
import os
import statistics
import sys
import threading
import time
import wave

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/system"))
from gemmad_test import Daemon, expected_speech, speech  # noqa: E402


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--talkers", default="1,2,4,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--model", default="")
    parser.add_argument("--projector", default="")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def seconds(path):
    with wave.open(path) as w:
        return w.getnframes() / w.getframerate()


class Talker:
    """One who has connected already, and says a request when all are ready."""

    def __init__(self, daemon, path, realtime):
        self.client, self.path, self.realtime = daemon.client(), path, realtime
        self.length = seconds(path) if realtime else 0
        self.waited = None

    def talk(self, start):
        start.wait()
        began = time.monotonic()
        turn = self.client.ask(audio_path=self.path, realtime=self.realtime)
        assert turn["outcome"] in ("answered", "cut"), turn
        self.waited = time.monotonic() - began - self.length

    def close(self):
        self.client.close()


def say_at_once(daemon, paths, realtime):
    talkers = [Talker(daemon, path, realtime) for path in paths]
    start = threading.Barrier(len(talkers))
    threads = [threading.Thread(target=t.talk, args=(start,)) for t in talkers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for t in talkers:
        t.close()
    waits = [t.waited for t in talkers]
    assert None not in waits, "a talker got no answer"
    return waits


def measure(daemon, paths, n, rounds, realtime):
    waits = []
    for i in range(rounds):
        said = [paths[(i + k) % len(paths)] for k in range(n)]
        waits += say_at_once(daemon, said, realtime)
    return {"talkers": n, "turns": len(waits), "median": statistics.median(waits),
            "p95": sorted(waits)[min(len(waits) - 1, int(0.95 * len(waits)))], "longest": max(waits)}


def main():
    o = options()
    config = f"[Model]\nPath={o.model}\nProjector={o.projector}\n[Socket]\nMaxQueuedTurns=64\n"
    paths = [speech(name) for name, _, call in expected_speech() if call and "wake{" not in call]
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(config))
        say_at_once(daemon, paths[:1], False)
        rows = [measure(daemon, paths, int(n), o.rounds, o.realtime) for n in o.talkers.split(",")]
    if o.json:
        print(json.dumps(rows))
        return
    print("talkers  turns  median    p95  longest   (ms)")
    for r in rows:
        print(f"{r['talkers']:7} {r['turns']:6} {r['median'] * 1000:7.0f} {r['p95'] * 1000:6.0f} {r['longest'] * 1000:8.0f}")


if __name__ == "__main__":
    main()
