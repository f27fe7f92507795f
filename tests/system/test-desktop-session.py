#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a desktop session has: players, a screen, a battery, notifications, programs. Real where it can run here."""
import fcntl
import glob
import json
import os
import shutil
import struct
import time
import wave

from desktop_test import Bus, Desktop, Dunst, Mock, python_with
from gemmad_test import BUILD, SOURCE, Tap, is_sanitized, skip_all, wait_until

tap = Tap()
LOGIN1 = "org.freedesktop.login1"
SESSION = "/org/freedesktop/login1/session/auto"
PORTAL = "org.freedesktop.portal.Desktop"


def world(bus, **more):
    """Both buses are this one."""
    return {**bus.environment, "DBUS_SYSTEM_BUS_ADDRESS": bus.address, **more}


def nothing_there():
    """Buses on which nobody is: one sentence each, and no waiting."""
    with Bus() as bus, Desktop(environment=world(bus)) as d:
        refusal = d.gemmad.refusal
        assert refusal("media", action="play") == "No player is running."
        assert refusal("get_battery") == "UPower, which knows the battery, is not there."
        assert "logind" in refusal("lock_screen")
        assert refusal("do_not_disturb", state="on") == "Nobody shows notifications here."
        assert "missing" in refusal("take_screenshot")
        assert refusal("open_program", name="firefox") == "No program here is called firefox."
        d.gemmad.say("log_out")
        assert "logind" in refusal("yes")


def no_buses():
    with Desktop() as d:
        for tool, arguments in (("media", {"action": "play"}), ("get_battery", {}), ("lock_screen", {}),
                                ("do_not_disturb", {"state": "on"}), ("take_screenshot", {}), ("get_playing", {})):
            assert d.gemmad.refusal(tool, **arguments)


def lost_bus():
    """A session bus that goes, and one that comes."""
    first = Bus()
    with Desktop(environment=world(first)) as d:
        assert d.gemmad.refusal("media", action="play") == "No player is running."
        os.rename(first.folder, first.folder + "-gone")
        first.process.kill()
        first.process.wait()
        assert d.gemmad.refusal("media", action="play") in ("There is no session bus.", "No player is running.",
                                                            "The session bus does not answer.")
        os.rename(first.folder + "-gone", first.folder)
        os.unlink(first.folder + "/bus")
        first.start()
        wait_until(lambda: d.gemmad.refusal("media", action="play") == "No player is running.", "the new bus")
    first.close()


