#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The built daemon as its clients see it: asking, watching, cancelling, history, living and dying."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import wave
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (ASSISTANT, GEMMACTL, GEMMAD, PATIENCE, SOURCE, Client, Daemon, Tap, expected_speech,  # noqa: E402
                         is_sanitized, speech,
                         wait_until, write_wav)

tap = Tap()
daemon = Daemon()
SLOW = "set-a-timer-for-five-minutes.flite-rms.wav"


def introspection():
    with contextlib.closing(daemon.client()) as c:
        info = c.call("org.varlink.service.GetInfo")["parameters"]
        assert "io.gemmad.Assistant" in info["interfaces"], info
        assert "org.varlink.service" in info["interfaces"], info
        description = c.call("org.varlink.service.GetInterfaceDescription",
                             {"interface": "io.gemmad.Assistant"})["parameters"]["description"]
        with open(os.path.join(SOURCE, "ipc/io.gemmad.Assistant.varlink")) as f:
            assert description.strip() == f.read().strip()
        error = c.call("org.varlink.service.GetInterfaceDescription", {"interface": "a.b"})["error"]
        assert error in ("org.varlink.service.InterfaceNotFound", "org.varlink.service.InvalidParameter"), error


def memory():
    """What the process takes, told though it can not open /proc any more."""
    with contextlib.closing(daemon.client()) as c, open(f"/proc/{daemon.process.pid}/statm") as f:
        told, pages = c.call(ASSISTANT + "Status")["parameters"]["memory"], int(f.read().split()[1])
        assert 0.5 < told / (pages * os.sysconf("SC_PAGESIZE")) < 2, (told, pages)
    assert re.search(r"memory: +[1-9][0-9]* MiB", daemon.ctl("status").stdout)


def status():
    with contextlib.closing(daemon.client()) as c:
        s = c.call(ASSISTANT + "Status")["parameters"]
        assert s["state"] == "idle" and s["hears"] and s["threads"] >= 1 and s["version"], s


def typed():
    with contextlib.closing(daemon.client()) as c:
        turn = c.ask(text="what time is it")
        assert turn["outcome"] == "answered" and turn["source"] == "text", turn
        assert turn["timings"]["tokens"] > 0 and turn["timings"]["done"] > 0, turn


def typed_commands():
    """The grammar reads them, not the model; of what it does not hold nothing is done that was not said."""
    def calls(c, text):
        turn = c.ask(text=text)
        assert turn["outcome"] == "answered", turn
        assert bool(turn["calls"] or turn["answered"]) != ("unanswered" in turn), turn
        return [(call["name"], call["arguments"]) for call in turn["calls"]], turn

    with contextlib.closing(daemon.client()) as c:
        five = ("set_timer", {"amount": 5, "unit": "minute"})
        for text in ("Set a timer for 5 minutes!", "set a timer for  five minuts", "set a timer for ten no 5 minutes"):
            found, turn = calls(c, text)
            assert found == [five] and turn["heard"] == text, turn
            assert turn["timings"]["prompt_positions"] == 0, turn
        found, _ = calls(c, "turn the volume up and lock the screen")
        assert found == [("change_volume", {"direction": "up"}), ("lock_screen", {})], found
        found, turn = calls(c, "unlock the screen")
        assert not found and turn["answered"] == "I can not unlock the screen.", turn
        for text in ("do not lock the screen", "set an alarm", "lock the screen and dance",
                     "lock the screen, no don't", "don't set an alarm for six", "set a timer for 150 minutes", "\u00e9", "?"):
            found, turn = calls(c, text)
            assert not found or found[0][0] == "ask", turn
            assert found or turn["unanswered"] in ("not_understood", "not_a_command"), turn
        found, turn = calls(c, "set an alarm for the")
        assert found == [("ask", {"about": "alarm"})] and turn["answered"] == "For what time?", turn
        found, turn = calls(c, "turn the volume sideways")
        assert not found and turn["hint"] == "set the volume", turn
        r = daemon.ctl("ask", "turn the volume sideways")
        assert r.returncode == 1 and "not understood; did you mean: " + turn["hint"] in r.stderr, r
        kept = c.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"][0]
        assert kept["hint"] == turn["hint"] and kept["unanswered"] == "not_understood", kept


def spoken():
    """Most recorded requests of voices that the model never heard come back whole."""
    right = 0
    cases = expected_speech()
    with contextlib.closing(daemon.client()) as c:
        for name, transcript, call in cases:
            turn = c.ask(audio_path=speech(name))
            assert turn["outcome"] == "answered", turn
            called = [x["name"] for x in turn["calls"]]
            wanted = [call.split(":")[1].split("{")[0]] if call else []
            print(f"# {name}: '{turn['heard']}' {called}")
            right += turn["heard"] == transcript and called == wanted
    print(f"# {right} of {len(cases)} right")
    assert right >= 0.8 * len(cases)


def another_model():
    """A model of another context hears that one, every slot, and not the embedded one's commands."""
    model = os.path.join(SOURCE, "training/models/coffee_maker.gguf")
    cases = expected_speech("coffee")
    right = 0
    with Daemon(arguments=["--model", model]) as other, contextlib.closing(other.client()) as c:
        for name, transcript, call in cases:
            (heard,) = c.ask(audio_path=speech(name))["calls"] or [None]
            arguments = dict(re.findall(r'(\w+):<\|"\|>([^<]*)<', call))
            print(f"# {transcript}: {heard}")
            right += heard is not None and heard["arguments"] == arguments
        assert c.ask(text="brew an espresso")["calls"][0]["name"] == "orderDrink"
        assert not c.ask(audio_path=speech("what-time-is-it.flite-rms.wav"))["calls"]
    print(f"# {right} of {len(cases)} right")
    assert right >= len(cases) - 1


