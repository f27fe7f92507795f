#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A thousand turns of every kind in one daemon: nothing grows."""
import contextlib
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (ASSISTANT, SPEECH, Daemon, Tap, is_sanitized, n_descriptors, skip_all,  # noqa: E402
                         speech, wait_until)

ROUNDS = 100  # of the ten kinds below
WARM_UP = 30  # by then caches, pools and arenas have their size
SLACK_KIB = 512  # of anonymous memory, most of it SQLite's cache; a leak of 1 KiB per turn would be 700
TIME = "what-time-is-it.flite-rms.wav"
tap = Tap()


def by_descriptor(c):
    fd = os.open(speech(TIME), os.O_RDONLY)
    try:
        return c.call(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[fd])
    finally:
        os.close(fd)


def by_pipe(c):
    """Read as a stream, because it can not be sought in."""
    ours, theirs = socket.socketpair()
    with ours, theirs, open(speech(TIME), "rb") as f:
        c.send(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[theirs.fileno()])
        theirs.close()
        ours.sendall(f.read())
        ours.shutdown(socket.SHUT_WR)
        return c.receive()


def cancelled(c, other):
    c.send(ASSISTANT + "Ask", {"audio_path": speech(TIME), "realtime": True}, more=True)
    c.receive()
    other.call(ASSISTANT + "Cancel")
    while (reply := c.receive()).get("continues"):
        pass
    return reply


def left(d):
    """A client that leaves in the middle of its turn."""
    with contextlib.closing(d.client()) as c:
        c.send(ASSISTANT + "Ask", {"audio_path": speech(TIME), "realtime": True}, more=True)
        c.receive()


def round_of_turns(d, c, other, i):
    outcome = lambda reply: reply["parameters"]["event"]["turn"]["outcome"]  # noqa: E731
    assert c.ask(text="what time is it")["outcome"] == "answered"
    assert c.ask(audio_path=speech(TIME))["outcome"] == "answered"
    assert outcome(by_descriptor(c)) == "answered"
    assert outcome(by_pipe(c)) == "answered"
    assert outcome(cancelled(c, other)) == "cancelled"
    left(d)
    assert c.call(ASSISTANT + "Ask", {"audio_path": "/dev/null"})["error"] == ASSISTANT + "BadAudio"
    assert "error" in c.call(ASSISTANT + "Ask", {"audio_path": os.path.join(SPEECH, "nowhere")})
    assert list(c.stream(ASSISTANT + "Ask", {"text": "help"}))[-1]["parameters"]["event"]["kind"] == "done"
    assert c.ask(text="blow the horn")["outcome"] == "answered"
    # A microphone that is not there is waited for, which takes a second and more.
    if i % 20 == 0:
        assert c.call(ASSISTANT + "Listen")["error"] == ASSISTANT + "NoMicrophone"
    if i % 10 == 9:
        assert d.ctl("forget", "--all", "--yes").returncode == 0
        other.call(ASSISTANT + "History")


def settled(d, c):
    """(KiB of anonymous memory, descriptors, threads) when nothing is under way and nobody else there."""
    def is_idle():
        status = c.call(ASSISTANT + "Status")["parameters"]
        return status["state"] == "idle" and status["queued"] == 0 and status["clients"] == 2

    wait_until(is_idle, "idle")
    with open(f"/proc/{d.process.pid}/status") as f:
        status = dict(line.split(":", 1) for line in f.read().splitlines())
    n_fds = n_descriptors(d.process.pid)
    return int(status["RssAnon"].split()[0]), n_fds, int(status["Threads"])


def soak():
    environment = {"PULSE_SERVER": "unix:/nonexistent/sound", "DISPLAY": ""}
    with Daemon("[Audio]\nLingerSeconds=0\n", environment=environment) as d, \
            contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as other:
        for i in range(ROUNDS):
            if i == WARM_UP:
                before = settled(d, c)
            round_of_turns(d, c, other, i)
        after = settled(d, c)
        print(f"# anonymous KiB, descriptors, threads: {before} then {after}")
        assert after[1:] == before[1:], (before, after)
        assert after[0] <= before[0] + SLACK_KIB, (before, after)
        assert d.stop() == 0


if is_sanitized():
    skip_all("built with a sanitizer, whose own memory grows")
tap.rule("a thousand turns leave nothing behind", soak)
tap.done()
