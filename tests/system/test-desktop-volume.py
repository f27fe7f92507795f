#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The volume, as a real sound server has it afterwards."""
import os
import re
import shutil
import subprocess

from desktop_test import Desktop
from gemmad_test import Tap, skip_all, wait_until
from sound_server import RATE, Speaker

tap = Tap()


def levels(server):
    return [int(x) for x in re.findall(r"(\d+)%", server.pactl("get-sink-volume", "@DEFAULT_SINK@").stdout)]


def is_muted(server, kind="sink"):
    name = "@DEFAULT_SINK@" if kind == "sink" else "@DEFAULT_SOURCE@"
    return "yes" in server.pactl(f"get-{kind}-mute", name).stdout


def sets():
    for percent in (40, 0, 100, 55):
        assert gemmad.say("set_volume", percent=percent) == f"Volume {percent} percent."
        assert set(levels(server)) == {percent}, levels(server)
    assert gemmad.call("get_volume")["result"] == {"percent": 55, "muted": False}


def changes():
    gemmad.say("set_volume", percent=50)
    assert gemmad.say("change_volume", direction="up") == "Volume 60 percent."
    assert gemmad.say("change_volume", direction="down", percent=25) == "Volume 35 percent."
    assert set(levels(server)) == {35}
    assert gemmad.say("change_volume", direction="down", percent=90) == "Volume 0 percent."
    assert gemmad.say("change_volume", direction="up", percent=100) == "Volume 100 percent."
    assert gemmad.say("change_volume", direction="up") == "Volume 100 percent."
    assert set(levels(server)) == {100}
    assert "up or down" in gemmad.refusal("change_volume", direction="sideways")


def mutes():
    gemmad.say("set_volume", percent=30)
    assert gemmad.say("mute", state="on") == "Muted." and is_muted(server)
    assert gemmad.say("change_volume", direction="down") == "Volume 20 percent, muted." and is_muted(server)
    assert gemmad.say("mute", state="off") == "Sound on, volume 20 percent." and not is_muted(server)
    gemmad.say("mute", state="on")
    assert gemmad.say("change_volume", direction="up") == "Volume 30 percent." and not is_muted(server)


def microphone():
    assert gemmad.say("mute", state="on", device="microphone") == "Microphone muted."
    assert is_muted(server, "source") and not is_muted(server)
    assert gemmad.say("mute", state="off", device="microphone") == "Microphone on."
    assert not is_muted(server, "source")


def balance():
    server.pactl("set-sink-volume", "@DEFAULT_SINK@", "80%", "40%")
    gemmad.say("change_volume", direction="down", percent=40)
    assert levels(server) == [40, 20], levels(server)


def many_at_once():
    """Each of many calls is answered."""
    numbers = [gemmad.begin("set_volume", percent=p) for p in range(20)]
    assert [gemmad.answer(n)["text"] for n in numbers] == [f"Volume {p} percent." for p in range(20)]


def lost():
    """A server that goes away is said, and one that comes is found."""
    server.kill()
    assert gemmad.refusal("set_volume", percent=10) in ("There is no sound server.", "The sound server is gone.")
    server.start()
    assert gemmad.say("set_volume", percent=70) == "Volume 70 percent." and set(levels(server)) == {70}


class Player:
    """Plays silence, for its volume."""

    def __enter__(self):
        self.process = subprocess.Popen(["pacat", "--playback", "--raw", "/dev/zero"], env=server.environment,
                                        stderr=subprocess.DEVNULL)
        wait_until(lambda: self.volumes() == [100], "it plays")
        return self

    def volumes(self):
        listed = server.pactl("list", "sink-inputs").stdout
        return [int(x) for x in re.findall(r"Volume:.*?(\d+)%", listed)]

    def is_lower_by(self, text):
        return text in server.pactl("list", "sink-inputs").stdout

    def number(self):
        return server.pactl("list", "short", "sink-inputs").stdout.split()[0]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def ducks():
    """While somebody speaks to us the others are lower by 12 dB, and afterwards as they were, whatever
    becomes of the program; what the user sets meanwhile stays."""
    with Player() as player, Desktop(environment=server.for_daemon) as d:
        d.gemmad.status("listening")
        wait_until(lambda: player.is_lower_by("-12.0"), "lower")
        d.gemmad.status("thinking")
        wait_until(lambda: player.volumes() == [100], "as it was")

        # The next one speaks while the volumes are on their way back.
        d.gemmad.status("listening")
        wait_until(lambda: player.is_lower_by("-12.0"), "lower")
        for _ in range(5):
            d.gemmad.status("idle")
            d.gemmad.status("listening")
            assert d.gemmad.say("get_volume")
            wait_until(lambda: player.is_lower_by("-12.0"), "lower by that, and no more")
        d.gemmad.status("idle")
        wait_until(lambda: player.volumes() == [100], "as it was")

        d.gemmad.status("listening")
        wait_until(lambda: player.is_lower_by("-12.0"), "lower")
        d.kill()
        assert player.volumes() == [63], player.volumes()
        d.gemmad.observer = None
        d.start()
        wait_until(lambda: player.volumes() == [100], "as it was, by the next start")

        d.gemmad.status("listening")
        wait_until(lambda: player.is_lower_by("-12.0"), "lower")
        assert d.stop() == 0 and player.volumes() == [100]

        d.gemmad.observer = None
        d.start()
        d.gemmad.status("listening")
        wait_until(lambda: player.is_lower_by("-12.0"), "lower")
        server.pactl("set-sink-input-volume", player.number(), "30%")
        d.gemmad.status("idle")
        wait_until(lambda: not os.path.exists(d.at("state/gemmad/desktop-volumes.json")), "nothing is lent")
        assert player.volumes() == [30], player.volumes()


