#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The volume, as a real sound server has it afterwards."""
import re
import shutil

from desktop_test import Desktop
from gemmad_test import Tap, skip_all
from sound_server import Speaker

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
        tap.rule("a sound server that goes and comes", lost)
finally:
    server.stop()
tap.done()
