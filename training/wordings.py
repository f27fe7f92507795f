# SPDX-License-Identifier: Apache-2.0
"""How people type what they mean: wordings that no pattern of a context holds, each with a sentence of
the context that means the same.

A file of them has lines of TEXT<TAB>SENTENCE, in the words that somebody would speak (25 is "twenty
five"); without a sentence the text is to be answered with nothing. The model learns to answer the one
with the other, so what it may say is still what the grammar holds.

    python wordings.py contexts/desktop.yaml FILE        counts, and what can not be used
"""
import random
import sys

import context as contexts
from grammar import NOT_FOR_ME
from numerals import NUMERALS, in_words

COMMANDS = 0.55            # of what is drawn; the rest is for nobody
RENUMBERED = 0.6           # how often a number becomes another
TRIES = 5
LOOSENED = 0.4             # how often a word is put in or left out
FILLERS = """just now then so well okay ok hey please actually kindly quickly immediately again now
    really maybe sir thanks computer assistant ai""".split()
LEFT_OUT = "the a an to me my please your for it now of can you i".split()


def read(path):
    """[(text, sentence)]"""
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    for row in rows:
        if len(row) != 2:
            raise SystemExit(f"{path}: {row[0]!r} is not followed by one tab and a sentence")
    return [(" ".join(text.lower().split()), sentence.strip()) for text, sentence in rows]


def number_runs(text):
    """[(first, last + 1)] of the words in a row that are numbers."""
    words, runs = text.split(), []
    for at, word in enumerate(words):
        if word not in NUMERALS:
            continue
        if runs and runs[-1][1] == at:
            runs[-1] = runs[-1][0], at + 1
        else:
            runs.append((at, at + 1))
    return runs


def with_number(text, number):
    """A text whose one number has become another."""
    words, [(first, last)] = text.split(), number_runs(text)
    return " ".join([*words[:first], number, *words[last:]])


def loosened(text, rng):
    """A text with a small word more or less, as people are not careful."""
    words = text.split()
    small = [at for at, word in enumerate(words) if word in LEFT_OUT]
    if rng.random() < 0.5 and small and len(words) > 3:
        del words[rng.choice(small)]
    else:
        at = rng.choice((0, 0, len(words), rng.randrange(len(words) + 1)))
        if not (at and at < len(words) and words[at - 1] in NUMERALS):
            words.insert(at, rng.choice(FILLERS))
    return " ".join(words)


class Wordings:
    """Draws from a file."""

    def __init__(self, path, drawer):
        """drawer: a corpus.Drawer, which knows the context."""
        self.drawer, self.words = drawer, drawer.commands
        rows = read(path)
        self.commands = [row for row in rows if row[1]]
        self.others = [text for text, sentence in rows if not sentence]
        for _, sentence in self.commands:
            if drawer.answer_to(sentence) in (None, (None, NOT_FOR_ME)):
                raise SystemExit(f"{path}: {sentence!r} is no sentence of the context")

    def _renumbered(self, text, sentence, rng):
        """The same with another number, where both have the same one."""
        numbers = [[row.split()[a:b] for a, b in number_runs(row)] for row in (text, sentence)]
        if len(numbers[0]) != 1 or numbers[0] != numbers[1]:
            return text, sentence
        for _ in range(TRIES):
            number = in_words(rng.choice((rng.randrange(1, 13), rng.randrange(1, 61), rng.randrange(101))))
            if self.words.say(with_number(sentence, number).split()):
                return with_number(text, number), with_number(sentence, number)
        return text, sentence

    def draw(self, rng):
        """(what is typed, the answer)"""
        if self.others and (not self.commands or rng.random() > COMMANDS):
            text, sentence = rng.choice(self.others), None
        else:
            text, sentence = rng.choice(self.commands)
            if rng.random() < RENUMBERED:
                text, sentence = self._renumbered(text, sentence, rng)
        if rng.random() < LOOSENED:
            other = loosened(text, rng)
            text = text if self.words.is_doubtful(other.split()) else other
        return text, self.drawer.answer_to(sentence or text)[1]


def main():
    import corpus                            # needs more than the rest of this

    wordings = Wordings(sys.argv[2], corpus.Drawer(contexts.load(sys.argv[1])))
    rng = random.Random(0)
    print(f"{len(wordings.commands)} commands, {len(wordings.others)} that are none")
    for _ in range(10):
        print("  ", *wordings.draw(rng), sep="\t")


if __name__ == "__main__":
    main()
