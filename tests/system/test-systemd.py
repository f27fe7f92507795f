#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real units under a real `systemd --user`.

There may be no init here, so the manager gets namespaces of its own: of processes, so that all of it
ends with this test; of mounts, where an empty /run/systemd/system makes it believe in an init; and of
cgroups.  That takes root."""
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import (BUILD, GEMMACTL, GEMMAD, PATIENCE, SOURCE, Tap, is_sanitized, skip_all,  # noqa: E402
                         wait_until)
from login1 import Login1  # noqa: E402
from wall import TAKEN_OVER, attempts, outcomes, preload  # noqa: E402

MANAGER = "/lib/systemd/systemd"
NAME = "io.gemmad.Assistant1"
INSIDE = "GEMMAD_TEST_SYSTEMD"  # in the environment: the folder, once we are in the namespaces
CGROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")

DBUS_SOCKET = """[Socket]
ListenStream=%t/bus
"""
DBUS_SERVICE = """[Unit]
Requires=dbus.socket
[Service]
Type=notify
ExecStart={dbus} --session --address=systemd: --nofork --nopidfile --systemd-activation
"""
# Before 257 of systemd, what is run before a service shares no namespace with it. Since then the network's is
# made by the first of both, and where that has all rights, as with the manager of root that there is here, the
# one that is shut in among users of its own may not enter it, and goes without. Who has a manager without
# rights gets one in any case. So nothing runs before it here.
ALONE = """[Service]
ExecStartPre=
"""
# What would take minutes, and where the log goes without a journal.
DROP_IN = """[Service]
WatchdogSec=2
TimeoutAbortSec=1
StandardError=append:{folder}/log
[Unit]
StartLimitIntervalSec=0
"""
DESKTOP_DROP_IN = """[Service]
StandardError=append:{folder}/log
Environment={system_bus}
"""
# Code that has taken it over, and what that tries.
TAKEN_OVER_DROP_IN = """[Service]
Environment={preload} "GEMMAD_ATTEMPTS={attempts}"
"""


def own_cgroups():
    """A group of our own in each hierarchy that systemd may want: the folders."""
    made = []
    for root in CGROUPS:
        if not os.path.exists(os.path.join(root, "cgroup.procs")):
            continue
        folder = os.path.join(root, f"gemmad-test-{os.getpid()}")
        try:
            os.mkdir(folder)
            made.append(folder)
            # The manager must find none of ours in the group that it manages.
            with open(os.path.join(folder, "cgroup.procs"), "w") as f:
                f.write(str(os.getpid()))
        except OSError as e:
            leave_cgroups(made)
            skip_all(f"no cgroup of our own: {e}")
    return made


def leave_cgroups(made):
    for folder in made:
        with contextlib.suppress(OSError):
            with open(os.path.join(os.path.dirname(folder), "cgroup.procs"), "w") as f:
                f.write(str(os.getpid()))
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def as_root():
    """The same again with sudo, which ./check allows where it asks for no password."""
    if "GEMMAD_TEST_SUDO" not in os.environ:
        skip_all("a manager of our own needs root, or GEMMAD_TEST_SUDO=1 and a sudo that asks for no password")
    kept = {k: os.environ[k] for k in ("SOURCE_DIR", "BUILD_DIR", "SPEECH_DIR", "PATH") if k in os.environ}
    # What root leaves in the folders of somebody else, these can not remove.
    kept.update(PYTHONDONTWRITEBYTECODE="1")
    os.execvp("sudo", ["sudo", "-n", "env", *(f"{k}={v}" for k, v in kept.items()), sys.executable,
                       os.path.abspath(__file__)])


def make_folder(path):
    """Whether it was not there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        return True
    return False


def outside():
    for tool in (MANAGER, "unshare", "systemctl", "busctl", "dbus-daemon"):
        if not shutil.which(tool):
            skip_all(f"no {tool} (Debian: systemd dbus util-linux)")
    if is_sanitized():
        skip_all("built with a sanitizer, which the sandbox of the unit is not made for")
    if os.geteuid() != 0:
        as_root()
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--cgroup"]
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True)
    if probe.returncode:
        skip_all(f"no namespaces: {probe.stderr.strip()}")
    folder = tempfile.mkdtemp(prefix="gemmad-systemd-")
    cgroups = own_cgroups()
    is_ours = make_folder("/run/systemd")
    try:
        done = subprocess.run([*unshare, sys.executable, os.path.abspath(__file__)],
                              env={**os.environ, INSIDE: folder})
    finally:
        leave_cgroups(cgroups)
        shutil.rmtree(folder, ignore_errors=True)
        if is_ours:
            os.rmdir("/run/systemd")
    sys.exit(done.returncode)


def write(path, text):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def template(name, program=GEMMAD):
    with open(os.path.join(SOURCE, "systemd", name)) as f:
        return f.read().replace("@bindir@/gemmad", program)


def systemd_version():
    """As in "systemd 257 (257.7-1)"."""
    return int(subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1])