def events():
    with contextlib.closing(daemon.client()) as c:
        replies = list(c.stream(ASSISTANT + "Ask", {"audio_path": speech(SLOW)}))
        kinds = [r["parameters"]["event"]["kind"] for r in replies]
        assert kinds[0] == "started" and kinds[-1] == "done" and "heard" in kinds, kinds
        assert [r.get("continues", False) for r in replies] == [True] * (len(replies) - 1) + [False]
        ids = {r["parameters"]["event"]["id"] for r in replies}
        assert len(ids) == 1, ids
        t = replies[-1]["parameters"]["event"]["turn"]["timings"]
        assert t["frames"] > 10, t
        assert 0 <= t["first_frame"] <= t["end_of_speech"] <= t["first_token"] <= t["done"], t


def chunks_do_not_matter():
    """As fast as it goes and at the speed of speech, the same is heard."""
    with contextlib.closing(daemon.client()) as c:
        fast = c.ask(audio_path=speech(SLOW))
        live = c.ask(audio_path=speech(SLOW), realtime=True)
        assert fast["heard"] == live["heard"] and fast["calls"] == live["calls"]
        # Frames were paced: the sound took at least as long as it lasts.
        assert live["timings"]["end_of_speech"] >= live["timings"]["audio"] - 100, live["timings"]


def descriptor():
    with contextlib.closing(daemon.client()) as c, open(speech(SLOW), "rb") as f:
        by_path = c.ask(audio_path=speech(SLOW))
        reply = c.call(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[f.fileno()])
        assert reply["parameters"]["event"]["turn"]["heard"] == by_path["heard"], reply


def pipe():
    """Sound through a pipe that is written slowly, while another client is served."""
    read, write = os.pipe()
    with open(speech(SLOW), "rb") as f:
        data = f.read()

    def feed():
        for i in range(0, len(data), 8192):
            os.write(write, data[i:i + 8192])
        os.close(write)

    with contextlib.closing(daemon.client()) as c:
        c.send(ASSISTANT + "Ask", {"audio_fd": 0}, fds=[read])
        os.close(read)
        assert daemon.is_well()
        thread = threading.Thread(target=feed)
        thread.start()
        turn = c.receive()["parameters"]["event"]["turn"]
        thread.join()
        assert turn["outcome"] == "answered", turn


