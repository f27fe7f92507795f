#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The watchdog is fed only while both threads move: one of them alone is stopped, as a debugger does."""
import contextlib
import ctypes
import os
import queue
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import Daemon, Tap, skip_all  # noqa: E402

WATCHDOG_S = 6
BEAT_S = WATCHDOG_S / 4
BEAT = "WATCHDOG=1"

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

tap = Tap()


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def thread_named(pid, name):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm") as f:
            if f.read().strip() == name:
                return int(thread)
    raise LookupError(name)


@contextlib.contextmanager
def stopped(thread):
    ptrace(PTRACE_SEIZE, thread)
    try:
        ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, WALL)
        yield
    finally:
        ptrace(PTRACE_DETACH, thread)


def is_fed(seconds):
    """Whether the watchdog is fed within that time, what was sent before not counted."""
    with contextlib.suppress(queue.Empty):
        while True:
            daemon.notify.lines.get_nowait()
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            if daemon.notify.lines.get(timeout=left) == BEAT:
                return True
    return False


def starves(name):
    daemon.notify.wait_for(BEAT)
    with stopped(thread_named(daemon.process.pid, name)):
        assert daemon.is_well(), "the main thread goes on"
        time.sleep(2 * BEAT_S)                   # what it had done before counts once more
        assert not is_fed(2 * BEAT_S)
    daemon.notify.wait_for(BEAT)
    assert daemon.is_well()


def may_trace():
    """Whether a thread of a child can be stopped here."""
    try:
        with stopped(thread_named(daemon.process.pid, "gemmad-model")):
            return True
    except OSError:
        return False


with Daemon(environment={"WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000)}) as daemon:
    if not may_trace():
        skip_all("a thread can not be stopped here (ptrace)")
    tap.rule("while both threads move it is fed", lambda: daemon.notify.wait_for(BEAT))
    tap.rule("not when the audio thread hangs", lambda: starves("gemmad-audio"))
    tap.rule("not when the model thread hangs", lambda: starves("gemmad-model"))
tap.done()
