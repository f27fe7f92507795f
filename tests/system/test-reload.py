#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the configuration is read again."""
import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, GEMMAD, PATIENCE, SOURCE, Daemon, Tap, speech, wait_until, write_wav  # noqa: E402

tap = Tap()
OTHER = os.path.join(SOURCE, "tests/golden/model-a.gguf")  # "golden-a", which answers freely
TIME = "what-time-is-it.flite-rms.wav"


def reload(d, config):
    """Writes the file and tells the daemon; what it logged then."""
    with open(d.config, "w") as f:
        f.write(config)
    before = len(d.said())
    d.process.send_signal(signal.SIGHUP)
    d.notify.wait_for("RELOADING=1")
    assert d.notify.lines.get(timeout=PATIENCE).startswith("MONOTONIC_USEC=")
    d.notify.wait_for("READY=1")
    return d.said()[before:]


def taken():
    """From the next turn on, also by the threads."""
    with Daemon("[Audio]\nMaxSeconds=30\n") as d, contextlib.closing(d.client()) as c:
        sound = write_wav(os.path.join(d.folder, "x.wav"), 3)
        assert c.ask(audio_path=sound)["outcome"] == "answered"
        said = reload(d, "[Audio]\nMaxSeconds=1\n[Model]\nMaxTokens=2\n")
        assert "2 options changed" in said and "restart" not in said, said
        turn = c.ask(audio_path=sound)
        assert turn["cut"] and turn["timings"]["audio"] <= 1000, turn
        assert c.ask(text="what time is it")["timings"]["tokens"] <= 2
        said = reload(d, "")
        assert "2 options changed" in said, said
        assert c.ask(audio_path=speech(TIME))["outcome"] == "answered"
        assert "0 options changed" in reload(d, "")


def named():
    """What needs a restart is named in one line."""
    with Daemon() as d:
        said = reload(d, "[Model]\nThreads=3\nMaxTokens=9\n[Socket]\nPath=/nowhere\n")
        assert len(said.splitlines()) == 1, said
        assert "1 options changed" in said and "Model.Threads, Socket.Path" in said, said
        assert d.is_well()


def bad():
    """A file that can not be read changes nothing, not even by what is right in it."""
    with Daemon("[Audio]\nMaxSeconds=30\n") as d, contextlib.closing(d.client()) as c:
        for text, where in (("[Audio]\nMaxSeconds=1\nMaxSecond=2\n", ":3: "),
                            ("[Audio]\nMaxSeconds=1\n[Model]\nThreads=many\n", ":4: "),
                            ("[Prompt]\nHistoryPositions=4096\n", "HistoryPositions=4096")):
            said = reload(d, text)
            assert len(said.splitlines()) == 1 and where in said, said
            assert ("gemmad.conf" + where in said) == where.startswith(":"), said
        os.unlink(d.config)
        d.process.send_signal(signal.SIGHUP)
        d.notify.wait_for("READY=1")
        assert "No such file" in d.said(), d.said()
        sound = write_wav(os.path.join(d.folder, "x.wav"), 3)
        assert c.ask(audio_path=sound)["outcome"] == "answered"


def busy():
    """A turn that runs goes on, and many reloads are no harm."""
    with Daemon() as d, contextlib.closing(d.client()) as c:
        c.send(ASSISTANT + "Ask", {"audio_path": speech(TIME), "realtime": True}, more=True)
        c.receive()
        for i in range(20):
            reload(d, f"[Model]\nMaxTokens={100 + i}\n[Store]\nKeepDays={i}\n")
        while (reply := c.receive()).get("continues"):
            pass
        assert reply["parameters"]["event"]["turn"]["outcome"] == "answered", reply


def command_line():
    """What was said there holds, whatever the file says."""
    with Daemon(arguments=["--threads", "1"]) as d:
        said = reload(d, "[Model]\nThreads=2\n")
        assert "0 options changed" in said and "restart" not in said, said


def terminal():
    """Started in a terminal, it ends when that is gone."""
    with Daemon(start=False) as d:
        master, slave = pty.openpty()
        environment = {**d.environment, "NOTIFY_SOCKET": d.notify.path}
        process = subprocess.Popen([GEMMAD, *d.arguments], env=environment, stderr=slave, stdin=slave)
        os.close(slave)
        d.process = process
        d.notify.wait_for("READY=1")
        process.send_signal(signal.SIGHUP)
        d.notify.wait_for("READY=1")
        assert process.poll() is None
        os.close(master)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 0, process.returncode


