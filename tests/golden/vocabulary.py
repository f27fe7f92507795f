# SPDX-License-Identifier: Apache-2.0
"""The special tokens of Gemma 4, and tokenizers around them."""

import gguf
from export_gguf import Vocabulary
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

NORMAL = int(gguf.TokenType.NORMAL)
CONTROL = int(gguf.TokenType.CONTROL)
USER_DEFINED = int(gguf.TokenType.USER_DEFINED)
BYTE = int(gguf.TokenType.BYTE)

SPECIAL = {
    "<pad>": CONTROL,
    "<eos>": CONTROL,
    "<bos>": CONTROL,
    "<unk>": CONTROL,
    "<mask>": CONTROL,
    "<|tool>": CONTROL,
    "<tool|>": CONTROL,
    "<|tool_call>": USER_DEFINED,
    "<tool_call|>": USER_DEFINED,
    "<|tool_response>": USER_DEFINED,
    "<tool_response|>": USER_DEFINED,
    '<|"|>': USER_DEFINED,
    "<|think|>": CONTROL,
    "<|channel>": USER_DEFINED,
    "<channel|>": USER_DEFINED,
    "<|turn>": CONTROL,
    "<turn|>": CONTROL,
    "<|image>": CONTROL,
    "<|audio>": CONTROL,
    "<|image|>": CONTROL,
    "<|audio|>": CONTROL,
    "<image|>": CONTROL,
    "<audio|>": CONTROL,
    # The published tokenizer holds it as an ordinary piece; the processor of transformers makes it
    # special only when it is loaded.
    "<|video|>": NORMAL,
}

SPACE = "\u2581"
LONGEST_RUN = 31


def all_merges(pieces):
    """Every way to make a piece of two others, the pieces in the order of their rank. The
    conversion of SentencePiece models gives each piece that many merges too."""
    known = set(pieces)
    merges = []
    for piece in pieces:
        ways = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        ways = [(left, right) for left, right in ways if left in known and right in known]
        merges += sorted(ways, key=lambda way: (len(way[0]), len(way[1])))
    return merges


def build(pieces):
    """A vocabulary of the special tokens, runs of newlines and spaces, bytes, and these pieces in
    the order of their rank (single characters, which nothing makes, at any place)."""
    runs = ["\n" * n for n in range(1, LONGEST_RUN + 1)]
    runs += [SPACE * n for n in range(2, LONGEST_RUN + 1)]
    return assemble(runs, pieces)


def assemble(runs, pieces):
    """The same with other runs: few of them for a small vocabulary."""
    tokens = list(SPECIAL)
    types = list(SPECIAL.values())
    ordinary = runs + pieces
    for kind, texts in (
        (NORMAL, runs),
        (BYTE, [f"<0x{i:02X}>" for i in range(256)]),
        (NORMAL, pieces),
    ):
        tokens += texts
        types += [kind] * len(texts)
    assert len(set(tokens)) == len(tokens)

    number = tokens.index
    return Vocabulary(
        tokens=tokens,
        types=types,
        scores=[-float(i) if kind == NORMAL else -1000.0 for i, kind in enumerate(types)],
        merges=[f"{left} {right}" for left, right in all_merges(ordinary)],
        ids={
            "bos": number("<bos>"),
            "eos": number("<turn|>"),
            "unknown": number("<unk>"),
            "padding": number("<pad>"),
            "mask": number("<mask>"),
        },
        suppressed=[number("<audio|>"), number("<image|>")],
    )


def tokenizer(vocabulary, markers=False):
    """The same vocabulary in the tokenizers library, put together as GemmaTokenizer of transformers
    does it. Without markers, special tokens in a text are ordinary characters."""
    made = Tokenizer(
        models.BPE(
            vocab={token: i for i, token in enumerate(vocabulary.tokens)},
            merges=[tuple(merge.split(" ")) for merge in vocabulary.merges],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.normalizer = normalizers.Replace(" ", SPACE)
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
        ]
    )
    if markers:
        made.add_special_tokens(
            [
                AddedToken(token, normalized=False, special=True)
                for token, kind in zip(vocabulary.tokens, vocabulary.types)
                if kind in (CONTROL, USER_DEFINED)
            ]
        )
    return made