def tone(path, seconds):
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(8000)
        w.writeframes(b"".join(struct.pack("<h", 1000 if i // 20 % 2 else -1000) for i in range(8000 * seconds)))
    return path


def real_player():
    if not shutil.which("mpv") or not os.path.exists("/etc/mpv/scripts/mpris.so"):
        return "no mpv with MPRIS"
    with Bus() as bus, Desktop(environment=world(bus)) as d:
        song = tone(d.at("A Song of Sixpence.wav"), 600)
        bus.spawn("mpv", "--no-config", "--script=/etc/mpv/scripts/mpris.so", "--ao=null", "--no-video", "--loop", "--pause",
                  "--really-quiet", song, HOME=d.folder)
        say = d.gemmad.say
        status = lambda: bus.busctl("get-property", "org.mpris.MediaPlayer2.mpv", "/org/mpris/MediaPlayer2",  # noqa: E731
                                    "org.mpris.MediaPlayer2.Player", "PlaybackStatus").stdout
        wait_until(lambda: "Paused" in status(), "mpv on the bus")
        assert say("media", action="pause") == "Nothing is playing."
        assert say("media", action="play") == "Playing."
        wait_until(lambda: "Playing" in status(), "it plays")
        wait_until(lambda: "A Song of Sixpence" in say("get_playing"), "its title")

        def position():
            # There is none while it seeks.
            done = bus.busctl("get-property", "org.mpris.MediaPlayer2.mpv", "/org/mpris/MediaPlayer2",
                              "org.mpris.MediaPlayer2.Player", "Position")
            return -1 if done.returncode else json.loads(done.stdout)["data"] / 1e6

        # A player that has just begun may not seek yet, and one that seeks may refuse to go on from there.
        wait_until(lambda: d.gemmad.call("seek", seconds=300).get("text") == "Forward five minutes." and position() >= 300,
                   "the place")
        wait_until(lambda: d.gemmad.call("media", action="pause").get("text") == "Paused.", "it can be paused")
        wait_until(lambda: "Paused" in status(), "it is paused")
        assert say("get_playing").startswith("Paused is A Song of Sixpence")
        assert "can play, pause" in d.gemmad.refusal("media", action="dance")
    return None


class Player(Mock):
    def __init__(self, bus, name, status, title, artist):
        super().__init__(bus, "org.mpris.MediaPlayer2." + name, "/org/mpris/MediaPlayer2",
                         "org.mpris.MediaPlayer2.Player")
        self.control("AddProperties", "sa{sv}", self.interface, "2", "PlaybackStatus", "s", status, "Metadata",
                     "a{sv}", "2", "xesam:title", "s", title, "xesam:artist", "as", "1", artist)
        for method in ("Play", "Pause", "Next", "Previous"):
            self.method(method)

    def set(self, status):
        self.control("UpdateProperties", "sa{sv}", self.interface, "1", "PlaybackStatus", "s", status)

    def done(self):
        return [name for name, _ in self.calls()]


def several_players():
    """The one that plays, or the one that played last."""
    with Bus() as bus, Desktop(environment=world(bus)) as d:
        one = Player(bus, "one", "Paused", "Gymnopédie", "Erik Satie")
        two = Player(bus, "two", "Paused", "Ma Vlast", "Bedrich Smetana")
        for last, other in ((two, one), (one, two)):
            last.set("Playing")
            wait_until(lambda: d.gemmad.call("get_playing")["result"]["playing"], "it is told")
            assert d.gemmad.say("media", action="next") == "Next."
            last.set("Paused")
            wait_until(lambda: not d.gemmad.call("get_playing")["result"]["playing"], "it is told")
            assert d.gemmad.say("media", action="previous") == "The one before."
            assert d.gemmad.say("media", action="play") == "Playing."
            assert last.done()[-3:] == ["Next", "Previous", "Play"], (last.done(), other.done())
        assert d.gemmad.say("get_playing") == "Paused is Gymnopédie by Erik Satie."
        one.set("Playing")
        two.set("Playing")
        assert d.gemmad.say("media", action="pause") == "Paused."
        wait_until(lambda: one.done()[-1] == two.done()[-1] == "Pause", "both are silent")


def silent_player():
    """One that says nothing of itself for a moment, as while it seeks, is there all the same; others come first."""
    with Bus() as bus, Desktop(environment=world(bus)) as d:
        say, refusal = d.gemmad.say, d.gemmad.refusal
        Mock(bus, "org.mpris.MediaPlayer2.none", "/elsewhere", "org.example.None")
        assert refusal("media", action="play") == "No player is running."
        one = Player(bus, "one", "Playing", "Gymnopédie", "Erik Satie")
        one.method("Seek", "x")
        one.method("GetAll", "s", "a{sv}", "raise dbus.exceptions.DBusException('just now', name='org.example.Busy')",
                   interface="org.freedesktop.DBus.Properties")
        assert say("seek", seconds=5) == "Forward five seconds." and say("media", action="pause") == "Paused."
        assert one.done() == ["GetAll", "Seek", "GetAll", "Pause"], one.done()
        assert refusal("get_playing") == "one does not answer."
        Player(bus, "two", "Stopped", "Ma Vlast", "Bedrich Smetana")
        assert say("get_playing") == "Nothing is playing."


def brightness():
    with Bus() as bus:
        logind = Mock(bus, LOGIN1, SESSION, LOGIN1 + ".Session")
        with Desktop(environment=world(bus), start=False) as d:
            d.environment["GEMMAD_SYSFS"] = d.at("sys")
            d.start()
            assert "No screen here" in d.gemmad.refusal("set_brightness", percent=50)
            for name, kind, top in (("raw", "raw", 10), ("best", "firmware", 4000), ("bad", "platform", 0)):
                folder = d.at(f"sys/class/backlight/{name}")
                os.makedirs(folder)
                for file, value in (("brightness", top // 2), ("max_brightness", top), ("type", kind)):
                    with open(os.path.join(folder, file), "w") as f:
                        f.write(f"{value}\n")
            assert "logind" in d.gemmad.refusal("set_brightness", percent=50)
            logind.method("SetBrightness", "ssu")
            assert d.gemmad.say("set_brightness", percent=30) == "Brightness 30 percent."
            assert d.gemmad.say("change_brightness", direction="up") == "Brightness 60 percent."
            assert d.gemmad.say("change_brightness", direction="down", percent=20) == "Brightness 30 percent."
            assert d.gemmad.say("set_brightness", percent=0) == "Brightness 1 percent."
            assert logind.calls() == [("SetBrightness", ["backlight", "best", value])
                                      for value in (1200, 2400, 1200, 40)], logind.calls()


def lock_and_power():
    """Locked at once; what can not be taken back only after a yes, and never for an open microphone."""
    with Bus() as bus:
        logind = Mock(bus, LOGIN1, "/org/freedesktop/login1", LOGIN1 + ".Manager")
        logind.method("Suspend", "b")
        logind.object(SESSION, LOGIN1 + ".Session")
        for method in ("Lock", "Terminate"):
            logind.method(method, path=SESSION, interface=LOGIN1 + ".Session")
        suspended = lambda: [c for c in logind.calls() if c[0] == "Suspend"]  # noqa: E731
        with Desktop(environment=world(bus)) as d:
            say = d.gemmad.say
            assert {t["name"] for t in d.tools if t.get("confirm")} == {"suspend", "log_out"}
            assert say("lock_screen") == "Locking the screen."
            assert ("Lock", []) in logind.calls(path=SESSION)
            assert say("suspend") == "Really suspend? Say yes or no." and not suspended()
            assert say("no") == "Then not." and say("yes") == "I have not asked anything."
            assert say("suspend") and say("stop") == "Then not."
            assert d.gemmad.refusal("suspend", begun="open") == "That needs the wake phrase, or a key press."
            assert say("yes") == "I have not asked anything." and not suspended()
            assert say("suspend", begun="phrase") and say("yes", begun="open") == "Suspending."
            assert suspended() == [("Suspend", [False])]
            assert say("yes") == "I have not asked anything." and len(suspended()) == 1
            # A second question takes the place of the first.
            assert say("suspend") and say("log_out") == "Really log out? Say yes or no."
            assert say("yes") == "Logging out." and len(suspended()) == 1
            assert ("Terminate", []) in logind.calls(path=SESSION)


def session_manager():
    """One that has a reason not to end is not overruled."""
    with Bus() as bus:
        logind = Mock(bus, LOGIN1, SESSION, LOGIN1 + ".Session")
        logind.method("Terminate")
        gnome = Mock(bus, "org.gnome.SessionManager", "/org/gnome/SessionManager", "org.gnome.SessionManager")
        gnome.method("Logout", "u", code="raise dbus.exceptions.DBusException('a program is busy', name='org.gnome.Busy')")
        with Desktop(environment=world(bus)) as d:
            d.gemmad.say("log_out")
            assert "a program is busy" in d.gemmad.refusal("yes")
            gnome.method("Logout", "u")
            d.gemmad.say("log_out")
            assert d.gemmad.say("yes") == "Logging out." and logind.calls() == []
            assert gnome.calls()[-1] == ("Logout", [1])


def battery():
    with Bus() as bus:
        device = "/org/freedesktop/UPower/devices/DisplayDevice"
        upower = Mock(bus, "org.freedesktop.UPower", "/org/freedesktop/UPower", "org.freedesktop.UPower")
        upower.object(device, "org.freedesktop.UPower.Device", "IsPresent", "b", "true", "Percentage", "d", "63.4",
                      "State", "u", "2", "TimeToEmpty", "x", "7530", "TimeToFull", "x", "0", "Model", "s", "none")
        change = lambda *a: upower.control("UpdateProperties", "sa{sv}", "org.freedesktop.UPower.Device",  # noqa: E731
                                           str(len(a) // 3), *a, path=device)
        with Desktop(environment=world(bus)) as d:
            assert d.gemmad.say("get_battery") == "Battery 63 percent, two hours and five minutes left."
            change("State", "u", "1", "TimeToFull", "x", "600")
            assert d.gemmad.say("get_battery") == "Battery 63 percent, full in ten minutes."
            change("State", "u", "4")
            assert d.gemmad.say("get_battery") == "The battery is full."
            change("IsPresent", "b", "false")
            assert d.gemmad.say("get_battery") == "There is no battery here."


def asks_on_screen():
    """The question is a notification as well, and its button is an answer."""
    if Dunst.missing():
        return Dunst.missing()
    with Bus() as bus:
        dunst = Dunst(bus)
        logind = Mock(bus, LOGIN1, "/org/freedesktop/login1", LOGIN1 + ".Manager")
        logind.method("Suspend", "b")
        with Desktop(environment=world(bus)) as d:
            d.gemmad.say("suspend")
            wait_until(lambda: dunst.shown() == 1, "the question")
            dunst.choose("Yes")
            wait_until(lambda: ("Suspend", [False]) in logind.calls(), "the suspend")
            wait_until(lambda: dunst.shown() == 0, "its end")
            d.gemmad.say("suspend")
            wait_until(lambda: dunst.shown() == 1, "the question")
            dunst.choose("No")
            wait_until(lambda: dunst.shown() == 0, "its end")
            assert d.gemmad.say("yes") == "I have not asked anything."
            assert len(logind.calls()) == 1
    return None


def answers():
    """On the screen, each in the place of the one before, unless configured otherwise."""
    for setting, shown in (("", {"spoken"}), ('answers = "always"', {"spoken", "typed"}), ('answers = "never"', set())):
        with Bus() as bus:
            screen = notifications_of(bus, "nobody")
            screen.method("Notify", "susssasa{sv}i", "u", "ret = 7")
            with Desktop(environment=world(bus), start=False) as d:
                os.makedirs(d.at("config/gemmad"))
                with open(d.at("config/gemmad/desktop.toml"), "w") as f:
                    f.write(setting + "\n")
                d.start()
                for i in range(3):
                    for source, word in (("microphone", "spoken"), ("text", "typed")):
                        d.gemmad.tell(kind="done", id=i, turn={"source": source, "heard": f"{word} {i}",
                                                               "answered": f"It is {i}."})
                wait_until(lambda: d.gemmad.say("repeat") == "It is 2.", "the events")
                notes = lambda: [c[1] for c in screen.calls() if c[0] == "Notify"]  # noqa: E731
                if shown:
                    last = "typed 2" if "typed" in shown else "spoken 2"
                    wait_until(lambda: notes() and notes()[-1][3:5] == [last, "It is 2."], "the last answer")
                    assert [n[1] for n in notes()] == [0] + [7] * (len(notes()) - 1), notes()
                    assert {n[3].split()[0] for n in notes()} <= shown, notes()
                    assert notes()[-1][6]["urgency"]["data"] == 0
                else:
                    assert notes() == []


def quiet_dunst():
    if Dunst.missing():
        return Dunst.missing()
    with Bus() as bus:
        dunst = Dunst(bus)
        with Desktop(environment=world(bus)) as d:
            assert d.gemmad.say("do_not_disturb", state="on") == "Do not disturb is on."
            assert dunst.ctl("is-paused").stdout.strip() == "true"
            assert d.gemmad.say("do_not_disturb", state="off") == "Do not disturb is off."
            assert dunst.ctl("is-paused").stdout.strip() == "false"
    return None


def notifications_of(bus, server):
    mock = Mock(bus, "org.freedesktop.Notifications", "/org/freedesktop/Notifications",
                "org.freedesktop.Notifications")
    mock.method("GetServerInformation", "", "ssss", f"ret = ('{server}', 'nobody', '1', '1.2')")
    return mock


def quiet_for_a_while():
    """It ends by itself, also when the program was gone meanwhile, and by being turned off."""
    if Dunst.missing():
        return Dunst.missing()
    with Bus() as bus:
        dunst = Dunst(bus)
        is_paused = lambda: dunst.ctl("is-paused").stdout.strip() == "true"  # noqa: E731
        with Desktop(environment=bus.environment) as d:
            say = d.gemmad.say
            assert say("do_not_disturb", state="on", amount=2, unit="second").startswith("Do not disturb is on until ")
            assert is_paused()
            wait_until(lambda: not is_paused(), "its end")
            say("do_not_disturb", state="on", amount=3, unit="second")
            d.kill()
            wait_until(lambda: time.time() > int(open(d.at("state/gemmad/desktop-quiet")).read()) / 1e6, "its end")
            assert is_paused()
            d.start()
            wait_until(lambda: not is_paused(), "its end, late")
            assert not os.path.exists(d.at("state/gemmad/desktop-quiet"))
            answer = d.gemmad.call("do_not_disturb", state="on", hour=23, minute=59)
            assert "until" in answer["text"] and answer["result"]["until"] > time.time(), answer
            assert say("do_not_disturb", state="off") == "Do not disturb is off." and not is_paused()
            assert not os.path.exists(d.at("state/gemmad/desktop-quiet"))
            say("do_not_disturb", state="on", amount=1, unit="second")
            assert say("do_not_disturb", state="on") == "Do not disturb is on."
            assert d.gemmad.refusal("do_not_disturb", state="on", amount=-1)
            assert is_paused()
    return None


def quiet_others():
    """Plasma by its inhibition, GNOME and mako by their commands, and one that nobody knows."""
    with Bus() as bus:
        plasma = notifications_of(bus, "Plasma")
        plasma.method("Inhibit", "ssa{sv}", "u", "ret = 7")
        plasma.method("UnInhibit", "u")
        with Desktop(environment=world(bus)) as d:
            for state in ("on", "on", "off", "off"):
                assert d.gemmad.say("do_not_disturb", state=state) == f"Do not disturb is {state}."
            assert [c for c in plasma.calls() if "nhibit" in c[0]] == [
                ("Inhibit", ["gemmad-desktop", "Do not disturb", {}]), ("UnInhibit", [7])], plasma.calls()
    for server, command, on, off in (
            ("gnome-shell", "gsettings", "set org.gnome.desktop.notifications show-banners false",
             "set org.gnome.desktop.notifications show-banners true"),
            ("mako", "makoctl", "mode -a do-not-disturb", "mode -r do-not-disturb")):
        with Bus() as bus, Desktop(environment=world(bus), start=False) as d:
            notifications_of(bus, server)
            os.mkdir(d.at("bin"))
            with open(d.at("bin/" + command), "w") as f:
                f.write(f'#!/bin/sh\necho "$*" >>{d.at("commands")}\n')
            os.chmod(d.at("bin/" + command), 0o700)
            d.environment["PATH"] = d.at("bin") + ":" + os.environ["PATH"]
            d.start()
            for state in ("on", "off"):
                assert d.gemmad.say("do_not_disturb", state=state) == f"Do not disturb is {state}."
            with open(d.at("commands")) as f:
                assert f.read().splitlines() == [on, off]
    with Bus() as bus, Desktop(environment=world(bus)) as d:
        notifications_of(bus, "Something Else")
        assert d.gemmad.refusal("do_not_disturb", state="on") == "How to silence Something Else is not known."


def install(desktop, name, **keys):
    """A .desktop file whose program writes down how it was called."""
    folder = desktop.at("data/applications")
    os.makedirs(folder, exist_ok=True)
    program = desktop.at(f"{name}.sh")
    with open(program, "w") as f:
        f.write(f'#!/bin/sh\nfor word; do echo "$word"; done >{desktop.at(name + ".tmp")}\n'
                f'mv {desktop.at(name + ".tmp")} {desktop.at(name + ".started")}\n')
    os.chmod(program, 0o700)
    entry = {"Type": "Application", "Name": name, "Exec": f"{program} --flag %U", **keys}
    with open(os.path.join(folder, name + ".desktop"), "w") as f:
        f.write("[Desktop Entry]\n" + "".join(f"{k}={v}\n" for k, v in entry.items()))


def started(desktop, name):
    path = desktop.at(name + ".started")
    wait_until(lambda: os.path.exists(path), f"{name} is started")
    with open(path) as f:
        words = f.read().splitlines()
    os.unlink(path)
    return words


def install_all(d):
    install(d, "foxlike", Name="Foxlike", GenericName="Web Browser", Keywords="internet;www;",
            Categories="Network;WebBrowser;", MimeType="x-scheme-handler/https;x-scheme-handler/http;text/html;")
    install(d, "othersurf", Name="Other Surfer", Categories="Network;WebBrowser;")
    install(d, "adder", Name="Number Cruncher", Categories="Utility;Calculator;", Keywords="arithmetic;sums;")
    install(d, "hidden", Name="Hidden Calculator", Categories="Calculator;", NoDisplay="true")
    install(d, "quoted", Name="Quoted", Exec=f'"{d.at("quoted.sh")}" "two words" 100%% %c %i')
    install(d, "broken", Name="Broken", Exec="/nonexistent/program")
    with open(d.at("config/mimeapps.list"), "w") as f:
        f.write("[Default Applications]\nx-scheme-handler/https=foxlike.desktop\n")


def opens():
    """By kind, name, what it is and keywords; the program gets the words of its .desktop file."""
    with Desktop(start=False) as d:
        install_all(d)
        d.environment["XDG_DATA_DIRS"] = d.at("nothing")
        d.start()
        say = d.gemmad.say
        for asked, title, name in (("browser", "Foxlike", "foxlike"), ("foxlike", "Foxlike", "foxlike"),
                                   ("Foxlike", "Foxlike", "foxlike"), ("web browser", "Foxlike", "foxlike"),
                                   ("internet", "Foxlike", "foxlike"), ("surfer", "Other Surfer", "othersurf"),
                                   ("calculator", "Number Cruncher", "adder"),
                                   ("arithmetic", "Number Cruncher", "adder")):
            assert say("open_program", name=asked) == f"Opening {title}.", asked
            assert started(d, name) == ["--flag"], asked
        assert say("open_program", name="quoted") == "Opening Quoted."
        assert started(d, "quoted") == ["two words", "100%", "Quoted"]
        # (What can not be started is not taken for installed.)
        for unknown in ("broken", "spreadsheet", "../../etc/passwd", "foxlike; reboot", "é" * 300):
            assert "No program here is called" in d.gemmad.refusal("open_program", name=unknown), unknown
        # What can tell others something is asked before.
        assert say("open", target="https://example.org/?q=x") == "Really open https://example.org/?q=x? Say yes or no."
        assert say("yes") == "Opening Foxlike." and started(d, "foxlike") == ["--flag", "https://example.org/?q=x"]
        assert "wake phrase" in d.gemmad.refusal("open", begun="open", target="https://example.org/")


def picks():
    """The program that is meant, and none rather than one that only mentions it."""
    with Desktop(start=False) as d:
        install_all(d)
        install(d, "edit", Name="Edit", GenericName="Text Editor", Comment="Edit files of a calendar", Keywords="text;",
                Categories="Utility;TextEditor;", MimeType="text/plain;text/calendar;inode/directory;")
        install(d, "org.paint", Name="Big Paint Program", GenericName="Image Editor", Keywords="drawing;photo;")
        d.environment["XDG_DATA_DIRS"] = d.at("nothing")
        d.start()
        say = d.gemmad.say
        for asked, title in (("big paint program", "Big Paint Program"), ("paint", "Big Paint Program"),
                             ("image editor", "Big Paint Program"), ("photo", "Big Paint Program"),
                             ("org.paint", "Big Paint Program"), ("editor", "Edit"), ("sums", "Number Cruncher"),
                             ("number cruncher", "Number Cruncher"), ("drawing program", "Big Paint Program"),
                             ("firefox", "Foxlike"), ("othersurf", "Other Surfer")):
            assert say("open_program", name=asked) == f"Opening {title}.", asked
        for unknown in ("paint calendar", "number editor"):
            assert "No program here is called" in d.gemmad.refusal("open_program", name=unknown), unknown
        install(d, "mimeless", Name="Cabinet", Categories="System;FileManager;")
        install(d, "dates", Name="Dates", Categories="Office;Calendar;", MimeType="text/calendar;")
        d.stop()
        d.start()
        assert d.gemmad.say("open_program", name="files") == "Opening Cabinet."
        assert d.gemmad.say("open_program", name="calendar") == "Opening Dates."


def plays():
    """Songs by words of their name and of their folders', one by itself and several as a list."""
    with Desktop(start=False) as d:
        install(d, "player", Name="Player", Exec=f'{d.at("player.sh")} %F', MimeType="audio/mpeg;",
                Categories="AudioVideo;")
        with open(d.at("config/mimeapps.list"), "w") as f:
            f.write("[Default Applications]\naudio/mpeg=player.desktop\n")
        music = os.path.join(d.environment["HOME"], "Music")
        songs = [os.path.join(music, *path) for path in (("The Larks", "Early", "Rise.mp3"), ("The Larks", "Early", "Fall.mp3"),
                                                           ("Señor Sol", "Rise Again.mp3"), ("notes about larks.txt",))]
        for song in songs:
            os.makedirs(os.path.dirname(song), exist_ok=True)
            with open(song, "w"):
                pass
        d.environment["XDG_DATA_DIRS"] = d.at("nothing")
        d.start()
        say = d.gemmad.say
        assert say("media", action="play", name="rise by the larks") == "Opening Rise."
        assert started(d, "player") == [songs[0]]
        assert say("media", action="play", name="senor sol") == "Opening Rise Again."
        assert started(d, "player") == [songs[2]]
        assert say("media", action="play", name="the larks") == "Opening 2 songs."
        playlist, = started(d, "player")
        with open(playlist) as f:
            assert f.read().splitlines() == sorted(songs[:2])
        assert d.gemmad.refusal("media", action="play", name="larks tonight") == "There is no larks tonight in your folder of music."
        assert d.gemmad.refusal("media", action="play", name="by the") == "Play what?"


def plays_from_a_slow_disk():
    """All else goes on while a folder of music does not answer, and what comes too late is not played."""
    if is_sanitized():
        return "built with a sanitizer, which has to be preloaded first"
    with Desktop(start=False) as d:
        music = os.path.join(d.environment["HOME"], "Music")
        os.mkdir(music)
        d.environment.update(LD_PRELOAD=os.path.abspath(os.path.join(BUILD, "tests/system/slow-folder.so")), GEMMAD_SLOW_FOLDER=music)
        d.start()
        one = d.gemmad.begin("media", action="play", name="larks")
        # (In the order in which they were called, unless one waits.)
        assert d.gemmad.say("no") == "I have not asked anything."
        assert "still looking" in d.gemmad.refusal("media", action="play", name="finches")
        assert d.gemmad.answer(one)["error"] == "There was no answer in time."
        with open(os.path.join(music, ".awake"), "w"):
            pass
        wait_until(lambda: d.gemmad.refusal("media", action="play", name="larks") == "There is no larks in your folder of music.",
                   "it is over")
    return None


def opens_in_a_unit():
    """By the service manager, in a unit of its own."""
    with Bus() as bus:
        systemd = Mock(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                       "org.freedesktop.systemd1.Manager")
        systemd.method("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", "import subprocess\nfor key, value in args[2]:\n"
                       "    if key == 'ExecStart':\n        subprocess.Popen([str(x) for x in value[0][1]])\n"
                       "ret = dbus.ObjectPath('/job/1')")
        with Desktop(environment=world(bus), start=False) as d:
            install_all(d)
            d.environment["XDG_DATA_DIRS"] = d.at("nothing")
            d.start()
            assert d.gemmad.say("open_program", name="browser") == "Opening Foxlike."
            assert started(d, "foxlike") == ["--flag"]
            name, (unit, mode, properties, _) = systemd.calls()[0]
            properties = {key: value["data"] for key, value in properties}
            assert name == "StartTransientUnit" and unit.startswith("app-gemmad-foxlike@") and mode == "fail"
            assert properties["ExecStart"][0][1] == [d.at("foxlike.sh"), "--flag"], properties
            assert properties["CollectMode"] == "inactive-or-failed" and properties["Description"] == "Foxlike"
            systemd.method("StartTransientUnit", "ssa(sv)a(sa(sv))", "o",
                           "raise dbus.exceptions.DBusException('no more units', name='org.freedesktop.systemd1.Full')")
            assert "no more units" in d.gemmad.refusal("open_program", name="browser")


def screenshot_by_portal():
    with Bus() as bus:
        portal = Mock(bus, PORTAL, "/org/freedesktop/portal/desktop", "org.freedesktop.portal.Screenshot")
        # It answers under the name that it makes of the caller's; the sender is not told to the code, so
        # all that are there are tried.
        code = ("import dbus as _d\n"
                "_bus = self.connection\n"
                "_names = [str(n) for n in _bus.list_names() if str(n).startswith(':')]\n"
                "for _n in _names:\n"
                "    _p = '/org/freedesktop/portal/desktop/request/' + _n[1:].replace('.', '_') + '/' "
                "+ str(args[1]['handle_token'])\n"
                "    _m = _d.lowlevel.SignalMessage(_p, 'org.freedesktop.portal.Request', 'Response')\n"
                "    _m.append(_d.UInt32(RESULT), _d.Dictionary({'uri': URI}, signature='sv'), signature='ua{sv}')\n"
                "    _bus.send_message(_m)\n"
                "ret = _d.ObjectPath('/org/freedesktop/portal/desktop/request/x')")
        with Desktop(environment=world(bus)) as d:
            timeout = next(t for t in d.tools if t["name"] == "take_screenshot")["timeout"]
            assert timeout >= 30
            portal.method("Screenshot", "sa{sv}", "o", code.replace("RESULT", "0").replace(
                "URI", "'file:///home/you/Pictures/Screen%20shot.png'"))
            assert d.gemmad.say("take_screenshot") == "Screenshot saved: Screen shot.png."
            portal.method("Screenshot", "sa{sv}", "o", code.replace("RESULT", "1").replace("URI", "''"))
            assert d.gemmad.say("take_screenshot") == "Then not."


def screenshot_by_program():
    with Desktop(start=False) as d:
        os.mkdir(d.at("bin"))
        for name, script in (("grim", "exit 1"), ("gnome-screenshot", 'test "$1" = -f && echo picture >"$2"')):
            with open(d.at("bin/" + name), "w") as f:
                f.write("#!/bin/sh\n" + script + "\n")
            os.chmod(d.at("bin/" + name), 0o700)
        d.environment["PATH"] = d.at("bin") + ":" + os.environ["PATH"]
        d.start()
        answer = d.gemmad.call("take_screenshot")
        assert answer["text"].startswith("Screenshot saved: Screenshot 2") and answer["text"].endswith(".png.")
        assert "image" not in answer
        with open(answer["result"]["path"]) as f:
            assert f.read() == "picture\n"
        # Into the clipboard, by the first program that can.
        os.unlink(answer["result"]["path"])
        assert "no clipboard" in d.gemmad.refusal("take_screenshot", to="clipboard")
        for name, script in (("wl-copy", "exit 1"), ("xclip", f"cat >{d.at('clipboard')}; echo $* >{d.at('arguments')}")):
            with open(d.at("bin/" + name), "w") as f:
                f.write("#!/bin/sh\n" + script + "\n")
            os.chmod(d.at("bin/" + name), 0o700)
        shots = lambda: glob.glob(os.path.dirname(answer["result"]["path"]) + "/Screenshot*")  # noqa: E731
        for path in shots():
            os.unlink(path)
        assert d.gemmad.say("take_screenshot", to="clipboard") == "Screenshot copied."
        with open(d.at("clipboard")) as f, open(d.at("arguments")) as arguments:
            assert f.read() == "picture\n" and arguments.read().endswith("clipboard -t image/png\n")
        assert not shots(), "no file is left"
        # What is no picture is saved all the same, and not shown.
        answer = d.gemmad.call("take_screenshot", sees=True)
        assert answer["text"].startswith("Screenshot saved: ") and "image" not in answer
        assert "not a PNG" in d.said()


def screenshot_is_shown():
    """To a model that sees: the pixels, in a memory that nobody can change."""
    pictures = os.path.join(SOURCE, "tests/pictures")
    with Desktop(start=False) as d:
        os.mkdir(d.at("bin"))
        with open(d.at("bin/grim"), "w") as f:
            f.write(f'#!/bin/sh\ncp "{pictures}/interlaced.png" "$1"\n')
        os.chmod(d.at("bin/grim"), 0o700)
        d.environment["PATH"] = d.at("bin") + ":" + os.environ["PATH"]
        d.start()
        answer = d.gemmad.call("take_screenshot", sees=True)
        assert answer["text"].startswith("Screenshot saved: "), answer
        assert answer["image"] == {"fd": 0, "width": 23, "height": 17}, answer
        (fd,) = answer["descriptors"]
        with open(os.path.join(pictures, "interlaced.png.ppm"), "rb") as f:
            assert os.pread(fd, 23 * 17 * 3 + 1, 0) == f.read()[-23 * 17 * 3:]
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        assert seals & fcntl.F_SEAL_WRITE and seals & fcntl.F_SEAL_SHRINK
        os.close(fd)
        assert "image" not in d.gemmad.call("take_screenshot", sees=False)


def texts(item):
    """(label, state of its mark) of an item's children, and the children that have children."""
    children = [x["data"] for x in item[2]]
    return [(c[1].get("label", {}).get("data"), c[1].get("toggle-state", {}).get("data")) for c in children], children


def panel():
    """The icon says what gemmad does, and its menu mutes, sets the mode and has what was said last."""
    watcher = "org.kde.StatusNotifierWatcher"
    with Bus() as bus:
        mock = Mock(bus, watcher, "/StatusNotifierWatcher", watcher)
        mock.method("RegisterStatusNotifierItem", "s")
        with Desktop(environment=world(bus)) as d:
            name = f"org.kde.StatusNotifierItem-{d.process.pid}-1"
            wait_until(lambda: ("RegisterStatusNotifierItem", [name]) in mock.calls(), "the icon is in the panel")

            def get(key):
                done = bus.busctl("get-property", name, "/StatusNotifierItem", "org.kde.StatusNotifierItem", key)
                return json.loads(done.stdout)["data"]

            def menu(method, *arguments):
                done = bus.busctl("call", "--", name, get("Menu"), "com.canonical.dbusmenu", method, *arguments)
                assert done.returncode == 0, done
                return json.loads(done.stdout)["data"] if done.stdout.strip() else None

            def layout():
                return texts(menu("GetLayout", "iias", "0", "-1", "0")[1])

            wait_until(lambda: get("Status") == "Active", "active")
            assert get("Title") == "Voice assistant" and get("Id") == "gemmad"
            for state, muted, title, icon in (("listening", False, "listening", "high"),
                                              ("thinking", False, "thinking", "loading"),
                                              ("idle", True, "muted", "muted"),
                                              ("idle", False, "assistant", "input")):
                d.gemmad.status(state, muted=muted)
                wait_until(lambda: get("Title").endswith(title), title)
                assert icon in get("IconName"), get("IconName")
            labels, children = layout()
            assert ("Push to talk", 1) in labels and ("Wake phrase", 0) in labels, labels
            assert ("Mute the microphone", 0) in labels and labels[-1][0] == "History", labels

            ids = {c[1]["label"]["data"]: c[0] for c in children if "label" in c[1]}
            for label, told in (("Mute the microphone", ("Mute", {"muted": True})),
                                ("Wake phrase", ("SetMode", {"mode": "wake"})),
                                ("Ask by voice", ("Listen", {"detached": True}))):
                menu("Event", "isvu", str(ids[label]), "clicked", "s", "", "0")
                wait_until(lambda: told in list(d.gemmad.told.queue), told)
            d.gemmad.status("idle", muted=True, mode="wake")
            wait_until(lambda: ("Mute the microphone", 1) in layout()[0] and ("Wake phrase", 1) in layout()[0],
                       "the marks follow")

            d.gemmad.turns = [{"heard": "what_time is it", "answered": "It is " + "long " * 40}, {"heard": ""}]
            d.gemmad.tell(kind="done", id=3, turn={"id": 3, "outcome": "answered"})
            wait_until(lambda: texts(layout()[1][-1])[0], "what was said")
            past = texts(layout()[1][-1])[0]
            assert len(past) == 1 and past[0][0].startswith("what__time is it: It is long"), past
            assert past[0][0].endswith("..."), past
            d.gemmad.turns = []
            d.gemmad.tell(kind="forgotten", id=0)
            wait_until(lambda: not texts(layout()[1][-1])[0], "it is forgotten here, too")
            assert bus.busctl("call", "--", name, get("Menu"), "com.canonical.dbusmenu", "GetLayout", "iias", "77", "-1",
                              "0").returncode
            d.gemmad.close()
            wait_until(lambda: get("Status") == "Passive", "passive without gemmad")


def push_to_talk():
    """The portal's key: held, it listens; let go, that is all. It is asked for when the session is there."""
    with Bus() as bus:
        interface = "org.freedesktop.portal.GlobalShortcuts"
        portal = Mock(bus, PORTAL, "/org/freedesktop/portal/desktop", interface)
        # It answers whoever asks, under the name that it makes of the caller's.
        code = ("import dbus as _d\n"
                "_names = [str(n) for n in self.connection.list_names() if str(n).startswith(':')]\n"
                "for _n in _names:\n"
                "    _p = '/org/freedesktop/portal/desktop/request/' + _n[1:].replace('.', '_') + '/gemmad_shortcut'\n"
                "    _m = _d.lowlevel.SignalMessage(_p, 'org.freedesktop.portal.Request', 'Response')\n"
                "    _m.append(_d.UInt32(0), _d.Dictionary({}, signature='sv'), signature='ua{sv}')\n"
                "    self.connection.send_message(_m)\n"
                "ret = _d.ObjectPath('/org/freedesktop/portal/desktop/request/x')")
        portal.method("CreateSession", "a{sv}", "o", code)
        portal.method("BindShortcuts", "oa(sa{sv})sa{sv}", "o", code)
        with Desktop(environment=world(bus), start=False) as d:
            os.makedirs(d.at("config/gemmad"))
            with open(d.at("config/gemmad/desktop.toml"), "w") as f:
                f.write('push_to_talk = "CTRL+ALT+space"\n')
            d.start()
            wait_until(lambda: "when the key to talk is held" in d.said(), "the portal agrees")
            bound = next(x for x in portal.calls() if x[0] == "BindShortcuts")[1]
            session, keys = bound[0], bound[1]
            assert keys[0][0] == "push-to-talk" and keys[0][1]["preferred_trigger"]["data"] == "CTRL+ALT+space", keys

            def key(signal, session=session, name="push-to-talk"):
                portal.control("EmitSignal", "sssav", interface, signal, "osta{sv}", "4", "o", session, "s", name,
                               "t", "0", "a{sv}", "0")

            key("Activated", name="something-else")
            key("Activated", session=session + "_other")
            key("Deactivated")
            # Whoever else says it, and to us alone, is not the portal.
            for name in {row["name"] for row in json.loads(bus.busctl("list").stdout) if row["name"].startswith(":")}:
                bus.busctl("emit", "--destination=" + name, "/org/freedesktop/portal/desktop", interface, "Activated",
                           "osta{sv}", session, "push-to-talk", "0", "0")
            key("Activated")
            key("Activated")
            wait_until(lambda: ("Listen", {"hold": True, "detached": True}) in list(d.gemmad.told.queue), "it listens")
            key("Deactivated")
            wait_until(lambda: ("Finish", {}) in list(d.gemmad.told.queue), "it has heard all")
            heard = [x for x in d.gemmad.told.queue if x[0] in ("Listen", "Finish")]
            assert [x[0] for x in heard] == ["Listen", "Finish"], heard

            # A portal that is started anew is asked anew; this one can do nothing yet.
            assert "No key to talk by the portal" not in d.said()
            bus.children[-1].kill()
            bus.children[-1].wait()
            Mock(bus, PORTAL, "/org/freedesktop/portal/desktop", interface)
            wait_until(lambda: "No key to talk by the portal" in d.said(), "it is asked anew")


if not shutil.which("dbus-daemon") or not shutil.which("busctl"):
    skip_all("no dbus-daemon or busctl")
tap.rule("nobody is there", nothing_there)
tap.rule("no buses", no_buses)
tap.rule("a session bus that goes and comes", lost_bus)
tap.rule("a real player", real_player)
tap.rule("programs", opens)
tap.rule("the program that is meant", picks)
tap.rule("songs by their name", plays)
tap.rule("songs on a slow disk", plays_from_a_slow_disk)
tap.rule("a screenshot by a program", screenshot_by_program)
tap.rule("a screenshot is shown to a model that sees", screenshot_is_shown)
tap.rule("do not disturb, in dunst", quiet_dunst)
tap.rule("do not disturb for a while", quiet_for_a_while)
for rule, run in (("several players", several_players), ("a player that says nothing of itself", silent_player), ("brightness", brightness),
                  ("lock, suspend, log out", lock_and_power), ("a session manager", session_manager),
                  ("the battery", battery), ("questions on the screen", asks_on_screen),
                  ("answers on the screen", answers), ("do not disturb, elsewhere", quiet_others), ("programs in units of their own", opens_in_a_unit),
                  ("a screenshot by the portal", screenshot_by_portal), ("an icon in the panel", panel),
                  ("a key to talk by the portal", push_to_talk)):
    tap.rule(rule, run if python_with("dbusmock") else lambda: "no python-dbusmock")
tap.done()