def undisturbed():
    """Not where it is not wanted."""
    with Player() as player, Desktop(environment=server.for_daemon, start=False) as d:
        os.makedirs(d.at("config/gemmad"))
        with open(d.at("config/gemmad/desktop.toml"), "w") as f:
            f.write("ducking = false\nsounds = false\n")
        d.start()
        d.gemmad.status("listening")
        assert d.gemmad.say("get_volume") and player.volumes() == [100]
        server.record()
        heard_something(d.gemmad)
        assert d.gemmad.say("get_volume")
        assert not any(server.recorded())


def heard_something(gemmad):
    gemmad.tell(kind="started", id=7, source="microphone")
    gemmad.tell(kind="call", id=7, call={"name": "get_time", "arguments": {}})
    gemmad.tell(kind="done", id=7, turn={"id": 7, "outcome": "answered", "answered": "", "heard": "what time is it"})


def pitch():
    """How often a second most of what is recorded goes through zero, by pieces of 20 ms that are no silence; 0: there
    are none, or it did not end yet. A busy machine may lose a piece or tear a hole: most of them decide, and the end
    is half a second of silence."""
    samples, step = server.recorded(), RATE // 50
    pieces = [samples[i:i + step] for i in range(0, len(samples) - step, step)]
    loud = sorted(sum(a < 0 <= b for a, b in zip(p, p[1:])) * 50 for p in pieces if sum(map(abs, p)) > 50 * step)
    return loud[len(loud) // 2] if loud and not any(samples[-RATE // 2:]) else 0


def chimes():
    """A sound for what was heard, and another, lower one for what was not understood; none for what was typed."""
    server.pactl("set-sink-volume", "@DEFAULT_SINK@", "100%")
    with Desktop(environment=server.for_daemon) as d:
        server.record()
        d.gemmad.tell(kind="started", id=5, source="text")
        d.gemmad.tell(kind="call", id=5, call={"name": "get_time", "arguments": {}})
        assert d.gemmad.say("get_volume") and not any(server.recorded())
        heard_something(d.gemmad)
        wait_until(lambda: 700 < pitch() < 1100, "a sound")
        server.record()
        d.gemmad.tell(kind="started", id=8, source="microphone")
        d.gemmad.tell(kind="done", id=8, turn={"id": 8, "outcome": "answered", "answered": "", "heard": "",
                                               "unanswered": "not_a_command"})
        wait_until(lambda: 250 < pitch() < 500, "another, lower sound")


if not shutil.which("pulseaudio") or not shutil.which("pactl"):
    skip_all("no pulseaudio")
try:
    server = Speaker()
except RuntimeError as error:
    skip_all(str(error))
try:
    with Desktop(environment=server.for_daemon) as desktop:
        gemmad = desktop.gemmad
        tap.rule("setting the volume", sets)
        tap.rule("changing it by and within its limits", changes)
        tap.rule("mute, and what ends it", mutes)
        tap.rule("the microphone", microphone)
        tap.rule("the balance is kept", balance)
        tap.rule("many calls at once", many_at_once)
        tap.rule("other streams are lower meanwhile", ducks)
        tap.rule("sounds for what was heard", chimes)
        tap.rule("nothing of it where it is not wanted", undisturbed)
        tap.rule("a sound server that goes and comes", lost)
finally:
    server.stop()
tap.done()