def use(d, path, more=""):
    with open(d.config, "w") as f:
        f.write(f"[Model]\nPath={path}\nMaxTokens=64\n{more}")


def model_of(d):
    with contextlib.closing(d.client()) as c:
        return c.call(ASSISTANT + "Status")["parameters"]["model"]


def another_model():
    """It takes the place of the one that answers, as often as one likes, and by a signal, too."""
    with Daemon() as d, contextlib.closing(d.client()) as c:
        assert model_of(d) == "gemmad pocket"
        use(d, OTHER)
        assert c.call(ASSISTANT + "Reload")["parameters"] == {"model": "golden-a"}
        turn = c.ask(text="hello")
        assert turn["model"] == "golden-a" and turn["timings"]["tokens"] <= 64, turn
        assert c.call(ASSISTANT + "Reload")["parameters"] == {"model": "golden-a"}
        use(d, "")
        d.process.send_signal(signal.SIGHUP)
        wait_until(lambda: model_of(d) == "gemmad pocket", "the first model again")
        turn = c.ask(audio_path=speech(TIME))
        assert turn["model"] == "gemmad pocket" and turn["outcome"] == "answered", turn
        assert c.call(ASSISTANT + "Help")["parameters"]["groups"]


def mode():
    """A model that does not hear is not listened for; the next one that hears is, as it was wanted."""
    wake = "[Audio]\nMode=wake\n"
    deaf = os.path.join(SOURCE, "tests/golden/model-b.gguf")  # its projector is in another file
    with Daemon(wake) as d, contextlib.closing(d.client()) as c:
        def use_and_look(path):
            use(d, path, wake)
            assert "parameters" in c.call(ASSISTANT + "Reload")
            status = c.call(ASSISTANT + "Status")["parameters"]
            return status["hears"], status["mode"]

        assert use_and_look(deaf) == (False, "push")
        assert use_and_look("") == (True, "wake")
        c.call(ASSISTANT + "SetMode", {"mode": "open"})
        assert use_and_look(deaf) == (False, "push")
        assert use_and_look("") == (True, "open")
    with Daemon(f"[Model]\nPath={deaf}\n" + wake) as d, contextlib.closing(d.client()) as c:
        assert c.call(ASSISTANT + "Status")["parameters"]["mode"] == "push"
        assert use_and_look("") == (True, "wake")


def bad_model():
    """The old one goes on, one line says why, and a mended file is taken the next time."""
    with Daemon() as d, contextlib.closing(d.client()) as c:
        broken = os.path.join(d.folder, "broken.gguf")
        with open(broken, "wb") as f:
            f.write(b"GGUF nothing")
        damaged = os.path.join(d.folder, "damaged.gguf")  # some of its weights are no numbers
        with open(OTHER, "rb") as f:
            data = f.read()
        with open(damaged, "wb") as f:
            f.write(data[:-300000] + b"\xff" * 40000 + data[-260000:])
        for path, reason in ((broken, "broken.gguf: "), (os.path.join(d.folder, "none.gguf"), "No such file"),
                             (damaged, "damaged.gguf: tensor 'blk.")):
            before = len(d.said())
            use(d, path)
            reply = c.call(ASSISTANT + "Reload")
            assert reply["error"] == ASSISTANT + "NotReloaded" and reason in reply["parameters"]["reason"], reply
            said = d.said()[before:].splitlines()
            assert len(said) == 2 and reason in said[1] and "old one" in said[1], said
            assert model_of(d) == "gemmad pocket"
            assert c.ask(audio_path=speech(TIME))["outcome"] == "answered"
        # What else has changed counts all the same.
        use(d, broken, "[Audio]\nMaxSeconds=1\n")
        assert c.call(ASSISTANT + "Reload")["error"] == ASSISTANT + "NotReloaded"
        turn = c.ask(audio_path=write_wav(os.path.join(d.folder, "x.wav"), 3))
        assert turn["cut"] and turn["model"] == "gemmad pocket", turn
        shutil.copy(OTHER, broken)
        use(d, broken)
        assert c.call(ASSISTANT + "Reload")["parameters"] == {"model": "golden-a"}


def model_during_turn():
    """The turn that runs is the old model's; whoever asks for the next ones is not kept waiting for nothing."""
    with Daemon() as d, contextlib.closing(d.client()) as c, contextlib.closing(d.client()) as r:
        c.send(ASSISTANT + "Ask", {"audio_path": speech(TIME), "realtime": True}, more=True)
        c.receive()
        use(d, OTHER)
        r.send(ASSISTANT + "Reload")
        while (reply := c.receive()).get("continues"):
            pass
        turn = reply["parameters"]["event"]["turn"]
        assert turn["outcome"] == "answered" and turn["model"] == "gemmad pocket", turn
        assert r.receive()["parameters"] == {"model": "golden-a"}


