#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sets gemma-bench beside llama.cpp's llama-bench, and that of ik_llama.cpp, on the same file and in turns.

    beside-llama.py OUT --llama-bench PATH [--ik-bench PATH] --model 12b.gguf --projector mmproj.gguf
                    [--threads 2]
    beside-llama.py OUT --plot        prints and draws what an OUT/measured.json holds

Each round lets the programs measure the same thing one after the other, so that a slow minute of
the machine hits all, and each round begins with another. Prints a table of ratios, and for decode what
share of the read bandwidth, for prefill what share of the sums of 8-bit products each reaches that
gemma-bench measured of the machine, and writes OUT/measured.json. With --plot (Debian's
python3-matplotlib) also OUT/first-token.svg and OUT/positions.svg.

First token after speech: gemmad reads the sound while it arrives, so only the last second and the
end of the prompt are left, if the processor keeps up with speech (25 positions a second, see the
prefill of 25). llama.cpp's programs read a recording when it is whole; counted are all its
positions and one decoded token, and nothing for turning sound into positions. The same holds for
ik_llama.cpp, whose flash attention is left out, which short prompts do not need.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
POSITIONS = [1, 2, 4, 8, 16, 25, 64, 128, 512]
SECONDS = [5, 10, 30]
DECODED = 8
PER_SECOND = 25              # positions of a second of sound
WARM_UP = "3"                # positions; none of those asked for
CAPACITY = "2048"            # positions of gemma-bench's cache; the longest speech needs fewer
AROUND = 20                  # tokens before and after the sound, as in gemma-bench


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--llama-bench", help="the program; without it nothing is measured")
    parser.add_argument("--ik-bench", help="the program of that name of ik_llama.cpp")
    parser.add_argument("--gemma-bench", default=os.path.join(
        os.environ.get("BUILD_DIR", os.path.join(HERE, "..", "build")), "bench", "gemma-bench"))
    parser.add_argument("--model")
    parser.add_argument("--projector")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=int, default=512, help="positions in one pass, at most")
    parser.add_argument("--context", type=int, default=0, help="decode behind as many positions, too")
    parser.add_argument("--plot", action="store_true")
    args = parser.parse_args()
    if args.llama_bench and not (args.model and args.projector):
        parser.error("--llama-bench needs --model and --projector")
    return args


