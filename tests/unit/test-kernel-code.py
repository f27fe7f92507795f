#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""That every file of kernels was compiled as it is meant to be: the results would be right without,
at a fraction of the speed. Read from the object code, so that no time is measured."""
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
TILE = 32                       # products in the loop of the largest tile, at least
DENSE = 8                       # instructions of such a loop for a product, at most
# Vectors that may go to the stack in such a loop, for a product. The sums of a tile have a register each;
# what a compiler puts aside once a block, a scale or where a sum begins, costs little.
SPILLS = {"avx512": 1 / 5, "neon": 1 / 5, "avxvnni": 0.6, "avx2": 0.6}


def instrumented(library):
    with open(library, "rb") as file:
        found = re.search(rb"__(asan|ubsan|tsan|gcov|sanitizer_cov)_", file.read())
    return found and f"the code is instrumented ({found.group(1).decode()})"


def tiles(library):
    """Loops that do hardly anything but products: where weights are unpacked for a single input, they are few."""
    return [loop for loop in kernel_code.loops(library)
            if loop["products"] >= TILE and loop["instructions"] <= DENSE * loop["products"]]


def unrolled(library):
    """A tile is one loop over blocks with all of its products in it, for every type."""
    try:
        found = tiles(library)
    except kernel_code.Unreadable as why:
        return str(why)
    assert len(found) >= TYPES, f"{len(found)} loops of {TILE} products, {TYPES} wanted"


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


def main():
    tap = Tap()
    found = kernel_code.libraries(BUILD)
    if not found:
        tap.rule("kernels of this architecture", lambda: "there are no others than the portable ones")
    for library in found:
        row = kernel_code.row_of(library)
        tap.rule(f"{row}: the products of a tile are one loop", lambda: unrolled(library))
        tap.rule(f"{row}: the sums of a tile stay in registers", lambda: in_registers(library))
    tap.done()


if __name__ == "__main__":
    main()