def loader_runs(d):
    names = set()
    for task in os.listdir(f"/proc/{d.process.pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{d.process.pid}/task/{task}/comm") as f:
            names.add(f.read().strip())
    return "gemmad-loader" in names


def model_during_call():
    """So is the turn whose call is still being carried out when the other model is there."""
    timer = {"name": "set_timer", "description": "", "parameters": {"type": "object"}, "timeout": 120}
    with Daemon() as d, contextlib.ExitStack() as stack:
        asks, reloads, provides, responds = (stack.enter_context(contextlib.closing(d.client())) for _ in range(4))
        provides.send(ASSISTANT + "Provide", {"tools": [timer], "provider": "slow"}, more=True)
        provides.receive()
        asks.send(ASSISTANT + "Ask", {"text": "set a timer for five minutes"})
        call = provides.receive()["parameters"]["call"]
        use(d, OTHER)
        reloads.send(ASSISTANT + "Reload")
        wait_until(lambda: "another model is being loaded" in d.said() and not loader_runs(d), "the model")
        assert model_of(d) == "gemmad pocket"
        responds.call(ASSISTANT + "Respond", {"id": call["id"], "text": "Timer set."})
        turn = asks.receive()["parameters"]["event"]["turn"]
        assert (turn["model"], turn["answered"]) == ("gemmad pocket", "Timer set."), turn
        assert reloads.receive()["parameters"] == {"model": "golden-a"}
        assert responds.ask(text="hello")["model"] == "golden-a"
        kept = [turn["model"] for turn in responds.call(ASSISTANT + "History", {})["parameters"]["turns"]]
        assert sorted(kept) == ["gemmad pocket", "golden-a"], kept


def many_models():
    """The last word counts, and all who asked are told."""
    with Daemon() as d, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(d.client())) for _ in range(5)]
        for i, c in enumerate(clients):
            use(d, "" if i % 2 else OTHER)
            c.send(ASSISTANT + "Reload")
        assert [c.receive()["parameters"]["model"] for c in clients][-1] == "golden-a"
        wait_until(lambda: model_of(d) == "golden-a", "the last one")


def listens(d):
    """The socket has its name a moment before it takes anybody in."""
    try:
        d.client().close()
    except OSError:
        return False
    return True


def before_ready():
    """What was asked for while the first model is still being read, and taken back, is not loaded."""
    with Daemon(start=False) as d, contextlib.ExitStack() as stack:
        d.process = subprocess.Popen([GEMMAD, *d.arguments], stderr=d.log, stdin=subprocess.DEVNULL,
                                     env={**d.environment, "NOTIFY_SOCKET": d.notify.path})
        wait_until(lambda: listens(d), "the socket")
        first, second = (stack.enter_context(contextlib.closing(d.client())) for _ in range(2))
        use(d, OTHER)
        first.send(ASSISTANT + "Reload")
        wait_until(lambda: "another model is being loaded" in d.said(), "the first reload")
        use(d, "")
        assert second.call(ASSISTANT + "Reload")["parameters"] == {"model": "gemmad pocket"}
        assert first.receive()["parameters"]["model"] in ("gemmad pocket", "golden-a")
        assert model_of(d) == "gemmad pocket"
        d.notify.wait_for("READY=1")


def ended():
    """The daemon ends while a model is being loaded."""
    for _ in range(3):
        with Daemon() as d, contextlib.closing(d.client()) as c:
            use(d, OTHER)
            c.send(ASSISTANT + "Reload")
            assert d.stop() == 0


tap.rule("what can change takes effect", taken)
tap.rule("what needs a restart is named", named)
tap.rule("a bad file changes nothing", bad)
tap.rule("a turn goes on", busy)
tap.rule("the command line goes before the file", command_line)
tap.rule("it ends with its terminal", terminal)
tap.rule("another model takes the place of the one that answers", another_model)
tap.rule("the mode is as it was wanted when the model hears again", mode)
tap.rule("a model that can not be loaded leaves the old one answering", bad_model)
tap.rule("the turn that runs is the old model's", model_during_turn)
tap.rule("so is the turn whose call is being carried out", model_during_call)
tap.rule("of many models the last counts", many_models)
tap.rule("what was taken back before the daemon was ready is not loaded", before_ready)
tap.rule("the daemon ends while a model is being loaded", ended)
tap.done()
