#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads what the compiler made of the kernels: the loops in which products are summed.

    kernel_code.py [BUILD]           one line a loop
    kernel_code.py --counts [BUILD]  what tests/unit/kernel-code.json keeps: changed by intention only

The loop that is the kernel's speed runs over blocks of columns with everything of a tile unrolled in
it. A loop that was left rolled has few products in it; one whose sums did not find a register stores
vectors to the stack.
"""
import json
import os
import re
import shutil
import subprocess
import sys

# Row: (instructions that sum products of bytes, a vector stored on the stack).
ROWS = {
    "avx2": (r"vpmaddubsw", r"^v?mov\w+\s+%[xyz]mm\d+,-?0x[0-9a-f]+\(%r[sb]p\)"),
    "avxvnni": (r"(?:\{vex\} )?vpdpbusd", r"^v?mov\w+\s+%[xyz]mm\d+,-?0x[0-9a-f]+\(%r[sb]p\)"),
    "avx512": (r"vpdpbusd", r"^v?mov\w+\s+%[xyz]mm\d+,-?0x[0-9a-f]+\(%r[sb]p\)"),
    "neon": (r"sdot", r"^st[rp]\s+q\d+.*\[sp"),
    "i8mm": (r"smmla", r"^st[rp]\s+q\d+.*\[sp"),
}
TILE = 32       # products in the loop of a large tile, at least
DENSE = 8       # instructions in such a loop for a product, at most
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(.*)$")
SYMBOL = re.compile(r"^[0-9a-f]+ <(.+)>:$")
JUMP = re.compile(r"^(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+[^<]*,)\s+(?:bnd )?([0-9a-f]+)\s")


class Unreadable(Exception):
    """Why there is nothing to read."""


def functions(library):
    """{name: [(address, instruction)]} of a library of kernels."""
    objdump = os.environ.get("OBJDUMP") or "objdump"
    if not shutil.which(objdump):
        raise Unreadable("no objdump (package binutils)")
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", library], capture_output=True, text=True,
                          errors="replace")
    if text.returncode:
        raise Unreadable(f"objdump does not read {library}: {text.stderr.strip()[:200]}")
    found, lines = {}, None
    for line in text.stdout.splitlines():
        symbol, instruction = SYMBOL.match(line), LINE.match(line)
        if symbol:
            lines = found.setdefault(symbol.group(1), [])
        elif instruction and lines is not None:
            lines.append((int(instruction.group(1), 16), instruction.group(2).strip()))
    return found


def innermost_loops(lines, product):
    """The instructions of every loop with products in it that has no other such loop in it."""
    index = {address: i for i, (address, _) in enumerate(lines)}
    found = [i for i, (_, instruction) in enumerate(lines) if product.match(instruction)]
    loops = set()
    for i, (address, instruction) in enumerate(lines):
        jump = JUMP.match(instruction)
        if jump and int(jump.group(1), 16) <= address and int(jump.group(1), 16) in index:
            first = index[int(jump.group(1), 16)]
            if any(first <= at <= i for at in found):
                loops.add((first, i))
    for first, last in sorted(loops):
        if not any(a >= first and b <= last and (a, b) != (first, last) for a, b in loops):
            yield [instruction for _, instruction in lines[first:last + 1]]


def compiler_of(library):
    """What an object says of who compiled it, "GCC 12" or the like; empty where it says nothing."""
    with open(library, "rb") as file:
        found = re.search(rb"(GCC): \([^)]*\) (\d+)|(clang) version (\d+)", file.read())
    return " ".join(part.decode() for part in found.groups() if part) if found else ""


def is_tile(loop):
    """A loop that does hardly anything but products; where weights are unpacked for a single input they
    are few."""
    return loop["products"] >= TILE and loop["instructions"] <= DENSE * loop["products"]


def counts(library):
    """{products: [instructions, vectors to the stack]} of a library's tiles, each the mean of those with
    as many products: a compiler may make one loop twice."""
    groups = {}
    for loop in filter(is_tile, loops(library)):
        groups.setdefault(loop["products"], []).append(loop)
    return {str(products): [round(sum(loop[what] for loop in group) / len(group))
                            for what in ("instructions", "spills")]
            for products, group in sorted(groups.items())}


def row_of(library):
    return re.search(r"libkernels-(\w+)\.a$", library).group(1)


def loops(library):
    """[{"function", "products", "instructions", "spills"}] of the loops with products in them."""
    product, spill = (re.compile(pattern) for pattern in ROWS[row_of(library)])
    found = []
    for name, lines in functions(library).items():
        for loop in innermost_loops(lines, product):
            products = sum(bool(product.match(i)) for i in loop)
            if products:
                found.append({"function": name, "products": products, "instructions": len(loop),
                              "spills": sum(bool(spill.match(i)) for i in loop)})
    return found


def libraries(build):
    folder = os.path.join(build, "model")
    return sorted(os.path.join(folder, name) for name in os.listdir(folder)
                  if re.fullmatch(r"libkernels-(" + "|".join(ROWS) + r")\.a", name))


def main():
    arguments = [a for a in sys.argv[1:] if a != "--counts"]
    build = arguments[0] if arguments else os.environ.get("BUILD_DIR", "build")
    try:
        if "--counts" in sys.argv:
            found = {row_of(library): counts(library) for library in libraries(build)}
            print(json.dumps({compiler_of(libraries(build)[0]): found}))
            return
        for library in libraries(build):
            for loop in loops(library):
                print(f"{row_of(library)}: {loop['function']}: {loop['products']} products, "
                      f"{loop['instructions']} instructions, {loop['spills']} vectors to the stack")
    except Unreadable as why:
        sys.exit(str(why))


if __name__ == "__main__":
    main()
