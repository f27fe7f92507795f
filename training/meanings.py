# SPDX-License-Identifier: Apache-2.0
"""What a typed request means that no sentence of a context is: a small linear model over words and
pairs of words, learned from the context's own sentences, from what `typed: meanings: like:` adds, and
from requests of people.

    python meanings.py contexts/desktop.yaml REQUESTS [--probe ../build/tests/training/typed-probe]
    python meanings.py contexts/desktop.yaml REQUESTS --fold 5     how good it is on what it did not see

REQUESTS is a folder with `ours.tsv` (a text, a tab, the intent's name: requests that this context has
something for) and `others.tsv` (the same; what `requests:` names is a meaning, all else is nothing).
Without it the context alone is learned. What comes of it lies beside the context, NAME.meanings, and
travels in the model's file (model/meaning.h); no request can be read from it.

The words are those that the daemon makes of a text, which is why its own code is asked: build it first
(`make tests/training/typed-probe`).
"""
import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import numpy as np
from scipy import sparse

import context as contexts
import grammar_file
import meaning_file
from numerals import NUMERALS

ANY = "blah"                # in `like:`, any word that nobody has learnt
OF_A_TREE = 12              # sentences drawn of each expression
OWN_WEIGHT, MOST_OF_ONE = 0.3, 60
LIKE_WEIGHT = 0.8
WEIGHTS = 9_000             # how many are kept
SCALE = 3.0                 # of a request's features
STEPS, RATE, DECAY = 300, 0.05, 1e-5
RATE_AGAIN = 0.02
UNIT = 1 / 12               # a weight of one in the file, which has 8 bits


# ---- requests and their labels -------------------------------------------------------

class Probe:
    """The daemon's reading of texts: the words that meanings are told by, and the grammar's calls."""

    def __init__(self, program, context):
        self.program, self.folder = program, tempfile.TemporaryDirectory()
        self.model = os.path.join(self.folder.name, "context.gguf")
        bare = contexts.parse(context.source)
        grammar_file.write(self.model, bare)

    def _ask(self, texts, *mode):
        done = subprocess.run([self.program, self.model, *mode], input="".join(t + "\n" for t in texts), text=True,
                              stdout=subprocess.PIPE, check=True)
        lines = done.stdout.splitlines()
        if len(lines) != len(texts):
            raise SystemExit(f"{self.program} answered {len(lines)} of {len(texts)} texts")
        return lines

    def words(self, texts):
        return self._ask(texts, "words")

    def calls(self, texts):
        """name and arguments of each text's one call; None: it has none or several."""
        found = []
        for line in self._ask(texts):
            match = re.fullmatch(r"(\w+)(\{.*\})", line)
            found.append((match[1], json.loads(match[2])) if match and "; " not in line else None)
        return found


def meaning_of(context, call):
    """The number of the meaning that a call is of, counted from 1; None: none."""
    if call is None:
        return None
    name, arguments = call
    for number, meaning in enumerate(context.meanings, 1):
        for text in meaning.calls:
            its, *values = text.split()
            if its == name and set(values) <= {str(v) for v in arguments.values()}:
                return number
    return None


def _call_of(context, sentence):
    text = contexts.call(context, sentence).replace(contexts.QUOTE, '"')
    match = re.fullmatch(r"call:(\w+)(\{.*\})", text)
    return match[1], json.loads(re.sub(r'([{,])(\w+):', r'\1"\2":', match[2]))


def drawn(context, trees, rng, intent=None):
    """Sentences of expressions, those that differ in numbers alone only once."""
    seen = set()
    for tree in trees:
        for _ in range(OF_A_TREE):
            sentence = contexts.draw_of(context, tree, rng, intent)
            alike = " ".join("#" if word in NUMERALS else word for word in sentence.text.split())
            if alike not in seen:
                seen.add(alike)
                yield sentence


def own_examples(context, rng):
    """(text, meaning, weight) of the context's sentences and of `like:`."""
    found = collections.defaultdict(list)
    for intent, trees in context.expressions.items():
        for sentence in drawn(context, trees, rng, intent):
            number = meaning_of(context, _call_of(context, sentence))
            if number:
                found[number].append(sentence.text)
    for number, texts in found.items():
        for text in texts:
            yield text, number, OWN_WEIGHT * min(1, MOST_OF_ONE / len(texts))
    for number, trees in enumerate([context.meaningless] + [meaning.like for meaning in context.meanings]):
        texts = [s.text for s in drawn(context, trees, rng)]
        for text in texts:
            yield text, number, LIKE_WEIGHT * (min(1, MOST_OF_ONE / len(texts)) if number else 1)


