#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gemmad and gemmad-desktop together: from what is said to what happens."""
import contextlib
import json
import os
import re
import shutil
import sys
import wave

from desktop_test import Desktop
from gemmad_test import ASSISTANT, SOURCE, Daemon, Tap, speech, wait_until
from sound_server import Speaker

tap = Tap()


class Both:
    """A daemon, and a gemmad-desktop that has found it."""

    def __init__(self, environment=None, config=""):
        self.daemon = Daemon(config)
        self.desktop = Desktop(environment={**(environment or {}), "XDG_RUNTIME_DIR": self.daemon.environment["XDG_RUNTIME_DIR"]},
                               gemmad=False)
        wait_until(lambda: "gemmad has taken" in self.desktop.said(), "the tools")

    def ask(self, **question):
        with contextlib.closing(self.daemon.client()) as client:
            return client.ask(**question)["answered"]

    def call(self, name, *arguments):
        return self.daemon.ctl("call", name, *arguments)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.desktop.__exit__(*error)
        self.daemon.__exit__(*error)


def typed():
    with Both() as b:
        assert b.ask(text="set a timer for five minutes") == "Timer set, five minutes."
        assert b.ask(text="how much time is left").endswith(" left.")
        assert b.ask(text="cancel the timer") == "Timer cancelled."
        assert b.ask(text="turn the volume up") == "There is no sound server."
        assert re.fullmatch(r"It is \d\d:\d\d\.", b.ask(text="what time is it"))
        # The place is read where the pocket model's calls have no word for it.
        assert re.fullmatch(r"It is \d\d:\d\d( on \w+)? in New York\.", b.ask(text="what time is it in new york now, please"))
        assert b.ask(text="what is the time in atlantis") == "I do not know the time in Atlantis."
        with contextlib.closing(b.daemon.client()) as client:
            turn = client.ask(text="What is the time in Paris and lock the screen")
        assert [x["name"] for x in turn["calls"]] == ["get_time", "lock_screen"], turn
        assert turn["calls"][0]["arguments"] == {"place": "Paris"} and "in Paris." in turn["answered"], turn


def by_hand():
    with Both() as b:
        tools = b.daemon.ctl("tools").stdout
        assert "set_volume percent=number" in tools and "gemmad-desktop" in tools, tools
        assert b.call("set_timer", "amount=2", "unit=hour", "name=pizza").stdout == "Pizza timer set, two hours.\n"
        assert b.call("get_timer").stdout.startswith("Pizza timer: ")
        asked = b.call("suspend")
        assert "Really suspend?" in asked.stdout and asked.returncode == 1 and "nothing is done yet" in asked.stderr, asked
        assert b.call("no").stdout == "Then not.\n"
        done = b.call("set_volume", "percent=40")
        assert done.returncode and "no sound server" in done.stderr, done


def own_tools():
    with Both() as b:
        b.desktop.stop()
        folder = b.desktop.at("config/gemmad/tools")
        os.makedirs(folder)
        with open(os.path.join(folder, "weather.toml"), "w") as f:
            f.write('description = "Tells the weather."\ncommand = ["echo", "It rains in {place}."]\n'
                    '[arguments.place]\ntype = "string"\nrequired = true\n')
        for name, more in (("back_up", ""), ("wipe", "confirm = true\n")):
            with open(os.path.join(folder, name + ".toml"), "w") as f:
                f.write(f'description = "Does it."\ncommand = ["echo", "It is done: {name}."]\n{more}')
        with open(b.desktop.at("config/gemmad/desktop.toml"), "w") as f:
            server = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mcp_server.py")
            f.write(f'[mcp.small]\ncommand = ["{sys.executable}", "{server}"]\n')
        b.desktop.start()
        tools = lambda: b.daemon.ctl("tools").stdout  # noqa: E731
        wait_until(lambda: "weather" in tools() and "small_shout" in tools() and "set_timer" in tools(), "all tools")
        assert b.call("weather", "place=London").stdout == "It rains in London.\n"
        # Those that need no argument are typed by their names.
        for text in ("run back up", "Back_up, please!", "hey gemma, back up now"):
            assert b.ask(text=text) == "It is done: back_up.", text
        assert b.ask(text="wipe").endswith("Say yes or no.") and b.ask(text="yes") == "It is done: wipe."
        with contextlib.closing(b.daemon.client()) as client:
            for text in ("weather", "back up the moon", "run", "please"):
                turn = client.ask(text=text)
                assert not {"weather", "back_up", "wipe"} & {x["name"] for x in turn["calls"]}, turn
        assert b.call("small_shout", "text=hello").stdout == "HELLO\n"


