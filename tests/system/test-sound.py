#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The processes that open microphones and files: what becomes of a turn, and of the daemon, when one of them
is killed or hangs; that nothing adds up in any of them; and which microphone they hear.
$SOUND_SERVER chooses the sound server: pulseaudio, unless it is said, or pipewire."""
import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (ASSISTANT, GEMMAD, Daemon, Tap, is_sanitized, n_descriptors,  # noqa: E402
                         skip_all, speech, wait_until)
from sound_server import RATE, PipeWire, SoundServer  # noqa: E402

TIME = "what-time-is-it.flite-rms.wav"
MUSIC = "hey-gemma-play-some-music.festival-ked.wav"
N_LISTS = 200
SLACK_KIB = 300     # of anonymous memory; a leak of 14 KiB a list would be 2,800

SERVERS = {"pulseaudio": (SoundServer, ["pulseaudio", "pactl"]),
           "pipewire": (PipeWire, ["pipewire", "pipewire-pulse", "wireplumber", "dbus-daemon", "pactl"])}
SERVER = os.environ.get("SOUND_SERVER", "pulseaudio")
new_server, tools = SERVERS[SERVER]
for tool in tools:
    if not shutil.which(tool):
        skip_all(f"no {tool}")
if is_sanitized():
    skip_all("built with a sanitizer, which reports the sound libraries")
try:
    sound = new_server()
except RuntimeError as e:
    skip_all(e)
daemon = Daemon("[Audio]\nLingerSeconds=0\nPatienceMs=60000\n", environment=sound.for_daemon)
tap = Tap()


def status(d=daemon):
    with contextlib.closing(d.client()) as c:
        return c.call(ASSISTANT + "Status")["parameters"]


def wait_microphone(state):
    wait_until(lambda: status()["microphone"] == state, f"{state}; is {status()['microphone']}")


def ps(*choice):
    done = subprocess.run(["ps", "-o", "stat=,pid=", *choice], capture_output=True, text=True, check=False)
    return [int(line.split()[1]) for line in done.stdout.splitlines() if not line.startswith("Z")]


def first_starter(d):
    children = ps("--ppid", str(d.process.pid))
    assert len(children) == 1, children
    return children[0]


def of_sound(session):
    """All processes of the sound: they share a session, which the first one began."""
    return ps("-s", str(session))


SESSION = first_starter(daemon)


def workers(before):
    return [p for p in of_sound(SESSION) if p not in before]


@contextlib.contextmanager
def worker_of(begin):
    """The process that begins when this is called, and the starters that there were."""
    before = of_sound(SESSION)
    begin()
    wait_until(lambda: workers(before), "a process for it")
    yield workers(before)[-1]
    wait_until(lambda: not workers(before), "no process any more")


@contextlib.contextmanager
def half_asked(c):
    """A turn whose sound comes through a socket, in the middle; the worker that reads it, and the socket."""
    ours, theirs = socket.socketpair()
    with open(speech(MUSIC), "rb") as f:
        data = f.read()

    def begin():
        c.send(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[theirs.fileno()])
        theirs.close()
        ours.sendall(data[:len(data) // 2])

    with ours, worker_of(begin) as worker:
        yield worker, lambda: (ours.sendall(data[len(data) // 2:]), ours.shutdown(socket.SHUT_WR))


def is_answered():
    with contextlib.closing(daemon.client()) as c:
        assert c.ask(audio_path=speech(TIME))["outcome"] == "answered"


def links_no_library():
    linked = subprocess.run(["ldd", GEMMAD], capture_output=True, text=True, check=True).stdout
    for name in ("portaudio", "sndfile", "samplerate", "asound", "pulse", "jack"):
        assert f"lib{name}" not in linked, linked


def shut_in():
    is_answered()
    with contextlib.closing(daemon.client()) as c:
        with half_asked(c) as (worker, finish):
            assert len(of_sound(SESSION)) == 3, "a starter, another one, and the worker"
            for pid in of_sound(SESSION):
                with open(f"/proc/{pid}/status", encoding="ascii") as f:
                    facts = dict(line.split(":", 1) for line in f.read().splitlines())
                assert facts["NoNewPrivs"].strip() == "1" and facts["Seccomp"].strip() == "2", facts
                assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0, facts
                # Only who may give capabilities away may bound them; without privileges to gain it is the same.
                assert int(facts["CapBnd"], 16) == 0 or os.geteuid() != 0, facts
                # The starter's list, and the worker's own.
                assert int(facts["Seccomp_filters"]) == (2 if pid == worker else 1), facts
            finish()
            assert c.receive()["parameters"]["event"]["turn"]["outcome"] == "answered"


def killed_in_file():
    with contextlib.closing(daemon.client()) as c:
        with half_asked(c) as (worker, _):
            os.kill(worker, signal.SIGKILL)
            reply = c.receive()
        assert reply["error"] == ASSISTANT + "BadAudio", reply
        assert reply["parameters"]["reason"] == "the sound process ended", reply
    is_answered()


def hangs_in_file():
    with contextlib.closing(daemon.client()) as c:
        with half_asked(c) as (worker, _):
            os.kill(worker, signal.SIGSTOP)
            reply = c.receive()
        assert reply["parameters"]["reason"] == "the sound process hangs", reply
    is_answered()


def is_heard():
    """Said until it is understood, as in test-live.py."""
    for _ in range(4):
        with contextlib.closing(daemon.client()) as c:
            wait_microphone("closed")
            c.send(ASSISTANT + "Listen", more=True)
            wait_microphone("live")
            sound.mouth.say(MUSIC)
            while (reply := c.receive()).get("continues"):
                pass
            assert "error" not in reply, reply
            if reply["parameters"]["event"]["turn"]["calls"]:
                return
    raise AssertionError("not understood")


def killed_in_turn():
    wait_microphone("closed")
    with contextlib.closing(daemon.client()) as c:
        def begin():
            c.send(ASSISTANT + "Listen", more=True)
            wait_microphone("live")
        with worker_of(begin) as worker:
            os.kill(worker, signal.SIGKILL)
            while (reply := c.receive()).get("continues"):
                pass
            assert reply["parameters"]["reason"] == "the sound process ended: say it again", reply
    is_heard()


def hangs_while_it_listens():
    wait_microphone("closed")
    with contextlib.closing(daemon.client()) as meter:
        before = of_sound(SESSION)
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        (worker,) = workers(before)
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: worker not in of_sound(SESSION), "the end of it")
        wait_until(lambda: workers(before) and status()["microphone"] == "live", "another one")
    wait_microphone("closed")
    is_heard()


def starters_killed():
    """One after the other, the first one included, and now the one that works, now the other one."""
    for i in (0, 0, 1, 1, 0, 1):
        wait_until(lambda: len(of_sound(SESSION)) == 2, "two of them")
        one = of_sound(SESSION)[i]
        os.kill(one, signal.SIGKILL)
        wait_until(lambda: one not in of_sound(SESSION), "its end")  # noqa: B023
        is_answered()
    is_heard()


def starters_stopped():
    """The last one is not given up: there would be no other."""
    is_answered()
    wait_until(lambda: len(of_sound(SESSION)) == 2, "two of them")
    stopped = of_sound(SESSION)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            with contextlib.closing(daemon.client()) as c:
                reply = c.call(ASSISTANT + "Ask", {"audio_path": speech(TIME)})
                assert reply["error"] == ASSISTANT + "BadAudio", reply
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def answers():
        with contextlib.closing(daemon.client()) as c:
            return "error" not in c.call(ASSISTANT + "Ask", {"audio_path": speech(TIME)})

    wait_until(answers, "an answer")
    wait_until(lambda: len(of_sound(SESSION)) == 2, "two of them again")


def anonymous(d, session):
    """What the daemon and the starters have to themselves, in KiB."""
    total = 0
    for pid in [d.process.pid, *of_sound(session)]:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))
    return total


def nothing_adds_up():
    """Every opening of the sound libraries leaks, in a process that ends then."""
    with Daemon("[Audio]\nDevice=no such microphone\n", environment=sound.for_daemon) as d, \
            contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as other:
        session = first_starter(d)

        def lists(n):
            for _ in range(n):
                assert c.call(ASSISTANT + "Devices")["parameters"]["devices"]
            wait_until(lambda: len(of_sound(session)) == 2, "nothing but the starters")
            return anonymous(d, session), n_descriptors(d.process.pid)

        before = lists(20)
        after = lists(N_LISTS)
        print(f"# anonymous KiB, descriptors: {before} then {after} after {N_LISTS} lists")
        assert after[0] <= before[0] + SLACK_KIB and after[1] == before[1], (before, after)

        # A microphone that is wanted and missing is tried again and again.
        assert "error" not in other.call(ASSISTANT + "SetMode", {"mode": "open"})
        for _ in range(10):
            tried = set(of_sound(session))
            wait_until(lambda: set(of_sound(session)) - tried, "another try")  # noqa: B023
        assert status(d)["microphone"] == "lost"
        assert "error" not in other.call(ASSISTANT + "SetMode", {"mode": "push"})
        last = lists(1)
        print(f"# ... {last} after ten tries")
        assert last[0] <= before[0] + SLACK_KIB and last[1] == before[1], (before, last)


def noise(n, channels):
    """20 ms of it; of two channels one is the other upside down."""
    samples = (random.randint(-8000, 8000) for _ in range(n))
    return b"".join(struct.pack(f"<{channels}h", *[s, -s][:channels]) for s in samples)


@contextlib.contextmanager
def second_microphone(channels=1):
    fifo = os.path.join(sound.folder, "second")
    loaded = sound.pactl("load-module", "module-pipe-source", "source_name=second", f"file={fifo}", "format=s16le",
                         f"rate={RATE}", f"channels={channels}")
    assert loaded.returncode == 0, loaded
    # What nobody writes to gives nothing at all.
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    stops = []

    def give():
        while not stops:
            with contextlib.suppress(BlockingIOError):
                os.write(fd, noise(RATE // 50, channels))
            time.sleep(0.02)

    thread = threading.Thread(target=give)
    thread.start()
    try:
        yield
    finally:
        stops.append(True)
        thread.join()
        os.close(fd)
        sound.pactl("unload-module", loaded.stdout.strip())


def default_is_followed():
    with contextlib.closing(daemon.client()) as meter, second_microphone():
        sound.pactl("set-default-source", "mic")
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        first = status()["microphone_device"]
        assert sound.pactl("set-default-source", "second").returncode == 0
        began = time.monotonic()
        wait_until(lambda: status()["microphone"] == "live" and status()["microphone_device"] != first, "the second one")
        print(f"# followed after {time.monotonic() - began:.2f} s")
        assert sound.pactl("set-default-source", "mic").returncode == 0
        wait_until(lambda: status()["microphone"] == "live" and status()["microphone_device"] == first, "the first one again")
    wait_microphone("closed")


def opposite_sides_are_heard():
    """What a cable that was soldered wrongly makes, whose mean is silence."""
    with contextlib.closing(daemon.client()) as meter, second_microphone(channels=2):
        assert sound.pactl("set-default-source", "second").returncode == 0
        wait_until(lambda: "Default Source: second" in sound.pactl("info").stdout, "the second one")
        for level in meter.stream(ASSISTANT + "Level"):
            if level["parameters"]["microphone"] == "live" and level["parameters"]["rms"] > -30:
                break
        sound.pactl("set-default-source", "mic")
    wait_microphone("closed")


def unplugging_is_noticed():
    """Also where the server puts something that gives zeros in its place."""
    with contextlib.closing(daemon.client()) as meter:
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        began = time.monotonic()
        sound.unplug()
        wait_until(lambda: status()["microphone"] in ("lost", "silent"), "it is gone")
        print(f"# noticed after {time.monotonic() - began:.2f} s: {status()['microphone']}")
        sound.plug()
        sound.pactl("set-default-source", "mic")
        wait_microphone("live")
    wait_microphone("closed")


def found_untold():
    """A session has no PULSE_SERVER: the socket is where libpulse looks for it."""
    with Daemon(environment=sound.for_daemon, start=False) as d:
        del d.environment["PULSE_SERVER"]
        folder = os.path.join(d.environment["XDG_RUNTIME_DIR"], "pulse")
        os.mkdir(folder, 0o700)
        os.symlink(sound.server.removeprefix("unix:"), os.path.join(folder, "native"))
        d.start()
        with contextlib.closing(d.client()) as meter:
            meter.send(ASSISTANT + "Level", more=True)
            wait_until(lambda: status(d)["microphone"] == "live", "live")


def nothing_is_left():
    with Daemon(environment=sound.for_daemon) as d, contextlib.closing(d.client()) as meter:
        session = first_starter(d)
        meter.send(ASSISTANT + "Level", more=True)
        wait_until(lambda: status(d)["microphone"] == "live", "live")
        assert len(of_sound(session)) == 3
        d.process.kill()
        wait_until(lambda: not of_sound(session), "the end of all")


try:
    with daemon:
        tap.rule("gemmad has none of the sound libraries in it", links_no_library)
        tap.rule("each process of the sound is shut in", shut_in)
        tap.rule("a worker that is killed ends the turn with a word", killed_in_file)
        tap.rule("... and so does one that hangs", hangs_in_file)
        tap.rule("a microphone's that is killed ends the turn with a word", killed_in_turn)
        tap.rule("one that hangs is killed, and the microphone is heard again", hangs_while_it_listens)
        tap.rule("starters that are killed are replaced", starters_killed)
        tap.rule("starters that were stopped are used again", starters_stopped)
        tap.rule("a server that nobody told of is found", found_untold)
        tap.rule("another default microphone is followed", default_is_followed)
        tap.rule("two sides that are opposite are heard", opposite_sides_are_heard)
        tap.rule("that it is unplugged is noticed", unplugging_is_noticed)
        if SERVER == "pulseaudio":
            tap.rule("nothing adds up", nothing_adds_up)
        tap.rule("nothing is left of them without the daemon", nothing_is_left)
        assert daemon.process.poll() is None
finally:
    sound.stop()
tap.done()
