# SPDX-License-Identifier: Apache-2.0
"""Make the corpus: every engine speaks sentences of the context and some that are none.

    python corpus.py contexts/desktop.yaml OUT [--scale 1.0] [--workers 2]

The work is cut into shards; a shard that is already on disk is not made again, so the
command may be interrupted and repeated. Everything follows from --seed.
"""
import argparse
import glob
import json
import os
import random
import time
from multiprocessing import Pool

import numpy as np

import context as contexts
import grammar
import other_speech
from voices import ENGINES, RATE, finish, warp

# Shards of each engine and clips spoken per shard, for training and for held-out voices.
# Kokoro speaks slowly, so each of its training clips is reshaped into two more speakers.
TRAIN = {"espeak-ng": (24, 200), "kokoro": (12, 28), "flite": (9, 200), "piper-joe": (6, 200),
         "hibari": (10, 200), "festival": (6, 150)}
VALID = {"espeak-ng": (1, 80), "flite": (1, 60), "festival": (1, 60), "kokoro": (1, 60)}
SCRAMBLED = {"espeak-ng": (4, 150), "flite": (2, 150), "piper-joe": (1, 120), "hibari": (2, 150),
             "festival": (2, 100)}
OTHERS = {"espeak-ng": (1, 60), "flite": (1, 40), "festival": (1, 40)}    # no commands at all
CONTEXT = "context.yaml"     # the context of the corpus, in its folder
MOST_DRAWS = 1000            # for a sentence that means one thing only
OTHER_SHARE = 0.22           # part of the clips that are not commands
RESHAPED = {"kokoro": 2}


def plan(scale):
    """All shards as (split, engine, number, clips), spread so that a part is a good mixture."""
    shards = []
    for split, table in (("valid", VALID), ("others", OTHERS), ("train", TRAIN),
                         ("train-scrambled", SCRAMBLED)):
        for engine, (count, clips) in table.items():
            training = split.startswith("train")
            count = max(1, round(count * scale)) if training else count
            for number in range(count):
                place = (number + 0.5) / count if training else -1
                shards.append((place, split, engine, number, clips))
    return [shard[1:] for shard in sorted(shards)]


def not_for_me(text):
    return {"text": text, "intent": None, "answer": "<turn|>"}


class Drawer:
    """Draws sentences to speak, and what the model is to answer to each."""

    def __init__(self, context):
        self.context, self.sampler = context, contexts.Sampler(context)
        self.phrases = contexts.phrases(context)
        self.commands = grammar.compile_words(context)

    def draw(self, split, rng):
        """One sentence of a split."""
        if split == "others":
            return not_for_me(rng.choice(other_speech.UNSEEN).lower())
        if split == "train-scrambled" or rng.random() < OTHER_SHARE:
            return not_for_me(self._other(split, rng))
        sentence = self._command(rng)
        return {"text": sentence.text, "intent": sentence.intent,
                "answer": contexts.answer(self.context, sentence)}

    def _command(self, rng):
        """Of two readings of a sentence only the first counts, and which one it is is not known
        here; so what has two is not said."""
        for _ in range(MOST_DRAWS):
            sentence = self.sampler.draw(rng)
            if not self.commands.is_doubtful(sentence.text.split()):
                return sentence
        raise SystemExit("hardly a sentence of the context means one thing only; see grammar.py")

    def _other(self, split, rng):
        while True:
            if split == "train-scrambled":
                text = other_speech.scramble(contexts.words(self.context), rng, self.phrases)
            else:
                text = other_speech.draw(rng, self.sampler.draw(rng, is_bare=True).text)
            if not self.commands.say(text.split()):
                return text


def reshape(lines, clips, times, rng):
    """Add `times` copies of every clip in the shape of other speakers."""
    for line, clip in list(zip(lines, clips)):
        for _ in range(times if clip is not None else 0):
            formant = rng.uniform(0.82, 1.12)
            pitch = formant * rng.uniform(0.6, 1.1)
            lines.append({**line, "voice": f"{line['voice']}~{formant:.2f}"})
            clips.append(finish(warp(clip, pitch, formant), RATE))


def make_shard(job):
    path, context_path, seed, split, engine_name, number, count = job
    if os.path.exists(path):
        return path, 0
    started = time.time()
    rng = random.Random(f"{seed}/{split}/{engine_name}/{number}")
    drawer, engine = Drawer(contexts.load(context_path)), ENGINES[engine_name]
    lines = [drawer.draw(split, rng) for _ in range(count)]
    voices = [engine.draw(rng, not split.startswith("train")) for _ in lines]
    for line, voice in zip(lines, voices):
        line.update(engine=engine_name, voice=voice["name"])
    clips = engine.say_many([(line["text"], voice) for line, voice in zip(lines, voices)])
    if split == "train":
        reshape(lines, clips, RESHAPED.get(engine_name, 0), rng)
    save(path, lines, clips)
    return path, time.time() - started


def keep_context(folder, source):
    """Writes down of which context the corpus is; refuses a folder with the corpus of another."""
    path = os.path.join(folder, CONTEXT)
    check_context(folder, source)
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(source)
    os.replace(path + ".part", path)


def check_context(folder, source):
    """Ends the program if the corpus was made for a context that says something else."""
    path = os.path.join(folder, CONTEXT)
    if os.path.exists(path) and contexts.load(path) != contexts.parse(source):
        raise SystemExit(f"{folder} is the corpus of another context ({path}); use another folder")


def save(path, lines, clips):
    good = [(line, clip) for line, clip in zip(lines, clips) if clip is not None]
    offsets = np.cumsum([0] + [len(clip) for _, clip in good])
    audio = np.concatenate([(clip * 32767).astype(np.int16) for _, clip in good])
    np.savez(path + ".part.npz", audio=audio, offsets=offsets,
             lines=json.dumps([line for line, _ in good]))
    os.replace(path + ".part.npz", path)        # a shard is whole or not there


def load(folder, split):
    """All clips of a split that are on disk: (lines, one int16 array, offsets). Ends the program
    if there are none."""
    lines, audio, offsets = [], [], [np.zeros(1, np.int64)]
    for path in sorted(glob.glob(os.path.join(folder, f"{split}-*.npz"))):
        if path.endswith(".part.npz"):
            continue
        with np.load(path) as shard:
            lines += json.loads(str(shard["lines"]))
            audio.append(shard["audio"])
            offsets.append(shard["offsets"][1:] + offsets[-1][-1])
    if not lines:
        raise SystemExit(f"{folder}: there is no {split}-*.npz; corpus.py makes it")
    return lines, np.concatenate(audio), np.concatenate(offsets)


def main():
    options = argparse.ArgumentParser(description="make the corpus of spoken commands")
    options.add_argument("context")
    options.add_argument("out")
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--seed", type=int, default=1)
    args = options.parse_args()
    os.makedirs(args.out, exist_ok=True)
    context = contexts.load(args.context)
    grammar.check(context)
    keep_context(args.out, context.source)
    jobs = [(os.path.join(args.out, f"{split}-{engine}-{number:03}.npz"), args.context,
             args.seed, split, engine, number, count)
            for split, engine, number, count in plan(args.scale)]
    started = time.time()
    with Pool(args.workers) as pool:
        for done, (path, seconds) in enumerate(pool.imap_unordered(make_shard, jobs), 1):
            left = (time.time() - started) * (len(jobs) - done) / done
            print(f"{done}/{len(jobs)} {os.path.basename(path)} {seconds:.0f} s, "
                  f"about {left / 60:.0f} min left", flush=True)


if __name__ == "__main__":
    main()