def make_inaccessible(folder):
    """What an init lays over the paths that a unit may not see; root's user manager counts on it."""
    os.makedirs(os.path.join(folder, "dir"), mode=0o000)
    for name, kind in (("reg", stat.S_IFREG), ("fifo", stat.S_IFIFO), ("sock", stat.S_IFSOCK),
                       ("chr", stat.S_IFCHR), ("blk", stat.S_IFBLK)):
        # Where no devices can be made, systemd takes the socket.
        with contextlib.suppress(OSError):
            os.mknod(os.path.join(folder, name), kind)


class Manager:
    def __init__(self, folder, system_bus):
        self.folder = folder
        self.runtime = os.path.join(folder, "run")
        self.home = os.path.join(folder, "home")
        os.mkdir(self.runtime, 0o700)
        self.config = os.path.join(self.home, ".config/gemmad/gemmad.conf")
        write(self.config, "")
        units = os.path.join(self.home, ".config/systemd/user/")
        # A copy of our own: root without its rights, as the unit has it, may not look into the folder of
        # somebody who runs this with sudo.
        program = shutil.copy(GEMMAD, folder)
        write(units + "gemmad.service", template("gemmad.service.in", program))
        write(units + "gemmad.socket", template("gemmad.socket"))
        write(units + "gemmad.service.d/test.conf", DROP_IN.format(folder=folder))
        if systemd_version() >= 257:
            write(units + "gemmad.service.d/alone.conf", ALONE)
            os.makedirs(os.path.join(self.home, ".local/state/gemmad"), 0o700)
        shutil.copy(os.path.join(BUILD, "gemmad-desktop"), folder)
        write(units + "gemmad-desktop.service", template("gemmad-desktop.service.in", program))
        write(units + "gemmad-desktop.service.d/test.conf",
              DESKTOP_DROP_IN.format(folder=folder, system_bus=system_bus))
        write(units + "dbus.socket", DBUS_SOCKET)
        write(units + "dbus.service", DBUS_SERVICE.format(dbus=shutil.which("dbus-daemon")))
        write(os.path.join(self.runtime, f"dbus-1/services/{NAME}.service"),
              template("io.gemmad.Assistant1.service.in"))
        bus = "unix:path=" + os.path.join(self.runtime, "bus")
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": self.home,
                            "XDG_RUNTIME_DIR": self.runtime, "DBUS_SESSION_BUS_ADDRESS": bus,
                            "PULSE_SERVER": "unix:/nonexistent/sound"}
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/systemd"], check=True)
        os.mkdir("/run/systemd/system")
        make_inaccessible("/run/systemd/inaccessible")
        self.process = subprocess.Popen([MANAGER, "--user", "--log-target=null"], env=self.environment,
                                        stdin=subprocess.DEVNULL)
        wait_until(lambda: self.systemctl("is-system-running").stdout.strip() in ("running", "degraded"),
                   "the manager runs")

    def run(self, *command):
        return subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE)

    def systemctl(self, *arguments):
        return self.run("systemctl", "--user", "--no-pager", *arguments)

    def do(self, *arguments):
        done = self.systemctl(*arguments)
        assert done.returncode == 0, (done, self.said())

    def show(self, name, unit="gemmad.service"):
        return self.systemctl("show", "--value", "-p", name, unit).stdout.strip()

    def pid(self):
        """Never 0, which as the target of a signal would be ourselves."""
        pid = int(self.show("MainPID"))
        assert pid > 1, pid
        return pid

    def ask(self):
        done = self.run(GEMMACTL, "ask", "what time is it")
        assert done.returncode == 0 and done.stdout.strip(), (done, self.said())

    def said(self):
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.folder, "log"), errors="replace") as f:
                return f.read()
        return ""

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


def socket_activation():
    m.do("start", "gemmad.socket", "dbus.socket")
    assert m.show("ActiveState") == "inactive"
    m.ask()
    assert m.show("ActiveState") == "active" and m.show("Type") == "notify"
    wait_until(lambda: m.show("StatusText") == "idle", "the status text")


