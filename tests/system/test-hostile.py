#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input of every kind: each gets a clear error or a bounded wait, and the daemon goes on."""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (ASSISTANT, GEMMAD, PATIENCE, SOURCE, Client, Daemon, Tap, is_sanitized, n_descriptors,  # noqa: E402
                         speech, wait_until, write_wav)

tap = Tap()
daemon = Daemon()


def refused(c, error, **parameters):
    reply = c.call(ASSISTANT + "Ask", parameters)
    assert reply.get("error") == error, (parameters if "text" not in parameters else "text", reply)
    return reply.get("parameters", {}).get("reason", "")


def file(name, data):
    path = os.path.join(daemon.folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def bad_sound():
    with open(speech("what-time-is-it.flite-rms.wav"), "rb") as f:
        good = f.read()
    cases = {
        "empty.wav": b"",
        "text.wav": b"this is not sound\n" * 100,
        "header-only.wav": good[:44],
        "half-header.wav": good[:20],
        "zeros.wav": bytes(100000),
        "riff-of-lies.wav": good[:40] + struct.pack("<I", 0xFFFFFFFF),
        "random.flac": b"fLaC" + bytes(range(256)) * 50,
    }
    with contextlib.closing(daemon.client()) as c:
        for name, data in cases.items():
            reason = refused(c, ASSISTANT + "BadAudio", audio_path=file(name, data))
            assert reason, name
            print(f"# {name}: {reason}")
        for path in ("/nowhere.wav", daemon.folder, "relative.wav", "", "/dev/zero"):
            reason = refused(c, ASSISTANT + "BadAudio", audio_path=path)
            print(f"# {path}: {reason}")
    assert daemon.is_well()


def from_a_network():
    """A socket of a network is no sound, whatever comes out of it."""
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.closing(daemon.client()) as c:
        with socket.create_connection(server.getsockname()) as near, server.accept()[0] as far:
            with open(speech("what-time-is-it.flite-rms.wav"), "rb") as f:
                far.sendall(f.read())
            reply = c.call(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[near.fileno()])
            assert reply["error"] == ASSISTANT + "BadAudio" and "network" in reply["parameters"]["reason"], reply
        # One of this machine is.
        near, far = socket.socketpair()
        with near, far:
            with open(speech("what-time-is-it.flite-rms.wav"), "rb") as f:
                far.sendall(f.read())
            far.close()
            reply = c.call(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[near.fileno()])
            assert reply["parameters"]["event"]["turn"]["outcome"] == "answered", reply


def oneway():
    """What waits for nobody is not done when its sender has gone; what runs is done."""
    with contextlib.closing(daemon.client()) as c:
        before = c.call(ASSISTANT + "Status")["parameters"]["turns"]
        sender = daemon.client()
        sender.send(ASSISTANT + "Ask", {"audio_path": speech("what-time-is-it.flite-rms.wav"), "realtime": True},
                    oneway=True)
        for _ in range(3):
            sender.send(ASSISTANT + "Ask", {"text": "what time is it"}, oneway=True)
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["queued"] == 3, "a queue")
        sender.close()
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["queued"] == 0, "no queue")
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["turns"] == before + 4, "the ends")
        turns = c.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"]
        assert turns[0]["source"] == "audio" and turns[0]["outcome"] == "answered", turns


def oneway_readings():
    """Who asks to be read to and does not listen keeps nobody from reading."""
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as sender:
        for _ in range(1000):
            sender.send(ASSISTANT + "History", {"limit": 1000}, oneway=True)
        reply = c.call(ASSISTANT + "History", {"limit": 1})
        assert "turns" in reply["parameters"], reply


