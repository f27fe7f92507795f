# SPDX-License-Identifier: Apache-2.0
"""Whole numbers as people say them."""

ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMERALS = {*ONES, *TENS, "hundred", "oh"}


def in_words(number):
    """0 to 999: "twenty five", "one hundred and five"."""
    if not 0 <= number < 1000:
        raise ValueError(number)
    if number < 20:
        return ONES[number]
    if number < 100:
        rest = number % 10
        return TENS[number // 10 - 2] + (f" {ONES[rest]}" if rest else "")
    rest = number % 100
    return f"{ONES[number // 100]} hundred" + (f" and {in_words(rest)}" if rest else "")