def output_of(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        sys.exit(str(error))
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def positions(args):
    return [n for n in POSITIONS if n <= args.longest]


def ours(args, parts):
    """The objects that gemma-bench prints, each thing measured once."""
    command = [args.gemma_bench, "--json", "--repeats", "1", "--parts", parts, "--threads",
               str(args.threads), "--model", args.model, "--projector", args.projector,
               "--positions", CAPACITY]
    command += ["--context", str(args.context)] if "context" in parts else []
    return [json.loads(line) for line in output_of(command).splitlines()]


def theirs(args, program, options, *tests):
    """{(prompt positions, decoded tokens): milliseconds} of a llama-bench, each measured once."""
    command = [program, "-m", args.model, "-t", str(args.threads), "-r", "1", "-o", "json", *options, *tests]
    text = output_of(command)
    return {(test["n_prompt"], test["n_gen"]): test["avg_ns"] / 1e6
            for test in json.loads(text[text.index("["):])}


def add(measured, who, what, at, ms):
    measured.setdefault(f"{what} {at}".strip(), {}).setdefault(who, []).append(ms)


def round_of_ours(args, measured, machine):
    """One measurement of everything by gemma-bench."""
    for line in ours(args, "prefill,decode,speech" + (",context" if args.context else "")):
        if line["what"] == "machine":
            machine.append(line)
        elif line["what"] == "resident":
            machine[-1].update(line, what="machine")
        elif line["what"] in ("one pass of", "prefill of"):
            if line["n"] in positions(args):
                add(measured, "gemmad", "prefill", line["n"], line["ms_median"])
        elif line["what"] == "decode":
            add(measured, "gemmad", "decode", "", line["ms_median"] / line["n"])
        else:
            add(measured, "gemmad", line["what"], line["at"], line["ms_median"])


# It would warm up before each test; one short test before all does as well, in half the time. The other
# knows no such option.
OPTIONS = {"llama.cpp": ["--no-warmup", "-n", "0", "-p", WARM_UP], "ik_llama.cpp": ["-fa", "0"]}


def round_of_theirs(args, measured, who, program):
    """One measurement of everything by a llama-bench."""
    speech = {s: s * PER_SECOND + AROUND for s in SECONDS}
    prompts = ",".join(str(n) for n in positions(args) + list(speech.values()))
    times = theirs(args, program, OPTIONS[who], "-p", prompts, "-n", str(DECODED))
    decode = times[0, DECODED] / DECODED
    add(measured, who, "decode", "", decode)
    for n in positions(args):
        add(measured, who, "prefill", n, times[n, 0])
    for s, n in speech.items():
        add(measured, who, "first token after speech", s, times[n, 0] + decode)


def programs(args):
    """[(name, how a round of it is measured)] of all that take part."""
    found = [("gemmad", lambda result: round_of_ours(args, result["measured"], result["machine"]))]
    for who, program in (("llama.cpp", args.llama_bench), ("ik_llama.cpp", args.ik_bench)):
        if program:
            found.append((who, lambda result, who=who, program=program:
                          round_of_theirs(args, result["measured"], who, program)))
    return found


def medians(measured):
    return {what: {who: statistics.median(ms) for who, ms in by.items()}
            for what, by in measured.items()}


def share(machines, what, ms):
    """Of the machine's own limit, the best that it showed in any round, in percent; None for what has none."""
    kind, _, at = what.rpartition(" ")
    if what == "decode":
        bandwidth = max(machine["read_GB_per_s"] for machine in machines)
        return 100 * machines[0]["weights_GB"] / (ms / 1000) / bandwidth
    products = max(machine["products_G_per_s"] for machine in machines)
    if kind == "prefill" and int(at) > 8 and products > 0:
        return 100 * machines[0]["products_G_per_position"] * int(at) / (ms / 1000) / products
    return None


def print_table(result):
    machine = result["machine"][0]
    others = [who for who in ("llama.cpp", "ik_llama.cpp")
              if any(who in by for by in result["measured"].values())]
    print(f"{machine['model']}, {machine['kernels']} kernels, {machine['threads']} threads; "
          f"reads {machine['read_GB_per_s']:.1f} GB/s, {machine['products_G_per_s']:.0f} G 8-bit products/s")
    print("milliseconds, medians; of the machine's limit; how often as long as gemmad")
    print(f"{'':34} {'gemmad':>14} " + " ".join(f"{who:>20}" for who in others))
    for what, by in medians(result["measured"]).items():
        cells = []
        for who in ["gemmad"] + others:
            part = share(result["machine"], what, by[who]) if who in by else None
            ratio = f" {by[who] / by['gemmad']:5.2f}" if who != "gemmad" and who in by else ""
            cells.append(f"{by[who]:8.0f} {f'{part:3.0f} %' if part else '     '}{ratio}" if who in by else "")
        print(f"{what:34} {cells[0]:>14} " + " ".join(f"{cell:>20}" for cell in cells[1:]))


def series(result, what, who):
    """[(x, milliseconds)] of what is measured at several x."""
    return [(int(name.rpartition(" ")[2]), by[who]) for name, by in medians(result["measured"]).items()
            if name.startswith(what + " ") and who in by]


def draw(result, folder):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    machine = result["machine"][0]
    title = f"{machine['model']}, {machine['kernels']}, {machine['threads']} threads"

    figure, plot = pyplot.subplots(figsize=(6, 4))
    for who in ("llama.cpp", "ik_llama.cpp", "gemmad"):
        points = series(result, "first token after speech", who)
        if points:
            plot.plot([x for x, _ in points], [ms / 1000 for _, ms in points], "o-", label=who)
    plot.set(xlabel="seconds of speech", ylabel="seconds until the first token", title=title,
             ylim=(0, None), xlim=(0, None))
    finish(pyplot, figure, plot, folder, "first-token.svg")

    figure, plot = pyplot.subplots(figsize=(6, 4))
    for who in ("llama.cpp", "ik_llama.cpp", "gemmad"):
        points = series(result, "prefill", who)
        if not points:
            continue
        plot.plot([n for n, _ in points], [n / ms * 1000 for n, ms in points], "o-",
                  label=f"{who}, read at once")
    behind = series(result, "one position behind", "gemmad")
    if behind:
        plot.plot([max(1, n) for n, _ in behind], [1000 / ms for _, ms in behind], "s--",
                  label="gemmad, one more behind them (no head)")
    plot.set(xlabel="positions", ylabel="positions a second", title=title, xscale="log",
             ylim=(0, 1.4 * plot.get_ylim()[1]))     # room for the legend
    finish(pyplot, figure, plot, folder, "positions.svg")


def finish(pyplot, figure, plot, folder, name):
    plot.grid(True, alpha=0.3)
    plot.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(os.path.join(folder, name))
    pyplot.close(figure)


def keep(result, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        sys.exit(f"{error}; --llama-bench measures it")


def measure(args, path):
    os.makedirs(args.out, exist_ok=True)
    result = {"machine": [], "measured": {}}
    for number in range(args.rounds):
        turn = programs(args)
        for _, measure_round in turn[number % len(turn):] + turn[:number % len(turn)]:
            measure_round(result)
            keep(result, path)
        print(f"round {number + 1} of {args.rounds} is done", file=sys.stderr)
    return result


def main():
    args = options()
    path = os.path.join(args.out, "measured.json")
    result = measure(args, path) if args.llama_bench else read(path)
    print_table(result)
    if args.plot:
        draw(result, args.out)


if __name__ == "__main__":
    main()
