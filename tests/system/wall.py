# SPDX-License-Identifier: Apache-2.0
"""Code that has taken gemmad over, for tests: see taken-over.c."""
import os
import re

from gemmad_test import BUILD

TAKEN_OVER = os.path.join(BUILD, "tests/system/taken-over.so")


def preload(library=TAKEN_OVER):
    return {"LD_PRELOAD": os.path.abspath(library)}


def attempts(*lines):
    return "\n".join(lines)


def outcomes(log):
    """attempt → what came of it, in the end."""
    return {what.strip(): outcome for what, outcome in re.findall(r"^attempt: (.*?) ?: (.*)$", log, re.M)}