def killed():
    """Each comes back to the other."""
    with Both() as b:
        b.desktop.kill()
        answer = b.ask(text="set a timer for five minutes")
        assert "gemmad-desktop" in answer, answer
        b.desktop.start()
        wait_until(lambda: b.ask(text="set a timer for five minutes") == "Timer set, five minutes.", "the tools")
        b.daemon.process.kill()
        b.daemon.process.wait()
        b.daemon.start()
        wait_until(lambda: b.ask(text="how much time is left").endswith(" left."), "the tools")


def spoken():
    """Said into a file, and the sound server has another volume afterwards."""
    if not shutil.which("pulseaudio") or not shutil.which("pactl"):
        return "no pulseaudio"
    try:
        server = Speaker()
    except RuntimeError as error:
        return str(error)
    try:
        with Both(environment=server.for_daemon) as b:
            level = lambda: int(re.search(r"(\d+)%", server.pactl("get-sink-volume", "@DEFAULT_SINK@").stdout)[1])  # noqa: E731
            server.pactl("set-sink-volume", "@DEFAULT_SINK@", "50%")
            assert b.ask(audio_path=speech("turn-the-volume-up.festival-ked.wav")) == "Volume 60 percent."
            assert level() == 60
            # Its alarm is in the recording of the speaker.
            server.record()
            assert b.ask(text="set a timer for one second") == "Timer set, one second."
            wait_until(lambda: any(abs(x) > 500 for x in server.recorded()), "the alarm")
            assert b.ask(text="stop") == "Stopped."
    finally:
        server.stop()
    return None


def told():
    """Who watches sees the call, and what came of it."""
    with Both() as b, contextlib.closing(b.daemon.client()) as client:
        events = [r["parameters"]["event"] for r in client.stream(ASSISTANT + "Ask", {"text": "set a timer for one hour"})]
        kinds = [e["kind"] for e in events]
        assert kinds.index("call") < kinds.index("result") < kinds.index("done"), json.dumps(events)
        assert events[kinds.index("result")]["text"] == "Timer set, one hour."


def helpful():
    """What help says can be said is understood."""
    with Both() as b, contextlib.closing(b.daemon.client()) as client:
        groups = b.ask(text="help").removeprefix("You can say, ").removesuffix(".").split("; ")
        assert len(groups) > 4 and all(group.startswith("for ") for group in groups), groups
        b.desktop.kill()  # it would carry them out
        for sentence in ", ".join(group.split(": ", 1)[1] for group in groups).split(", "):
            turn = client.ask(text=sentence)
            assert len(turn["calls"]) == 1 and turn["calls"][0]["name"] not in ("ask", "cannot"), turn


def long_speech(path, n_frames):
    """Recordings of people one behind the other, until there are so many frames of 40 ms."""
    samples = b""
    names = sorted(name for name in os.listdir(speech("")) if name.endswith(".wav"))
    for name in names * 9:
        if len(samples) >= n_frames * 1280:
            break
        with wave.open(speech(name), "rb") as w:
            assert w.getframerate() == 16000 and w.getnchannels() == 1, name
            samples += w.readframes(w.getnframes())
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(16000)
        w.writeframes(samples[:n_frames * 1280])
    return path


def heard():
    """All that a larger model is told before it hears leaves room for twelve seconds of speech below
    SpeechPositions. In the small vocabulary of this model nearly every letter is a position."""
    config = f"""[Model]
Path={SOURCE}/tests/golden/model-v.gguf
Projector={SOURCE}/tests/golden/mmproj-v.gguf
MaxTokens=8
[Prompt]
SpeechPositions=900
"""
    behind = 40  # of the end of the user's turn and the opening of the model's
    with Both(config=config) as b:
        def status():
            return json.loads(b.daemon.ctl("status", "--json").stdout)

        for text in ("one thing that was said before", "and another"):
            b.ask(text=text)
        path = long_speech(os.path.join(b.daemon.folder, "long.wav"), 300)
        with contextlib.closing(b.daemon.client()) as client:
            turn = client.ask(audio_path=path)
        times = turn["timings"]
        assert turn["outcome"] != "failed" and 250 <= times["frames"] <= 300, turn
        assert times["prompt_positions"] <= 900 - (300 - times["frames"]) + behind, times
        # ... and it is not that there were none: all of them take thousands.
        assert times["prompt_positions"] > times["frames"] + 300, times
        assert status()["positions"] > 300, status()


tap.rule("typed requests are carried out", typed)
tap.rule("help tells what is understood", helpful)
tap.rule("calls by hand", by_hand)
tap.rule("the user's own tools", own_tools)
tap.rule("either is killed", killed)
tap.rule("spoken requests are carried out", spoken)
tap.rule("a larger model that is told of tools has room for speech", heard)
tap.rule("whoever watches is told", told)
tap.done()
