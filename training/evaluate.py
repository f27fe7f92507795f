# SPDX-License-Identifier: Apache-2.0
"""Score a pocket model: which recordings are answered with the right call.

    python evaluate.py MODEL.gguf --corpus CORPUS [--noise clean 20 10] [--silence 1]
                                                           held-out voices, by engine and intent
    python evaluate.py MODEL.gguf --corpus CORPUS --others         speech that is no command
    python evaluate.py MODEL.gguf --corpus CORPUS --people         held-out recordings of people
    ... --noise clean 24 18 12 6 --rooms FOLDER            in rooms, with what happens there, not in hiss
    python evaluate.py MODEL.gguf --speech ../tests/speech         recordings with expected.tsv
    python evaluate.py MODEL.gguf --human FOLDER           human_speech.py's, per hour
    python evaluate.py MODEL.gguf --typed                          all sentences (of many a part), typed
    ... --gemmactl PATH                                            through the running daemon

A command is right, answered with nothing, or wrong: the three numbers of a column. --plot draws them.

Decoding is greedy and free-running, in PyTorch unless --gemmactl is given; --human always asks
the daemon (whose model counts, not the one named), because what it obeys depends on its grammar
and its limit.
"""
import argparse
import functools
import glob
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import soundfile
import torch

import augment
import batches
import context as contexts
import corpus
import pocket_file
import rooms
import train
import vocabulary as vocabularies

LONGEST_ANSWER = 80
SILENCE = 0.1              # seconds before and after a clip


@torch.no_grad()
def answers(network, maker, framed):
    """The answers to a few clips, decoded greedily; stop tokens are left in."""
    vocabulary = maker.vocabulary
    forbidden = [vocabulary.ids[t] for t in vocabularies.SUPPRESSED]
    stops = {vocabulary.ids[t] for t in ("<eos>", "<turn|>", "<|tool_response>")}
    batch = maker.audio(framed, ["<turn|>"] * len(framed), [""] * len(framed))
    said = [[] for _ in framed]
    for _ in range(LONGEST_ANSWER):
        logits, _ = train.run(network, batch)
        logits[..., forbidden] = -np.inf
        best = logits[:, -1].argmax(-1).numpy()
        for row, number in zip(said, best):
            if not (row and row[-1] in stops):
                row.append(int(number))
        if all(row[-1] in stops for row in said):
            break
        batch.ids = np.concatenate([batch.ids, best[:, None]], axis=1)
    return [vocabulary.decode(row) for row in said]


def call_part(answer):
    """What counts of an answer: the intent and every slot. A "please" that was not heard does no
    harm."""
    return answer.partition("<|tool_call>")[2]


def in_groups(network, maker, framed, size=20):
    """answers() for many clips, similar lengths together."""
    said = [None] * len(framed)
    order = sorted(range(len(framed)), key=lambda i: len(framed[i]))
    for at in range(0, len(order), size):
        group = order[at:at + size]
        for i, text in zip(group, answers(network, maker, [framed[i] for i in group])):
            said[i] = text
    return said


def call_text(call):
    """A call of the daemon's reply in Gemma 4's notation."""
    arguments = call["arguments"]
    parts = [f"{key}:{contexts.argument(arguments[key], 'string' if isinstance(arguments[key], str) else 'number')}"
             for key in sorted(arguments, key=str.lower)]
    return f"call:{call['name']}{{{','.join(parts)}}}"


