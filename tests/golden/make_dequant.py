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


def blocks(random, kind):
    n_weights, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    n = N_ROWS * N_COLS // n_weights
    made = random.integers(0, 256, (n, size)).astype(np.uint8)

    # Extremes of every field: all bits clear, all set, and each nibble at an end.
    for i, value in enumerate((0x00, 0xFF, 0x0F, 0xF0)[: max(1, n // 2)]):
        made[n - 1 - i] = value
    for offset in HALVES[kind]:
        made[:, offset : offset + 2] = halves(random, n).view(np.uint8).reshape(n, 2)
    if kind == "MXFP4":  # the first byte is an exponent; above these, values are infinite
        made[:, 0] = random.integers(0, 251, n)
        made[:4, 0] = 0, 1, 2, 250
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
        assert values.shape == (N_ROWS, N_COLS) and np.isfinite(values).all()
        writer.add_tensor(f"q.{kind}", data, raw_dtype=stored)
        writer.add_tensor(f"f.{kind}", values)
    export_gguf.close(writer)


if __name__ == "__main__":
    main()
