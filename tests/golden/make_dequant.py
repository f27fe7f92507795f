# SPDX-License-Identifier: Apache-2.0
"""Blocks of every handled weight type, and the floats that the gguf package reads from them."""

import argparse
import pathlib

import gguf
import numpy as np

import export_gguf

SEED = 4404
N_ROWS, N_COLS = 2, 512

# Byte offsets of the half-precision numbers inside one block; everything else may be any byte.
HALVES = {
    "Q4_0": [0],
    "Q8_0": [0],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "IQ4_NL": [0],
    "IQ4_XS": [0],
    "MXFP4": [],
    "IQ2_XXS": [0],
    "IQ2_XS": [0],
    "IQ2_S": [0],
    "IQ3_XXS": [0],
    "IQ3_S": [0],
    "IQ1_S": [0],
    "IQ1_M": [],
}

# How many rows the grid of a type has: the blocks of such a type name all of them.
GRID_ROWS = {
    "IQ2_XXS": 256,
    "IQ2_XS": 512,
    "IQ2_S": 1024,
    "IQ3_XXS": 256,
    "IQ3_S": 512,
    "IQ1_S": 2048,
    "IQ1_M": 2048,
}

SPECIAL_HALVES = np.array(
    [0.0, -0.0, 6e-8, -6e-8, 3e-5, -3e-5, 6.1e-5, -1.0, 1.0, -0.37, 2048.0], np.float16
)


def halves(random, n):
    """Scales as files have them (both signs), and all the odd ones."""
    made = (random.standard_normal(n) * 0.02).astype(np.float16)
    odd = random.random(n) < 0.4
    made[odd] = random.choice(SPECIAL_HALVES, odd.sum())
    return made


def floats(random, kind):
    """All classes of finite numbers of a 16-bit type, no infinities and no NaN."""
    shape = (N_ROWS, N_COLS)
    bits = random.integers(0, 0x10000, shape).astype(np.uint16)
    exponent = {"F16": 0x7C00, "BF16": 0x7F80}[kind]
    bits[(bits & exponent) == exponent] ^= 0x4000
    bits[0, :6] = 0x0000, 0x8000, 0x0001, 0x8001, exponent - 1, 0x8000 | (exponent - 1)
    return bits


def name_places(made, kind):
    """Weight group g of all blocks is row g of the grid; what else is in the same bytes stays as it is."""
    groups = 64 if kind.startswith("IQ3") else 32  # in a block
    for g in range(made.shape[0] * groups):
        block, i = made[g // groups], g % groups
        place = g % GRID_ROWS[kind]
        if kind == "IQ2_XXS":
            block[2 + i // 4 * 8 + i % 4] = place
        elif kind == "IQ2_XS":
            block[2 + 2 * i] = place & 255
            block[3 + 2 * i] = block[3 + 2 * i] & 0xFE | place >> 8
        else:
            block[(0 if kind == "IQ1_M" else 2) + i] = place & 255
            if kind == "IQ2_S":
                insert(block, 66 * 8 + 2 * i, 2, place >> 8)
            elif kind == "IQ3_S":
                insert(block, 66 * 8 + i, 1, place >> 8)
            elif kind == "IQ1_S":
                insert(block, 34 * 8 + i // 4 * 16 + i % 4 * 3, 3, place >> 8)
            elif kind == "IQ1_M":
                insert(block, 32 * 8 + 4 * i, 3, place >> 8)


def insert(block, bit, n, value):
    for i in range(n):
        at = bit + i
        block[at // 8] = block[at // 8] & (255 ^ 1 << at % 8) | (value >> i & 1) << at % 8


def blocks(random, kind):
    n_weights, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    n = N_ROWS * N_COLS // n_weights
    if kind in GRID_ROWS:
        n = GRID_ROWS[kind] // (64 if kind.startswith("IQ3") else 32)
    made = random.integers(0, 256, (n, size)).astype(np.uint8)

    # Extremes of every field: all bits clear, all set, and each nibble at an end.
    for i, value in enumerate((0x00, 0xFF, 0x0F, 0xF0)[: max(1, n // 2)]):
        made[n - 1 - i] = value
    for offset in HALVES[kind]:
        made[:, offset : offset + 2] = halves(random, n).view(np.uint8).reshape(n, 2)
    if kind == "MXFP4":  # the first byte is an exponent; above these, values are infinite
        made[:, 0] = random.integers(0, 251, n)
        made[:4, 0] = 0, 1, 2, 250
    if kind == "IQ1_M":  # the scale is in the upper four bits of four numbers
        scale = halves(random, n).view(np.uint16)
        for i in range(4):
            made[:, 49 + 2 * i] = made[:, 49 + 2 * i] & 15 | (scale >> 4 * i & 15) << 4
    if kind in GRID_ROWS:
        name_places(made, kind)
    return made.reshape(N_ROWS, -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output

    random = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(folder / "dequant.gguf", "golden")
    for kind in ("F16", "BF16", *HALVES):
        stored = gguf.GGMLQuantizationType[kind]
        data = blocks(random, kind) if kind in HALVES else floats(random, kind).view(np.uint8)
        if kind == "F16":
            data = data.view(np.float16)
        values = gguf.quants.dequantize(data, stored).astype(np.float32)
        assert values.shape[0] == N_ROWS and np.isfinite(values).all()
        writer.add_tensor(f"q.{kind}", data, raw_dtype=stored)
        writer.add_tensor(f"f.{kind}", values)
    export_gguf.close(writer)


if __name__ == "__main__":
    main()
