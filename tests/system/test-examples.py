#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The clients that stand in gemmad-protocol(7) do what it says of them."""
import contextlib
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import SOURCE, Daemon, Tap  # noqa: E402

tap = Tap()
daemon = Daemon()


def example(beginning):
    """The text of the page's literal block that begins so."""
    with open(os.path.join(SOURCE, "man/gemmad-protocol.7")) as f:
        blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", f.read(), re.M | re.S)
    return next(b for b in blocks if b.startswith(beginning)).replace("\\&", "").replace("\\e", "\\")


def requests():
    """Each is one command; none is asked for again or missed."""
    with open(os.path.join(SOURCE, "man/gemmactl.1")) as f:
        section = re.search(r"^\.Sh REQUESTS\n(.*?)^\.El", f.read(), re.M | re.S).group(1)
    said = [line[4:].rstrip(" ,") for line in section.split("\n") if line.startswith(".Dq ")]
    assert len(said) > 30, said
    with contextlib.closing(daemon.client()) as client:
        missed = [s for s in said if len(client.ask(text=s)["calls"]) != 1]
    assert not missed, missed


def python():
    path = os.path.join(daemon.folder, "client.py")
    with open(path, "w") as f:
        f.write(example("import json"))
    r = subprocess.run([sys.executable, path, "what", "time", "is", "it"], env=daemon.environment, timeout=60,
                       capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout.startswith("It is "), r


def c():
    path = os.path.join(daemon.folder, "client")
    with open(path + ".c", "w") as f:
        f.write(example("#include"))
    compiler = os.environ.get("CC", "cc").split()
    built = subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-o", path, path + ".c"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    r = subprocess.run([path], env=daemon.environment, timeout=60, capture_output=True, text=True)
    assert r.returncode == 0 and json.loads(r.stdout)["parameters"]["model"] == "gemmad pocket", r


with daemon:
    tap.rule("the requests that gemmactl(1) lists are understood", requests)
    tap.rule("the client in Python", python)
    tap.rule("the client in C", c)
tap.done()
