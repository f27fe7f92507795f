# SPDX-License-Identifier: Apache-2.0
"""What meanings.py has learned, as a file beside the context (NAME.meanings) and as keys of a model's file
(model/meaning.h)."""
import base64
import json
import os
import struct

import context as contexts

KEY = "gemmad.meaning."
KINDS = {"features": "I", "counts": "B", "classes": "B", "weights": "b"}


def beside(path):
    """The file that belongs to a context's."""
    return os.path.splitext(path)[0] + ".meanings"


def write(path, context, unit, bias, arrays):
    """arrays: lists of integers by the names of KINDS; counts: how many weights each feature has."""
    data = {"says": [m.says for m in context.meanings], "unit": unit, "bias": bias}
    for name, kind in KINDS.items():
        packed = struct.pack(f"<{len(arrays[name])}{kind}", *arrays[name])
        data[name] = base64.b64encode(packed).decode()
    with open(path, "w", encoding="utf-8") as out:
        json.dump(data, out, indent=1)
        out.write("\n")


def _numbers(data, name):
    packed = base64.b64decode(data[name])
    return list(struct.unpack(f"<{len(packed) // struct.calcsize(KINDS[name])}{KINDS[name]}", packed))


def keys(path, context):
    """The keys of a model's file; none if nothing was learned for this context."""
    if not context.meanings or not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    if data["says"] != [m.says for m in context.meanings]:
        raise contexts.ContextError(f"{path} was learned for other meanings; run meanings.py again")
    first = [0]
    for count in _numbers(data, "counts"):
        first.append(first[-1] + count)
    return {KEY + "says": ["", *data["says"]], KEY + "least": [100, *(m.least for m in context.meanings)],
            KEY + "bias": data["bias"], KEY + "unit": data["unit"], KEY + "first": first,
            **{KEY + name: _numbers(data, name) for name in ("features", "classes", "weights")}}
