#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The automaton accepts the answers of its context and nothing else."""
import os
import random
import unittest

import training_test

import context as contexts
import grammar
import vocabulary as vocabularies

CUP = """
context:
  expressions:
    order:
      - "a ([$size:size ($roast:roast), $roast:roast ($size:size)]) $drink:drink"
      - "$roast:roast for $count:count"
  slots:
    size: [small, medium, twenty ounce]
    roast: [medium roast, dark roast, medium]
    drink: [coffee, drip coffee, iced coffee]
    count: [twenty, twenty five]
calls: {order: {size: string, roast: string, drink: string, count: number}}
values: {count: {twenty: 20, twenty five: 25}}
"""


def compiled(context):
    vocabulary = vocabularies.build(context)
    return vocabulary, grammar.Automaton(grammar.build(vocabulary, context))


def expected(vocabulary, context):
    answers = [contexts.answer(context, s) for s in contexts.all_sentences(context)]
    return {tuple(vocabulary.encode(answer)) for answer in [*answers, grammar.NOT_FOR_ME]}


def example(name):
    return contexts.load(os.path.join(training_test.CONTEXTS, name))


class Language(unittest.TestCase):
    def test_small(self):
        """every answer of a small context can be given, and no other"""
        context = contexts.parse(CUP)
        vocabulary, automaton = compiled(context)
        answers = list(automaton.answers())
        self.assertEqual(set(answers), expected(vocabulary, context))
        self.assertEqual(len(answers), automaton.count())

    def test_desktop(self):
        """the desktop's automaton has the answers of its sentences, each with its own call only"""
        context = example("desktop.yaml")
        words, (vocabulary, automaton) = grammar.compile_words(context), compiled(context)
        sampler, rng, calls = contexts.Sampler(context), random.Random(0), set()
        for _ in range(3000):
            sentence = sampler.draw(rng)
            self.assertFalse(words.is_doubtful(sentence.text.split()), sentence.text)
            answer = contexts.answer(context, sentence)
            end = automaton.follow_all(automaton.start, vocabulary.encode(answer))
            self.assertEqual(end and end[0], 0, answer)
            calls.add(sentence.intent)
        self.assertEqual(calls, set(context.expressions))

    def test_large(self):
        """a hundred million sentences fit into two thousand states"""
        context = example("coffee_maker.yaml")
        vocabulary, automaton = compiled(context)
        self.assertEqual(automaton.count(), 1 + contexts.count(context))
        self.assertGreater(automaton.count(), 100_000_000)
        self.assertLess(len(automaton.edges), 2000)
        sampler, rng = contexts.Sampler(context), random.Random(0)
        for _ in range(300):
            tokens = vocabulary.encode(contexts.answer(context, sampler.draw(rng)))
            self.assertIsNotNone(automaton.follow_all(automaton.start, tokens))

    def test_derived(self):
        """after the transcript nothing is left to choose"""
        context = example("coffee_maker.yaml")
        vocabulary, automaton = compiled(context)
        sentence = contexts.Sampler(context).draw(random.Random(5))
        tokens = vocabulary.encode(contexts.answer(context, sentence))
        call = tokens.index(vocabulary.ids[grammar.CALL])
        position = automaton.follow_all(automaton.start, tokens[:call])
        for token in tokens[call:]:
            allowed = automaton.allowed(position)
            self.assertIn(token, allowed)
            self.assertTrue(len(allowed) == 1 or token == tokens[call])
            position = automaton.follow(position, token)

    def test_refuses(self):
        """a call that was not said can not follow"""
        context = contexts.parse(CUP)
        vocabulary, automaton = compiled(context)
        wrong = ('a small coffee<|tool_call>call:order{drink:<|"|>drip coffee<|"|>,'
                 'size:<|"|>small<|"|>}<tool_call|><|tool_response>')
        self.assertIsNone(automaton.follow_all(automaton.start, vocabulary.encode(wrong)))


class Another(unittest.TestCase):
    SOURCE = CUP + "around: {before: '(hey)', between: '[and, then a]', not_for: [wake]}\n"

    def setUp(self):
        self.context = contexts.parse(self.SOURCE.replace("    order:", "    wake: [hey]\n    order:"))
        self.vocabulary, self.automaton = compiled(self.context)
        self.sentences = contexts.all_sentences(self.context)

    def follow(self, answer):
        return self.automaton.follow_all(self.automaton.start, self.vocabulary.encode(answer))

    def test_two(self):
        """two commands in one breath are both called, in their order, and a third is"""
        rng, sampler = random.Random(0), contexts.Sampler(self.context)
        orders = [sentence for sentence in self.sentences if sentence.intent == "order"]
        for _ in range(100):
            three = rng.sample(orders, 3)
            both = sampler.add(three[0], sampler.add(three[1], three[2], rng), rng)
            answer = contexts.answer(self.context, both)
            self.assertEqual(answer.count(grammar.CALL), 3)
            self.assertEqual(self.follow(answer)[0], 0, answer)
            said = answer.replace("<|tool_response>", "")
            for sentence in three:
                said = said.replace(f"<|tool_call>{contexts.call(self.context, sentence)}<tool_call|>", "", 1)
            self.assertEqual(said, contexts.spoken(both))

    def test_refused(self):
        """what stands between two commands can be told by its first word"""
        context = contexts.parse(self.SOURCE.replace("then a", "and then").replace(", not_for: [wake]", ""))
        with self.assertRaises(contexts.ContextError):
            grammar.build(vocabularies.build(context), context)

    def test_one(self):
        """one command is as it was, what stands alone stays alone, and half of two is not over"""
        self.assertEqual(self.automaton.count(), 1 + len(self.sentences))
        wake = next(s for s in self.sentences if s.intent == "wake")
        order = next(s for s in self.sentences if s.intent == "order")
        self.assertEqual(contexts.Sampler(self.context).add(wake, order, random.Random(0)), wake)
        answer = contexts.answer(self.context, order)
        self.assertEqual(self.follow(answer)[0], 0)
        cut = answer.replace("<|tool_response>", " and")
        self.assertNotEqual(self.follow(cut)[0], 0)
        self.assertIsNone(self.follow(cut + "<|tool_response>"))
        self.assertIsNone(self.follow("hey<|tool_call>call:wake{}<tool_call|> and"))