def sandbox():
    """What the units promise, as the kernel has it."""
    pid = m.pid()
    with open(f"/proc/{pid}/status") as f:
        status = dict(line.split(":", 1) for line in f.read().splitlines())
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", status
    assert int(status["CapBnd"], 16) == 0, status["CapBnd"]
    for kind in ("net", "user", "mnt"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    with open(f"/proc/{pid}/net/dev") as f:
        assert len(f.read().splitlines()) == 3, "there is more than a loopback device"
    with open(f"/proc/{pid}/mountinfo") as f:
        mounts = {x.split()[4]: x.split()[5].split(",") for x in f}
    assert "ro" in mounts["/"] and "rw" in mounts[os.path.join(m.home, ".local/state/gemmad")], mounts
    assert m.run(GEMMACTL, "history").stdout.strip(), "the history is written all the same"
    # What it does by itself is not taken from it by what is done to it.
    assert "can not be" not in m.said(), m.said()


def sleeping():
    """By way of gemmad-desktop, which is on the system bus and holds the lock."""
    m.do("start", "gemmad-desktop.service")
    login1.wait_for("taken sleep delay")
    login1.sleep()
    login1.wait_for("released")
    wait_until(lambda: "goes to sleep" in m.said(), "a line about sleep")
    login1.wake()
    login1.wait_for("taken sleep delay")
    wait_until(lambda: "is awake" in m.said(), "a line about it")


def taken_over():
    """Code within it reaches neither the bus nor the manager, and runs nothing; the socket of a sound server
    is reached."""
    pulse = os.path.join(m.runtime, "pulse/native")
    os.makedirs(os.path.dirname(pulse), mode=0o700)
    write(os.path.join(m.home, ".ssh/id"), "secret")
    forbidden = [f"connect {m.runtime}/bus", f"connect {m.runtime}/systemd/private", "run /bin/true", "fork here", "network here",
                 f"connect /proc/{m.process.pid}/root{m.runtime}/bus",
                 f"read {m.home}/.ssh/id", f"write {m.home}/new", f"write {m.home}/.config/gemmad/gemmad.conf",
                 f"uncover {m.runtime}/bus"]
    allowed = [f"connect {pulse}", f"write {m.home}/.local/state/gemmad/new"]
    library = shutil.copy(TAKEN_OVER, m.folder)
    drop_in = os.path.join(m.home, ".config/systemd/user/gemmad.service.d/taken-over.conf")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.bind(pulse)
        s.listen()
        lines = attempts(*forbidden, *allowed).replace("\n", "\\n")
        write(drop_in, TAKEN_OVER_DROP_IN.format(
            preload="=".join(*preload(library).items()), attempts=lines))
        m.do("daemon-reload")
        m.do("restart", "gemmad.service")
        wait_until(lambda: "attempts are over" in m.said(), "the attempts")
    seen = outcomes(m.said())
    print("# " + "\n# ".join(f"{k}: {v}" for k, v in seen.items()))
    os.unlink(drop_in)
    m.do("daemon-reload")
    m.do("restart", "gemmad.service")
    assert not [x for x in forbidden if seen[x] == "reached"], seen
    assert all(seen[x] == "reached" for x in allowed), seen


def reloading():
    pid = m.pid()
    write(m.config, "[Model]\nMaxTokens=9\nThreads=1\n")
    m.do("reload", "gemmad.service")
    wait_until(lambda: "1 options changed" in m.said(), "a line about it")
    assert "Model.Threads restart" in m.said() and m.pid() == pid
    wait_until(lambda: m.show("ActiveState") == "active", "active again")
    write(m.config, "nonsense\n")
    m.do("reload", "gemmad.service")
    wait_until(lambda: "gemmad.conf:1:" in m.said(), "a line about it")
    wait_until(lambda: m.show("ActiveState") == "active", "active again")
    write(m.config, "")
    assert m.pid() == pid
    m.ask()


def killed():
    pid, n = m.pid(), int(m.show("NRestarts"))
    os.kill(pid, signal.SIGKILL)
    m.ask()
    assert m.pid() != pid and int(m.show("NRestarts")) == n + 1


def stuck():
    """One that does not move is killed and started again, which only the watchdog can have done; the
    request of whoever waits is answered."""
    pid, n = m.pid(), int(m.show("NRestarts"))
    os.kill(pid, signal.SIGSTOP)
    m.ask()
    assert m.pid() != pid and int(m.show("NRestarts")) == n + 1


def bus_activation():
    m.do("stop", "gemmad-desktop.service", "gemmad.service")
    assert m.show("ActiveState") == "inactive" and m.show("Result") == "success"
    assert m.show("ActiveState", "gemmad.socket") == "active"
    done = m.run("busctl", "--user", "--json=short", "call", NAME, "/io/gemmad/Assistant1", NAME, "Ask", "s",
                 "what time is it")
    assert done.returncode == 0, (done, m.said())
    assert json.loads(done.stdout)["data"][0] > 0, done
    # It has taken the question before it had loaded its model.
    wait_until(lambda: m.show("ActiveState") == "active", "active")
    assert m.show("ActiveState", "gemmad-desktop.service") == "active"


def stopping():
    m.do("stop", "gemmad-desktop.service", "gemmad.socket", "gemmad.service")
    assert m.show("Result") == "success" and m.show("ActiveState") == "inactive"
    assert not os.path.exists(os.path.join(m.runtime, "gemmad/io.gemmad.Assistant"))


if INSIDE not in os.environ:
    outside()
tap = Tap()
login1 = Login1()
m = Manager(os.environ.pop(INSIDE), "DBUS_SYSTEM_BUS_ADDRESS=" + login1.address)
tap.rule("the first client starts it", socket_activation)
tap.rule("it is shut in as the unit says", sandbox)
tap.rule("it follows the sleep of the machine", sleeping)
tap.rule("taken over, it reaches nothing outside", taken_over)
tap.rule("the configuration is read again", reloading)
tap.rule("killed, it answers the next request", killed)
tap.rule("stuck, it answers the next request", stuck)
tap.rule("a call on the bus starts it", bus_activation)
tap.rule("stopped, nothing is left", stopping)
m.stop()
login1.__exit__()
tap.done()
