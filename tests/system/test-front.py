#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bad microphones and odd recorders do to a recording does not keep it from being understood: the
recordings of tests/speech, spoilt by sox, asked of the program that was built."""
import contextlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import wave

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import Daemon, Tap, expected_speech, skip_all, speech  # noqa: E402

if not shutil.which("sox"):
    skip_all("no sox (Debian: sox)")

folder = tempfile.mkdtemp(prefix="gemmad-front-")
daemon = Daemon()
tap = Tap()
COMMANDS = [(speech(name), call) for name, _, call in expected_speech() if call]


def path_of(name):
    return os.path.join(folder, name)


def sox(*arguments):
    subprocess.run(["sox", "-R", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def samples_of(path):
    with wave.open(path, "rb") as w:
        data = w.readframes(w.getnframes())
        return w.getframerate(), struct.unpack(f"<{len(data) // 2}h", data)


def rms(samples):
    return (sum(s * s for s in samples) / len(samples)) ** 0.5 / 32768


def call_of(turn):
    return "".join("call:" + c["name"] for c in turn["calls"])


def answer(path, pipe=False):
    """The turn that becomes of a recording, as a file or by a pipe."""
    if not pipe:
        with contextlib.closing(daemon.client()) as c:
            return c.ask(audio_path=path)
    with open(path, "rb") as f:
        data = f.read()
    r, w = os.pipe()
    with contextlib.closing(daemon.client()) as c:
        c.send("io.gemmad.Assistant.Ask", {"audio_fd": 0}, fds=[r])
        os.close(r)
        with os.fdopen(w, "wb") as f:
            f.write(data)
        reply = c.receive()
        assert "error" not in reply, reply
        return reply["parameters"]["event"]["turn"]


def understood(spoil, pipe=False):
    """How many of the commands are answered with the right call after spoil(from, to)."""
    right, told = 0, []
    for path, call in COMMANDS:
        spoilt = path_of("spoilt.wav")
        spoil(path, spoilt)
        turn = answer(spoilt, pipe)
        is_right = call.startswith(call_of(turn) + "{") if turn["calls"] else False
        right += is_right
        if not is_right:
            told.append(f"{os.path.basename(path)}: '{turn['heard']}'")
    print(f"# {right} of {len(COMMANDS)}", *told, sep="\n#   ")
    return right


def all_understood(spoil):
    def run():
        assert understood(spoil) >= WELL
    return run


def offset(source, to):
    sox(source, to, "gain", "-3", "dcshift", "0.02")


def inverted(source, to):
    sox(source, to, "gain", "-3", "remix", "1", "1i")


def mixed(source, to, *synth, level):
    """With another sound of so many times the speech's level on the other side, or on the same one."""
    rate, samples = samples_of(source)
    other = path_of("other.wav")
    seconds = len(samples) / rate
    sox("-n", "-r", rate, "-b", "16", "-c", "1", other, "synth", seconds, *synth)
    gain = level * rms(samples) / rms(samples_of(other)[1])
    return other, gain


def hum_beside(source, to):
    other, gain = mixed(source, to, "sine", "50", "sine", "100", "sine", "150", level=3)
    sox("-M", "-v", "0.5", source, "-v", 0.5 * gain, other, to)


def hum_within(source, to):
    other, gain = mixed(source, to, "sine", "50", level=0.5)
    sox("-m", "-v", "0.7", source, "-v", 0.7 * gain, other, to)


def loud_hum_within(source, to):
    other, gain = mixed(source, to, "sine", "50", level=1.5)
    sox("-m", "-v", "0.4", source, "-v", 0.4 * gain, other, to)


def faint(source, to):
    sox(source, to, "norm", "-50")


def tone_before(source, to):
    rate, _ = samples_of(source)
    sox("-n", "-r", rate, "-b", "16", "-c", "1", path_of("tone.wav"), "synth", "0.2", "sine", "880",
        "gain", "-9", "pad", "0.3", "0.4")
    sox(path_of("tone.wav"), source, to)


def tone_close_before(source, to):
    rate, _ = samples_of(source)
    sox("-n", "-r", rate, "-b", "16", "-c", "1", path_of("tone.wav"), "synth", "0.25", "sine", "1200",
        "gain", "-12", "pad", "0.1", "0.1")
    sox(path_of("tone.wav"), source, to)


def killed(source, to):
    """The recorder did not come to write the sizes."""
    with open(source, "rb") as f:
        data = bytearray(f.read())
    data[4:8] = data[40:44] = bytes(4)
    with open(to, "wb") as f:
        f.write(data)


def killed_recorder():
    assert understood(killed) >= WELL
    assert understood(killed, pipe=True) >= WELL


def s24_le(source, to):
    """As arecord -f S24_LE writes it: 24 bits in the lower part of 32."""
    rate, samples = samples_of(source)
    data = b"".join(struct.pack("<i", s * 256) for s in samples)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, rate,
                       rate * 4, 4, 24, b"data", len(data))
    with open(to, "wb") as f:
        f.write(head + data)


def in_32_bits():
    assert understood(s24_le) >= WELL
    assert understood(s24_le, pipe=True) >= WELL


with daemon:
    # Not more is asked for than what is understood of the recordings as they are.
    WELL = understood(shutil.copyfile)
    assert WELL >= len(COMMANDS) - 2, WELL
    tap.rule("with an offset of 2 % of full scale", all_understood(offset))
    tap.rule("one side of two inverted", all_understood(inverted))
    tap.rule("speech on one side, a loud hum on the other", all_understood(hum_beside))
    tap.rule("a hum of half the speech's level", all_understood(hum_within))
    tap.rule("a hum that is louder than the speech", all_understood(loud_hum_within))
    tap.rule("so faint that the loudest sample is 100 of 32768", all_understood(faint))
    tap.rule("the recorder's start tone before the words", all_understood(tone_before))
    tap.rule("... close before them", all_understood(tone_close_before))
    tap.rule("a WAV file whose recorder was killed, also by a pipe", killed_recorder)
    tap.rule("24 bits in 32, also by a pipe", in_32_bits)
shutil.rmtree(folder)
tap.done()
