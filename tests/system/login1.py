# SPDX-License-Identifier: Apache-2.0
"""A system bus of our own, and a logind on it that puts the machine to sleep when it is told to."""
import os
import queue
import shutil
import subprocess
import tempfile
import threading

from gemmad_test import BUILD, PATIENCE

FAKE = os.path.join(BUILD, "tests/system/fake-login1")


def missing():
    """Why this is not to be had, or None."""
    return None if shutil.which("dbus-daemon") else "no dbus-daemon"


class Login1:
    def __init__(self, *arguments, has_logind=True):
        self.folder = tempfile.mkdtemp(prefix="gemmad-system-bus-")
        self.address = "unix:path=" + os.path.join(self.folder, "bus")
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": self.address}
        # The rules of a session bus: anybody may own any name.
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1",
                                     "--address=" + self.address], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.bus.stdout.readline()
        self.logind = None
        self.lines = queue.Queue()
        if has_logind:
            self.start_logind(*arguments)

    def start_logind(self, *arguments):
        self.logind = subprocess.Popen([FAKE, *arguments], env={**os.environ, **self.environment},
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, args=(self.logind.stdout,), daemon=True).start()
        self.wait_for("ready")

    def read(self, stream):
        for line in stream:
            self.lines.put(line.strip())

    def wait_for(self, line):
        seen = self.lines.get(timeout=PATIENCE)
        assert seen == line, (seen, line)

    def tell(self, word):
        self.logind.stdin.write(word + "\n")
        self.logind.stdin.flush()

    def sleep(self):
        self.tell("sleep")

    def wake(self):
        self.tell("wake")

    def end_logind(self):
        self.logind.kill()
        self.logind.wait()

    def end_bus(self):
        self.bus.kill()
        self.bus.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.logind:
            self.end_logind()
            self.logind.stdin.close()
        self.end_bus()
        self.bus.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
