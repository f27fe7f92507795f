# SPDX-License-Identifier: Apache-2.0
"""A vocabulary with scores and without merges, as some writers have it, trained by SentencePiece on invented
words, and what SentencePiece makes of strings."""

import argparse
import pathlib
import random
import struct
import tempfile

import gguf
import sentencepiece

import export_gguf

SEED = 4505
N_PIECES = 1500
N_CASES = 3000
SPACE = "\u2581"
SCRIPTS = [
    ("bcdfghklmnprstvw", "aeiou", ["", "", "n", "r", "st"]),
    ("bdfgklmnrst", "äöüaeiß", ["", "ch", "n"]),
    ("бвгджзклмнпрст", "аеиоуыэюя", ["", "й", "т"]),
    ("가나다라마바사아", "", ["", "요"]),
    ("βγδκλμνπρστ", "αεηιο", ["", "ς"]),
]


def words(rng):
    made = []
    for starts, middles, ends in SCRIPTS:
        for _ in range(250):
            made.append(
                "".join(
                    rng.choice(starts) + (rng.choice(middles) if middles else "") + rng.choice(ends)
                    for _ in range(rng.randint(1, 4))
                )
            )
    return made


def sentence(rng, lexicon):
    n = min(int(rng.paretovariate(0.7)), 9)
    text = " ".join(lexicon[min(int(rng.paretovariate(0.5)) - 1, len(lexicon) - 1)] for _ in range(n))
    return text.capitalize() + rng.choice([".", "?", "!", ",", "", " 12", "  x"])


def train(rng, lexicon, folder):
    corpus = pathlib.Path(folder) / "corpus.txt"
    corpus.write_text("\n".join(sentence(rng, lexicon) for _ in range(20000)), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=f"{folder}/spm",
        model_type="bpe",
        vocab_size=N_PIECES,
        byte_fallback=True,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        num_threads=1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_file=f"{folder}/spm.model")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output

    rng = random.Random(SEED)
    lexicon = words(rng)
    rng.shuffle(lexicon)
    with tempfile.TemporaryDirectory() as scratch:
        spm = train(rng, lexicon, scratch)
    ids = range(spm.get_piece_size())
    writer = gguf.GGUFWriter(folder / "tokenizer-scores.gguf", "golden")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([spm.id_to_piece(i) for i in ids])
    writer.add_token_scores([spm.get_score(i) for i in ids])
    # Bytes are of no type of their own, as one of the writers has it.
    kinds = [2 if spm.is_unknown(i) else 3 if spm.is_control(i) else 1 for i in ids]
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(False)
    export_gguf.close(writer)

    with open(folder / "tokenizer-scores.bin", "wb") as file:
        for _ in range(N_CASES):
            text = sentence(rng, lexicon)
            if rng.random() < 0.2:
                text += rng.choice(["\U0001f600", "漢字", "\t", "é́", "   ", "aaaa", "<0x41>", SPACE])
            encoded = text.encode()
            made = spm.encode(text)
            file.write(struct.pack("<I", len(encoded)) + encoded)
            file.write(struct.pack(f"<I{len(made)}H", len(made), *made))


if __name__ == "__main__":
    main()
