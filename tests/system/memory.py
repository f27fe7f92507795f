# SPDX-License-Identifier: Apache-2.0
"""Looks for words in the memory of a process that is not dumpable, which needs root."""
import collections
import sys

from gemmad_test import as_root

# Counts what a pattern finds in all memory of a process that may be written, and never holds what it looks for itself:
# the pattern comes in hexadecimal digits.
SEARCH = """
import re, sys
pid, pattern = sys.argv[1], re.compile(bytes.fromhex(sys.argv[2]))
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
    for line in maps:
        span, mode, _, _, inode = line.split()[:5]
        if not mode.startswith("rw") or "[v" in line:
            continue
        begin, end = (int(x, 16) for x in span.split("-"))
        try:
            mem.seek(begin)
            for found in pattern.findall(mem.read(end - begin)):
                print(found.hex())
        except OSError:
            pass
"""


def found_in(pid, pattern):
    """How often the process has each word that a regular expression finds; None where nobody lets us look."""
    found = as_root(sys.executable, "-c", SEARCH, str(pid), pattern.encode().hex())
    if found is None:
        return None
    return collections.Counter(bytes.fromhex(word).decode(errors="replace") for word in found.decode().split())
