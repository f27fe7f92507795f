#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""That every file of kernels was compiled as it is meant to be: the results would be right without,
at a fraction of the speed. Read from the object code, so that no time is measured."""
import json
import os
import re
import sys

sys.dont_write_bytecode = True
SOURCE = os.environ.get("SOURCE_DIR", os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("BUILD_DIR", "build")
sys.path[:0] = [os.path.join(SOURCE, "tests/system"), os.path.join(SOURCE, "bench")]

import kernel_code                                          # noqa: E402
from gemmad_test import Tap                                 # noqa: E402

TYPES = 4                       # of quantised weights with a loop of their own; a compiler may split one
DRIFT = 0.05                    # of the instructions of a tile, between patches of one compiler
# Vectors that may go to the stack in such a loop, for a product. The sums of a tile have a register each;
# what a compiler puts aside once a block, a scale or where a sum begins, costs little.
SPILLS = {"avx512": 1 / 5, "neon": 0.6, "i8mm": 0.6, "avxvnni": 0.6, "avx2": 0.6}


def instrumented(library):
    with open(library, "rb") as file:
        found = re.search(rb"__(asan|ubsan|tsan|gcov|sanitizer_cov)_", file.read())
    return found and f"the code is instrumented ({found.group(1).decode()})"


def tiles(library):
    return [loop for loop in kernel_code.loops(library) if kernel_code.is_tile(loop)]


def unrolled(library):
    """A tile is one loop over blocks with all of its products in it, for every type."""
    why = instrumented(library)
    if why:
        return why
    try:
        found = tiles(library)
    except kernel_code.Unreadable as why_not:
        return str(why_not)
    assert len(found) >= TYPES, f"{len(found)} loops of {kernel_code.TILE} products, {TYPES} wanted"


def in_registers(library):
    """The sums of a tile do not go to memory and back."""
    try:
        found = tiles(library)
    except kernel_code.Unreadable as why:
        return str(why)
    why = instrumented(library)
    if why:
        return why
    most = SPILLS[kernel_code.row_of(library)]
    for loop in found:
        assert loop["spills"] <= most * loop["products"], loop


def as_stored(library):
    """No loop has become longer, or shorter, without anybody noticing."""
    with open(os.path.join(SOURCE, "tests/unit/kernel-code.json"), encoding="utf-8") as file:
        stored = json.load(file)
    compiler, row = kernel_code.compiler_of(library), kernel_code.row_of(library)
    if row not in stored.get(compiler, {}):
        return f"nothing is stored for {row} by {compiler or 'this compiler'}"
    why = instrumented(library)
    if why:
        return why
    try:
        found = kernel_code.counts(library)
    except kernel_code.Unreadable as why_not:
        return str(why_not)
    wanted = stored[compiler][row]
    assert sorted(found) == sorted(wanted), f"loops of {sorted(found)} products, stored are {sorted(wanted)}"
    for products, (instructions, spills) in wanted.items():
        now = found[products]
        assert abs(now[0] - instructions) <= DRIFT * instructions and now[1] <= spills + 2, \
            f"{products} products: {now[0]} instructions and {now[1]} vectors to the stack, stored are " \
            f"{instructions} and {spills}; if that is meant: bench/kernel_code.py --counts"


def main():
    tap = Tap()
    found = kernel_code.libraries(BUILD)
    if not found:
        tap.rule("kernels of this architecture", lambda: "there are no others than the portable ones")
    for library in found:
        row = kernel_code.row_of(library)
        tap.rule(f"{row}: the products of a tile are one loop", lambda: unrolled(library))
        tap.rule(f"{row}: the sums of a tile stay in registers", lambda: in_registers(library))
        tap.rule(f"{row}: tiles are of as many instructions as is stored", lambda: as_stored(library))
    tap.done()


if __name__ == "__main__":
    main()
