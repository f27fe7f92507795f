# SPDX-License-Identifier: Apache-2.0
"""Turn clips and sentences into batches. Runs in a process of its own while training.

A row of a batch is:   padding | <bos><|turn>user\\n<|audio> | N frames | <audio|>... prompt | answer
Audio is padded on the left, so every row's answer begins in the same column.
"""
import multiprocessing
import random
import re
from dataclasses import dataclass

import numpy as np

import augment
import corpus
import rooms
import wordings
from vocabulary import TURN

IGNORE = -100
NOTHING = "<turn|>"
LETTERS = "abcdefghijklmnopqrstuvwxyz"      # letter n is class n + 1, 0 is CTC's blank
NO_SPEECH = 0.025                           # this part of the examples is noise or music
GROUP = 768                                 # examples that are sorted together
TEXT = 0.1                                  # so many batches of text for one with sound
TALK = 0.12                                 # this part has somebody else in the background
AMID = 0.15                                 # this part of what is addressed to us stands amid other talk
PERSON_TIMES = 6                            # so often in a pass is a command that a person says
PERSON_ANSWERS = 0.35                       # this part of the people who do not mean us teaches "nothing"
WORDINGS = 0.6                              # part of the typed examples that people's wordings are
CALL_WEIGHT = 0.3                           # the call follows from the transcript
UNCALLED = 0.5                              # this part of the batches with sound ends before the calls
NOTHING_WEIGHT = 2.0                        # of the one token of "not for me"; a sentence has many


@dataclass
class Batch:
    ids: np.ndarray          # [rows, columns]
    padding: np.ndarray      # [rows] unused columns on the left
    start: int               # column of the last prompt token, which predicts the answer
    targets: np.ndarray      # [rows, answer] ids, IGNORE behind the end
    weights: np.ndarray      # [rows, answer]
    frames: np.ndarray = None        # [rows, longest, 640], half precision: processes hand it on
    is_audio: np.ndarray = None      # [rows, longest]
    said: dict = None                # helper -> for each row the CTC classes of what is said,
                                     # None where nobody has written it down
    at: int = 0                      # column of the first frame


class Maker:
    """Builds batches with one vocabulary."""

    def __init__(self, vocabulary, words=()):
        """words: the words of the context, in order; all others are one more class."""
        self.vocabulary = vocabulary
        self.words = {word: number for number, word in enumerate(words, 1)}
        self.helpers = {"letters": len(LETTERS) + 1, "words": len(self.words) + 2}
        self.head = vocabulary.encode("<bos>" + TURN[0] + "<|audio>")
        self.tail = vocabulary.encode("<audio|>" + TURN[1])
        self.text_head = vocabulary.encode("<bos>" + TURN[0])
        self.text_tail = vocabulary.encode(TURN[1])
        self.hole = vocabulary.ids["<|audio|>"]
        self.call, self.call_end = vocabulary.ids["<|tool_call>"], vocabulary.ids["<tool_call|>"]

    def _answers(self, answers):
        encoded = [self.vocabulary.encode(answer or NOTHING) for answer in answers]
        longest = max(map(len, encoded))
        targets = np.full((len(encoded), longest), IGNORE, np.int64)
        weights = np.zeros((len(encoded), longest), np.float32)
        for row, ids in enumerate(encoded):
            targets[row, :len(ids)] = ids
            weights[row, :len(ids)] = 1.0
            if self.call in ids:
                weights[row, :len(ids)] = self._call_weights(ids)
            elif len(ids) == 1:
                weights[row, 0] = NOTHING_WEIGHT
            if answers[row] is None:             # of this one nobody says what is to be answered
                weights[row] = 0
        return targets, weights

    def _call_weights(self, ids):
        """A call weighs less than what was said before it or, of two commands, after it."""
        weights, is_call = [], False
        for token in ids:
            weights.append(CALL_WEIGHT if is_call else 1.0)
            is_call = token == self.call or is_call and token != self.call_end
        return weights

    def _rows(self, prompts, targets):
        """Left-padded prompts followed by the answers without their last token."""
        longest = max(map(len, prompts))
        ids = np.zeros((len(prompts), longest + targets.shape[1] - 1), np.int64)
        padding = np.array([longest - len(prompt) for prompt in prompts])
        for row, prompt in enumerate(prompts):
            ids[row, padding[row]:longest] = prompt
        ids[:, longest:] = np.where(targets[:, :-1] == IGNORE, 0, targets[:, :-1])
        return ids, padding, longest - 1

    def audio(self, framed, answers, said):
        """framed: list of [n, 640]; answers: what to output; said: the words spoken."""
        targets, weights = self._answers(answers)
        prompts = [self.head + [self.hole] * len(f) + self.tail for f in framed]
        ids, padding, start = self._rows(prompts, targets)
        longest = max(map(len, framed))
        frames = np.zeros((len(framed), longest, augment.FRAME), np.float16)
        for row, clip in enumerate(framed):
            frames[row, longest - len(clip):] = clip
        # The rows' frames end in the same column, so their last `longest` columns hold them;
        # the shorter rows have their prompt's head or padding there.
        is_audio = np.arange(longest)[None] >= longest - np.array([[len(f)] for f in framed])
        return Batch(ids, padding, start, targets, weights, frames, is_audio, self._said(said),
                     len(self.head))

    def _said(self, texts):
        other = len(self.words) + 1

        def letters(text):
            return [LETTERS.index(c) + 1 for c in text if c in LETTERS]

        def words(text):
            return [self.words.get(word, other) for word in text.split()]

        return {helper: [None if text is None else classes(text) for text in texts]
                for helper, classes in (("letters", letters), ("words", words))}

    def text(self, sentences, answers):
        targets, weights = self._answers(answers)
        prompts = [self.text_head + self.vocabulary.encode(s) + self.text_tail for s in sentences]
        ids, padding, start = self._rows(prompts, targets)
        return Batch(ids, padding, start, targets, weights)


