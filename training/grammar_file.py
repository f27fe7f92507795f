# SPDX-License-Identifier: Apache-2.0
"""A model file of a context without weights: its vocabulary and its grammar, all that typed commands
need. Written by hand, because Debian has no module for GGUF."""
import struct

import grammar
import vocabulary as vocabularies

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value):
    """(kind, bytes) of a string, a number, or a list of either."""
    if isinstance(value, str):
        return STRING, _string(value)
    if isinstance(value, int):
        return U32, struct.pack("<I", value)
    if isinstance(value, float):
        return F32, struct.pack("<f", value)
    if value and isinstance(value[0], str):
        kind, data = STRING, b"".join(map(_string, value))
    else:
        kind = I32 if max(value, default=0) < 1 << 31 else U32
        data = struct.pack(f"<{len(value)}{'i' if kind == I32 else 'I'}", *value)
    return ARRAY, struct.pack("<IQ", kind, len(value)) + data


def write(path, context, meanings=None):
    """meanings: the keys of what was learned beside the context, as meanings.arrays() has them."""
    vocabulary = vocabularies.build(context)
    arrays = grammar.build(vocabulary, context) | grammar.leeway(vocabulary, context)
    keys = {
        "gemmad.context": context.source,
        "tokenizer.ggml.model": "gemma4",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": list(vocabulary.types),
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in vocabulary.merges],
        "tokenizer.ggml.bos_token_id": vocabulary.ids["<bos>"],
        "tokenizer.ggml.eos_token_id": vocabulary.ids["<eos>"],
        **{grammar.KEY + name: list(arrays[name]) for name in arrays if arrays[name]},
        **(meanings or {}),
    }
    with open(path, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)))
        for key, value in keys.items():
            kind, data = _value(value)
            out.write(_string(key) + struct.pack("<I", kind) + data)
        out.write(b"\0" * (-out.tell() % 32))
