# SPDX-License-Identifier: Apache-2.0
"""Make the corpus: every engine speaks sentences of the context and some that are none.

    python corpus.py contexts/desktop.yaml OUT [--scale 1.0] [--workers 2] [--kokoro-voices DIR]
        [--engines NAME ...] [--recordings DIR ...]

A folder of recordings has a transcripts.tsv: a line that names the columns, of which `file` and `text`
must be there, and `speaker` and `part` (train or test) may be; then a line for each recording, in
lower case and without punctuation. What is no command of the context teaches what people sound like,
and that it is not to be obeyed. An empty text is of speech that nobody wrote down.

What is to be answered follows from the context that the folder was last made for, so when its sentences
have changed, the same command brings the corpus up to date.

The work is cut into shards; a shard that is already on disk is not made again, so the
command may be interrupted and repeated. Everything follows from --seed.
"""
import argparse
import collections
import csv
import glob
import json
import os
import random
import re
import time
from multiprocessing import Pool

import numpy as np
import soundfile

import context as contexts
import grammar
import other_speech
from voices import ENGINES, RATE, finish, warp

# Shards of each engine and clips spoken per shard, for training and for held-out voices.
# Kokoro speaks slowly, so each of its training clips is reshaped into another speaker.
TRAIN = {"espeak-ng": (16, 200), "kokoro": (60, 40), "flite": (9, 200), "piper-joe": (6, 200),
         "hibari": (10, 200), "festival": (6, 150)}
VALID = {"espeak-ng": (1, 80), "flite": (1, 60), "festival": (1, 60), "kokoro": (2, 80)}
SCRAMBLED = {"espeak-ng": (4, 150), "flite": (2, 150), "piper-joe": (1, 120), "hibari": (2, 150),
             "festival": (2, 100)}
OTHERS = {"espeak-ng": (1, 60), "flite": (1, 40), "festival": (1, 40)}    # no commands at all
NOTHING = "<turn|>"
CONTEXT = "context.yaml"     # the context of the corpus, in its folder
MOST_DRAWS = 1000            # for a sentence that means one thing only
TWO_SHARE = 0.05             # part of the commands that are followed by another
OTHER_SHARE = 0.22           # part of the clips that are not commands
RESHAPED = {"kokoro": 1}
PEOPLE = "people"            # the split of held-out recordings
SHARD = 300                  # recordings in a shard
LONGEST = 9.0                # seconds of a recording
EVERY = 5                    # of a speaker's recordings of no part one of so many is held out
DRAWS = 4
SHORT_SHARE = 0.25           # part of the commands that are the shortest of a few that were drawn,
RARE_SHARE = 0.5             # and part that have a word that was said least often


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
    return {"text": text, "intent": None, "answer": NOTHING}


class Drawer:
    """Draws sentences to speak, and what the model is to answer to each."""

    def __init__(self, context):
        self.context, self.sampler = context, contexts.Sampler(context)
        self.phrases = contexts.phrases(context)
        self.commands = grammar.compile_words(context)
        self.said = collections.Counter()        # how often each word was

    def draw(self, split, rng):
        """One sentence of a split."""
        if split == "others":
            return not_for_me(rng.choice(other_speech.UNSEEN).lower())
        if split == "train-scrambled" or rng.random() < OTHER_SHARE:
            return self._left_alone(self._other(split, rng))
        sentence = self._command(rng)
        if rng.random() < TWO_SHARE:
            sentence = self.sampler.add(sentence, self._command(rng, is_bare=True), rng)
        return {"text": contexts.spoken(sentence), "intent": sentence.intent,
                "answer": contexts.answer(self.context, sentence)}

    def _left_alone(self, text):
        return {**not_for_me(text), "answer": self.answer_to(text)[1]}

    def answer_to(self, text):
        """(intent, answer) of these words; None if they mean two things. What is not to be done is written
        down as it is said, for that is how one hears that it is not."""
        text = re.sub(r"\bdon't\b", "do not", text)
        for words in (text.split(), re.sub(r"\bi\b", "I", text).split()):
            if self.commands.is_doubtful(words):
                return None
            if self.commands.say(words):
                return self._call(words)
            if self.commands.deny(words):
                return None, " ".join(words) + NOTHING
        return None, NOTHING

    def _call(self, words):
        state, said = self.commands.start, {}
        for word in words:
            writes, state = self.commands.edges[state][word]
            said.update(writes)
        writes, intent, names = self.commands.ends[state]
        said.update(writes)
        call = "".join(part if isinstance(part, str) else said[part.name]
                       for part in contexts.call_parts(self.context, intent, names))
        return intent, f"{' '.join(words)}<|tool_call>{call}<tool_call|><|tool_response>"

    def _command(self, rng, is_bare=False):
        """Of two readings of a sentence only the first counts, and which one it is is not known
        here; so what has two is not said."""
        kind = rng.random()
        for _ in range(MOST_DRAWS):
            drawn = [self.sampler.draw(rng, is_bare)
                     for _ in range(DRAWS if kind < SHORT_SHARE + RARE_SHARE else 1)]
            if kind < SHORT_SHARE:
                sentence = min(drawn, key=lambda each: len(each.text.split()))
            else:                                # if it is only one it is this one
                sentence = min(drawn, key=lambda each: min(self.said[word] for word in each.text.split()))
            if not self.commands.is_doubtful(sentence.text.split()):
                self.said.update(sentence.text.split())
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
    """Writes down for which context the corpus is."""
    path = os.path.join(folder, CONTEXT)
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(source)
    os.replace(path + ".part", path)


