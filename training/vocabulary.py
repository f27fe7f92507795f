# SPDX-License-Identifier: Apache-2.0
"""The small vocabulary of a context, and a reference encoder for the `gemma4` tokenizer.

Special tokens, 256 bytes, printable ASCII, and ranked merges such that every word of the
context is one token, with and without the space (U+2581) before it.

    python vocabulary.py contexts/desktop.yaml      print sizes and check all sentences
"""
import collections
import re
import sys

import context as contexts

SPACE = "\u2581"
NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6
SPECIALS = """<pad> <eos> <bos> <unk> <mask> <|tool> <tool|> <|tool_call> <tool_call|>
    <|tool_response> <tool_response|> <|"|> <|think|> <|channel> <channel|> <|turn> <turn|>
    <|image> <|audio> <|image|> <|audio|> <image|> <audio|>""".split()
SHOWN = """<|channel> <channel|> <|tool_call> <tool_call|> <|tool_response> <tool_response|>
    <|"|>""".split()
SUPPRESSED = ["<image|>", "<audio|>"]
ASCII = [chr(c) for c in range(33, 127)]

CHECKED = 5_000          # answers; a context can have millions
PROMPT_WORDS = ["user", "model", "system", "thought"]
TURN = "<|turn>user\n", "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"


def call_pieces(call_text):
    """Cut the text of a call into the pieces that shall be one token each.

    A piece may begin with `{` or `,` and end with `:`, and nowhere else do these stand;
    so no merge can reach over the border of two pieces."""
    return re.findall(r"call:|[{,][A-Za-z_]+:|\{\}|[A-Za-z_]+|\d+|\S", call_text)


def _wanted(context):
    """Words that must become one token: spoken words and pieces of calls."""
    spoken = set(contexts.words(context)) | set(PROMPT_WORDS)
    called = set()
    for shape in contexts.call_shapes(context):
        for part in shape:
            called |= set(call_pieces(part)) if isinstance(part, str) else set()
    for value in contexts.call_values(context):
        called |= set(call_pieces(value))
    return sorted(spoken), sorted(called - spoken)


def learn_merges(words):
    """Byte-pair merges until each word is one piece; ties go to the first in the alphabet,
    so that the result is always the same."""
    pieces = {word: list(word) for word in words}
    merges = []
    while True:
        pairs = collections.Counter()
        for split in pieces.values():
            pairs.update(zip(split, split[1:]))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word, split in pieces.items():
            pieces[word] = _join(split, best)


def _join(split, pair):
    joined, at = [], 0
    while at < len(split):
        if tuple(split[at:at + 2]) == pair:
            joined.append(pair[0] + pair[1])
            at += 2
        else:
            joined.append(split[at])
            at += 1
    return joined


class Vocabulary:
    """Tokens, types, merges; encode and decode."""

    def __init__(self, tokens, types, merges):
        self.tokens, self.types, self.merges = tokens, types, merges
        self.ids = {}
        for number, token in enumerate(tokens):
            self.ids.setdefault(token, number)
        self.rank = {pair: number for number, pair in enumerate(merges)}
        special = [t for t, kind in zip(tokens, types) if kind in (CONTROL, USER_DEFINED)]
        special.sort(key=len, reverse=True)
        self.special = re.compile("(" + "|".join(re.escape(t) for t in special) + ")")

    def __len__(self):
        return len(self.tokens)

    def encode(self, text):
        """Text to ids; <bos> is not added here."""
        ids = []
        for part in self.special.split(text):
            if part and self.special.fullmatch(part):
                ids.append(self.ids[part])
            elif part:
                for run in re.findall(r"[^\n]+|\n+", part.replace(" ", SPACE)):
                    ids += self._encode_run(run)
        return ids

    def _encode_run(self, run):
        if run[0] == "\n" and run in self.ids:
            return [self.ids[run]]
        split = list(run)
        while len(split) > 1:
            ranks = [self.rank.get(pair, len(self.rank)) for pair in zip(split, split[1:])]
            best = min(ranks)
            if best == len(self.rank):
                break
            at = ranks.index(best)
            split[at:at + 2] = [split[at] + split[at + 1]]
        return [i for piece in split for i in self._piece(piece)]

    def _piece(self, piece):
        if piece in self.ids:
            return [self.ids[piece]]
        return [self.ids[f"<0x{byte:02X}>"] for byte in piece.encode("utf-8")]

    def decode(self, ids):
        """Ids to text, special tokens included."""
        data = b""
        for number in ids:
            token = self.tokens[number]
            if self.types[number] == BYTE:
                data += bytes([int(token[3:5], 16)])
            else:
                data += token.replace(SPACE, " ").encode("utf-8")
        return data.decode("utf-8", errors="replace")


def build(context):
    spoken, called = _wanted(context)
    merges = learn_merges(spoken + called)
    merges += [(SPACE, word) for word in spoken]
    tokens = list(SPECIALS)
    types = [USER_DEFINED if t in SHOWN else CONTROL for t in tokens]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    types += [BYTE] * 256
    known = set(tokens)
    spoken_letters = [word for word in spoken if len(word) == 1]
    for piece in ["\n", "\n\n", SPACE, *ASCII, *spoken_letters, *(a + b for a, b in merges)]:
        if piece not in known:
            known.add(piece)
            tokens.append(piece)
            types.append(NORMAL)
    return Vocabulary(tokens, types, merges)


def expected_pieces(context, sentence, spoken):
    """The tokens an answer should have, worked out without merging."""
    first, *rest = sentence.text.split()
    pieces = [first] + [SPACE + word for word in rest] + ["<|tool_call>"]
    for number, part in enumerate(re.split(r'<\|"\|>', contexts.call(context, sentence))):
        if number:
            pieces.append('<|"|>')
        if number % 2:                       # a string value
            for place, word in enumerate(part.split()):
                cut = [word] if word in spoken else call_pieces(word)
                if place:
                    cut = [SPACE + word] if word in spoken else [SPACE, *cut]
                pieces += cut
        else:
            pieces += call_pieces(part)
    return pieces + ["<tool_call|>", "<|tool_response>"]


def check(vocabulary, context):
    """Every answer (of very many a part) must come out as planned, and back again."""
    lengths, spoken = [], set(contexts.words(context)) | set(PROMPT_WORDS)
    for sentence in contexts.some_sentences(context, CHECKED):
        answer = contexts.answer(context, sentence)
        ids = vocabulary.encode(answer)
        assert ids == [vocabulary.ids[p] for p in expected_pieces(context, sentence, spoken)], answer
        assert vocabulary.decode(ids) == answer
        lengths.append(len(ids))
    return lengths


def main():
    context = contexts.load(sys.argv[1])
    vocabulary = build(context)
    lengths = check(vocabulary, context)
    print(f"{len(vocabulary)} tokens, {len(vocabulary.merges)} merges; {len(lengths)} sentences,"
          f" answers of {min(lengths)} to {max(lengths)} tokens, "
          f"mean {sum(lengths) / len(lengths):.1f}")
    print("prompt:", [vocabulary.tokens[i] for i in vocabulary.encode("<bos>" + "<|audio|>".join(TURN))])


if __name__ == "__main__":
    main()