def ask_about(program, path):
    """The daemon's turn about a sound file."""
    # Exit code 1 also means that nothing was understood, which is an answer.
    reply = subprocess.run([program, "--json", "ask", "--audio", path],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout
    return json.loads(reply.splitlines()[-1])["event"]["turn"]


def ask_daemon(program, samples):
    """The daemon's answer to a recording, in the form the model gives it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        soundfile.write(file.name, samples, augment.RATE, subtype="PCM_16", format="WAV")
        turn = ask_about(program, file.name)
    if not turn["calls"]:
        return turn["heard"] + "<turn|>"
    calls = "".join(f"<|tool_call>{call_text(call)}<tool_call|>" for call in turn["calls"])
    return f"{turn['heard']}{calls}<|tool_response>"


def false_accepts(program, folder, wake, show):
    """How much of speech that is no command is obeyed: per hour, by the first word of the files'
    names (their language), with and without the demand that it begins with the wake phrase."""
    table = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.wav"))):
        name, turn = os.path.basename(path), ask_about(program, path)
        row = table.setdefault(name.split("-")[0], {"hours": 0.0, "clips": 0, "obeyed": 0, "woken": 0})
        row["hours"] += soundfile.info(path).duration / 3600
        row["clips"] += 1
        if turn["calls"]:
            row["obeyed"] += 1
            row["woken"] += (turn["heard"] + " ").startswith(wake + " ")
            if show:
                print(f"{name}: {turn['heard']!r}", flush=True)
    table["all"] = {key: sum(row[key] for row in table.values()) for key in next(iter(table.values()))}
    print(f"{'':10} utterances  minutes  obeyed  per hour  with '{wake}' required")
    for name, row in table.items():
        print(f"{name:10} {row['clips']:10} {60 * row['hours']:8.1f} {row['obeyed']:7} "
              f"{row['obeyed'] / row['hours']:9.1f} {row['woken']:4} ({row['woken'] / row['hours']:.1f} per hour)")


@functools.lru_cache(maxsize=4)
def loaded(folder, split):
    """Once: a corpus may be growing, and all columns are of the same clips."""
    return corpus.load(folder, split)


def corpus_clips(folder, split, decibel, silence=SILENCE, seed=0, rooms=None):
    """Clips of held-out voices with silence around them, and with noise at this distance below the
    speech if asked for, which fills the silence too; the noise of rooms (a rooms.Rooms) if there are any."""
    lines, audio, offsets = loaded(folder, split)
    rng = np.random.default_rng(seed)
    clips = []
    for a, b in zip(offsets, offsets[1:]):
        spoken = audio[a:b].astype(np.float32) / 32768
        samples = np.pad(spoken, int(silence * augment.RATE))
        if decibel is not None and rooms:
            power = np.sqrt(np.mean(spoken ** 2)) * 10 ** (-decibel / 20)
            samples = samples + rooms.scene(len(samples), rng) * np.float32(power)
            samples = samples / max(1.0, float(np.abs(samples).max()))
        elif decibel is not None:
            # add_noise() measures all it is given, of which more or less is silence.
            share = len(samples) / (b - a + 2 * SILENCE * augment.RATE)
            samples = augment.add_noise(samples, decibel - 10 * np.log10(share), rng)
        clips.append(samples)
    return lines, clips


def speech_clips(folder):
    """The recordings named in FOLDER/expected.tsv."""
    lines, clips = [], []
    with open(os.path.join(folder, "expected.tsv"), encoding="utf-8") as table:
        for row in table:
            name, text, call = row.rstrip("\n").split("\t")
            answer = f"{text}<|tool_call>{call}<tool_call|><|tool_response>" if call else "<turn|>"
            clip, rate = soundfile.read(os.path.join(folder, name), dtype="float32")
            assert rate == augment.RATE, name
            lines.append({"text": text, "answer": answer, "intent": call or None, "engine": name})
            clips.append(clip)
    return lines, clips


def typed(network, maker, context, size=64):
    """How many sentences of the context are answered exactly when typed, of how many."""
    sentences = contexts.some_sentences(context)
    right = 0
    for at in range(0, len(sentences), size):
        part = sentences[at:at + size]
        batch = maker.text([s.text for s in part], [contexts.answer(context, s) for s in part])
        right += int(train.right_rows(network, maker, batch).sum())
    return right, len(sentences)


def decibel(text):
    return None if text == "clean" else float(text)


def clips_of(args, noise, where):
    if args.speech:
        return speech_clips(args.speech)
    split = "others" if args.others else corpus.PEOPLE if args.people else "valid"
    lines, clips = corpus_clips(args.corpus, split, noise, args.silence, rooms=where)
    if args.only:
        chosen = [number for number, line in enumerate(lines) if line["engine"] in args.only]
        lines, clips = [lines[n] for n in chosen], [clips[n] for n in chosen]
    return lines, clips


RIGHT, NOTHING, WRONG = "right", "nothing", "wrong"


@dataclass
class Column:
    """What became of one noise's clips: of the call, and whether every word of the answer is right."""
    title: str
    calls: list
    words: list


def answerer(args):
    """What answers many clips: the daemon, or the model here."""
    if args.gemmactl:
        return lambda clips: [ask_daemon(args.gemmactl, clip) for clip in clips]
    network, vocabulary, _ = pocket_file.read(args.model)
    maker = batches.Maker(vocabulary)
    return lambda clips: in_groups(network, maker, [augment.to_frames(c) for c in clips])


def verdict(said, wanted):
    if call_part(said) == call_part(wanted):
        return RIGHT
    return WRONG if call_part(said) else NOTHING


def score(args, lines, said):
    """What became of the calls, and which answers have every word right."""
    calls = [verdict(text, line["answer"]) for text, line in zip(said, lines)]
    for text, line, became in zip(said, lines, calls):
        if args.show and became != RIGHT:
            print(f"{line['engine']} {line.get('voice', '')}: {line['text']!r} -> {text!r}")
    return calls, [RIGHT if text == line["answer"] else WRONG for text, line in zip(said, lines)]


def table_rows(lines, with_intents):
    """{title: numbers of its lines} of who spoke the commands, of what is none and of the intents;
    and the numbers of all commands."""
    speakers, intents, commands = {}, {}, []
    for number, line in enumerate(lines):
        speakers.setdefault(line["engine"] if line["intent"] else "not a command", []).append(number)
        if line["intent"]:
            intents.setdefault("intent " + line["intent"], []).append(number)
            commands.append(number)
    table = dict(sorted(speakers.items()))
    table.update(sorted(intents.items()) if with_intents else ())
    return table, commands


def print_table(lines, columns, with_intents):
    table, commands = table_rows(lines, with_intents)
    print(f"{'right, nothing, wrong':44}" + "".join(f"{column.title:>24}" for column in columns))
    for title, numbers in table.items():
        print_row(title, [[column.calls[n] for n in numbers] for column in columns])
    if commands:
        print_row("all commands", [[column.calls[n] for n in commands] for column in columns])
        print_row("... and every word of them", [[column.words[n] for n in commands] for column in columns])


def counts(became):
    return [became.count(kind) for kind in (RIGHT, NOTHING, WRONG)]


def print_row(title, cells):
    print(f"{title:44}" + "".join("{:7}{:5}{:5}".format(*counts(became)) + f"{became.count(RIGHT) / len(became):7.3f}"
                                  for became in cells))


def draw_plot(path, columns, numbers, title):
    """Shares of right, nothing and wrong against the noise."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    shares = np.array([counts([column.calls[n] for n in numbers]) for column in columns]) / len(numbers)
    figure, axes = pyplot.subplots(figsize=(6.4, 3))
    axes.stackplot(range(len(columns)), shares.T, labels=(RIGHT, NOTHING, WRONG),
                   colors=("#3a7d44", "#d9d9d9", "#b3261e"))
    axes.set(xticks=range(len(columns)), xticklabels=[column.title for column in columns], ylim=(0, 1),
             xlim=(0, len(columns) - 1), title=title, ylabel="share of the commands")
    axes.legend(loc="lower left", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    options = argparse.ArgumentParser(description="score a pocket model")
    options.add_argument("model")
    options.add_argument("--corpus")
    options.add_argument("--others", action="store_true")
    options.add_argument("--people", action="store_true")
    options.add_argument("--only", nargs="+", metavar="ENGINE", help="of the corpus")
    options.add_argument("--rooms", metavar="FOLDER", help="of recordings: rooms, and short ones of what happens there")
    options.add_argument("--plot", metavar="FILE")
    options.add_argument("--speech")
    options.add_argument("--human", help="folder of speech that is no command")
    options.add_argument("--wake", default="hey gemma", help="the wake phrase, for --human")
    options.add_argument("--typed", action="store_true")
    options.add_argument("--noise", nargs="+", type=decibel, default=[None], metavar="DECIBEL",
                         help="that the noise lies below the speech, or clean; each is a column")
    options.add_argument("--silence", type=float, default=SILENCE, metavar="SECONDS",
                         help="before and after each clip (%(default)s)")
    options.add_argument("--gemmactl", help="program to ask instead of running the model here")
    options.add_argument("--show", action="store_true", help="print what was wrong")
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    if args.typed:
        network, vocabulary, context = pocket_file.read(args.model)
        print("typed: right %d of %d" % typed(network, batches.Maker(vocabulary), context))
        return
    if args.human:
        if not args.gemmactl:
            options.error("--human needs --gemmactl")
        false_accepts(args.gemmactl, args.human, args.wake, args.show)
        return
    if args.speech and (args.noise != [None] or args.silence != SILENCE):
        options.error("--noise and --silence are for --corpus")
    if args.silence < 0:
        options.error("--silence is no less than 0")
    answer, columns = answerer(args), []
    where = rooms.Rooms(args.rooms, is_recorded=True) if args.rooms else None
    for noise in args.noise:
        lines, clips = clips_of(args, noise, where)
        said = answer(clips)
        columns.append(Column("clean" if noise is None else f"{noise:g} dB", *score(args, lines, said)))
    print_table(lines, columns, with_intents=bool(args.corpus) and not args.only)
    if args.plot:
        draw_plot(args.plot, columns, table_rows(lines, False)[1], "commands, held-out voices, in rooms")


if __name__ == "__main__":
    main()
