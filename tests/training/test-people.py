#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rooms, people and voices in a corpus; needs numpy, scipy and soundfile."""
import importlib.util
import os
import random
import tempfile
import unittest
import unittest.mock

import training_test

HAS_SOUND = all(importlib.util.find_spec(name) for name in ("numpy", "scipy", "soundfile"))
RATE = 16000

CONTEXT = """
context:
  expressions:
    lights: ["lights $state:state"]
    %s: ["never mind"]
  slots:
    state: ["on", "off"]
around:
  before: "(hey gemma)"
calls:
  lights: {state: string}
  %s: {}
"""


@unittest.skipUnless(HAS_SOUND, "no numpy, scipy or soundfile")
class Answers(unittest.TestCase):
    def test_denied(self):
        """what is denied is answered with its words, and nothing is called"""
        import context as contexts
        import corpus
        drawer = corpus.Drawer(contexts.parse(CONTEXT.replace(
            "around:", "around:\n  denied: '(please) [do not, never]'") % ("quiet", "quiet")))
        self.assertEqual(drawer.answer_to("please don't lights on"), (None, "please do not lights on<turn|>"))
        self.assertEqual(drawer.answer_to("do not spill it"), (None, "<turn|>"))
        self.assertEqual(drawer.answer_to("never mind")[0], "quiet")
        rng = random.Random(4)
        with unittest.mock.patch("other_speech.sentences", lambda: [["as", "i", "was", "saying"]]):
            drawn = [drawer.draw("train", rng) for _ in range(600)]
        denied = [line for line in drawn if not line["intent"] and line["answer"] != "<turn|>"]
        self.assertGreater(len(denied), 2)
        for line in denied:
            self.assertEqual(line["answer"], line["text"].replace("don't", "do not") + "<turn|>")


@unittest.skipUnless(HAS_SOUND, "no numpy, scipy or soundfile")
class Sound(unittest.TestCase):
    def setUp(self):
        import numpy
        import soundfile
        import corpus
        self.np, self.soundfile, self.corpus = numpy, soundfile, corpus
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, samples):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.soundfile.write(path, samples, RATE, subtype="PCM_16")

    def tone(self, seconds, hertz=440):
        return 0.3 * self.np.sin(self.np.arange(int(seconds * RATE)) * 2 * self.np.pi * hertz / RATE)


class Rooms(Sound):
    def rooms(self, *args, **more):
        import rooms
        return rooms.Rooms(*args, **more)

    def test_scene(self):
        """noise that happens has the length and the power asked for, from a seed"""
        a, b = ([rooms.scene(length, rng) for length in (640, 24000, 80000)]
                for rooms, rng in ((self.rooms(), self.np.random.default_rng(3)) for _ in range(2)))
        for one, other, length in zip(a, b, (640, 24000, 80000)):
            self.assertEqual(len(one), length)
            self.assertTrue(self.np.array_equal(one, other))
            self.assertAlmostEqual(float(self.np.mean(one ** 2)), 1, delta=0.01)

    def test_moments(self):
        """what happens, happens in moments: half of the time is far below the loudest"""
        rng, rooms, quiet = self.np.random.default_rng(1), self.rooms(), []
        for _ in range(20):
            frames = rooms.happening(4 * RATE, rng).reshape(-1, 640)
            levels = 10 * self.np.log10(self.np.mean(frames ** 2, axis=1) + 1e-12)
            quiet.append(self.np.max(levels) - self.np.median(levels))
        self.assertGreater(self.np.median(quiet), 20)

    def test_recorded(self):
        """a folder's long recordings are rooms and its short ones things that happen, and nothing else if asked so"""
        self.write("attic.wav", self.tone(6, 500))
        with self.assertRaises(SystemExit):
            self.rooms(self.folder, is_recorded=True)
        self.write("more/knock.wav", self.tone(0.2, 1000))
        rooms = self.rooms(self.folder, is_recorded=True)
        self.assertEqual((len(rooms.beds), len(rooms.events)), (1, 1))
        rng = self.np.random.default_rng(5)
        for _ in range(20):
            sound = rooms.happening(RATE, rng) + rooms.beds[0][:RATE]
            spectrum = abs(self.np.fft.rfft(sound)) ** 2
            # The knock is heard at 0.7 to 1.4 of its pitch.
            self.assertGreater(spectrum[450:1600].sum(), 0.95 * spectrum.sum())
        with tempfile.TemporaryDirectory() as empty, self.assertRaises(SystemExit):
            self.rooms(empty)

    def test_recording(self):
        """a room is heard in a hard example and in no easy one, before and after the clip too"""
        import augment

        class Loud:
            asked = 0

            def scene(self, length, rng):
                self.asked += 1
                return rng.standard_normal(length)
        clip, loud = self.tone(1).astype("float32"), Loud()
        for seed in range(20):
            augment.recording(clip, self.np.random.default_rng(seed), 0.0, None, loud)
        self.assertEqual(loud.asked, 0)
        lengths = [len(augment.recording(clip, self.np.random.default_rng(seed), 1.0, None, loud)) / RATE
                   for seed in range(200)]
        self.assertTrue(100 < loud.asked < 160, loud.asked)
        self.assertGreater(max(lengths), 5)
        self.assertLess(self.np.median(lengths), 2)


