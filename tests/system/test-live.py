#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The live microphone: a sound server of our own, whose microphone is a FIFO that we speak into.
$SOUND_SERVER chooses which one: pulseaudio, unless it is said, or pipewire. With $SANITIZED_LIVE a build with a
sanitizer is tried, too, which takes a while: a race that it finds fails the last rule."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (ASSISTANT, GEMMACTL, PATIENCE, Daemon, Tap, is_sanitized,  # noqa: E402
                         skip_all, speech, wait_until)
from login1 import Login1, missing  # noqa: E402
from session_bus import TOOLS, Bus, Hands, Monitor  # noqa: E402
from sound_server import PipeWire, SoundServer  # noqa: E402

# Heard at any place of a frame's border in the sound, which not every recording is.
MUSIC = "hey-gemma-play-some-music.festival-ked.wav"
TIME = "what-time-is-it.flite-rms.wav"


SERVERS = {
    "pulseaudio": (SoundServer, "pulseaudio pulseaudio-utils libasound2-plugins", ["pulseaudio", "pactl"]),
    "pipewire": (PipeWire, "pipewire pipewire-pulse wireplumber pulseaudio-utils libasound2-plugins",
                 ["pipewire", "pipewire-pulse", "wireplumber", "dbus-daemon", "pactl"]),
}
SERVER = os.environ.get("SOUND_SERVER", "pulseaudio")
new_server, packages, tools = SERVERS[SERVER]
for tool in tools:
    if not shutil.which(tool):
        skip_all(f"no {tool} (Debian: {packages})")
if is_sanitized() and not os.environ.get("SANITIZED_LIVE"):
    skip_all("built with a sanitizer, which makes it too slow for every day (SANITIZED_LIVE=yes)")
