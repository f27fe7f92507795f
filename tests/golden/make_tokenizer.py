# SPDX-License-Identifier: Apache-2.0
"""A tokenizer of the Gemma kind, trained on invented text in many scripts, and what the tokenizers
library makes of thousands of strings."""

import argparse
import builtins
import collections
import keyword
import pathlib
import random
import struct

import gguf
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

import export_gguf
import vocabulary

SEED = 4303
N_CASES = 10000
N_MARKER_CASES = 300
N_PIECES = 2200
N_CHARACTERS = 900


def span(first, last):
    return [chr(code) for code in range(first, last + 1)]


def clusters(starts, middles, ends=("",)):
    return [start + middle + end for start in starts for middle in middles for end in ends]


def syllables(rng):
    """For every script, what its words are made of."""
    made = {
        "latin": clusters("bcdfghklmnprstvz", "aeiou", ["", "", "n", "r", "s", "t", "ng"])
        + ["th", "qu", "ch"],
        "german": clusters("bdfghklmnrstwz", "aeiouäöü", ["", "n", "ß", "ch"]),
        "czech": clusters("bcčdďhklmnňprřsštťvzž", "aáeéěiíoóuúůyý", ["", "l", "m"]),
        "turkish": clusters("bcçdgğhklmnprsştvyz", "aeıioöuü", ["", "k", "r"]),
        "french": clusters("bcçdfgjlmnprstv", "aàâeéèêiîoôuùûœ", ["", "nt", "s"]),
        "polish": clusters(
            ["sz", "cz", "rz", "ł", "ś", "ź", "ż", "k", "p", "w"], "aąeęioóuy", ["", "ć", "ń"]
        ),
        "vietnamese": clusters(
            ["ng", "nh", "th", "đ", "b", "t", "l"], "ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"
        ),
        "cyrillic": clusters("бвгджзклмнпрстфхцчшщ", "аеёиоуыэюя", ["", "й", "т", "ть"]),
        "ukrainian": clusters("бвгґдзклмнпрст", "аеєиіїоу", ["", "в"]),
        "greek": clusters("βγδζθκλμνξπρστφχψ", "αεηιοωάέήίόώ", ["", "ς", "ν"]),
        "armenian": clusters(span(0x562, 0x570), "աեէիոու"),
        "georgian": clusters(span(0x10D1, 0x10E8)[1:], "აეიოუ"),
        "hebrew": clusters(span(0x5D0, 0x5EA), ["", "", "\u05b7", "\u05b8", "\u05b4"]),
        "arabic": clusters(span(0x628, 0x63A), ["", "ا", "ي", "و", "\u064e", "\u0651\u064f"]),
        "persian": clusters("پچژگکلمنه", ["ا", "ی", "و", "\u200c"]),
        "devanagari": clusters(
            span(0x915, 0x939), ["", "\u093e", "\u093f", "\u0940", "\u0947", "\u094b", "\u094d"]
        ),
        "bengali": clusters(span(0x995, 0x9A8), ["", "\u09be", "\u09bf", "\u09c7"]),
        "tamil": clusters("கஙசஞடணதநபமயரலவ", ["", "\u0bbe", "\u0bbf", "\u0bcd"]),
        "thai": clusters(
            span(0xE01, 0xE2E), ["", "\u0e31", "\u0e32", "\u0e35\u0e48", "\u0e39\u0e49"]
        ),
        "khmer": clusters(span(0x1780, 0x17A2), ["", "\u17b6", "\u17d2"]),
        "ethiopic": span(0x1200, 0x1240),
        "hiragana": span(0x3042, 0x3093),
        "katakana": span(0x30A2, 0x30F3) + ["ー"],
        "han": rng.sample(span(0x4E00, 0x9FA5), 260),
        "hangul": rng.sample(span(0xAC00, 0xD7A3), 200),
    }
    return {script: sorted(set(parts)) for script, parts in made.items()}