def plain_frames(clip, before=1600, after=1600):
    """A clean recording for scoring: a little silence around it, nothing else."""
    return augment.to_frames(np.pad(clip.astype(np.float32) / 32768, (before, after)))


def typed(text, rng):
    """As people type: sometimes with capital letters and a full stop or question mark."""
    if rng.random() < 0.5:
        text = re.sub(r"\bi\b", "I", text)
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.3:
        text += rng.choice(".?!")
    return text


def _text_batch(maker, drawer, rng, size, people=None):
    """people: how they type it, a wordings.Wordings."""
    examples = []
    for _ in range(size):
        if people and rng.random() < WORDINGS:
            examples.append(people.draw(rng))
            continue
        line = drawer.draw("train" if rng.random() < 0.9 else "train-scrambled", rng)
        examples.append((typed(line["text"], rng), line["answer"]))
    return maker.text(*map(list, zip(*examples)))


class Examples:
    """The clips of a corpus as some microphone might hear them."""

    def __init__(self, data, phrases, rooms):
        """data: of corpus.load(); phrases: with which a command is addressed to us; rooms: a rooms.Rooms."""
        self.lines, self.audio, self.offsets = data
        self.phrases, self.rooms = tuple(phrase + " " for phrase in phrases), rooms
        self.others = [number for number, line in enumerate(self.lines) if not line["intent"]]
        self.numbers = [number for number, line in enumerate(self.lines)
                        for _ in range(PERSON_TIMES if line.get("person") and line["intent"] else 1)]

    def clip(self, number):
        return self.audio[self.offsets[number]:self.offsets[number + 1]].astype(np.float32) / 32768

    def example(self, number, rng, hardness):
        """(frames, answer, what is said); the answer is None where it is not to be learned."""
        if rng.random() < NO_SPEECH:
            return augment.to_frames(augment.no_speech(rng, self.rooms)), NOTHING, ""
        line, clip = self.lines[number], self.clip(number)
        said, answer = line["text"] or None, line["answer"]
        if self.phrases and self.others and line["text"].startswith(self.phrases) and rng.random() < AMID * hardness:
            clip, said = augment.amid(clip, self.clip(rng.choice(self.others)), rng), None
        # Else a model could learn that people never mean it.
        if line.get("person") and not line["intent"] and rng.random() > PERSON_ANSWERS:
            answer = None
        talk = self.clip(rng.integers(len(self.lines))) if rng.random() < TALK else None
        heard = augment.recording(clip, rng, hardness, talk, self.rooms)
        return augment.to_frames(heard), answer, said


def _audio_batches(maker, examples, size, rng, hardness):
    """One pass over the corpus in random order. Examples are made in groups and sorted by
    their final length, so that little of a batch is padding."""
    shuffled = rng.permutation(examples.numbers)
    together = max(1, GROUP // size) * size
    for at in range(0, len(shuffled), together):
        group = [examples.example(number, rng, hardness.value)
                 for number in shuffled[at:at + together]]
        group.sort(key=lambda example: len(example[0]))
        batches = [group[i:i + size] for i in range(0, len(group) - size + 1, size)]
        rng.shuffle(batches)
        for batch in batches:
            framed, answers, said = map(list, zip(*batch))
            if rng.random() < UNCALLED:
                answers = [until_call(answer) for answer in answers]
            yield maker.audio(framed, answers, said)


def until_call(answer):
    """What must be heard of an answer; what follows is learned from typed text, too, and more cheaply."""
    heard, call, _ = (answer or "").rpartition("<|tool_call>")    # of two commands the second
    return heard + call or answer


def _produce(queue, hardness, maker, drawer, examples, size, seed, text_share, people):
    rng, plain_rng = np.random.default_rng(seed), random.Random(seed)
    try:
        while True:                              # one round is one pass over the corpus
            for batch in _audio_batches(maker, examples, size, rng, hardness):
                if plain_rng.random() < text_share:
                    queue.put(_text_batch(maker, drawer, plain_rng, size, people))
                queue.put(batch)
    except Exception as error:                   # nobody would hear of it here
        queue.put(RuntimeError(f"making batches: {error!r}"))


class Source:
    """Batches without end, made by other processes (daemons: they end with us)."""

    def __init__(self, maker, context, folder, size, seed, text_share=TEXT, producers=1, noise=None, hardness=0.0,
                 typed=None):
        """noise: a folder of recordings of rooms; hardness: at first, how spoilt the recordings are to be,
        0 to 1; typed: a file of people's wordings."""
        fork = multiprocessing.get_context("fork")           # the corpus is in memory once
        drawer, data = corpus.Drawer(context), corpus.load(folder, "train")
        people = wordings.Wordings(typed, drawer) if typed else None
        if len(data[0]) < size:
            raise SystemExit(f"{folder}: {len(data[0])} clips are fewer than a batch of {size}")
        examples = Examples(data, drawer.phrases, rooms.Rooms(noise))
        self.hardness = fork.Value("d", hardness)
        self._queue = fork.Queue(maxsize=6 * producers)
        for number in range(producers):
            fork.Process(target=_produce, daemon=True,
                         args=(self._queue, self.hardness, maker, drawer, examples,
                               size, seed + 1000 * number, text_share, people)).start()

    def get(self):
        batch = self._queue.get()
        if isinstance(batch, Exception):
            raise batch
        return batch