os.environ.setdefault("TSAN_OPTIONS", "suppressions=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "thread.supp"))
try:
    sound = new_server()
except RuntimeError as e:
    skip_all(e)
login1 = None if missing() else Login1()
CONFIG = "[Audio]\nLingerSeconds=0\nPatienceMs=60000\nFollowUpSeconds=60\n"
daemon = Daemon(CONFIG, environment=sound.for_daemon)
tap = Tap()


def status():
    with contextlib.closing(daemon.client()) as c:
        return c.call(ASSISTANT + "Status")["parameters"]


def wait_microphone(*states):
    wait_until(lambda: status()["microphone"] in states, f"the microphone is {states}: {status()}")


def open_turn(c, metered=False, **parameters):
    """A Listen whose microphone is open, and not still open from the turn before."""
    if not metered:
        wait_microphone("closed")
    c.send(ASSISTANT + "Listen", parameters, more=True)
    first = c.receive()
    assert first.get("parameters", {}).get("event", {}).get("kind") == "started", first
    wait_microphone("live")


def end_turn(c):
    """The last event."""
    while True:
        reply = c.receive()
        assert "error" not in reply, reply
        if not reply.get("continues"):
            return reply["parameters"]["event"]["turn"]


def expected(name):
    with contextlib.closing(daemon.client()) as c:
        return c.ask(audio_path=speech(name))["calls"]


def is_heard(name, metered=False, **parameters):
    """Speaks, and tells whether the same was understood as of the file.  A machine that is too busy for
    its sound server loses sound, so there is more than one try."""
    wanted = expected(name)
    for _ in range(4):
        with contextlib.closing(daemon.client()) as c:
            open_turn(c, metered, **parameters)
            if not parameters.get("hold"):
                sound.mouth.say(name)
            else:
                say_to_the_end(name)
                with contextlib.closing(daemon.client()) as other:
                    assert other.call(ASSISTANT + "Finish")["parameters"]["finished"]
            turn = end_turn(c)
        assert turn["source"] == "microphone", turn
        print(f"# heard '{turn['heard']}' after {turn['timings']}")
        if turn["outcome"] == "answered" and turn["calls"] == wanted:
            return turn
    raise AssertionError(f"{name} was not understood")


def say_to_the_end(name):
    """Says it, and waits until the meter has seen it begin and end: what was written is still on its
    way through the server for a while."""
    with contextlib.closing(daemon.client()) as c:
        levels = c.stream(ASSISTANT + "Level")
        next(levels)
        sound.mouth.say(name)
        has_begun, quiet = False, 0
        for reply in levels:
            is_loud = reply["parameters"]["rms"] >= -50
            has_begun |= is_loud
            quiet = 0 if is_loud or not has_begun else quiet + 1
            if quiet == 3:
                return


def heard():
    turn = is_heard(MUSIC)
    t = turn["timings"]
    assert 0 <= t["first_frame"] <= t["end_of_speech"] <= t["first_token"] <= t["done"], t
    # A machine that is too busy to know what was said in the pause waits for a longer one.
    assert turn["ending"] in ("whole", "open", "silence"), turn
    print(f"# ended by '{turn['ending']}', its first word {t['first_token'] - t['end_of_speech']:.0f} ms later")
    # The long silence before and after is not in it.
    assert t["audio"] < 4000, t
    wait_microphone("closed")


def heard_by_bus():
    """Speech in, and the answer by signals of the session bus."""
    if not all(map(shutil.which, TOOLS)):
        return "no " + " or ".join(TOOLS)
    wanted = expected(MUSIC)
    with Bus("[Audio]\nLingerSeconds=0\n", environment=sound.for_daemon) as bus:
        for _ in range(4):
            with contextlib.closing(Monitor(bus)) as monitor:
                bus.call("Listen")
                wait_until(sound.is_recorded, "the server sees that it is recorded")
                sound.mouth.say(MUSIC)
                seen = monitor.until(lambda member, data: member == "Done")
            calls = [(data[1], json.loads(data[2])) for member, data in seen if member == "Call"]
            print(f"# heard '{bus.get('LastHeard')}'")
            if calls == [(call["name"], call["arguments"]) for call in wanted]:
                assert bus.get("LastHeard") == "hey gemma play some music", seen
                return None
    raise AssertionError("not understood")


def headset():
    """What the sound server would have us listen to is a Bluetooth headset: it is left alone."""
    wait_microphone("closed")
    with sound.headset(), contextlib.closing(daemon.client()) as c:
        devices = c.call(ASSISTANT + "Devices")["parameters"]["devices"]
        assert [d["default"] for d in devices if d["bluetooth"]] == [False], devices
        assert sum(d["default"] for d in devices) == 1, devices
        is_heard(MUSIC)
        wait_microphone("closed")


def held():
    turn = is_heard(TIME, hold=True)
    assert turn["timings"]["frames"] > 20, turn
    wait_microphone("closed")


def nothing_said():
    with contextlib.closing(daemon.client()) as c:
        open_turn(c)
        with contextlib.closing(daemon.client()) as other:
            assert other.call(ASSISTANT + "Finish")["parameters"]["finished"]
            turn = end_turn(c)
            assert turn["outcome"] == "answered" and not turn["heard"] and not turn["calls"], turn
            assert turn["timings"]["frames"] == 0 and turn["timings"]["tokens"] == 0, turn
            assert not other.call(ASSISTANT + "Finish")["parameters"]["finished"]
    assert expected(MUSIC), "the next turn is as good as ever"


def cancelled():
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as other:
        open_turn(c)
        assert other.call(ASSISTANT + "Cancel")["parameters"]["cancelled"]
        assert end_turn(c)["outcome"] == "cancelled"
    wait_microphone("closed")


def muted():
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as other:
        open_turn(c)
        wait_until(sound.is_recorded, "the server sees that it is recorded")
        other.call(ASSISTANT + "Mute", {"muted": True})
        assert end_turn(c)["outcome"] == "cancelled"
        wait_until(lambda: not sound.is_recorded(), "the device is closed")
        assert status()["muted"]
        assert other.call(ASSISTANT + "Listen")["error"] == ASSISTANT + "Muted"
        other.send(ASSISTANT + "Level", more=True)
        assert other.receive()["parameters"]["microphone"] == "closed"
        assert c.call(ASSISTANT + "Devices")["parameters"]["devices"]
        assert not sound.is_recorded()
        c.call(ASSISTANT + "Mute", {"muted": False})
        assert not status()["muted"]
    is_heard(MUSIC)


def lost_and_found():
    with contextlib.closing(daemon.client()) as meter:
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        sound.unplug()
        wait_microphone("lost")
        assert status()["microphone_error"]
        with contextlib.closing(daemon.client()) as c:
            reply = c.call(ASSISTANT + "Listen")
            assert reply["error"] == ASSISTANT + "NoMicrophone" and reply["parameters"]["reason"], reply
        sound.plug()
        wait_microphone("live")
        is_heard(MUSIC, metered=True)
    assert daemon.said().count("The microphone is back") == 1, daemon.said()


def lost_while_speaking():
    """A gap in the middle of a turn does not end it."""
    with contextlib.closing(daemon.client()) as c:
        open_turn(c, hold=True)
        sound.unplug()
        wait_microphone("lost")
        sound.plug()
        wait_microphone("live")
        with contextlib.closing(daemon.client()) as other:
            assert other.call(ASSISTANT + "Finish")["parameters"]["finished"]
        assert end_turn(c)["outcome"] == "answered"


def server_killed():
    with contextlib.closing(daemon.client()) as meter:
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        sound.kill()
        wait_microphone("lost")
        sound.start()
        wait_microphone("live")
    is_heard(MUSIC)


def server_frozen():
    """The daemon goes on, whatever the sound server does to whoever talks to it."""
    with contextlib.closing(daemon.client()) as meter:
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        sound.process.send_signal(signal.SIGSTOP)
        try:
            wait_microphone("lost")
            assert expected(MUSIC), "sound of files is still heard"
        finally:
            sound.process.send_signal(signal.SIGCONT)
        wait_microphone("live")
    is_heard(MUSIC)


def digital_silence():
    with contextlib.closing(daemon.client()) as meter:
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        sound.mouth.is_dead_silent = True
        try:
            wait_microphone("silent")
            r = daemon.ctl("doctor")
            assert r.returncode == 1 and "digital silence" in r.stdout, r
        finally:
            sound.mouth.is_dead_silent = False
        wait_microphone("live")


def constant():
    """A microphone that gives one value all the time is ill, and a steady offset is told."""
    with contextlib.closing(daemon.client()) as meter:
        meter.send(ASSISTANT + "Level", more=True)
        wait_microphone("live")
        sound.mouth.is_dead_silent, sound.mouth.offset = True, 655
        try:
            wait_microphone("silent")
            r = daemon.ctl("doctor")
            assert r.returncode == 1 and "one value all the time" in r.stdout, r
            sound.mouth.is_dead_silent = False
            # On a busy machine a hole in the sound is one value, too.
            wait_until(lambda: "offset of 2.0 %" in daemon.ctl("doctor").stdout, "the offset is told")
            is_heard(MUSIC, metered=True)
        finally:
            sound.mouth.is_dead_silent, sound.mouth.offset = False, 0
        wait_microphone("live")


def slept():
    """Before sleep the device is closed, after it one is open at once, and a turn does not outlive it."""
    if not login1:
        return missing()
    nothing = {"PULSE_SERVER": "unix:/nonexistent/sound"}
    with Hands(daemon, {**login1.environment, **nothing}) as hands:
        login1.wait_for("taken sleep delay")
        with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as meter:
            open_turn(c)
            meter.send(ASSISTANT + "Level", more=True)
            wait_until(sound.is_recorded, "the server sees that it is recorded")
            login1.sleep()
            # The order in which it comes: only what is closed lets the machine sleep.
            login1.wait_for("released")
            assert not sound.is_recorded() and status()["microphone"] == "closed"
            assert end_turn(c)["outcome"] == "cancelled"
            login1.wake()
            login1.wait_for("taken sleep delay")
            wait_microphone("live")
            is_heard(MUSIC, metered=True)
        wait_microphone("closed")
        login1.sleep()
        login1.wait_for("released")
        login1.wake()
        login1.wait_for("taken sleep delay")
        assert status()["microphone"] == "closed", "nobody wants it"
        assert hands.stop() == 0
        login1.wait_for("released")


@contextlib.contextmanager
def hands_free(mode):
    """A client that watches, while the microphone is open without anybody calling."""
    with contextlib.closing(daemon.client()) as watcher, contextlib.closing(daemon.client()) as c:
        watcher.send(ASSISTANT + "Watch", more=True)
        assert "error" not in c.call(ASSISTANT + "SetMode", {"mode": mode})
        wait_microphone("live")
        try:
            yield watcher
        finally:
            c.call(ASSISTANT + "SetMode", {"mode": "push"})
    wait_microphone("closed")
    # What was heard last may still be answered, and who is answered may follow up in any mode.
    wait_until(lambda: status()["state"] == "idle", "the last turn is over")


def n_heard():
    """How often speech was heard, whether it was answered or ignored."""
    now = status()
    return now["turns"] + now["ignored_segments"]


def watched_answer(watcher, name):
    """Says it, and returns the turn that answers, of which all is told in order; None if it was
    taken for nothing, of which a watcher is told no end."""
    n_before, n_ignored, kinds = n_heard(), status()["ignored_segments"], []
    sound.mouth.say(name)
    wait_until(lambda: n_heard() > n_before, f"{name} is heard")
    if status()["ignored_segments"] > n_ignored:
        return None
    while True:
        event = watcher.receive()["parameters"]["event"]
        if event["kind"] == "transcript":
            continue
        kinds.append(event["kind"])
        if event["kind"] == "done":
            assert kinds[0] == "started" and kinds.count("started") == 1, kinds
            return event["turn"]


def is_understood(watcher, name, transcript):
    turn = watched_answer(watcher, name)
    print(f"# heard '{turn and turn['heard']}'")
    if not turn or turn["heard"] != transcript:
        return None
    assert turn["source"] == "microphone" and turn["outcome"] == "answered", turn
    return turn


def say_until(watcher, name, transcript):
    """As is_heard(), more than one try."""
    for _ in range(4):
        if turn := is_understood(watcher, name, transcript):
            return turn
    raise AssertionError(f"{name} was not understood")


def ignored_after(name):
    """Says what is not meant for the daemon, and waits until it has been heard."""
    before = status()
    sound.mouth.say(name)
    wait_until(lambda: status()["ignored_segments"] > before["ignored_segments"], f"{name} is ignored")
    after = status()
    assert after["turns"] == before["turns"] and after["state"] == "idle", after


def history_size():
    with contextlib.closing(daemon.client()) as c:
        return len(c.call(ASSISTANT + "History", {"limit": 1000})["parameters"]["turns"])


def open_microphone():
    with hands_free("open") as watcher:
        turn = say_until(watcher, TIME, "what time is it")
        assert turn["calls"] and turn["answered"], turn
        assert status()["mode"] == "open" and status()["microphone"] == "live"


def reload(config):
    with open(daemon.config, "w") as f:
        f.write(config)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.notify.wait_for("RELOADING=1")
    daemon.notify.wait_for("READY=1")


def reloaded():
    """A new MaxSeconds holds for the microphone that is open already."""
    with hands_free("open"):
        n_cut = status()["cut_turns"]
        reload(CONFIG + "MaxSeconds=1\n")
        sound.mouth.say(MUSIC)
        wait_until(lambda: status()["cut_turns"] > n_cut, "the speech is cut after a second")
        reload(CONFIG)


def wake_phrase():
    with hands_free("wake") as watcher:
        n = history_size()
        ignored_after(TIME)
        ignored_after("how-are-you-today.flite-rms.wav")
        assert history_size() == n
        turn = say_until(watcher, MUSIC, "hey gemma play some music")
        assert turn["calls"] == expected(MUSIC), turn


def follow_up():
    with hands_free("wake") as watcher:
        for _ in range(4):
            turn = say_until(watcher, "hey-gemma.espeak-annie.wav", "hey gemma")
            assert turn["calls"][0]["name"] == "wake", turn
            if is_understood(watcher, TIME, "what time is it"):
                return
    raise AssertionError("what follows the phrase was not understood")


STOP = "ringing/stop.flite-rms.wav"
SNOOZE = "ringing/snooze-for-five-minutes.espeak-m8.wav"
YES, NO = "asked/yes.espeak-m3.wav", "asked/no.flite-kal16.wav"


def expecting():
    """What somebody waits for counts without the phrase, in one word, and nothing else does."""
    with contextlib.closing(daemon.client()) as c, contextlib.closing(daemon.client()) as other:
        reply = c.call(ASSISTANT + "Expect", {"calls": ["stop", "not a name"]}, more=True)
        assert reply["error"].endswith("InvalidParameter"), reply
        assert c.call(ASSISTANT + "Expect", {"calls": ["stop"]})["error"] == ASSISTANT + "NeedsMore"
        for mode in ("wake", "open"):
            with hands_free(mode) as watcher:
                ignored_after(STOP)
                assert other.call(ASSISTANT + "Expect", {"calls": ["snooze", "stop"]}, more=True)["continues"]
                if mode == "wake":
                    ignored_after(TIME)
                turn = say_until(watcher, STOP, "stop")
                assert [x["name"] for x in turn["calls"]] == ["stop"], turn
                other.close()
                other = daemon.client()


def rings():
    """An alarm is stopped by a word without the phrase, which means nothing before and afterwards."""
    with Hands(daemon, {"PULSE_SERVER": "unix:/nonexistent/sound"}) as hands, hands_free("wake") as watcher:
        with contextlib.closing(daemon.client()) as c:
            wait_until(lambda: "gemmad has taken" in hands.said(), "its tools")
            ignored_after(STOP)
            reply = c.call(ASSISTANT + "Call", {"name": "set_timer", "arguments": {"amount": 1, "unit": "second"}})
            assert "error" not in reply, reply
            wait_until(lambda: "Ringing" in hands.said(), "it rings")
            turn = say_until(watcher, STOP, "stop")
            assert turn["answered"] == "Stopped.", turn
            left = c.call(ASSISTANT + "Call", {"name": "get_timer", "arguments": {}})
            assert left["parameters"]["result"] == {"timers": []}, left
            no_follow_up(c)
            ignored_after(STOP)


def snoozes():
    """... or put off, by a whole sentence."""
    with Hands(daemon, {"PULSE_SERVER": "unix:/nonexistent/sound"}) as hands, hands_free("wake") as watcher:
        with contextlib.closing(daemon.client()) as c:
            wait_until(lambda: "gemmad has taken" in hands.said(), "its tools")
            n_before = hands.said().count("Ringing")
            reply = c.call(ASSISTANT + "Call", {"name": "set_timer", "arguments": {"amount": 1, "unit": "second"}})
            assert "error" not in reply, reply
            wait_until(lambda: hands.said().count("Ringing") > n_before, "it rings")
            turn = say_until(watcher, SNOOZE, "snooze for five minutes")
            assert turn["answered"] == "Again in five minutes.", turn
            (left,) = c.call(ASSISTANT + "Call", {"name": "get_timer", "arguments": {}})["parameters"]["result"]["timers"]
            assert 0 < left["seconds_left"] <= 300 and not left["ringing"], left
            c.call(ASSISTANT + "Call", {"name": "cancel_timer", "arguments": {}})


def no_follow_up(c):
    """Whoever has spoken may follow up; that is over with the mode."""
    c.call(ASSISTANT + "SetMode", {"mode": "push"})
    wait_microphone("closed")
    c.call(ASSISTANT + "SetMode", {"mode": "wake"})
    wait_microphone("live")


def asks():
    """What can not be taken back is asked about, and answered by a word; the word means nothing before and
    afterwards. A question that was left alone for too long is asked again."""
    if not login1:
        return missing()
    with Hands(daemon, login1.environment) as hands, hands_free("wake") as watcher:
        login1.wait_for("taken sleep delay")
        wait_until(lambda: "gemmad has taken" in hands.said(), "its tools")
        with contextlib.closing(daemon.client()) as c:
            ignored_after(YES)
            for word, text, answer in ((NO, "no", "Then not."), (YES, "yes", "Suspending.")):
                for _ in range(4):
                    no_follow_up(c)
                    asked = c.ask(text="suspend")
                    assert asked["answered"] == "Really suspend? Say yes or no." and login1.lines.empty(), asked
                    while watcher.receive()["parameters"]["event"].get("turn", {}).get("id") != asked["id"]:
                        pass
                    turn = watched_answer(watcher, word)
                    print(f"# heard '{turn and turn['heard']}', answered '{turn and turn['answered']}'")
                    if turn and turn["answered"] == answer:
                        break
                else:
                    raise AssertionError(f"{text} was not understood")
            login1.wait_for("suspend")
            no_follow_up(c)
            ignored_after(YES)
            assert login1.lines.empty()
    login1.wait_for("released")


def muted_hands_free():
    with hands_free("wake"):
        with contextlib.closing(daemon.client()) as c:
            c.call(ASSISTANT + "Mute", {"muted": True})
            wait_until(lambda: not sound.is_recorded(), "the device is closed")
            assert status()["mode"] == "wake" and status()["microphone"] == "closed"
            c.call(ASSISTANT + "Mute", {"muted": False})
        wait_microphone("live")


def ctl_mode():
    r = daemon.ctl("mode")
    assert r.returncode == 0 and r.stdout == "push\n", r
    r = daemon.ctl("mode", "wake")
    assert r.returncode == 0 and status()["mode"] == "wake", r
    assert json.loads(daemon.ctl("--json", "mode").stdout) == {"mode": "wake"}
    r = daemon.ctl("mode", "never")
    assert r.returncode == 2 and "push, open or wake" in r.stderr and status()["mode"] == "wake", r
    r = daemon.ctl("mode", "push")
    assert r.returncode == 0 and status()["mode"] == "push", r


def ctl():
    r = daemon.ctl("devices")
    assert r.returncode == 0 and r.stdout, r
    assert json.loads(daemon.ctl("--json", "devices").stdout.splitlines()[0])["rate"] > 0
    r = daemon.ctl("doctor")
    assert r.returncode == 0 and "the model hears" in r.stdout, r
    for finding in daemon.ctl("--json", "doctor").stdout.splitlines():
        assert json.loads(finding)["state"] in ("ok", "note"), finding
    r = daemon.ctl("mute")
    assert r.returncode == 0 and status()["muted"], r
    r = daemon.ctl("doctor")
    assert r.returncode == 1 and "gemmactl unmute" in r.stdout, r
    r = daemon.ctl("listen")
    assert r.returncode == 1 and "unmute" in r.stderr, r
    r = daemon.ctl("unmute")
    assert r.returncode == 0 and not status()["muted"], r
    r = daemon.ctl("--socket", "/nowhere", "doctor")
    assert r.returncode == 3 and "->" in r.stdout, r
    r = daemon.ctl("listen", "--hold")
    assert r.returncode == 2 and r.stderr, r


def ctl_keys():
    """A key of the desktop: down, and up again; nobody waits for the answer."""
    for _ in range(4):
        wait_microphone("closed")
        with contextlib.closing(daemon.client()) as watcher:
            watcher.send(ASSISTANT + "Watch", more=True)
            assert daemon.ctl("listen", "--press").returncode == 0
            wait_microphone("live")
            say_to_the_end(MUSIC)
            assert daemon.ctl("listen", "--release").returncode == 0
            while (event := watcher.receive()["parameters"]["event"])["kind"] != "done":
                pass
        print(f"# heard '{event['turn']['heard']}'")
        if event["turn"]["heard"] == "hey gemma play some music":
            break
    else:
        raise AssertionError("what was said while the key was down was not understood")
    assert daemon.ctl("listen", "--press", "--release").returncode == 2


def ctl_meter():
    wait_microphone("closed")
    p = subprocess.Popen([GEMMACTL, "meter"], env=daemon.environment, stdout=subprocess.PIPE, text=True)
    try:
        while "live" not in p.stdout.readline():
            pass
    finally:
        p.kill()
        p.communicate()
    wait_microphone("closed")


def ctl_listen():
    wanted = expected(MUSIC)[0]["name"]
    for hold in (False, True):
        for _ in range(4):
            wait_microphone("closed")
            p = subprocess.Popen([GEMMACTL, "listen", *(["--hold"] if hold else [])], env=daemon.environment,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            wait_microphone("live")
            if hold:
                say_to_the_end(MUSIC)
            else:
                sound.mouth.say(MUSIC)
                # Not held, nothing on standard input matters, and its end neither.
                p.stdin.flush()
                while p.poll() is None:
                    time.sleep(0.02)
            out, err = p.communicate("\n" if hold else None, timeout=PATIENCE)
            print("# " + out.replace("\n", " / "))
            if p.returncode == 0 and f"call: {wanted}" in out:
                break
        else:
            raise AssertionError((out, err))


def interrupted():
    wait_microphone("closed")
    p = subprocess.Popen([GEMMACTL, "listen", "--hold"], env=daemon.environment, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_microphone("live")
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=PATIENCE)
    assert p.returncode == 130, p.returncode
    wait_microphone("closed")


def stops_while_listening():
    with contextlib.closing(daemon.client()) as c:
        open_turn(c)
        assert daemon.stop() == 0
    wait_until(lambda: not sound.is_recorded(), "the device is closed")
    chatter = [x for x in daemon.said().splitlines() if "ALSA" in x or "jack" in x.lower() or "Expression" in x]
    assert not chatter, chatter
    assert "ThreadSanitizer" not in daemon.said(), daemon.said()


try:
    with daemon:
        tap.rule("what is said into the microphone is heard and answered", heard)
        tap.rule("speech is heard and answered by D-Bus, too", heard_by_bus)
        tap.rule("a Bluetooth headset is not opened unasked", headset)
        tap.rule("while the key is held, all is heard", held)
        tap.rule("when nobody speaks, nothing is heard", nothing_said)
        tap.rule("a turn that listens is cancelled", cancelled)
        tap.rule("an open microphone is answered without being asked for", open_microphone)
        tap.rule("a reload takes effect on an open microphone", reloaded)
        tap.rule("in mode wake only what begins with the phrase is answered", wake_phrase)
        tap.rule("after the phrase alone, the next words count", follow_up)
        tap.rule("what is expected counts without the phrase, and nothing else", expecting)
        tap.rule("an alarm that rings is stopped without the phrase", rings)
        tap.rule("... or put off", snoozes)
        tap.rule("a spoken yes does what was asked about, a no does not", asks)
        tap.rule("mute closes the device hands free, too", muted_hands_free)
        tap.rule("gemmactl mode", ctl_mode)
        tap.rule("mute closes the device", muted)
        if SERVER == "pulseaudio":
            # PipeWire puts a dummy in the place of what is gone, which gives zeros.
            tap.rule("a microphone that was gone is heard again", lost_and_found)
            tap.rule("a gap does not end a turn", lost_while_speaking)
        tap.rule("a sound server that was killed is heard again", server_killed)
        if SERVER == "pulseaudio":
            tap.rule("a frozen sound server holds up nothing", server_frozen)
        tap.rule("digital silence is told", digital_silence)
        tap.rule("an offset is told, and one value all the time is no sound", constant)
        tap.rule("sleep closes the microphone, and waking opens it", slept)
        tap.rule("gemmactl devices, mute, doctor", ctl)
        tap.rule("gemmactl listen --press and --release", ctl_keys)
        tap.rule("gemmactl meter shows the level", ctl_meter)
        tap.rule("gemmactl listen", ctl_listen)
        tap.rule("Ctrl-C ends listening", interrupted)
        tap.rule("a daemon that listens stops, and its libraries were quiet", stops_while_listening)
finally:
    sound.stop()
    if login1:
        login1.__exit__()
tap.done()