def read_requests(folder, name):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(text, intent) for text, intent in rows if (text, intent) != ("text", "intent")]


def people_examples(context, probe, folder):
    """[(words, meaning or None if it is not known, recorded intent, text)]"""
    ours, others = (read_requests(folder, name) for name in ("ours.tsv", "others.tsv"))
    of_intent = {name: number for number, m in enumerate(context.meanings, 1) for name in m.requests}
    words = probe.words([text for text, _ in ours + others])
    calls = probe.calls([text for text, _ in ours])
    rows = [(w, meaning_of(context, call), intent, text)
            for (text, intent), w, call in zip(ours, words, calls)]
    rows += [(w, of_intent.get(intent, 0), None, text) for (text, intent), w in zip(others, words[len(ours):])]
    return [row for row in rows if row[0]]


# ---- features, as model/meaning.c has them -------------------------------------------

def fnv(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xffffffff
    return value


def features(words, known):
    pieces = ["^"] + [w if w in known else "?" for w in words.split()] + ["$"]
    return set(pieces[1:-1]) | {f"{a} {b}" for a, b in zip(pieces, pieces[1:])}


def table(rows, numbers):
    """Rows of features by their numbers, each row of length SCALE."""
    found = [sorted(numbers[f] for f in row if f in numbers) for row in rows]
    sizes = np.array([len(row) for row in found])
    values = np.repeat((SCALE / np.sqrt(np.maximum(sizes, 1))).astype(np.float32), sizes)
    columns = np.array([c for row in found for c in row], np.int32)
    return sparse.csr_matrix((values, columns, np.r_[0, np.cumsum(sizes)]), shape=(len(rows), len(numbers)))


def softmax(scores):
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def descend(rows, labels, weighing, weights, bias, mask, steps, rate):
    """Adam on the cross entropy of all examples at once."""
    wanted = np.zeros((len(labels), weights.shape[1]), np.float32)
    wanted[np.arange(len(labels)), labels] = 1
    turned = rows.T.tocsr()
    share = (weighing / weighing.sum()).astype(np.float32)[:, None]
    moments = [np.zeros_like(x) for x in (weights, weights, bias, bias)]
    for step in range(1, steps + 1):
        error = (softmax(rows @ weights + bias) - wanted) * share
        slopes = (turned @ error + DECAY * weights) * mask, error.sum(0)
        pace = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        for k, (value, slope) in enumerate(zip((weights, bias), slopes)):
            first, second = moments[2 * k], moments[2 * k + 1]
            first += 0.1 * (slope - first)
            second += 0.001 * (slope * slope - second)
            value -= pace * (first / (1 - 0.9 ** step)) / (np.sqrt(second / (1 - 0.999 ** step)) + 1e-8)
    return weights * mask, bias


class Learned:
    def __init__(self, numbers, weights, bias, known):
        self.numbers, self.weights, self.bias, self.known = numbers, weights, bias, known

    def judge(self, words):
        """(likelihood of any meaning, the likeliest) of each."""
        rows = table([features(w, self.known) for w in words], self.numbers)
        shares = softmax(rows @ self.weights + self.bias)
        best = shares[:, 1:].argmax(1) + 1
        return [(1 - share[0], int(b), share) for share, b in zip(shares, best)]


def learn(examples, n_classes, keep=WEIGHTS):
    """examples: [(words, label, weight)]."""
    counts = collections.Counter(w for words, _, _ in examples for w in set(words.split()))
    known = {w for w, n in counts.items() if n > 1 and w != ANY}
    rows = [features(words, known) for words, _, _ in examples]
    counts = collections.Counter(f for row in rows for f in row)
    numbers = {f: i for i, f in enumerate(sorted(f for f, n in counts.items() if n > 1))}
    rows = table(rows, numbers)
    labels = np.array([label for _, label, _ in examples])
    weighing = np.array([weight for _, _, weight in examples])
    weights = np.zeros((len(numbers), n_classes), np.float32)
    bias = np.zeros(n_classes, np.float32)
    weights, bias = descend(rows, labels, weighing, weights, bias, 1, STEPS, RATE)
    for kept in (4 * keep, keep):
        least = np.sort(np.abs(weights), axis=None)[-kept] if kept < weights.size else 0
        mask = (np.abs(weights) >= least).astype(np.float32)
        weights, bias = descend(rows, labels, weighing, weights * mask, bias, mask, STEPS // 2, RATE_AGAIN)
    weights = np.clip(np.round(weights * SCALE / UNIT), -127, 127) * UNIT / SCALE
    return Learned(numbers, weights, np.round(bias / UNIT) * UNIT, known)


# ---- what is not labelled ------------------------------------------------------------

def fill_in(rows, learned):
    """The likeliest of the meanings that requests of the same intent have, for those of which the grammar
    knows none."""
    of_intent = collections.defaultdict(collections.Counter)
    for _, label, intent, _ in rows:
        if intent and label:
            of_intent[intent][label] += 1
    allowed = {intent: [m for m, n in found.items() if n >= 0.03 * sum(found.values())]
               for intent, found in of_intent.items()}
    for (words, label, intent, text), (_, _, share) in zip(rows, learned.judge([row[0] for row in rows])):
        if label is None and allowed.get(intent):
            label = max(allowed[intent], key=lambda m: share[m])
        if label is not None:
            yield words, label, intent, text


def learn_all(context, own, rows):
    n_classes = len(context.meanings) + 1
    examples = own + [(words, label, 1.0) for words, label, _, _ in rows if label is not None]
    learned = learn(examples, n_classes)
    if any(label is None for _, label, _, _ in rows):
        rows = list(fill_in(rows, learned))
        learned = learn(own + [(words, label, 1.0) for words, label, _, _ in rows], n_classes)
    return learned


# ---- the file ------------------------------------------------------------------------

def write(path, context, learned):
    """Features that weigh something, and all words that are known."""
    order = sorted((fnv(f), i) for f, i in learned.numbers.items()
                   if np.any(learned.weights[i]) or " " not in f)
    if len({h for h, _ in order}) < len(order):
        raise SystemExit("two features have one hash")
    rows = [np.round(learned.weights[i] * SCALE / UNIT).astype(int) for _, i in order]
    places = [np.nonzero(row)[0] for row in rows]
    arrays = {"features": [h for h, _ in order], "counts": [len(at) for at in places],
              "classes": [int(c) for at in places for c in at],
              "weights": [int(row[c]) for row, at in zip(rows, places) for c in at]}
    meaning_file.write(path, context, UNIT, [int(b) for b in np.round(learned.bias / UNIT)], arrays)
    return len(order), len(arrays["weights"])


# ---- how good it is ------------------------------------------------------------------

def cross_validate(context, own, rows, folds):
    rng, found = random.Random(1), []
    fold = [rng.randrange(folds) for _ in rows]
    for k in range(folds):
        learned = learn_all(context, own, [row for row, f in zip(rows, fold) if f != k])
        held = [row for row, f in zip(rows, fold) if f == k]
        found += zip(held, learned.judge([row[0] for row in held]))
        print(f"  part {k + 1} of {folds}", file=sys.stderr)
    report(context, found)


def report(context, found):
    """Of the meanings that do something; the least likelihood of each is the context's, more or less."""
    for more in (-0.2, -0.1, 0, 0.1):
        count = collections.Counter()
        for (_, label, intent, _), (likely, best, _) in found:
            meaning = context.meanings[best - 1]
            if likely < meaning.least / 100 + more:
                best = 0
            whose = "ours" if intent else "others"
            does = best and meaning.says[0] not in "=?"
            if intent and label:
                count[whose, "right" if best == label else "nothing" if not best else "wrong" if does else "told"] += 1
            else:
                count[whose, "done" if does else "told" if best else "nothing"] += 1
        print(f"least {more:+.1f}:", ", ".join(f"{a} {b} {n}" for (a, b), n in sorted(count.items())))


def main():
    options = argparse.ArgumentParser(description="learn what typed requests mean")
    options.add_argument("context")
    options.add_argument("requests", nargs="?")
    options.add_argument("--probe", default="../build/tests/training/typed-probe")
    options.add_argument("--fold", type=int, default=0)
    options.add_argument("--out", help="%s by itself" % meaning_file.beside("CONTEXT.yaml"))
    args = options.parse_args()
    context = contexts.load(args.context)
    probe = Probe(args.probe, context)
    own = list(own_examples(context, random.Random(5)))
    own = [(words, label, weight) for (_, label, weight), words in zip(own, probe.words([o[0] for o in own])) if words]
    rows = people_examples(context, probe, args.requests) if args.requests else []
    print(f"{len(own)} sentences of the context, {len(rows)} requests of people")
    if args.fold:
        cross_validate(context, own, rows, args.fold)
        return
    sizes = write(args.out or meaning_file.beside(args.context), context, learn_all(context, own, rows))
    print("%d features, %d weights" % sizes)


if __name__ == "__main__":
    main()
