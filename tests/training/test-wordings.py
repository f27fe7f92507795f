#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""People's wordings, and what the model is to make of them."""
import importlib.util
import os
import random
import tempfile
import unittest

import training_test

import context as contexts
import wordings

HAS_SOUND = all(importlib.util.find_spec(name) for name in ("numpy", "scipy", "soundfile"))

CONTEXT = """
context:
  expressions:
    set_timer: ["set a timer for $n:minutes minutes"]
    stop: [stop]
  slots: {n: ["2..60"]}
calls: {set_timer: {minutes: number}, stop: {}}
"""
FILE = """let me know when twenty five minutes are up\tset a timer for twenty five minutes
I have had enough of it\tstop
what does a cup of tea cost\t
"""


class Numbers(unittest.TestCase):
    def test_runs(self):
        """words in a row that are numbers are one"""
        self.assertEqual(wordings.number_runs("twenty five of one hundred and five"), [(0, 2), (3, 5), (6, 7)])
        self.assertEqual(wordings.with_number("for twenty five minutes", "six"), "for six minutes")

    def test_loosened(self):
        """a small word more or less; never one within a number"""
        rng, text = random.Random(0), "set a timer for twenty five minutes"
        for _ in range(500):
            said = wordings.loosened(text, rng)
            self.assertLessEqual(abs(len(said.split()) - len(text.split())), 1)
            self.assertIn("twenty five", said)


@unittest.skipUnless(HAS_SOUND, "no numpy, scipy or soundfile")
class Drawn(unittest.TestCase):
    def wordings(self, text):
        import corpus
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "typed.tsv")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return wordings.Wordings(path, corpus.Drawer(contexts.parse(CONTEXT)))

    def test_draw(self):
        """a wording is answered with its sentence and that one's call, with other numbers, too"""
        rng, drawn = random.Random(0), {}
        people = self.wordings(FILE)
        for _ in range(2000):
            text, answer = people.draw(rng)
            drawn.setdefault(answer, set()).add(text)
        self.assertTrue(any(text.endswith("cost") for text in drawn.pop("<turn|>")))
        self.assertIn("i have had enough of it", drawn.pop("stop<|tool_call>call:stop{}<tool_call|><|tool_response>"))
        self.assertGreater(len(drawn), 40)
        for answer, texts in drawn.items():
            number = answer.removeprefix("set a timer for ").partition(" minutes<")[0]
            self.assertTrue(all(number in text for text in texts), (answer, texts))

    def test_refused(self):
        """what means nothing, and what is no table, is refused"""
        for text, reason in (("make tea\tboil the water\n", "'boil the water' is no sentence"),
                             ("make tea\n", "'make tea' is not followed")):
            with self.assertRaisesRegex(SystemExit, reason):
                self.wordings(text)


if __name__ == "__main__":
    training_test.main()