class People(Sound):
    def table(self, *rows):
        with open(os.path.join(self.folder, "transcripts.tsv"), "w", encoding="utf-8") as file:
            file.write("".join("\t".join(row) + "\n" for row in rows))

    def context(self, stop="stop"):
        out = os.path.join(self.folder, "out")
        os.makedirs(out, exist_ok=True)
        self.corpus.keep_context(out, CONTEXT % (stop, stop))
        return out

    def recorded(self, *texts):
        for number in range(len(texts)):
            self.write(f"{number}.wav", self.tone(0.5 + number / 10))
        self.table(("file", "speaker", "part", "text"),
                   *((f"{number}.wav", "ann", "train", text) for number, text in enumerate(texts)))
        out = self.context()
        counts = self.corpus.record_shards(out, self.folder)
        self.assertEqual(counts, {"train": len(texts), "test": 0})
        return out

    def test_answers(self):
        """recordings of people are answered by the context: a call, or nothing"""
        out = self.recorded("Hey Gemma, lights on.", "p i t t s b u r g h", "never mind", "")
        lines, audio, offsets = self.corpus.load(out, "train")
        self.assertEqual([line["answer"].partition("<|tool_call>")[2] for line in lines],
                         ['call:lights{state:<|"|>on<|"|>}<tool_call|><|tool_response>', "",
                          "call:stop{}<tool_call|><|tool_response>", ""])
        self.assertEqual([line["text"] for line in lines][:2], ["hey gemma lights on", "p i t t s b u r g h"])
        self.assertEqual(len(audio), offsets[-1])
        self.assertTrue(all(line["person"] for line in lines))

    def test_new_context(self):
        """when the context has changed, a corpus that is there is answered by the new one"""
        out = self.recorded("never mind")
        self.context("forget")
        (line,), _, _ = self.corpus.load(out, "train")
        self.assertEqual(line["intent"], "forget")
        self.assertIn("call:forget{}", line["answer"])

    def test_rare_words(self):
        """a word that few sentences have is said, too"""
        import context as contexts
        ways = ", ".join(f"way {number}" for number in range(60))
        context = contexts.parse(f"context:\n  expressions:\n    go: ['go [{ways}]']\n    odd: ['seldom']\n")
        drawer, rng = self.corpus.Drawer(context), random.Random(0)
        texts = [drawer._command(rng).text for _ in range(180)]
        said = {word for text in texts for word in text.split()}
        self.assertGreaterEqual(len(said), 60)
        self.assertGreater(texts.count("seldom"), 10)

    def test_parts(self):
        """some of what each speaker says is held out, where the table does not say which"""
        rows = [{"file": str(n), "speaker": "ab"[n % 2], "text": ""} for n in range(40)]
        found = self.corpus.parts(rows)
        self.assertEqual({part: len(these) for part, these in found.items()}, {"train": 32, "test": 8})
        self.assertEqual({row["speaker"] for row in found["test"]}, {"a", "b"})
        self.assertEqual(len(self.corpus.parts([{"file": "x", "part": "test"}])["test"]), 1)

    def test_refused(self):
        """a table that can not be meant is refused with its reason"""
        for rows in ([("name", "text"), ("a.wav", "yes")], [("file", "text"), ("a.wav",)],
                     [("file", "part", "text"), ("a.wav", "exam", "yes")]):
            self.table(*rows)
            with self.assertRaises(SystemExit, msg=rows):
                self.corpus.parts(self.corpus.transcripts(self.folder))
        with self.assertRaises(SystemExit):
            self.corpus.transcripts(os.path.join(self.folder, "nowhere"))

    def test_examples(self):
        """of people who do not mean us a part teaches nothing to answer; who means us always does"""
        import batches
        out = self.recorded("hey gemma lights on", "p i t t s b u r g h")
        examples = batches.Examples(self.corpus.load(out, "train"), ["hey gemma"], None)
        self.assertEqual(examples.numbers.count(0), batches.PERSON_TIMES)
        rng = self.np.random.default_rng(0)
        # A part of the examples is noise.
        meant = [(answer, said) for _, answer, said in (examples.example(0, rng, 1.0) for _ in range(100)) if said != ""]
        other = [(answer, said) for _, answer, said in (examples.example(1, rng, 1.0) for _ in range(100)) if said != ""]
        self.assertEqual({answer[:19] for answer, _ in meant}, {"hey gemma lights on"})
        self.assertEqual({said for _, said in meant}, {"hey gemma lights on", None})    # None: amid other talk
        self.assertEqual({answer for answer, _ in other}, {None, batches.NOTHING})
        self.assertEqual({said for _, said in other}, {"p i t t s b u r g h"})

    def test_weights(self):
        """an example of which the answer is not to be learned weighs nothing"""
        import batches
        import context as contexts
        import vocabulary
        context = contexts.parse(CONTEXT % ("stop", "stop"))
        maker = batches.Maker(vocabulary.build(context))
        frames = self.np.zeros((5, 640), self.np.float32)
        batch = maker.audio([frames] * 2, [None, batches.NOTHING], ["a", "a"])
        self.assertEqual(batch.weights.tolist(), [[0], [batches.NOTHING_WEIGHT]])


    def test_until_call(self):
        """an answer that ends before its call is still heard to its last word"""
        import batches
        self.assertEqual(batches.until_call("lights on<|tool_call>call:lights{}<tool_call|>"), "lights on<|tool_call>")
        self.assertEqual(batches.until_call(batches.NOTHING), batches.NOTHING)
        self.assertIsNone(batches.until_call(None))