CLOSE = {"hiragana", "katakana", "han", "thai", "khmer"}  # written without spaces
EMOJI = span(0x1F600, 0x1F64F) + span(0x1F680, 0x1F6A0) + ["❤\ufe0f", "☀\ufe0f", "✨"]
PEOPLE = ["\U0001f468", "\U0001f469", "\U0001f467", "\U0001f466"]
SKINS = span(0x1F3FB, 0x1F3FF)
FLAGS = span(0x1F1E6, 0x1F1FF)
MATHS = span(0x2200, 0x22FF) + span(0x1D400, 0x1D433) + list("±×÷√∞≈≠≤≥")
MARKS = span(0x300, 0x36F) + ["\u20dd", "\u0489"]
SPACES = ["\t", "\u00a0", "\u2003", "\u200b", "\u3000", "\u2028", "\r", "\v", "\f", "\u0085"]
CONTROLS = span(0, 8) + span(14, 31) + span(0x7F, 0x9F) + ["\u200e", "\u202e", "\ufeff", "\u00ad"]
RARE = (
    span(0x1680, 0x169A)
    + span(0x12000, 0x12040)
    + span(0x20000, 0x20040)
    + span(0xE000, 0xE010)
    + ["\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\U000e0041", "\ud7ff", "\U00010000"]
)
ASCII_SIGNS = list(".,:;!?-_+*/=()[]{}<>|&%$#@^~`'\"\\")
NAMES = sorted(keyword.kwlist) + sorted(name for name in dir(builtins) if name.islower())
LINES = [
    "if {0} == {1}:",
    "    return {0}({1}, {2})",
    "for (int i = 0; i < {0}; i++) {{",
    "\t\t{0}->{1} = {2};",
    "def {0}({1}, *{2}):",
    "{0}[{1}] += 0x1F;",
    "#include <{0}.h>",
    '<a href="{0}">{1}</a>',
    "SELECT {0} FROM {1};",
    '"{0}": [{1}, {2}],',
    "/* {0} {1} */",
    "  - {0}: '{1}'",
    "$ {0} --{1}={2} | {0}",
    "```{0}\n{1}\n```",
]
LOOKALIKES = [
    "<0x41>",
    "<0x0A>",
    "<0xZZ>",
    "<|turn|>",
    "<|turn >",
    "< |turn>",
    "<|tur",
    "turn|>",
    "<start_of_turn>",
    "<s>",
    "</s>",
    "[INST]",
    "<|im_start|>",
    "<|video|>",
]


class Writer:
    """Invents text."""

    def __init__(self, rng):
        self.rng = rng
        self.lexicon = {}
        for script, parts in syllables(rng).items():
            words = {"".join(rng.choices(parts, k=rng.choice([1, 2, 2, 3]))) for _ in range(160)}
            self.lexicon[script] = sorted(words)
            rng.shuffle(self.lexicon[script])

    def word(self, script):
        words = self.lexicon[script]
        word = words[min(int(self.rng.paretovariate(0.7)) - 1, len(words) - 1)]
        if script in CLOSE or self.rng.random() > 0.15:
            return word
        return word.upper() if self.rng.random() < 0.2 else word[:1].upper() + word[1:]

    def words(self, script=None, least=1, most=4):
        script = script or self.rng.choice(sorted(self.lexicon))
        n = self.rng.randint(least, most)
        return ("" if script in CLOSE else " ").join(self.word(script) for _ in range(n))

    def some(self, characters, least, most):
        return "".join(self.rng.choices(characters, k=self.rng.randint(least, most)))

    def number(self):
        rng = self.rng
        n = rng.randrange(10 ** rng.randint(1, 9))
        return rng.choice(
            [
                f"{n}",
                f"{n:,}",
                f"{n / 100:.2f}",
                f"{n % 24:02}:{n % 60:02}",
                f"-{n}",
                f"{n:x}",
                f"{n}%",
                f"1.5e{n % 99}",
            ]
        )

    def code(self):
        return self.rng.choice(LINES).format(*self.rng.choices(NAMES, k=3))

    def emoji(self):
        rng = self.rng
        return rng.choice(
            [
                rng.choice(EMOJI),
                "\u200d".join(rng.choices(PEOPLE, k=rng.randint(2, 4))),
                rng.choice(PEOPLE) + rng.choice(SKINS),
                rng.choice(FLAGS) + rng.choice(FLAGS),
                rng.choice("0123456789#*") + "\ufe0f\u20e3",
            ]
        )

    def sentence(self):
        return self.words(least=2, most=4) + self.rng.choice(
            [".", ",", "!", "?", "…", "。", "؟", "।", ":"]
        )


def training_text(writer):
    rng = writer.rng
    for _ in range(12000):
        parts = [writer.sentence(), writer.words()]
        parts += [
            rng.choice([writer.number, writer.code, writer.emoji, writer.words])() for _ in range(2)
        ]
        rng.shuffle(parts)
        yield " ".join(parts)


