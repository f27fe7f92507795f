#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pictures from gemmactl through the daemon into a small random model that sees. What it answers means nothing,
but it is another for every picture, and the positions that a picture takes can be counted."""
import contextlib
import fcntl
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, SOURCE, SPEECH, Daemon, Tap  # noqa: E402

tap = Tap()
PICTURES = os.path.join(SOURCE, "tests/pictures")
GOLDEN = os.path.join(SOURCE, "tests/golden")
SEES = f"""[Model]
Path={GOLDEN}/model-v.gguf
Projector={GOLDEN}/mmproj-v.gguf
ContextPositions=1024
ImagePositions=70
MaxTokens=40
[Prompt]
HistoryPositions=0
SpeechPositions=0
"""
# 23 x 17 pixels are cut into 9 x 7 patches.
PATCHES, MARKERS = 63, 2

daemon = Daemon(config=SEES)


def picture(name):
    return os.path.join(PICTURES, name)


def ctl(*arguments, to=daemon, **how):
    return to.ctl(*arguments, **how)


def ask(*arguments, **how):
    """The finished turn."""
    done = ctl("ask", "--json", *arguments, **how)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events and events[-1]["kind"] == "done", done
    return events[-1]["turn"]


def is_well(turn):
    """Answered, or ended where it was to be: it never knows when to stop."""
    return turn["outcome"] in ("answered", "cut", "repeated")


def positions(turn):
    return turn["timings"]["prompt_positions"]


def said(turn):
    return turn["answered"] + json.dumps(turn["calls"])


def every_kind():
    with contextlib.closing(daemon.client()) as client:
        assert client.call(ASSISTANT + "Status")["parameters"]["sees"] is True
    without = positions(ask("what is this?"))
    answers = set()
    for name in ("rgb.png", "transparent.png", "colour.jpg", "held-6.jpg", "lossy.webp", "alpha.webp"):
        turn = ask("-i", picture(name), "what is this?")
        # held-6.jpg is 17 pixels wide and 23 high, which are as many patches.
        assert positions(turn) - without == PATCHES + MARKERS, (name, turn, without)
        answers.add(said(turn))
    assert len(answers) > 3, answers


def on_standard_input():
    with open(picture("rgb.png"), "rb") as file:
        assert is_well(ask("--image", "-", "what", "is", "this?", stdin=file))
    with open(picture("colour.jpg"), "rb") as file:
        how = {"pass_fds": [file.fileno()]}
        assert is_well(ask("--image", f"/dev/fd/{file.fileno()}", "and this?", **how))
    with open(picture("lossy.webp"), "rb") as file:
        pipe = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
    assert is_well(ask("-i", "-", "and that?", stdin=pipe.stdout))
    pipe.wait()


def with_sound():
    sound = os.path.join(SPEECH, "what-time-is-it.flite-rms.wav")
    without = ask("--audio", sound)
    turn = ask("--audio", sound, "--image", picture("rgb.png"))
    assert is_well(turn) and turn["source"] == "audio", turn
    assert turn["timings"]["frames"] == without["timings"]["frames"] > 20, turn
    assert positions(turn) == positions(without) + PATCHES + MARKERS, (turn, without)


def several():
    one = positions(ask("-i", picture("rgb.png"), "which?"))
    four = ask(*(["-i", picture("rgb.png")] * 4), "which?")
    assert positions(four) == one + 3 * (PATCHES + MARKERS), (four, one)
    done = ctl("ask", *(["-i", picture("rgb.png")] * 5), "which?")
    assert done.returncode == 2 and "at most 4" in done.stderr, done


def mistakes():
    rows = (
        (["-i", "/nonexistent.png", "x"], 4, "/nonexistent.png: No such file"),
        (["-i", PICTURES, "x"], 4, "Is a directory"),
        (["-i", picture("make_pictures.py"), "x"], 4, "not a PNG, JPEG or WebP picture"),
        (["-i", picture("moving.webp"), "x"], 4, "a moving picture"),
        (["-i", "/dev/zero", "x"], 4, "more than 64 MiB"),
        (["-i", "-", "-a", "-"], 2, "only one of"),
        (["-i", "-"], 2, "only one of"),
    )
    for arguments, code, word in rows:
        done = ctl("ask", *arguments, stdin=subprocess.DEVNULL)
        assert done.returncode == code and word in done.stderr, done
        assert done.stderr.count("\n") == 1 and done.stdout == "", done
    done = ctl("status", "-i", picture("rgb.png"))
    assert done.returncode == 2, done
    assert is_well(ask("still here?"))


def the_pocket_model_says_so():
    with Daemon() as pocket:
        done = ctl("ask", "-i", picture("rgb.png"), "what is this?", to=pocket)
        assert done.returncode == 4 and "does not see pictures" in done.stderr, done
        assert done.stderr.count("\n") == 1, done
        with contextlib.closing(pocket.client()) as client:
            assert client.call(ASSISTANT + "Status")["parameters"]["sees"] is False
        assert ctl("ask", "what time is it", to=pocket).returncode == 0


def pixels(width, height, value):
    fd = os.memfd_create("pixels", os.MFD_ALLOW_SEALING)
    os.write(fd, bytes([value]) * (width * height * 3))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW)
    return fd


def anybody_may_show_pixels():
    with contextlib.closing(daemon.client()) as client:
        fd = pixels(40, 30, 200)
        reply = client.call(ASSISTANT + "Ask", {"text": "what?", "images": [{"fd": 0, "width": 40, "height": 30}]},
                            [fd])
        assert is_well(reply["parameters"]["event"]["turn"]), reply
        os.close(fd)


with daemon:
    tap.rule("pictures of every kind are seen", every_kind)
    tap.rule("a picture comes from a path, a descriptor or standard input", on_standard_input)
    tap.rule("a picture comes along with sound", with_sound)
    tap.rule("four pictures are seen, five are too many", several)
    tap.rule("what is no picture is told in one line, and the daemon goes on", mistakes)
    tap.rule("the pocket model says that it does not see", the_pocket_model_says_so)
    tap.rule("anybody may show pixels", anybody_may_show_pixels)
tap.done()
