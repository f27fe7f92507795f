#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sets two builds of gemma-bench beside each other, in turns, so that a slow minute of the machine hits
both, and prints how much faster the new one is, with the spread over the rounds.

    compare.py OLD NEW [--rounds N] -- --model 12b.gguf --parts prefill,decode

OLD and NEW are programs; what follows the dashes goes to both.
"""
import argparse
import json
import statistics
import subprocess
import sys


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=5)
    # What follows the dashes is kept from the parser, which would mix it up with options before them.
    dashes = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:dashes])
    args.arguments = sys.argv[dashes + 1:]
    return args


def measure(program, arguments):
    """{what is measured: milliseconds} of one run of a program."""
    try:
        done = subprocess.run([program, "--json", "--repeats", "1", *arguments], capture_output=True, text=True)
    except OSError as error:
        sys.exit(str(error))
    if done.returncode:
        sys.exit(f"{program}: {done.stderr.strip()[-500:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {f"{line['what']} {line['at']}": line["ms_median"] for line in lines if "ms_median" in line}


def ratios(rounds):
    """[(what, [old / new by round])]: each round's own two figures, whatever the machine did between rounds."""
    return [(what, [old[what] / new[what] for old, new in rounds]) for what in rounds[0][0]
            if all(what in old and what in new for old, new in rounds)]


def main():
    args = options()
    rounds = []
    for number in range(args.rounds):
        first, second = (args.old, args.new) if number % 2 == 0 else (args.new, args.old)
        times = {first: measure(first, args.arguments)}
        times[second] = measure(second, args.arguments)
        rounds.append((times[args.old], times[args.new]))
        print(f"round {number + 1} of {args.rounds} is done", file=sys.stderr)
    print(f"{'old / new: above 1 the new one is faster':42} {'median':>7} {'least':>7} {'most':>7}")
    for what, values in ratios(rounds):
        print(f"{what:42} {statistics.median(values):7.3f} {min(values):7.3f} {max(values):7.3f}")


if __name__ == "__main__":
    main()
