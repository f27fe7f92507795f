#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a context file says, and what is refused in it."""
import os
import random
import unittest

import training_test

import context as contexts

LIGHTS = """
context:
  expressions:
    setLight:
      - "[turn, switch] $onoff:state the $room:room light (please)"
      - "I'd like the $room:room light $onoff:state"
    list: ["what's on"]
  slots:
    onoff: [on, off]
    room: [kitchen, Living   Room]
"""
OURS = """
around: {before: "(hey gemma)", after: "(now)", not_for: [list]}
calls: {setLight: {room: string, state: number}, list: {}}
values: {onoff: {on: 1, off: 0}, room: {living room: lounge}}
"""


REPEATED = """
context:
  macros:
    kindly: [please, "[can, could] you"]
    open: "(@kindly) open"
  expressions:
    open: ["@open the door (slowly $speed=slow)", "@kindly $wide=yes open wide"]
    wait: ["wait for [$n:minutes minutes, $half:seconds minutes]"]
  slots: {n: [2..4, thirty], half: ["$n:a and a half"]}
"""


def texts(source):
    return {s.text for s in contexts.all_sentences(contexts.parse(source))}


def one(words):
    return "context: {expressions: {a: [" + repr(words) + "]}, slots: {s: [x, y]}}"


class Reading(unittest.TestCase):
    def test_sentences(self):
        """choices, optional parts and slots give every sentence and no other"""
        said = texts(LIGHTS)
        self.assertEqual(len(said), 2 * 2 * 2 * 2 + 2 * 2 + 1)
        self.assertIn("turn off the living room light please", said)
        self.assertIn("i'd like the kitchen light on", said)
        self.assertIn("what's on", said)

    def test_nested(self):
        """choices and optional parts nest, and an optional part may have choices"""
        self.assertEqual(texts(one("a [b (c), [d, e] f] (g, h i)")),
                         {f"a {x}{y}" for x in ("b", "b c", "d f", "e f")
                          for y in ("", " g", " h i")})

    def test_words_are_words(self):
        """on, off, yes and no are words, not truth values"""
        self.assertIn("turn on the kitchen light", texts(LIGHTS))
        self.assertEqual(texts(one("$s:v").replace("x, y", "yes, no")), {"yes", "no"})

    def test_around(self):
        """what may stand around a sentence does, except where it must not"""
        said = texts(LIGHTS + OURS)
        self.assertIn("hey gemma turn off the kitchen light now", said)
        self.assertNotIn("hey gemma what's on", said)

    def test_macros(self):
        """a macro is written once, and one may use another"""
        said = texts(REPEATED)
        for before in ("", "please ", "can you ", "could you "):
            self.assertIn(before + "open the door", said)
        self.assertEqual(len(said), 4 * 2 + 3 + 4 + 4)

    def test_count(self):
        """the count is the number of readings"""
        for source in (LIGHTS, LIGHTS + OURS):
            context = contexts.parse(source)
            self.assertEqual(contexts.count(context), len(contexts.all_sentences(context)))

    def test_samples(self):
        """what is drawn can be said, with the same call"""
        context, rng = contexts.parse(LIGHTS + OURS), random.Random(1)
        known = {s.text: contexts.call(context, s) for s in contexts.all_sentences(context)}
        sampler = contexts.Sampler(context)
        for _ in range(500):
            sentence = sampler.draw(rng)
            self.assertEqual(known[sentence.text], contexts.call(context, sentence))

    def test_refusals(self):
        """what can not be understood is refused"""
        for words in ("[a, b", "a]", "(a", "$t:v", "$pv.Integer:v", "@macro a", "a $", "$v=", "a$v=b"):
            with self.subTest(words), self.assertRaises(contexts.ContextError):
                contexts.parse(one(words))
        for source in ("a list", "context: {}", "context: {macros: {a: []}, expressions: {a: [b]}}",
                       "context: {macros: {a: ['@b'], b: [c]}, expressions: {a: [b]}}",
                       one("$s:v").replace("x, y", ""), one("$s:v").replace("x, y", "' '")):
            with self.subTest(source), self.assertRaises(contexts.ContextError):
                contexts.parse(source)


    def test_to_read(self):
        """what is to be read aloud has every word of a small context, and no sentence twice"""
        context = contexts.load(os.path.join(training_test.CONTEXTS, "home.yaml"))
        texts = contexts.to_read(context, 40)
        self.assertEqual(len(texts), 40)
        self.assertEqual(len(set(texts)), 40)
        self.assertEqual({word for text in texts for word in text.split()}, set(contexts.words(context)))

    def test_typed(self):
        """what is typed for something else, or for nothing, and where any words can stand"""
        context = contexts.parse("context: {expressions: {a: ['go to $s:dropped $v=x', 'take a bus']},"
                                 " slots: {s: [york, bus, new town]}}\ncalls: {a: {v: string}}\n"
                                 "typed: {words: {Leave  for: go to}, idle: [Um, leave for], open: [s]}")
        self.assertEqual(context.typed, {"leave for": "go to", "um": ""})
        self.assertEqual(contexts.open_words(context), ["york"])      # "bus" is said elsewhere, too

    def test_told(self):
        """what refers to nothing, or says less than it must, is refused by name"""
        slots = "context: {expressions: {a: ['go $s:v']}, slots: {s: [x, y]}}\n"
        for source, reason in (
                (one("(please) (help)"), "without a word"),
                (one("$s:v and $s:v"), "'v' twice"),
                (one("$s:v [please, (kindly $v=x)]"), "'v' twice"),
                (slots.replace("x, y", "'$t:n percent'"), "'t' is not defined before it"),
                (slots.replace("[x, y]", "['$s:n']"), "'s' is not defined before it"),
                (REPEATED + "values: {half: {'$n:a and a half': 60 * b}}", "'60 * b' can not be reckoned"),
                (one("$s:v's house"), "a word of its own"),
                (one("what time is it?"), "'it?' can not be said"),
                (one("$s:v").replace("x, y", "'[big, large] room'"), "can not be said"),
                ("context: {expressions: {a: [[turn on, switch on]]}}", "in quotes"),
                ("context: {expressions: [a]}", "expressions: 'name: ...' is expected"),
                ("context: hello", "context: 'name: ...' is expected"),
                ("contexts: {}", "'contexts' is unknown"),
                (slots + "calls: {b: {v: string}}", "calls: 'b' is not there"),
                (slots + "calls: {a: [v]}", "calls: a: 'name: ...' is expected"),
                (slots + "calls: {a: {v: boolean}}", "neither number nor string"),
                (slots + "calls: {a: {v: number}}", "which one 'x' is"),
                (slots + "values: {t: {x: 1}}", "values: 't' is not there"),
                (slots + "values: {s: {z: 1}}", "values: s: 'z' is not there"),
                (slots + "around: {before: '(hey $s:w)'}", "nobody would be told of 'w'"),
                (slots + "around: {denied: '(never)'}", "denied: can be said without a word"),
                (slots + "around: {not_for: wake}", "around: not_for: 'wake' is not there"),
                (slots + "typed: {open: [t]}", "typed: open: 't' is no type"),
                (slots + "typed: {open: [s]}", "'s' is passed on by a"),
                (slots + "typed: {words: {leave: depart}}", "'depart' has words"),
                (slots + "typed: {words: {a=b: go}}", "typed: 'a=b' can not be used"),
                (slots + "typed: {silent: [um]}", "'silent' is unknown")):
            with self.subTest(source), self.assertRaises(contexts.ContextError) as raised:
                contexts.parse(source)
            self.assertIn(reason, str(raised.exception))

    def test_as_written(self):
        """times and numbers are what is written, and one text may stand for a list"""
        context = contexts.parse("context: {expressions: {a: 'at $s:v'}, slots: {s: [010, 2024-01-01]}}")
        self.assertEqual(context.slots, {"s": ["010", "2024-01-01"]})
        self.assertEqual(texts("context: {expressions: {a: go $s:v}, slots: {s: north}}"), {"go north"})

    def test_demanded_phrase(self):
        """what must stand before a command always does"""
        context, rng = contexts.parse(one("$s:v") + "\naround: {before: 'hey [you, there]'}"), random.Random(2)
        sampler = contexts.Sampler(context)
        self.assertTrue(all(sampler.draw(rng).text.startswith("hey ") for _ in range(50)))
        self.assertTrue(all(sampler.draw(rng, is_bare=True).text in "xy" for _ in range(50)))
        self.assertEqual(contexts.phrases(context), ["hey you", "hey there"])

    def test_load(self):
        """a file that can not be understood is named"""
        for path, reason in ((__file__, "test-context.py: "), ("/nonexistent.yaml", "No such file")):
            with self.assertRaises(SystemExit) as raised:
                contexts.load(path)
            self.assertIn(reason, str(raised.exception))


