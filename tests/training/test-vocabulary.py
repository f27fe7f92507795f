#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Words become tokens, and tokens the text again."""
import os
import unittest

import training_test

import context as contexts
import vocabulary as vocabularies


class Vocabulary(unittest.TestCase):
    def test_examples(self):
        """every word of the examples is one token, every answer as planned"""
        for name in sorted(n for n in os.listdir(training_test.CONTEXTS) if n.endswith(".yaml")):
            with self.subTest(name):
                context = contexts.load(os.path.join(training_test.CONTEXTS, name))
                vocabularies.check(vocabularies.build(context), context)

    def test_hard_words(self):
        """apostrophes, foreign letters and values of several words survive"""
        context = contexts.parse("""
context:
  expressions: {openDoor2: ["l'été à $s:slot_a", "à $s:slot_a"]}
  slots: {s: ["o'clock", "twenty five", "4 x 4"]}
values: {s: {twenty five: "25 %, all"}}
""")
        vocabulary = vocabularies.build(context)
        for sentence in contexts.all_sentences(context):
            answer = contexts.answer(context, sentence)
            self.assertEqual(vocabulary.decode(vocabulary.encode(answer)), answer)
            self.assertEqual(len(vocabulary.encode(sentence.text)), len(sentence.text.split()))

    def test_any_text(self):
        """any other text is spelled in bytes and comes back"""
        vocabulary = vocabularies.build(contexts.parse("context: {expressions: {a: [b]}}"))
        for text in ("", "Größe 漢字 \U0001f600", "\n\n\n", " two  spaces ", "<|audio|>"):
            self.assertEqual(vocabulary.decode(vocabulary.encode(text)), text)

    def test_repeatable(self):
        """the same context always gives the same vocabulary"""
        path = os.path.join(training_test.CONTEXTS, "desktop.yaml")
        a, b = (vocabularies.build(contexts.load(path)) for _ in range(2))
        self.assertEqual((a.tokens, a.types, a.merges), (b.tokens, b.types, b.merges))


if __name__ == "__main__":
    training_test.main()