class Kokoro(Sound):
    def engine(self, *names):
        import voices
        for name in names:
            self.np.zeros((510, 256), "<f4").tofile(os.path.join(self.folder, name + ".bin"))
        engine = voices.Kokoro()
        engine.folder = self.folder
        return engine

    def test_held_out(self):
        """no blend of a voice in training has a part that is held out, and the held-out ones have no other"""
        engine, rng = self.engine("af_nova", "am_adam", "bf_emma", "am_onyx", "bf_lily", "zf_xiaoni", "zm_yunxi"), random.Random(1)
        for held_out in (False, True):
            used = {style for _ in range(300) for part in ("sound", "manner")
                    for style in engine.draw(rng, held_out)[part]}
            self.assertEqual(used, {name for name in engine.styles if (name in engine.held) == held_out})

    def test_blends(self):
        """the weights of a blend are of one whole, and most voices are native"""
        engine, rng, foreign = self.engine("af_nova", "am_adam", "bf_emma", "zf_xiaoni", "jm_kumo"), random.Random(2), 0
        for _ in range(300):
            voice = engine.draw(rng)
            self.assertAlmostEqual(sum(voice["sound"].values()), 1)
            foreign += any(name[0] not in engine.native for name in voice["sound"])
        self.assertTrue(30 < foreign < 100, foreign)

    def test_few(self):
        """one voice is enough"""
        engine = self.engine("jf_alpha")
        self.assertEqual(engine.draw(random.Random(0))["sound"], {"jf_alpha": 1.0})


if __name__ == "__main__":
    training_test.main()