class Calls(unittest.TestCase):
    def call(self, source, text):
        context = contexts.parse(source)
        return next(contexts.call(context, s) for s in contexts.all_sentences(context)
                    if s.text == text)

    def test_plain(self):
        """without calls: every slot is a string argument, keys sorted"""
        self.assertEqual(self.call(LIGHTS, "turn off the living room light"),
                         'call:setLight{room:<|"|>living room<|"|>,state:<|"|>off<|"|>}')
        self.assertEqual(self.call(LIGHTS, "what's on"), "call:list{}")

    def test_kinds_and_values(self):
        """numbers have no quotes, and a value means what values: says"""
        self.assertEqual(self.call(LIGHTS + OURS, "turn off the living room light"),
                         'call:setLight{room:<|"|>lounge<|"|>,state:0}')

    def test_set(self):
        """an argument can be given without a word of its own"""
        self.assertEqual(self.call(REPEATED, "open the door slowly"),
                         'call:open{speed:<|"|>slow<|"|>}')
        self.assertEqual(self.call(REPEATED, "open the door"), "call:open{}")
        self.assertEqual(self.call(REPEATED + "calls: {open: {wide: string}}", "please open wide"),
                         'call:open{wide:<|"|>yes<|"|>}')

    def test_reckoned(self):
        """a range is its numbers, and what a value made of others means can be reckoned"""
        source = REPEATED + ("calls: {open: {}, wait: {minutes: number, seconds: number}}\n"
                             "values: {n: {thirty: 30}, half: {'$n:a and a half': 60 * a + 30}}")
        for words, wanted in (("two", "minutes:2"), ("thirty", "minutes:30"), ("three and a half", "seconds:210"),
                              ("thirty and a half", "seconds:1830")):
            self.assertEqual(self.call(source, f"wait for {words} minutes"), f"call:wait{{{wanted}}}")

    def test_spelling(self):
        """the values: are found however they are written"""
        source = LIGHTS + "values: {room: {LIVING room: Lounge}}"
        self.assertEqual(self.call(source, "turn off the living room light"),
                         'call:setLight{room:<|"|>Lounge<|"|>,state:<|"|>off<|"|>}')

    def test_unlisted(self):
        """a slot that calls: does not list is heard and not passed on"""
        source = LIGHTS + "calls: {setLight: {state: string}}"
        self.assertEqual(self.call(source, "turn off the living room light"),
                         'call:setLight{state:<|"|>off<|"|>}')


if __name__ == "__main__":
    training_test.main()