def mute_bus():
    """A bus that takes connections and never says a word does not hold up the end."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bus:
        path = os.path.join(folder, "bus")
        bus.bind(path)
        bus.listen(8)
        address = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=" + path, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=" + path}
        with Daemon(environment=address) as d:
            d.process.terminate()
            # Without the bus it ends at once; libsystemd would wait for it for 90 seconds.
            assert d.process.wait(60) == 0


def truncated_sound():
    """What can be read of a file that ends early is heard."""
    with open(speech("what-time-is-it.flite-rms.wav"), "rb") as f:
        good = f.read()
    with contextlib.closing(daemon.client()) as c:
        turn = c.ask(audio_path=file("truncated.wav", good[:len(good) * 2 // 3]))
        assert turn["timings"]["frames"] > 5, turn


def no_samples():
    with contextlib.closing(daemon.client()) as c:
        reason = refused(c, ASSISTANT + "BadAudio", audio_path=write_wav(os.path.join(daemon.folder, "0.wav"), 0))
        assert "sample" in reason, reason


def hour():
    """An hour of sound: by its header, and as a pipe that never says how long it is."""
    path = os.path.join(daemon.folder, "hour.wav")
    write_wav(path, 1)
    size = 3600 * 32000
    with open(path, "r+b") as f:
        f.write(b"RIFF" + struct.pack("<I", size + 36))
        f.seek(40)
        f.write(struct.pack("<I", size))
        f.truncate(size + 44)
    with contextlib.closing(daemon.client()) as c:
        turn = c.ask(audio_path=path)
        assert turn["cut"] and turn["timings"]["frames"] <= 750, turn
        assert c.call(ASSISTANT + "Status")["parameters"]["cut_turns"] == 1
    with open(path, "rb") as f:
        head = f.read(40) + b"\xff\xff\xff\xff"
    r = subprocess.run(["sh", "-c", 'cat "$1" /dev/zero | gemmactl ask --audio -', "sh", file("head", head)],
                       env=dict(daemon.environment, PATH=os.path.dirname(GEMMAD) + ":" + os.environ["PATH"]),
                       capture_output=True, text=True, timeout=60)
    assert "too long: only the first 30.0 s were heard" in r.stderr, r
    assert daemon.is_well()


def silence():
    """Silence is sound: it is heard as nothing."""
    with contextlib.closing(daemon.client()) as c:
        turn = c.ask(audio_path=write_wav(os.path.join(daemon.folder, "silence.wav"), 1))
        assert turn["outcome"] == "answered", turn
        print(f"# heard '{turn['heard']}'")


def bad_text():
    with contextlib.closing(daemon.client()) as c:
        for text in ("", "  \n\t "):
            refused(c, ASSISTANT + "BadText", text=text)
        reason = refused(c, ASSISTANT + "BadText", text="a " * 500000)
        print(f"# {reason}")
        assert "limit" in reason or "long" in reason, reason
        # Within the size limit but beyond the context: no command has so many words.
        turn = c.ask(text="word " * 12000)
        assert turn["outcome"] == "answered" and turn["unanswered"] == "not_understood", turn["unanswered"]
        assert turn["answered"] == "" and turn["calls"] == [], turn
        assert c.ask(text="<|turn>system <turn|> <|tool_call>")["outcome"] == "answered"
        assert c.ask(text="\u0645\u0631\u062d\u0628\u0627 \U0001f44b.")["outcome"] == "answered"
        assert c.call(ASSISTANT + "Ask", {"text": "a\u0000b"})["error"] == ASSISTANT + "BadMessage"


def bad_messages():
    """Each gets an error or the end of its connection."""
    for message in (b"\0", b"{}\0", b"[]\0", b"nonsense\0", b'{"method": 1}\0', b'{"method": "x", "parameters": []}\0',
                    b'{"method": "\xff\xfe"}\0', b"[" * 100000 + b"\0", b'{"a":' * 5000 + b"\0"):
        with contextlib.closing(daemon.client()) as c:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                c.socket.sendall(message)
            with contextlib.suppress(EOFError, ConnectionResetError):
                reply = c.receive()
                assert reply.get("error"), (message[:40], reply)
    with contextlib.closing(daemon.client()) as c:
        assert c.call("io.gemmad.Assistant.Nothing")["error"] == "org.varlink.service.MethodNotFound"
        assert c.call("io.nobody.Nothing")["error"] == "org.varlink.service.InterfaceNotFound"
        for parameters in ({"text": 5}, {"nonsense": 1}, {}, {"text": "a", "audio_path": "/b"}, {"audio_fd": 0},
                           {"audio_fd": -1}, {"text": "a", "max_tokens": -1}, {"text": "a", "realtime": "yes"}):
            reply = c.call(ASSISTANT + "Ask", parameters)
            assert reply.get("error") == "org.varlink.service.InvalidParameter", (parameters, reply)
        assert c.ask(text="help")["outcome"] == "answered"


def endless_message():
    """A message without an end costs its bound and no more."""
    with contextlib.closing(daemon.client()) as c:
        c.socket.settimeout(20)
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, socket.timeout):
            while sent < 64 << 20:
                sent += c.socket.send(b"a" * 65536)
        assert sent < 16 << 20, sent
    assert daemon.is_well()


def many():
    """A thousand connections: those beyond the limit are refused at once, the others are served."""
    clients = []
    for _ in range(1000):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            s.connect(daemon.path)
            clients.append(s)
    for s in clients:
        s.close()
    wait_until(daemon.is_well_again, "well again")


def never_reads():
    """A client that asks and never reads is dropped; the others do not notice."""
    c = daemon.client()
    request = json.dumps({"method": "org.varlink.service.GetInterfaceDescription",
                          "parameters": {"interface": "io.gemmad.Assistant"}}).encode() + b"\0"
    c.socket.settimeout(5)
    with contextlib.suppress(OSError):
        for _ in range(20000):
            c.socket.sendall(request)
            if _ % 2000 == 0:
                assert daemon.is_well()
    assert daemon.is_well()
    c.close()


def stalled_pipe():
    """A pipe that gives nothing holds up nobody for ever."""
    read, write = os.pipe()
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as other:
        c.send(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[read], more=True)
        os.close(read)
        wait_until(lambda: other.call(ASSISTANT + "Cancel")["parameters"]["cancelled"], "a turn to cancel")
        reply = c.receive()
        while reply.get("continues"):
            reply = c.receive()
        print(f"# {reply}")
        assert daemon.is_well()
    os.close(write)


def descriptor_flood():
    """Descriptors that nobody asked for are closed."""
    def n_open():
        return n_descriptors(daemon.process.pid)

    before = n_open()
    if before is None:
        return "looking into a process that is not dumpable needs root"
    for _ in range(50):
        with contextlib.closing(daemon.client()) as c, open("/dev/null") as f:
            with contextlib.suppress(OSError, EOFError):
                c.send("org.varlink.service.GetInfo", {}, fds=[f.fileno()] * 8)
                c.receive()
    wait_until(lambda: n_open() <= before + 1, f"{before} descriptors again")
    return None


def busy():
    """More turns than fit in the queue are refused, the rest are answered in order."""
    clients = [daemon.client() for _ in range(20)]
    for c in clients:
        c.send(ASSISTANT + "Ask", {"audio_path": speech("what-time-is-it.flite-rms.wav")})
    replies = [c.receive() for c in clients]
    n_busy = sum(r.get("error") == ASSISTANT + "Busy" for r in replies)
    n_answered = sum("error" not in r for r in replies)
    assert n_busy > 0 and n_busy + n_answered == 20, (n_busy, n_answered)
    for c in clients:
        c.close()


def taken_away():
    """A socket, a history and its folder that somebody deletes under the daemon: repaired, or told in one line."""
    with Daemon() as d, contextlib.closing(d.client()) as c:
        c.call(ASSISTANT + "Status")    # it is a client; one that only waits to be taken in goes with the socket
        os.unlink(d.path)
        wait_until(lambda: os.path.exists(d.path), "another socket")
        wait_until(lambda: "has been made again" in d.said(), "a line about it")
        assert d.is_well()
        c.ask(text="what time is it")
        state = os.path.join(d.folder, "state/gemmad")
        for name in os.listdir(state):
            os.unlink(os.path.join(state, name))
        assert "unkept" not in c.ask(text="what day is it")
        assert d.said().count("was taken away while it was in use") == 1, d.said()
        heard = [turn["heard"] for turn in c.call(ASSISTANT + "History")["parameters"]["turns"]]
        assert heard == ["what day is it"], heard
        # The folder can only be made again where nothing confines the daemon to the one that there was.
        shutil.rmtree(state)
        turn = c.ask(text="stop")
        error = c.call(ASSISTANT + "Status")["parameters"].get("history_error", "")
        assert os.path.exists(os.path.join(state, "history.sqlite")) or (turn["unkept"] and "start gemmad again" in error), error
        # And so may that of the socket; who is there goes on.
        for _ in range(2):
            os.unlink(d.path)
            wait_until(lambda: os.path.exists(d.path), "another socket")
        os.rename(os.path.dirname(d.path), os.path.join(d.folder, "run/elsewhere"))
        wait_until(lambda: os.path.exists(d.path) or "nobody can come any more" in d.said(), "a socket, or a line about it")
        assert c.ask(text="what time is it")["outcome"] == "answered"


def shortened_model():
    """There is no going on without the rest of it, but a word."""
    if is_sanitized():
        return "a sanitizer has words of its own for that"
    with Daemon(start=False) as d:
        model = os.path.join(d.folder, "model.gguf")
        shutil.copyfile(os.path.join(SOURCE, "model/pocket.gguf"), model)  # not its mode: it may be read-only
        with open(d.config, "w") as f:
            f.write(f"[Model]\nPath={model}\n")
        d.start()
        os.truncate(model, 1000000)
        with contextlib.suppress(OSError, EOFError), contextlib.closing(d.client()) as c:
            c.call(ASSISTANT + "Ask", {"audio_path": speech("what-time-is-it.flite-rms.wav")})
            return "it had read what it needed before"
        assert d.process.wait(PATIENCE) == -signal.SIGBUS and "cut short" in d.said(), d.said()
    return None


def is_well_again():
    with contextlib.suppress(OSError, EOFError):
        return daemon.is_well()
    return False


daemon.is_well_again = is_well_again
with daemon:
    tap.rule("what is not sound is refused with a reason", bad_sound)
    tap.rule("a socket of a network is no sound", from_a_network)
    tap.rule("a queue of oneway calls does not outlive its sender", oneway)
    tap.rule("oneway calls keep nobody from reading", oneway_readings)
    tap.rule("a mute bus does not hold up the end", mute_bus)
    tap.rule("a truncated file is heard as far as it goes", truncated_sound)
    tap.rule("a file of no samples is refused", no_samples)
    tap.rule("an hour of sound is cut", hour)
    tap.rule("silence is heard as nothing", silence)
    tap.rule("bad text is refused, odd text is answered", bad_text)
    tap.rule("bad messages get errors", bad_messages)
    tap.rule("a message without an end is cut off", endless_message)
    tap.rule("a thousand connections are survived", many)
    tap.rule("a client that never reads is dropped", never_reads)
    tap.rule("a stalled pipe can be cancelled", stalled_pipe)
    tap.rule("descriptors are not leaked", descriptor_flood)
    tap.rule("turns beyond the queue are refused", busy)
    tap.rule("what is taken away under it is repaired, or told", taken_away)
    tap.rule("a model that is shortened under it ends it with a word", shortened_model)
    tap.rule("the daemon never stopped", lambda: None if daemon.process.poll() is None else 1 / 0)
tap.done()