def live_pipe():
    """A recorder that does not know yet how long it will be is heard while it records."""
    with open(speech(SLOW), "rb") as f:
        data = f.read()
    for unknown in (0, 0xFFFFFFFF):
        stream = data[:40] + struct.pack("<I", unknown) + data[44:]
        p = subprocess.Popen(["gemmactl", "--json", "ask", "--audio", "-"], env=daemon.environment,
                             executable=os.path.join(os.path.dirname(GEMMAD), "gemmactl"), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(stream[:len(stream) // 2])
        p.stdin.flush()
        assert json.loads(p.stdout.readline())["event"]["kind"] == "started"
        time.sleep(0.5)
        out, err = p.communicate(stream[len(stream) // 2:], timeout=60)
        assert p.returncode == 0, err
        turn = json.loads(out.splitlines()[-1])["event"]["turn"]
        with contextlib.closing(daemon.client()) as c:
            assert turn["heard"] == c.ask(audio_path=speech(SLOW))["heard"], turn
        # The writer slept between the two, so a sound that was kept first would have both at its end.
        timings = turn["timings"]
        assert timings["end_of_speech"] - timings["first_frame"] >= 450, timings


def bad_pipes():
    """Each names what is wrong."""
    wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"
    for data, reason in ((b"", "nothing came"), (b"hello, what time is it?", "not a sound file"),
                         (b".SoX" + bytes(60), "-t wav"), (wav, "ends in its head"), (wav + struct.pack("<HHIIHH", 2, 1, 16000, 8000, 1, 4), "format 0x2"),
                         (wav + struct.pack("<HHIIHH", 1, 1, 100, 200, 2, 16) + b"data\0\0\0\0", "100 Hz")):
        r = subprocess.run(["gemmactl", "ask", "--audio", "-"], env=daemon.environment, input=data,
                           executable=os.path.join(os.path.dirname(GEMMAD), "gemmactl"), capture_output=True, timeout=60)
        assert r.returncode == 4 and reason in r.stderr.decode(), (data, r)


def formats():
    """Other rates, channel counts and containers of the same sound are heard alike."""
    if subprocess.run(["sox", "--version"], capture_output=True).returncode:
        return "no sox"
    with contextlib.closing(daemon.client()) as c:
        plain = c.ask(audio_path=speech(SLOW))
        for name, options in (("a.flac", ["-r", "48000", "-c", "2"]), ("b.wav", ["-r", "44100", "-b", "24"]),
                              ("c.ogg", ["-r", "22050"]), ("d.wav", ["-r", "96000", "-c", "6"])):
            path = os.path.join(daemon.folder, name)
            made = subprocess.run(["sox", speech(SLOW), *options, path], capture_output=True)
            if made.returncode:
                continue  # a build of sox without that format
            turn = c.ask(audio_path=path)
            assert turn["outcome"] == "answered" and turn["timings"]["frames"] > 10, turn
            assert abs(turn["timings"]["audio"] - plain["timings"]["audio"]) <= 50, (name, turn["timings"])
            print(f"# {name}: '{turn['heard']}'")


def history():
    with contextlib.closing(daemon.client()) as c:
        last = c.ask(text="what day is it")
        turns = c.call(ASSISTANT + "History", {"limit": 2})["parameters"]["turns"]
        assert turns[0] == last and turns[1]["id"] < last["id"], turns
        older = c.call(ASSISTANT + "History", {"limit": 1, "before": last["id"]})["parameters"]["turns"]
        assert older[0]["id"] == turns[1]["id"]
        assert c.call(ASSISTANT + "History", {"limit": -1})["error"] == "org.varlink.service.InvalidParameter"


def watch():
    with contextlib.closing(daemon.client()) as watcher, contextlib.closing(daemon.client()) as c:
        assert "error" in watcher.call(ASSISTANT + "Watch")
        watcher.send(ASSISTANT + "Watch", more=True)
        assert daemon.is_well()
        turn = c.ask(text="help")
        kinds = []
        while not kinds or kinds[-1] != "done":
            reply = watcher.receive()
            event = reply["parameters"]["event"]
            assert reply["continues"] and event["id"] == turn["id"]
            kinds.append(event["kind"])
        assert kinds[0] == "started", kinds


def follow_status():
    with contextlib.closing(daemon.client()) as watcher, contextlib.closing(daemon.client()) as c:
        watcher.send(ASSISTANT + "Status", more=True)
        assert watcher.receive()["parameters"]["state"] == "idle"
        c.ask(audio_path=speech(SLOW), realtime=True)
        states = []
        while "idle" not in states:
            states.append(watcher.receive()["parameters"]["state"])
        assert "listening" in states, states


def cancel():
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as other:
        c.send(ASSISTANT + "Ask", {"audio_path": speech(SLOW), "realtime": True}, more=True)
        assert c.receive()["parameters"]["event"]["kind"] == "started"
        assert other.call(ASSISTANT + "Cancel")["parameters"] == {"cancelled": True}
        reply = c.receive()
        while reply.get("continues"):
            reply = c.receive()
        assert reply["parameters"]["event"]["turn"]["outcome"] == "cancelled", reply
        assert other.call(ASSISTANT + "Cancel")["parameters"] == {"cancelled": False}
        assert c.ask(text="help")["outcome"] == "answered"


def gone():
    """A client that goes away takes its turn along."""
    c = daemon.client()
    c.send(ASSISTANT + "Ask", {"audio_path": speech(SLOW), "realtime": True}, more=True)
    c.receive()
    c.close()
    with contextlib.closing(daemon.client()) as other:
        wait_until(lambda: other.call(ASSISTANT + "Status")["parameters"]["state"] == "idle", "idle")
        last = other.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"][0]
        assert last["outcome"] == "cancelled", last


def term_while_listening():
    with Daemon() as d:
        with contextlib.closing(d.client()) as c:
            c.send(ASSISTANT + "Ask", {"audio_path": speech(SLOW), "realtime": True}, more=True)
            c.receive()
            code = d.stop()
            assert code == 0, (code, d.said())
            d.notify.wait_for("STOPPING=1")
        assert not os.path.exists(d.path)


def killed():
    """Whatever was answered before kill -9 is in the history after it."""
    with Daemon() as d:
        for _ in range(5):
            with contextlib.closing(d.client()) as c:
                turn = c.ask(text="what time is it")
                d.stop(signal.SIGKILL)
            d.start()
            with contextlib.closing(d.client()) as c:
                turns = c.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"]
                assert turns[0] == turn, (turn, turns)


def second_daemon():
    """A second one on the same socket says so and leaves the first alone."""
    r = subprocess.run([GEMMAD, *daemon.arguments], env=daemon.environment, capture_output=True, text=True)
    assert r.returncode == 1 and daemon.path in r.stderr, r
    # It is the first thing that it says: nothing is complained of that the first one has.
    assert "running already" in r.stderr.splitlines()[0], r
    # One that looks for leaks is shut in as well, and complains of that.
    assert len(r.stderr.splitlines()) == 1 or is_sanitized(), r
    assert daemon.is_well()


def in_a_terminal():
    """There a turn is a line of the log only with -v; elsewhere always."""
    for arguments, is_told in (([], False), (["-v"], True)):
        master, slave = pty.openpty()
        with Daemon(arguments=arguments, start=False) as d:
            d.log.close()
            d.log = os.fdopen(slave, "wb", closefd=False)
            d.start()
            os.close(slave)
            with contextlib.closing(d.client()) as c:
                c.ask(text="what time is it")
            d.stop()
        said = b""
        with contextlib.suppress(OSError):
            while data := os.read(master, 65536):
                said += data
        os.close(master)
        assert b"Ready" in said and (b"Turn 1" in said) == is_told, said
    assert "Turn " in daemon.said()


def hostile_reads():
    """It is given no file that is hidden in the home folder, nor runs what it is told to."""
    with tempfile.TemporaryDirectory(prefix="gemmad-home-") as home:
        os.makedirs(os.path.join(home, ".ssh"))
        for name in (".ssh/sound.wav", "sound.wav"):
            write_wav(os.path.join(home, name), 0.2, level=8000)
        with Daemon(environment={"HOME": home}) as d, contextlib.closing(d.client()) as c:
            assert c.ask(audio_path=os.path.join(home, "sound.wav"))["outcome"] == "answered"
            reply = c.call(ASSISTANT + "Ask", {"audio_path": os.path.join(home, ".ssh/sound.wav")})
            if "Files can not be put out of reach" in d.said():
                return "no Landlock here"
            assert reply["error"] == ASSISTANT + "BadAudio" and "denied" in reply["parameters"]["reason"], reply
            # Every thread is held, also those that a library had before main() began.
            for thread in os.listdir(f"/proc/{d.process.pid}/task"):
                with open(f"/proc/{d.process.pid}/task/{thread}/status") as f:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", (thread, status)
    return None


def relative_socket():
    """A path that does not begin at the root is one in the folder where the daemon was started."""
    for path in ("socket", "made/socket"):
        with Daemon(start=False) as d:
            environment = {**d.environment, "NOTIFY_SOCKET": d.notify.path}
            d.process = subprocess.Popen([GEMMAD, "--config", d.config, "--socket", path], env=environment,
                                         stderr=d.log, stdin=subprocess.DEVNULL, cwd=d.folder)
            d.notify.wait_for("READY=1")
            r = subprocess.run([GEMMACTL, "--socket", path, "ask", "what time is it"], env=d.environment, cwd=d.folder,
                               capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
            assert r.returncode == 0 and "It is " in r.stdout, (path, r, d.said())
            assert d.stop() == 0 and not os.path.exists(os.path.join(d.folder, path)), (path, d.said())


def activated():
    if subprocess.run(["systemd-socket-activate", "--version"], capture_output=True).returncode:
        return "no systemd-socket-activate"
    with Daemon(start=False) as d:
        path = os.path.join(d.folder, "activated")
        setenv = [f"-E{k}={v}" for k, v in d.environment.items() if k.startswith("XDG_") or k.startswith("ASAN")]
        d.process = subprocess.Popen(["systemd-socket-activate", "-l", path, *setenv, GEMMAD, *d.arguments],
                                     stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(path), "socket")
        with contextlib.closing(Client(path)) as c:
            assert c.ask(text="what time is it")["outcome"] == "answered"
        d.stop()


# landlock_create_ruleset() does not exist: a filter of three instructions for the process that is to be.
WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
program = b"".join(struct.pack("<HBBI", *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7fff0000)))
held = ctypes.create_string_buffer(program)
fprog = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", 4, ctypes.addressof(held)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, fprog) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


# unshare() is forbidden, as in many a container.
WITHOUT_NAMESPACES = WITHOUT_LANDLOCK.replace("444", {"x86_64": "272", "aarch64": "97"}.get(os.uname().machine, "444")) \
    .replace("0x00050000 | 38", "0x00050000 | 1")


def bus_within_reach():
    """A bus that can not be put out of reach is not said to be, wherever it is."""
    if os.uname().machine not in ("x86_64", "aarch64"):
        return "not known for this processor"
    with Daemon(start=False) as d, socket.socket(socket.AF_UNIX) as bus:
        path = os.path.join(os.path.dirname(d.config), "some-bus")
        bus.bind(path)
        bus.listen()
        shown = subprocess.run((sys.executable, "-c", WITHOUT_NAMESPACES, GEMMAD, "--config", d.config,
                                "--show-confinement"), capture_output=True, text=True, timeout=60,
                               env={**d.environment, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={path},guid=1"})
        assert shown.returncode == 1 and "\nsockets   NOT HELD: " in shown.stdout, shown
    return None


def confinement():
    """What the kernel keeps it from is told, and may be required."""
    with Daemon(config="[Process]\nRequireConfinement=yes\n", start=False) as d:
        def run(*command):
            return subprocess.run(command, env=d.environment, capture_output=True, text=True, timeout=60)
        shown = run(GEMMAD, "--config", d.config, "--show-confinement")
        lines = shown.stdout.splitlines()
        assert [line.split()[0] for line in lines] == ["files", "sockets", "names", "programs"], shown
        if "NOT HELD" in shown.stdout:
            assert shown.returncode == 1
            return lines[0]
        assert shown.returncode == 0
        d.start()
        with contextlib.closing(d.client()) as c:
            assert c.ask(text="what time is it")["outcome"] == "answered"
        with open(f"/proc/{d.process.pid}/status", encoding="ascii") as f:
            facts = dict(line.split(":", 1) for line in f.read().splitlines())
        assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == int(facts["CapInh"], 16) == 0, facts
        assert facts["NoNewPrivs"].strip() == "1" and facts["Seccomp"].strip() in ("2", "0"), facts
        with open(f"/proc/{d.process.pid}/limits", encoding="ascii") as f:
            limits = {line[:26].strip(): line[26:].split()[0] for line in f.read().splitlines()[1:]}
        assert limits["Max core file size"] == "0" and int(limits["Max file size"]) == 4 << 30, limits
        d.stop()
        less = (sys.executable, "-c", WITHOUT_LANDLOCK, GEMMAD, "--config", d.config)
        shown = run(*less, "--show-confinement")
        assert shown.returncode == 1 and shown.stdout.startswith("files     NOT HELD: "), shown
        refused = run(*less)
        assert refused.returncode == 1 and "RequireConfinement" in refused.stderr and "files" in refused.stderr, refused
    return None


def bad_starts():
    with Daemon(start=False) as d:
        def run(*arguments, **environment):
            return subprocess.run([GEMMAD, *arguments], env={**d.environment, **environment}, capture_output=True,
                                  text=True, timeout=60)

        with open(d.config, "w") as f:
            f.write("[Model]\nThreads=many\n")
        r = run("--config", d.config)
        assert r.returncode == 1 and f"{d.config}:2" in r.stderr and "Threads" in r.stderr, r
        r = run("--config", "/nowhere.conf")
        assert r.returncode == 1 and "/nowhere.conf" in r.stderr, r
        r = run("--model", "/nowhere.gguf")
        assert r.returncode == 1 and "/nowhere.gguf" in r.stderr, r
        r = run("--model", os.path.join(SOURCE, "README.md"))
        assert r.returncode == 1 and "README.md" in r.stderr, r
        for threads in ("abc", "-1", "", "1x", "99999999999"):
            for then in ("--check", "--show-config"):
                r = run("--threads", threads, then)
                assert r.returncode == 1 and "command line" in r.stderr and "Threads" in r.stderr, (threads, then, r)
        for wrong in ("--no-such\x1boption", "--config", "--verbose=1", "-x", "word"):
            r = run(wrong)
            assert r.returncode == 2 and r.stderr.startswith("gemmad: ") and "--help" in r.stderr, r
            assert "\x1b" not in r.stderr, r
        r = run("--show-config")
        assert r.returncode == 0 and "[Model]" in r.stdout, r
        with open(d.config, "w") as f:
            f.write(r.stdout)
        again = run("--config", d.config, "--show-config")
        files, options = again.stdout.split("\n\n", 1)
        assert files == f"# {d.config}" and options == r.stdout.split("\n\n", 1)[1], again
        there_is_none = run("--threads", "1", "--show-config", XDG_CONFIG_HOME="/nowhere")
        assert "# /nowhere/gemmad/gemmad.conf (there is none)\n" in there_is_none.stdout, there_is_none
        assert "# command line: Model.Threads\n" in there_is_none.stdout, there_is_none


def ctl():
    r = daemon.ctl("ask", "--audio", speech(SLOW))
    assert r.returncode == 0 and r.stdout.startswith("heard: "), r
    r = daemon.ctl("--json", "ask", "what time is it")
    last = json.loads(r.stdout.splitlines()[-1])
    assert r.returncode == 0 and last, r
    with open(speech(SLOW), "rb") as f:
        r = daemon.ctl("ask", "--audio", "-", stdin=f)
    assert r.returncode == 0 and "heard: " in r.stdout, r
    for command in (["status"], ["history"], ["trace"], ["--help"], ["--version"]):
        r = daemon.ctl(*command)
        assert r.returncode == 0 and r.stdout, (command, r)
    for command, code in ((["ask"], 4), (["nonsense"], 2), (["--nonsense"], 2),
                          (["ask", "--audio", "/nowhere.wav"], 4),
                          (["ask", "--audio", os.path.join(SOURCE, "README.md")], 4),
                          (["--socket", "/nowhere", "status"], 3)):
        r = daemon.ctl(*command)
        assert r.returncode == code and r.stderr, (command, code, r)


def wrong_command_lines():
    """What no daemon would take is said before it is asked, and which values there are."""
    for command, reason in ((["ask", "--max-tokens", "0", "x"], "from 1 to 32768"),
                            (["ask", "--max-tokens", "32769", "x"], "from 1 to 32768"),
                            (["history", "-n", "1001"], "from 0 to 1000"),
                            (["history", "--before", "0"], "not the number of a turn"),
                            (["cancel", "0"], "not the number of a turn"),
                            (["trace", "0"], "not the number of a turn"),
                            (["search", "  "], "which words"),
                            (["search"] + ["x"] * 33, "32 words"),
                            (["forget", "--since", "2"], "30m"),
                            (["forget", "--since", "1.5h"], "30m"),
                            (["forget", "--since", "30ms"], "30m"),
                            (["--socket", "", "status"], "empty"),
                            (["--socket"], "needs an argument"),
                            (["-s"], "needs an argument"),
                            (["--json=1", "status"], "takes no argument"),
                            (["-r", "status"], "'-r'"),
                            (["--real", "--nonsense"], "'--nonsense'"),
                            (["ask", "what", "is", "-5", "plus", "3"], "--;")):
        r = daemon.ctl("--socket", "/nowhere", *command)
        assert r.returncode == 2 and r.stderr.startswith("gemmactl: ") and reason in r.stderr, (command, r)
    assert daemon.ctl("ask", "--", "what", "is", "-5", "plus", "3").returncode in (0, 1)
    with contextlib.closing(daemon.client()) as c:
        last = c.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"][0]
    assert last["heard"] == "what is -5 plus 3", last


def too_quiet():
    """Nobody is loud enough to be found: other words than for what is no command."""
    path = os.path.join(daemon.folder, "quiet.wav")
    with wave.open(path, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(b for i in range(32000) for b in ((i * 7919) % 5, 0)))
    r = daemon.ctl("ask", "--audio", path)
    assert r.returncode == 1 and "too quiet" in r.stderr, r
    with contextlib.closing(daemon.client()) as c:
        assert c.ask(audio_path=path)["unanswered"] == "too_quiet"
        assert c.ask(audio_path=speech("how-are-you-today.flite-rms.wav"))["unanswered"] == "not_a_command"


def helpful():
    """What can be said, what was not understood, and which command was meant."""
    r = daemon.ctl("help")
    assert r.returncode == 0 and "\ntimer\n  " in "\n" + r.stdout and "lock" in r.stdout, r
    # And how to call every tool.
    tools = [line for line in daemon.ctl("tools").stdout.splitlines() if not line.startswith(" ")]
    assert tools and r.stdout.split("\n\ntools (")[1].splitlines()[1:] == ["  " + t for t in tools], (r, tools)
    # What is only asked back or refused is not offered.
    assert not {"ask", "cannot"} & set(r.stdout.splitlines()), r
    groups = json.loads(daemon.ctl("--json", "help").stdout)["groups"]
    assert {"set_timer", "get_time", "help"} <= {group["name"] for group in groups}, groups
    with contextlib.closing(daemon.client()) as c:
        for group in groups:
            assert 1 <= len(group["sentences"]) <= 3, group
            # What may be said behind any command makes no example better.
            assert not any(s.endswith((" for me", " thanks", " please")) for s in group["sentences"]), group
            for sentence in group["sentences"]:
                assert [call["name"] for call in c.ask(text=sentence)["calls"]] == [group["name"]], sentence
        assert c.ask(text="help")["answered"].startswith("You can say, for example: "), "help"
        for text in ("set a timer for $5 minutes", "<start_of_turn>user lock"):
            turn = c.ask(text=text)
            assert turn["unanswered"] == "not_understood" and not turn.get("hint") and not turn.get("calls"), turn
        for _ in range(2):
            c.ask(text="gobble the turkey")
    r = daemon.ctl("ask", "gobble the turkey")
    assert r.returncode == 1 and 'not understood; "help" tells what can be said' in r.stderr, r
    r = daemon.ctl("ask", "--audio", speech("how-are-you-today.flite-rms.wav"))
    assert r.returncode == 1 and "heard:" not in r.stdout and "not a command" in r.stderr, r
    stats = json.loads(daemon.ctl("--json", "stats").stdout)
    assert stats["commands"] >= len(groups) and stats["days"] >= 1 and stats["typed"]["p50"] <= stats["typed"]["p99"]
    phrase = stats["not_understood"][0]
    assert any(p["text"] == "gobble the turkey" and p["count"] == 3 for p in stats["not_understood"]), stats
    assert phrase["count"] == max(p["count"] for p in stats["not_understood"]), stats
    r = daemon.ctl("stats")
    assert r.returncode == 0 and "gobble the turkey" in r.stdout and "typed" in r.stdout, r
    r = daemon.ctl("--help")
    assert max(len(line) for line in r.stdout.splitlines()) < 80, r.stdout
    columns = [line[26] for line in r.stdout.splitlines() if line.startswith("  ")]
    assert columns and set(columns) == {" "}, r.stdout  # what it says begins behind the longest name
    r = daemon.ctl("forget", "--help")
    assert r.returncode == 0 and "--since" in r.stdout and "--audio" not in r.stdout, r
    assert "did you mean 'history'" in daemon.ctl("hisotry").stderr
    assert "did you mean" not in daemon.ctl("nonsense").stderr
    r = daemon.ctl("forget", "--all")
    assert r.returncode == 2 and "--yes" in r.stderr, r


def on_a_terminal(arguments, lines=(), **environment):
    """What gemmactl writes there until it ends; each line is typed at a prompt."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({**daemon.environment, "TERM": "xterm", **environment})
        os.execv(GEMMACTL, ["gemmactl", *arguments])
    said, lines = b"", list(lines)
    with contextlib.suppress(OSError):
        while select.select([master], [], [], PATIENCE)[0] and (data := os.read(master, 65536)):
            said += data
            if lines and said.endswith(b"> "):
                # Ctrl-D is the end of the input only where a terminal takes no lines.
                wait_until(lambda: not termios.tcgetattr(master)[3] & termios.ICANON, "the prompt reads keys")
                os.write(master, lines.pop(0))
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    return said.decode()


def prompt():
    """ask without a text is asked line by line, until the end of the input."""
    said = on_a_terminal(["ask"], [b"what time is it\n", b"and the moon is made of cheese\n", b"\n", b"mute\n", b"\x04"])
    assert "It is " in said and "call: " in said and "not understood" in said, said
    with contextlib.closing(daemon.client()) as c:
        turns = c.call(ASSISTANT + "History", {"limit": 3})["parameters"]["turns"]
        assert [t["heard"] for t in turns] == ["mute", "and the moon is made of cheese", "what time is it"], turns
        for end in (b"exit\n", b"quit\n", b"EXIT\n", b" Quit \n"):
            assert "call: " not in on_a_terminal(["ask"], [end])
        assert c.call(ASSISTANT + "History", {"limit": 3})["parameters"]["turns"] == turns, "an end is no question"


def coloured():
    """A terminal has colours and times ago; NO_COLOR, a pipe and a dumb terminal have none."""
    with contextlib.closing(daemon.client()) as c:
        c.ask(text="what time is it")
    said = on_a_terminal(["history", "-n", "1"])
    assert "\033[" in said and " s ago" in said, said
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        said = on_a_terminal(["history", "-n", "1"], **environment)
        assert "\033[" not in said and " s ago" in said, said
    said = daemon.ctl("history", "-n", "1").stdout
    assert "\033[" not in said and " ago" not in said, said
    # What went through without a fault and was not understood is not shown as what went well.
    with contextlib.closing(daemon.client()) as c:
        c.ask(text="and the moon is made of cheese")
    said = on_a_terminal(["history", "-n", "2"])
    assert said.count("\033[32manswered") == 1 and "\033[1;31mnot understood" in said, said
    daemon.ctl("ask", "--audio", speech(SLOW))
    rows = [line for line in on_a_terminal(["history"], NO_COLOR="1").splitlines() if line.startswith("#")]
    found = [re.match(r"#\d+ +(\d.* ago) +(text|audio|microphone) +(.+?) +\d+ ms$", row) for row in rows]
    assert len(rows) > 2 and all(found), rows
    assert len({tuple(row.start(i) for i in (1, 2, 3)) for row in found}) == 1, rows


def narrow():
    """What a row of the screen has no room for does not cover the rows below it."""
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 40, 0, 0))
        os.environ.update({**daemon.environment, "TERM": "xterm"})
        os.execv(GEMMACTL, ["gemmactl", "monitor"])
    said = b""

    def shows(word):
        nonlocal said
        while select.select([master], [], [], 0)[0]:
            said += os.read(master, 65536)
        return word in said
    wait_until(lambda: shows(b"gemmad ") and shows(b" MiB"), "the status")
    with contextlib.closing(daemon.client()) as c:
        answer = c.ask(text="help")["answered"].encode()
    wait_until(lambda: shows(answer[:20]), "the turn")
    os.write(master, b"q")
    with contextlib.suppress(OSError):
        while data := os.read(master, 65536):
            said += data
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    # Wrapped, these would begin in the second row and go on within it.
    assert answer[30:50] not in said and b"for it)" not in said, said


def monitored():
    """One screen: what it does, what was said, where the time went; q ends it and gives the terminal back."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({**daemon.environment, "TERM": "xterm"})
        os.execv(GEMMACTL, ["gemmactl", "monitor"])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    said = b""

    def shows(*words):
        nonlocal said
        while select.select([master], [], [], 0)[0]:
            said += os.read(master, 65536)
        return all(w in said for w in words)
    wait_until(lambda: shows(b"gemmad ", b"idle", b"mode ", b" MiB"), "the status")
    with contextlib.closing(daemon.client()) as c:
        c.ask(audio_path=speech("what-time-is-it.flite-rms.wav"))
    wait_until(lambda: shows(b"what time is it", b"It is", b"first token"), "the turn")
    os.write(master, b"q")
    with contextlib.suppress(OSError):
        while data := os.read(master, 65536):
            said += data
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 and b"\x1b[?1049l" in said, said[-200:]
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({**daemon.environment, "TERM": "xterm"})
        os.execv(GEMMACTL, ["gemmactl", "monitor"])
    os.read(master, 1)
    os.close(master)
    os.waitpid(pid, 0)  # it ends with its terminal
    assert daemon.ctl("monitor").returncode == 2


def drawn():
    """trace draws the steps of a turn, without its words."""
    path = os.path.join(daemon.folder, "turn.svg")
    with contextlib.closing(daemon.client()) as c:
        c.ask(audio_path=speech("what-time-is-it.flite-rms.wav"))
    assert daemon.ctl("trace", "--svg", path).returncode == 0
    root = xml.etree.ElementTree.parse(path).getroot()
    texts = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "listening" in texts and "first token" in texts and not any("what time" in t for t in texts), texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}rect"))) >= 4
    r = daemon.ctl("trace", "--svg", os.path.join(daemon.folder, "no/such/folder.svg"))
    assert r.returncode == 1 and "No such file" in r.stderr, r


def limited():
    """An answer that --max-tokens ended is not one that was not understood."""
    r = daemon.ctl("ask", "--max-tokens", "3", "what time is it")
    assert r.returncode == 1 and "--max-tokens 3" in r.stderr and "understood" not in r.stderr, r
    with contextlib.closing(daemon.client()) as c:
        turn = c.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"][0]
        assert turn["outcome"] == "cut" and not turn["calls"] and "unanswered" not in turn, turn
        assert c.ask(text="what time is it", max_tokens=3)["outcome"] == "cut"
        assert c.ask(audio_path=speech(SLOW), max_tokens=3)["outcome"] == "cut"
    r = daemon.ctl("ask", "--max-tokens", "512", "--audio", speech(SLOW))
    assert r.returncode == 0 and not r.stderr, r


def shown(command, *replies):
    """What gemmactl prints of these replies."""
    path = os.path.join(daemon.folder, "scripted")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(path)
        server.listen(1)
        with subprocess.Popen([GEMMACTL, "--socket", path, *command], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as p:
            with server.accept()[0] as connection:
                connection.recv(4096)
                for reply in replies:
                    connection.sendall(json.dumps({"parameters": reply, "continues": True}).encode() + b"\0")
            out = p.stdout.read()
    os.unlink(path)
    return out


def shown_text():
    """What follows tells of typed turns, of failures, and of what changed."""
    with contextlib.closing(daemon.client()) as c:
        turn = c.ask(text="gibberish\nfor sure")
        status = c.call(ASSISTANT + "Status")["parameters"]
    failed = {**turn, "source": "audio", "outcome": "failed", "error": "no sound"}
    out = shown(["watch"], *({"event": {"kind": "done", "id": 1, "turn": t}} for t in (turn, failed)))
    assert out.splitlines() == ["#1  done: answered, but not understood", "     typed: gibberish",
                                "            for sure", "#1  done: failed: no sound"], out
    out = shown(["status", "-f"], status, {**status, "muted": True, "mode": "wake"})
    first, second = out.splitlines()
    assert first.startswith("idle  mode push  microphone closed  turns "), out
    assert second.startswith("idle  mode wake  microphone closed (muted)  turns "), out


def unwritten():
    """What follows ends with the first line that can not be written."""
    with open("/dev/full", "w") as full:
        for command in (["status", "-f"], ["--json", "status", "-f"]):
            r = subprocess.run([GEMMACTL, *command], env=daemon.environment, stdout=full,
                               stderr=subprocess.PIPE, text=True, timeout=60)
            assert r.returncode == 1 and "cannot write" in r.stderr, (command, r)


def cut():
    with Daemon("[Audio]\nMaxSeconds=1\n") as d:
        d.ctl("ask", "--audio", speech(SLOW))
        for command in (["history"], ["show", "1"], ["trace"]):
            r = d.ctl(*command)
            assert r.returncode == 0 and "only the beginning" in r.stdout, r


def unreachable():
    """The doctor tells apart why nobody answers."""
    with Daemon("[Socket]\nMaxClients=1\n") as d:
        assert "takes calls" in d.ctl("doctor").stdout
        with contextlib.closing(d.client()) as c:
            c.call(ASSISTANT + "Status")
            r = d.ctl("doctor")
            assert r.returncode == 3 and "MaxClients=" in r.stdout and "takes calls" not in r.stdout, r
        # Also of the doctor, where its first client is not gone yet.
        assert "(MaxClients)" in d.said(), d.said()
        r = d.ctl("--socket", d.config, "doctor")
        assert r.returncode == 3 and "not a socket" in r.stdout, r
        d.stop(signal.SIGKILL)
        r = d.ctl("doctor")
        assert r.returncode == 3 and "died" in r.stdout, r


def stopped():
    """One that does not answer is told from one that is not there, and waited for."""
    with Daemon() as d:
        d.process.send_signal(signal.SIGSTOP)
        r = d.ctl("doctor")
        assert r.returncode == 3 and "does not answer" in r.stdout, r
        with subprocess.Popen([GEMMACTL, "status"], env=d.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as p:
            assert "does not answer yet" in p.stderr.readline()
            d.process.send_signal(signal.SIGCONT)
            out, err = p.communicate(timeout=PATIENCE)
            assert "state:" in out and p.returncode == 0, (out, err, p.returncode)


def takes_interrupts(process):
    """It reads Ctrl-C itself by now: until the question is sent, that just ends it."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        blocked = next(line for line in f if line.startswith("SigBlk:")).split()[1]
    return int(blocked, 16) >> signal.SIGINT - 1 & 1


def interrupted():
    p = subprocess.Popen(["gemmactl", "ask", "--realtime", "--audio", speech(SLOW)], env=daemon.environment,
                         executable=os.path.join(os.path.dirname(GEMMAD), "gemmactl"), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    with contextlib.closing(daemon.client()) as c:
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["state"] == "listening", "listening")
        wait_until(lambda: takes_interrupts(p), "gemmactl to wait for Ctrl-C")
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60)
        wait_until(lambda: c.call(ASSISTANT + "Status")["parameters"]["state"] == "idle", "idle")
        turn = c.call(ASSISTANT + "History", {"limit": 1})["parameters"]["turns"][0]
        assert turn["outcome"] == "cancelled", turn
    assert p.returncode == 130, p.returncode


def can_be_interrupted():
    """What a shell starts in the background is deaf to Ctrl-C, and so is all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stuck():
    """Ctrl-C ends gemmactl at once, also while a daemon that does not move is being asked or told to cancel."""
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "socket")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(path)
        deaf.listen(8)

        def ask(text):
            p = subprocess.Popen(["gemmactl", "--socket", path, "ask"], stdin=subprocess.PIPE,
                                 executable=os.path.join(os.path.dirname(GEMMAD), "gemmactl"),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=can_be_interrupted)
            p.stdin.write(text)
            p.stdin.close()
            return p, deaf.accept()[0]

        def sleeps(p):
            with open(f"/proc/{p.pid}/stat") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "S"

        def is_taken(connection):
            return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0] == 0

        # More than the socket holds: it is sending.
        p, connection = ask(b"a" * 900000)
        connection.recv(1)
        wait_until(lambda: sleeps(p), "gemmactl to wait for room")
        p.send_signal(signal.SIGINT)
        assert p.wait(timeout=30) in (-signal.SIGINT, 130), p.returncode
        connection.close()

        # The turn has begun, but nobody takes the connection on which it is to be cancelled.
        p, connection = ask(b"a")
        connection.recv(4096)
        connection.sendall(b'{"parameters":{"event":{"kind":"started","id":1}},"continues":true}\0')
        wait_until(lambda: is_taken(connection) and sleeps(p), "gemmactl to wait for the answer")
        p.send_signal(signal.SIGINT)
        aside = deaf.accept()[0]
        assert b"Cancel" in aside.recv(4096)
        p.send_signal(signal.SIGINT)
        assert p.wait(timeout=30) in (-signal.SIGINT, 130), p.returncode
        connection.close()
        aside.close()
    os.unlink(path)
    os.rmdir(folder)


def third_party():
    """The reference implementation of Varlink for Python talks to us."""
    python = os.environ.get("GEMMAD_TEST_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import varlink"], capture_output=True).returncode:
        return "no Python package varlink"
    program = """
import sys, varlink
with varlink.Client(address="unix:" + sys.argv[1]) as client:
    assert "io.gemmad.Assistant" in [i for i in client.get_interfaces()] or client.get_interfaces()
    with client.open("io.gemmad.Assistant") as assistant:
        assert assistant.Status()["state"] == "idle"
        kinds = [r["event"]["kind"] for r in assistant.Ask(text="what time is it", _more=True)]
        assert kinds[0] == "started" and kinds[-1] == "done", kinds
        assert assistant.History(limit=1)["turns"][0]["heard"] == "what time is it"
        try:
            assistant.Ask(text="")
        except varlink.VarlinkError as e:
            assert e.error() == "io.gemmad.Assistant.BadText", e.error()
        else:
            raise AssertionError("an empty text was accepted")
"""
    r = subprocess.run([python, "-c", program, daemon.path], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr


with daemon:
    tap.rule("the interface describes itself as Varlink asks", introspection)
    tap.rule("a ready daemon is idle and hears", status)
    tap.rule("status tells the memory it takes", memory)
    tap.rule("a typed request is answered", typed)
    tap.rule("a typed command is done as it was typed, or not at all", typed_commands)
    tap.rule("recorded requests are heard", spoken)
    tap.rule("a model of another context hears that", another_model)
    tap.rule("events come in their order", events)
    tap.rule("sound at its own speed is heard the same", chunks_do_not_matter)
    tap.rule("sound comes by descriptor", descriptor)
    tap.rule("sound comes through a pipe", pipe)
    tap.rule("a pipe is heard while its writer writes", live_pipe)
    tap.rule("bad sound from a pipe is told apart", bad_pipes)
    tap.rule("sound of any rate and channel count is heard", formats)
    tap.rule("history is newest first and complete", history)
    tap.rule("a watcher sees the turns of others", watch)
    tap.rule("a follower sees the state change", follow_status)
    tap.rule("a running turn is cancelled", cancel)
    tap.rule("a client that leaves cancels its turn", gone)
    tap.rule("SIGTERM ends a running turn and the daemon", term_while_listening)
    tap.rule("kill -9 loses no answered turn", killed)
    tap.rule("in a terminal turns are no lines", in_a_terminal)
    tap.rule("files that are hidden at home are out of reach", hostile_reads)
    tap.rule("a second daemon does not take the socket", second_daemon)
    tap.rule("a socket's path may be relative", relative_socket)
    tap.rule("a socket can be handed over by systemd", activated)
    tap.rule("what confines it is told, and may be required", confinement)
    tap.rule("a bus that stays within reach is told, wherever it is", bus_within_reach)
    tap.rule("a bad start says why and where", bad_starts)
    tap.rule("gemmactl works and its exit codes are as documented", ctl)
    tap.rule("gemmactl refuses a wrong command line itself", wrong_command_lines)
    tap.rule("what was too quiet is told apart from what is no command", too_quiet)
    tap.rule("gemmactl helps: what can be said, what was not understood, what was meant", helpful)
    tap.rule("ask without a text is a prompt", prompt)
    tap.rule("a terminal has colours and times ago", coloured)
    tap.rule("monitor shows what happens", monitored)
    tap.rule("monitor keeps what it tells within its rows", narrow)
    tap.rule("trace draws a turn", drawn)
    tap.rule("an answer that was limited is told as such", limited)
    tap.rule("gemmactl watch and status -f say what happened", shown_text)
    tap.rule("gemmactl stops when it can not write", unwritten)
    tap.rule("a turn that was cut is told as such", cut)
    tap.rule("the doctor knows why nobody answers", unreachable)
    tap.rule("a daemon that is stopped is said, and waited for", stopped)
    tap.rule("Ctrl-C cancels the turn", interrupted)
    tap.rule("Ctrl-C always ends gemmactl", stuck)
    tap.rule("a third-party Varlink client works", third_party)
tap.done()
