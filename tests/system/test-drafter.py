#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon with a drafter: it says what it says without one, and goes on without one that is no good.
The models are the random ones of tests/golden."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gemmad_test import ASSISTANT, GEMMAD, SOURCE, Daemon, Tap  # noqa: E402

tap = Tap()
GOLDEN = os.path.join(SOURCE, "tests/golden")
GREEDY = "Temperature=0\n"
SAMPLED = [f"Temperature=0.9\nTopK=12\nTopP=0.9\nSeed={seed}\n" for seed in (0, 1)]


def golden(name):
    return os.path.abspath(os.path.join(GOLDEN, name))


def config_of(drafter, more, model=golden("model-b.gguf")):
    return (f"[Model]\nPath={model}\nDrafter={drafter}\nContextPositions=400\nMaxTokens=100\n{more}"
            "[Prompt]\nHistoryPositions=0\nTools=no\n[Store]\nEnabled=no\n")


def answers_and_status(config):
    """What it says to three questions and when it was to say less, and its status afterwards."""
    daemon = Daemon(config)
    try:
        with contextlib.closing(daemon.client()) as c:
            turns = [c.ask(text=text) for text in ("the", "an the", "in")]
            turns.append(c.ask(text="the", max_tokens=7))
            status = c.call(ASSISTANT + "Status")["parameters"]
        return [(turn["answered"], turn["outcome"], turn["timings"]["tokens"], turn.get("error"))
                for turn in turns], status
    finally:
        daemon.stop()


def drafter_fields(status):
    return sorted(key for key in status if key.startswith("drafter"))


def same():
    outcomes = set()
    for sampling in (GREEDY, *SAMPLED):
        plain, status = answers_and_status(config_of("", sampling))
        assert not drafter_fields(status), status
        outcomes |= {outcome for _, outcome, _, _ in plain}
        drafted, status = answers_and_status(config_of(golden("drafter-b.gguf"), sampling))
        assert drafted == plain, (plain, drafted)
        assert drafter_fields(status) == ["drafter_acceptance", "drafter_gain", "drafter_guesses",
                                          "drafter_right"], status
        assert status["drafter_guesses"] > 0 and status["drafter_right"] <= status["drafter_guesses"]
        assert 0 <= status["drafter_acceptance"] <= 1
    assert len(outcomes) > 2, outcomes


def misfit():
    plain, _ = answers_and_status(config_of("", GREEDY))
    for path, reason in ((golden("drafter-a.gguf"), "embedding_length_out' is 64, and the model is 32 wide"),
                         (golden("model-b.gguf"), "is 'gemma4', not 'gemma4-assistant'"),
                         ("/nowhere/drafter.gguf", "No such file")):
        answers, status = answers_and_status(config_of(path, GREEDY))
        assert answers == plain
        assert drafter_fields(status) == ["drafter_error"], status
        assert status["drafter_error"].startswith(path) and reason in status["drafter_error"], status


def beside():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.gguf")
        shutil.copy(golden("model-b.gguf"), model)
        assert not drafter_fields(answers_and_status(config_of("auto", GREEDY, model))[1])
        shutil.copy(golden("drafter-b.gguf"), os.path.join(folder, "mtp-gemma-4-12b-it.gguf"))
        assert len(drafter_fields(answers_and_status(config_of("auto", GREEDY, model))[1])) == 4


def checked():
    def check(*arguments):
        done = subprocess.run([GEMMAD, "--check", *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert check("--drafter", golden("drafter-b.gguf")) == (0, "")
    assert check("--model", golden("model-b.gguf"), "--drafter", golden("drafter-b.gguf"))[0] == 0
    code, said = check("--model", golden("model-b.gguf"), "--drafter", golden("drafter-a.gguf"))
    assert code == 1 and "drafter-a.gguf: key 'gemma4-assistant.embedding_length_out' is 64" in said, said
    assert check("--drafter", os.path.join(GOLDEN, "README.md"))[0] == 1


tap.rule("the same answers with a drafter and without", same)
tap.rule("one that does not fit is told, and done without", misfit)
tap.rule("one beside the model is found", beside)
tap.rule("one can be checked, with its model and alone", checked)
tap.done()
