# SPDX-License-Identifier: Apache-2.0
"""A speech-dispatcher of our own, which speaks through a sound server of our own."""
import contextlib
import glob
import os
import shutil
import subprocess

from gemmad_test import PATIENCE, wait_until


def why_silent():
    """Why there is none, or None."""
    if not shutil.which("speech-dispatcher"):
        return "no speech-dispatcher"
    places = ("lib", "lib/*", "libexec")
    if not any(glob.glob(f"/usr/{place}/speech-dispatcher-modules/sd_espeak-ng") for place in places):
        return "no voice of espeak-ng"
    return None


class Voice:
    """A speech-dispatcher with one voice, which gemmad-desktop would start by itself otherwise. It takes its time."""

    def __init__(self, server):
        self.folder = os.path.join(server.folder, "voice")
        os.makedirs(os.path.join(self.folder, "modules"), exist_ok=True)
        with open(os.path.join(self.folder, "speechd.conf"), "w") as f:
            f.write('LogLevel 1\nAddModule "espeak-ng" "sd_espeak-ng" "espeak-ng.conf"\nDefaultModule espeak-ng\n')
        with open(os.path.join(self.folder, "modules/espeak-ng.conf"), "w") as f:
            f.write("Debug 0\n")
        self.socket = os.path.join(self.folder, "socket")
        self.environment = {**server.for_daemon, "SPEECHD_ADDRESS": "unix_socket:" + self.socket}
        self.around = {**server.environment, **self.environment}
        self.start()

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        self.process = subprocess.Popen(
            ["speech-dispatcher", "--run-single", "--timeout", "0", "--config-dir", self.folder, "--log-dir", self.folder,
             "--pid-file", os.path.join(self.folder, "pid"), "--communication-method", "unix_socket", "--socket-path", self.socket],
            env=self.around, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.socket) or self.process.poll() is not None, "speech-dispatcher")

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
