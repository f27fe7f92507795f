# SPDX-License-Identifier: Apache-2.0
"""The grids of the IQ types, as the gguf package has them, as the sets of numbers that model/quant-grids.c
holds: each row of a grid is a number whose digits are the places of its values, the first the lowest, and
rows are in ascending order, so that the set says all.  Prints the C."""

from gguf import quants

SETS = {"iq2_xxs": 3, "iq2_xs": 3, "iq2_s": 3, "iq3_xxs": 8, "iq3_s": 8, "iq1": 3}


def numbers(name, base):
    kind = getattr(quants, {"iq1": "IQ1_S"}.get(name, name.upper()))
    kind.init_grid()
    places = {value: place for place, value in enumerate(kind.grid_map)}
    assert len(places) == base and list(kind.grid_map) == sorted(kind.grid_map)
    rows = kind.grid.reshape(kind.grid_shape).astype(int)
    made = [sum(places[v] * base**i for i, v in enumerate(row)) for row in rows]
    assert made == sorted(set(made))
    return made, base ** rows.shape[1]


def main():
    for name, base in SETS.items():
        made, end = numbers(name, base)
        words = [0] * ((end + 63) // 64)
        for n in made:
            words[n // 64] |= 1 << n % 64
        print(f"static const uint64_t {name}_set[{len(words)}] = {{ /* of {len(made)} */")
        for i in range(0, len(words), 5):
            print("        " + " ".join(f"0x{w:016x}," for w in words[i : i + 5]))
        print("};\n")


if __name__ == "__main__":
    main()
