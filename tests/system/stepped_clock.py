# SPDX-License-Identifier: Apache-2.0
"""A clock on the wall that a test sets, while a process runs or before: see stepped-clock.c."""
import os
import struct

from gemmad_test import BUILD

LIBRARY = os.path.join(BUILD, "tests/system/stepped-clock.so")
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS


class SteppedClock:
    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(bytes(8))
        self.environment = {"LD_PRELOAD": os.path.abspath(LIBRARY), "GEMMAD_CLOCK": path}

    def set(self, ns):
        """So much ahead of the machine's clock."""
        with open(self.path, "r+b", 0) as f:
            f.write(struct.pack("q", ns))