class Denied(unittest.TestCase):
    SOURCE = CUP.replace("    order:", "    quiet: [do not (disturb) me, do not pour]\n    order:") + \
        "around: {before: '(hey)', denied: '(please) [do not, never]'}\n"

    def setUp(self):
        self.context = contexts.parse(self.SOURCE)
        self.vocabulary, self.automaton = compiled(self.context)
        self.words = grammar.compile_words(self.context)

    def end(self, answer):
        """Whether these tokens are a whole answer; None: they are not even the beginning of one."""
        position = self.automaton.follow_all(self.automaton.start, self.vocabulary.encode(answer))
        return position and position[0] == 0

    def test_denied(self):
        """what is denied is written down and not called, whatever words it has"""
        for text in ("do not a small coffee", "hey never a dark roast coffee", "please do not twenty a", "do not",
                     "do not disturb", "do not disturb me a coffee", "please never medium roast for twenty five"):
            with self.subTest(text):
                self.assertTrue(self.words.deny(text.split()))
                self.assertFalse(self.words.say(text.split()))
                self.assertTrue(self.end(text + grammar.NOT_FOR_ME))
                self.assertIsNone(self.end(text + grammar.CALL))

    def test_commands(self):
        """a sentence of the context is none, and what is not begun with it neither"""
        for text in ("do not disturb me", "do not me", "hey do not pour", "a small coffee"):
            self.assertTrue(self.words.say(text.split()) and not self.words.deny(text.split()), text)
            self.assertIsNone(self.end(text + grammar.NOT_FOR_ME))
            self.assertFalse(self.end(text + grammar.CALL))
        self.assertFalse(self.words.deny("a do not".split()) or self.words.deny("please a coffee".split()))
        plain = contexts.parse(self.SOURCE.replace(", denied: '(please) [do not, never]'", ""))
        self.assertEqual(self.words.ambiguous, grammar.compile_words(plain).ambiguous)
        self.assertEqual(self.automaton.count(), compiled(plain)[1].count())


class Sentences(unittest.TestCase):
    def test_said(self):
        """the words of a sentence are told from all others"""
        context = contexts.parse(CUP)
        words = grammar.compile_words(context)
        for sentence in contexts.all_sentences(context):
            said = sentence.text.split()
            self.assertTrue(words.say(said))
            self.assertFalse(words.say([*said, "please"]))
        for text in ("", "a", "coffee", "medium for", "tea", "a small small coffee"):
            self.assertFalse(words.say(text.split()), text)


class Ambiguity(unittest.TestCase):
    def test_first_counts(self):
        """of two readings the first counts, and both are reported"""
        context = contexts.parse("context: {expressions: {a: ['go $x:v'], b: ['go [up, down]']},"
                                 " slots: {x: [down]}}")
        vocabulary, automaton = compiled(context)
        self.assertEqual(set(automaton.answers()), expected(vocabulary, context))
        words = grammar.compile_words(context)
        self.assertEqual(words.ambiguous, ["go down"])
        self.assertTrue(words.is_doubtful(["go", "down"]) and not words.is_doubtful(["go", "up"]))

    def test_none(self):
        """the examples say nothing that means two things"""
        for name in sorted(n for n in os.listdir(training_test.CONTEXTS) if n.endswith(".yaml")):
            with self.subTest(name):
                self.assertEqual(grammar.compile_words(example(name)).ambiguous, [])


class File(unittest.TestCase):
    def test_limits(self):
        """the arrays are as the engine demands them"""
        context = example("desktop.yaml")
        vocabulary = vocabularies.build(context)
        a = grammar.build(vocabulary, context)
        self.assertEqual(a["first"][-1], len(a["tokens"]))
        for begin, end in zip(a["first"], a["first"][1:]):
            edges = a["tokens"][begin:end]
            self.assertTrue(edges and edges == sorted(set(edges)))
            self.assertTrue(edges[0] >= 0 or len(edges) == 1)
        self.assertEqual(a["write_edges"], sorted(a["write_edges"]))
        self.assertLess(max(a["write_registers"]), grammar.MOST_REGISTERS)
        self.assertTrue(all(x < y for x, y in zip(a["value_first"], a["value_first"][1:])))

    def test_refuses_empty(self):
        """an empty value and too many slot names are refused"""
        names = [f"n{i}" for i in range(grammar.MOST_REGISTERS + 1)]
        many = " ".join(f"$s:{name}" for name in names)
        for source in ("context: {expressions: {a: ['$s:v']}, slots: {s: [x]}}\n"
                       "values: {s: {x: ''}}",
                       f"context: {{expressions: {{a: ['{many}']}}, slots: {{s: [x]}}}}"):
            context = contexts.parse(source)
            with self.assertRaises(contexts.ContextError):
                grammar.build(vocabularies.build(context), context)


if __name__ == "__main__":
    training_test.main()
