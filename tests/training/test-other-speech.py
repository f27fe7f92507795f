#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is said that is no command."""
import os
import random
import tempfile
import unittest

import training_test

import other_speech

TEXT = """A dog, it's said, can hear (a whistle) that we can not.
%
Never
  run from a bear; walk away slowly!
3 words are not enough."""


class Pieces(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.addCleanup(setattr, other_speech, "TEXTS", other_speech.TEXTS)
        self.addCleanup(other_speech.sentences.cache_clear)
        other_speech.TEXTS = os.path.join(self.folder.name, "*.u8")
        other_speech.sentences.cache_clear()

    def write(self, text):
        with open(os.path.join(self.folder.name, "a.u8"), "w") as file:
            file.write(text)

    def test_text(self):
        """pieces of running text are words in a row of one sentence"""
        self.write(TEXT)
        whole = ["that we can not", "never run from a bear", "walk away slowly"]
        self.assertEqual([" ".join(s) for s in other_speech.sentences()], whole)
        rng = random.Random(0)
        pieces = {other_speech.piece(rng) for _ in range(500)}
        self.assertTrue(all(any(f" {p} " in f" {s} " for s in whole) for p in pieces), pieces)
        self.assertLessEqual({*whole, "run", "we can", "from a bear"}, pieces)

    def test_missing(self):
        """without texts it says which package they are in"""
        with self.assertRaisesRegex(SystemExit, "fortunes"):
            other_speech.sentences()

    def test_draw(self):
        """everything is lower case, and some of it calls somebody else and then commands"""
        self.write(TEXT)
        rng = random.Random(1)
        drawn = [other_speech.draw(rng, "stop the music") for _ in range(2000)]
        self.assertTrue(all(text == text.lower().strip() and text for text in drawn))
        calls = [text for text in drawn if text.endswith(" stop the music")]
        self.assertGreater(len(calls), 40)
        before = {text.removesuffix(" stop the music") for text in calls}
        self.assertLessEqual(before, {*other_speech.CALLED, *(d.lower() for d in other_speech.DENIALS)})
        self.assertGreater(len(before & set(other_speech.CALLED)), 10)

    def test_altered(self):
        """a command is denied, cut off, doubted or about something else, and never what it was"""
        rng, command = random.Random(2), "set the timer for ten minutes"
        drawn = [other_speech.altered(rng, command) for _ in range(2000)]
        self.assertNotIn(command, drawn)
        for text in ("do not " + command, "set the timer for ten", "set", command + " no wait",
                     "set the tiger for ten minutes", "unset the timer for ten minutes"):
            self.assertIn(text, drawn)


if __name__ == "__main__":
    training_test.main()
