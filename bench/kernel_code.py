#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads what the compiler made of the kernels: the loops in which products are summed.

    kernel_code.py [BUILD]        one line a loop

The loop that is the kernel's speed runs over blocks of columns with everything of a tile unrolled in
it. A loop that was left rolled has few products in it; one whose sums did not find a register stores
vectors to the stack.
"""
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
}
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
    build = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BUILD_DIR", "build")
    try:
        for library in libraries(build):
            for loop in loops(library):
                print(f"{row_of(library)}: {loop['function']}: {loop['products']} products, "
                      f"{loop['instructions']} instructions, {loop['spills']} vectors to the stack")
    except Unreadable as why:
        sys.exit(str(why))


if __name__ == "__main__":
    main()