def check_context(folder, source):
    """Ends the program if the corpus is for a context that says something else."""
    path = os.path.join(folder, CONTEXT)
    if os.path.exists(path) and contexts.load(path) != contexts.parse(source):
        raise SystemExit(f"{folder} is the corpus of another context ({path}): use another folder, or let "
                         "corpus.py bring this one up to date")


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
    lines, audio = [], []
    for path in sorted(glob.glob(os.path.join(folder, f"{split}-*.npz"))):
        if path.endswith(".part.npz"):
            continue
        with np.load(path) as shard:
            lines += json.loads(str(shard["lines"]))
            audio += np.split(shard["audio"], shard["offsets"][1:-1])
    if not lines:
        raise SystemExit(f"{folder}: there is no {split}-*.npz; corpus.py makes it")
    kept = answered(folder, lines)
    lines, audio = [line for line in kept if line], [clip for line, clip in zip(kept, audio) if line]
    return lines, np.concatenate(audio), np.cumsum([0] + [len(clip) for clip in audio])


def answered(folder, lines):
    """The lines with the answers of the folder's context; None for what means two things."""
    path = os.path.join(folder, CONTEXT)
    if not os.path.exists(path):
        return lines
    drawer, kept = Drawer(contexts.load(path)), []
    for line in lines:
        found = drawer.answer_to(line["text"]) if line["text"] else (None, NOTHING)
        kept.append({**line, "intent": found[0], "answer": found[1]} if found else None)
    return kept


# ---- people --------------------------------------------------------------------------

def transcripts(folder):
    """The table of a folder of recordings, a dict for each. Ends the program if it can not be read."""
    path = os.path.join(folder, "transcripts.tsv")
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path}: {error}") from None
    for number, row in enumerate(table, 2):
        if not row.get("file") or row.get("text") is None or None in row:
            raise SystemExit(f"{path}: line {number} has no file and text, or too many columns")
    return table


def parts(table):
    """{part: rows}, "train" and "test". Where no part is given, some of each speaker's are held out."""
    found, seen = {"train": [], "test": []}, {}
    for row in table:
        speaker = row.get("speaker") or ""
        seen[speaker] = seen.get(speaker, 0) + 1
        by_turn = "test" if seen[speaker] % EVERY == 0 else "train"
        part = row.get("part") or by_turn
        if part not in found:
            raise SystemExit(f"{row['file']}: the part {part!r} is neither train nor test")
        found[part].append(row)
    return found


def spoken_words(text):
    """As the context writes them."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def record_shards(out, folder):
    """Shards of a folder of recordings, made anew each time; how many recordings of each part."""
    name = os.path.basename(os.path.abspath(folder))
    counts = {}
    for part, rows in parts(transcripts(folder)).items():
        split = {"train": "train-recorded", "test": PEOPLE}[part]
        for old in glob.glob(os.path.join(out, f"{split}-{name}-[0-9]*.npz")):
            os.unlink(old)
        lines, clips = [], []
        for row in rows:
            samples, rate = soundfile.read(os.path.join(folder, row["file"]), dtype="float32")
            clip = finish(samples, rate) if len(samples) <= LONGEST * rate else None
            lines.append({**not_for_me(spoken_words(row["text"])), "engine": f"people {name}",
                          "voice": row.get("speaker") or name, "person": True})
            clips.append(clip)
        for at in range(0, len(lines), SHARD):
            save(os.path.join(out, f"{split}-{name}-{at // SHARD:03}.npz"), lines[at:at + SHARD], clips[at:at + SHARD])
        counts[part] = sum(clip is not None for clip in clips)
    return counts


def main():
    options = argparse.ArgumentParser(description="make the corpus of spoken commands")
    options.add_argument("context")
    options.add_argument("out")
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES), help="only these speak")
    options.add_argument("--kokoro-voices", metavar="DIR", help="more of Kokoro's voices: a folder of NAME.bin")
    options.add_argument("--recordings", metavar="DIR", nargs="+", default=[],
                         help="people, with transcripts.tsv")
    options.add_argument("--seed", type=int, default=1)
    args = options.parse_args()
    os.makedirs(args.out, exist_ok=True)
    context = contexts.load(args.context)
    grammar.check(context)
    ENGINES["kokoro"].folder = args.kokoro_voices
    keep_context(args.out, context.source)
    for folder in args.recordings:
        print(f"{folder}:", record_shards(args.out, folder), flush=True)
    jobs = [(os.path.join(args.out, f"{split}-{engine}-{number:03}.npz"), args.context,
             args.seed, split, engine, number, count)
            for split, engine, number, count in plan(args.scale) if engine in args.engines]
    started = time.time()
    with Pool(args.workers) as pool:                 # --engines alone: only recordings are taken in
        for done, (path, seconds) in enumerate(pool.imap_unordered(make_shard, jobs), 1):
            left = (time.time() - started) * (len(jobs) - done) / done
            print(f"{done}/{len(jobs)} {os.path.basename(path)} {seconds:.0f} s, "
                  f"about {left / 60:.0f} min left", flush=True)


if __name__ == "__main__":
    main()