def train(writer):
    """Pieces never mix newlines with other characters, never hold a digit beside anything, and
    have a space only in front, as those of Gemma."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", vocabulary.SPACE)
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n+"), "isolated"),
            pre_tokenizers.Split(Regex(r"[0-9]"), "isolated"),
            pre_tokenizers.Split(vocabulary.SPACE, "merged_with_next"),
        ]
    )
    texts = list(training_text(writer))

    # The trainer would choose among equally frequent characters by chance.
    seen = collections.Counter(learner.normalizer.normalize_str("".join(texts)))
    alphabet = sorted(seen, key=lambda c: (-seen[c], c))[:N_CHARACTERS]
    trainer = trainers.BpeTrainer(
        vocab_size=N_PIECES + len(alphabet),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    learned = learner.get_vocab()
    pieces = [piece for piece in sorted(learned, key=learned.get) if piece != "\n"]
    return [p for p in pieces if len(p) > 1] + [p for p in pieces if len(p) == 1]


def whole_words(writer):
    rng = writer.rng
    return rng.choice(["", "", " ", "  "]) + writer.words() + rng.choice(["", "", " ", "   ", "\n"])


def mixed(writer):
    return "".join(any_part(writer) for _ in range(writer.rng.randint(2, 4)))


def any_part(writer):
    rng = writer.rng
    return rng.choice(
        [
            lambda: writer.word(rng.choice(sorted(writer.lexicon))),
            writer.number,
            writer.emoji,
            lambda: " " * rng.randint(1, 5),
            lambda: rng.choice(SPACES),
            lambda: "\n" * rng.randint(1, 3),
            lambda: rng.choice(ASCII_SIGNS),
            lambda: writer.some(MATHS, 1, 2),
            lambda: rng.choice(RARE),
        ]
    )()


def marked(writer):
    return "".join(c + writer.some(MARKS, 0, 2) for c in writer.word("latin"))


def blank(writer):
    rng = writer.rng
    return rng.choice(["", "a", ".", "\t"]) + "".join(
        rng.choice([" ", "\n", "\t", "\r\n", vocabulary.SPACE]) * rng.randint(1, 9)
        for _ in range(rng.randint(1, 4))
    )


def marker_like(writer):
    rng = writer.rng
    text = rng.choice(list(vocabulary.SPECIAL) + LOOKALIKES)
    return (
        rng.choice(["", " ", "\n", writer.word("latin")])
        + text
        + rng.choice(["", " ", "\n", writer.word("latin")])
    )


def anything(writer):
    """Code points of all kinds, assigned or not."""
    rng = writer.rng
    codes = [
        rng.randrange(0x110000) if rng.random() < 0.3 else rng.randrange(0x3000)
        for _ in range(rng.randint(1, 6))
    ]
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


KINDS = [
    (whole_words, 42),
    (mixed, 18),
    (Writer.sentence, 6),
    (Writer.code, 7),
    (Writer.number, 4),
    (lambda w: "".join(w.emoji() for _ in range(w.rng.randint(1, 3))), 3),
    (marked, 3),
    (blank, 5),
    (marker_like, 4),
    (anything, 4),
    (lambda w: w.some(MATHS + ["x", "y", " ", "2"], 2, 8), 2),
    (lambda w: w.word("latin") + w.some(CONTROLS, 1, 3), 2),
]


def corners(writer):
    """What chance would miss."""
    yield from (" " * n for n in range(1, 70))
    yield from ("\n" * n for n in range(1, 70))
    yield from ("a" + "\n" * n + "b" for n in (1, 2, 3, 7, 30, 31, 32, 62, 63, 64, 100))
    yield from (chr(code) for code in range(256))
    yield from vocabulary.SPECIAL
    yield from LOOKALIKES
    yield from RARE
    yield vocabulary.SPACE * 3 + " " + vocabulary.SPACE
    yield "the " * 250
    yield "a" * 1000
    yield "\u0e01" * 300
    yield "\U0001f600" * 150
    yield "ab" * 400 + "\n" + " " * 300
    yield "\U00012000" * 60
    yield "".join(writer.words("latin", 30, 40) + "\n\n" for _ in range(4))
    yield writer.words("han", 200, 220)


def strings(writer, n):
    """n distinct ones, the empty string first."""
    seen = dict.fromkeys(["", *corners(writer)])
    kinds, weights = zip(*KINDS)
    while len(seen) < n:
        seen[writer.rng.choices(kinds, weights)[0](writer)] = None
    return list(seen)


def marker_strings(writer, n):
    markers = [text for text, kind in vocabulary.SPECIAL.items() if kind != vocabulary.NORMAL]
    seen = dict.fromkeys(markers)
    while len(seen) < n:
        parts = [
            writer.rng.choice([any_part, lambda w: w.words("latin", 1, 2)])(writer)
            for _ in range(2)
        ]
        parts += writer.rng.choices(
            markers + [t for t in LOOKALIKES if t != "<|video|>"], k=writer.rng.randint(1, 3)
        )
        writer.rng.shuffle(parts)
        seen["".join(parts)] = None
    return list(seen)


def write_cases(path, tokenizer, texts):
    with open(path, "wb") as out:
        for text in texts:
            encoded = text.encode()
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            out.write(struct.pack("<I", len(encoded)) + encoded)
            out.write(struct.pack(f"<I{len(ids)}H", len(ids), *ids))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output

    writer = Writer(random.Random(SEED))
    words = vocabulary.build(train(writer))
    out = gguf.GGUFWriter(folder / "tokenizer.gguf", "gemma4")
    export_gguf.add_tokenizer(out, words)
    export_gguf.close(out)

    texts = strings(writer, N_CASES)
    write_cases(folder / "tokenizer-cases.bin", vocabulary.tokenizer(words), texts)
    write_cases(
        folder / "tokenizer-markers.bin",
        vocabulary.tokenizer(words, markers=True),
        marker_strings(writer, N_MARKER_CASES),
    )
    print(
        f"{len(words.tokens)} tokens, {len(words.merges)} merges, {len(texts)} strings, "
        f"{sum(len(text.encode()) for text in texts) / len(texts):.1f} bytes each"
    )


if __name__ == "__main__":
    main()
