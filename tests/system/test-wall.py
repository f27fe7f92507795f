#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What code that has taken gemmad over can do: nothing outside.  It runs within the real program, as it
is started by hand; test-systemd.py has the unit."""
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import Daemon, Tap, is_sanitized, skip_all, wait_until  # noqa: E402
from wall import attempts, outcomes, preload  # noqa: E402

tap = Tap()


def listen(path):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(path)
    s.listen()
    return s


def is_there(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(path)


def can_make_namespaces():
    return subprocess.run(["unshare", "--user", "--mount", "--net", "true"], capture_output=True).returncode == 0


def write(path, text="secret"):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


class Home:
    """A daemon with a session around it: a bus, a manager, a sound server, secrets."""

    def __init__(self):
        self.daemon = Daemon(start=False)
        self.sockets = [listen(self.at(x)) for x in ("run/systemd/private", "run/wayland-0", "run/pulse/native",
                                                     "run/keyring/control", "elsewhere/bus")]
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        abstract.bind("\0gemmad-test-wall" + str(os.getpid()))
        abstract.listen()
        self.sockets.append(abstract)
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1",
                                     "--address=unix:path=" + self.at("run/bus")], stdout=subprocess.PIPE)
        self.bus.stdout.readline()
        write(self.at("home/.ssh/id"))
        write(self.at("home/sound"))
        os.makedirs(self.at("state/gemmad"), mode=0o700)
        self.daemon.environment.update(
            HOME=self.at("home"), DBUS_SESSION_BUS_ADDRESS="unix:path=" + self.at("run/bus"),
            DBUS_SYSTEM_BUS_ADDRESS="unix:path=" + self.at("elsewhere/bus") + ",guid=0")

    def at(self, name):
        return os.path.join(self.daemon.folder, name)

    def run(self, *lines):
        self.daemon.environment.update(preload(), GEMMAD_ATTEMPTS=attempts(*lines))
        self.daemon.start()
        wait_until(lambda: "attempts are over" in self.daemon.said(), "the attempts")
        return outcomes(self.daemon.said())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.daemon.__exit__(*error)
        self.bus.terminate()
        self.bus.wait()
        self.bus.stdout.close()
        for s in self.sockets:
            s.close()


def taken_over():
    with Home() as home:
        forbidden = [f"connect {home.at('run/bus')}", f"connect {home.at('run/systemd/private')}",
                     f"connect {home.at('run/wayland-0')}", f"connect {home.at('run/keyring/control')}",
                     f"connect {home.at('elsewhere/bus')}",
                     # By the way of a process that sees all of it.
                     f"connect /proc/{os.getpid()}/root{home.at('run/bus')}",
                     "run /bin/true", "fork here", "network here",
                     f"read {home.at('home/.ssh/id')}", f"write {home.at('home/new')}",
                     f"write {home.at('home/sound')}", f"write {home.at('config/new')}",
                     f"uncover {home.at('run/bus')}"]
        # What it is there for, so that the attempts are known to be some.
        allowed = [f"connect {home.at('run/pulse/native')}", f"read {home.at('home/sound')}",
                   f"write {home.at('state/gemmad/new')}"]
        for x in forbidden:
            if x.startswith("connect "):
                is_there(x.removeprefix("connect "))
        seen = home.run(*forbidden, *allowed)
        print("# " + "\n# ".join(f"{k}: {v}" for k, v in seen.items()))
        reached = [x for x in forbidden if seen[x] == "reached"]
        assert not reached, reached
        assert all(seen[x] == "reached" for x in allowed), seen
        assert home.daemon.is_well()


def abstract():
    with Home() as home:
        seen = home.run(f"connect @gemmad-test-wall{os.getpid()}")
        # Landlock would say that it is not permitted: in a network of its own nobody is there to be reached.
        assert list(seen.values()) == ["Connection refused"], seen


def restarted_sound():
    """A sound server that starts anew after gemmad makes another socket at the same path."""
    with Home() as home:
        again = home.at("run/pulse/native")
        os.unlink(again)
        home.sockets.append(listen(again))
        assert home.run(f"connect {again}")[f"connect {again}"] == "reached"


def nothing_said():
    """What works is not complained about, and the answer comes as ever."""
    with Home() as home:
        home.daemon.start()
        assert "can not be" not in home.daemon.said(), home.daemon.said()
        assert home.daemon.ctl("ask", "what time is it").returncode == 0


if is_sanitized():
    skip_all("built with a sanitizer, which looks into the process from outside")
if not shutil.which("dbus-daemon"):
    skip_all("no dbus-daemon")
if not can_make_namespaces():
    skip_all("no user namespaces")
tap.rule("taken over, gemmad reaches nothing outside", taken_over)
tap.rule("nor what has no path", abstract)
tap.rule("a sound server that starts anew is reached", restarted_sound)
tap.rule("no word about it", nothing_said)
tap.done()
