# SPDX-License-Identifier: Apache-2.0
"""How sure must the model be? Choose gemmad.grammar.least_log_probability.

    python calibrate.py MODEL.gguf --corpus CORPUS [--human FOLDER]

Answers held-out commands and speech that is no command inside the grammar, as the engine
does, and prints for some limits how many commands would be lost, how many wrong answers
would be given and how much other speech would be obeyed; with human_speech.py's recordings
also how often per hour a human would be who did not mean us.
"""
import argparse
import glob
import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import soundfile
import torch

import augment
import batches
import corpus
import grammar
import pocket_file
import train
import vocabulary as vocabularies
from evaluate import call_part

LONGEST_ANSWER = 80
LIMITS = (-0.02, -0.05, -0.1, -0.2, -0.3, -0.5, -0.7, -1.0, -1.5, -2.0, -3.0, -1e9)


def choose(automaton, position, log_probabilities):
    """The likeliest token that can follow, its log probability and the position after it."""
    token = max(automaton.allowed(position), key=lambda t: log_probabilities[t])
    return token, float(log_probabilities[token]), automaton.follow(position, token)


@torch.no_grad()
def answers(network, maker, automaton, framed):
    """(answer, log probability) of a few clips, decoded inside the grammar."""
    vocabulary = maker.vocabulary
    forbidden = [vocabulary.ids[t] for t in vocabularies.SUPPRESSED]
    stops = {vocabulary.ids[t] for t in ("<turn|>", "<|tool_response>")}
    batch = maker.audio(framed, ["<turn|>"] * len(framed), [""] * len(framed))
    said = [[] for _ in framed]
    positions, totals = [automaton.start] * len(framed), [0.0] * len(framed)
    for _ in range(LONGEST_ANSWER):
        logits, _ = train.run(network, batch)
        logits[..., forbidden] = -np.inf
        log_probabilities = torch.log_softmax(logits[:, -1].float(), -1).numpy()
        best = np.zeros(len(framed), np.int64)
        for i, row in enumerate(said):
            if row and row[-1] in stops:
                continue
            best[i], gained, positions[i] = choose(automaton, positions[i],
                                                   log_probabilities[i])
            totals[i] += gained
            row.append(int(best[i]))
        if all(row[-1] in stops for row in said):
            break
        batch.ids = np.concatenate([batch.ids, best[:, None]], axis=1)
    return [(vocabulary.decode(row), total) for row, total in zip(said, totals)]


def in_groups(network, maker, automaton, framed, size=20):
    """answers() for many clips, similar lengths together."""
    found = [None] * len(framed)
    order = sorted(range(len(framed)), key=lambda i: len(framed[i]))
    for at in range(0, len(order), size):
        group = order[at:at + size]
        for i, answer in zip(group, answers(network, maker, automaton, [framed[i] for i in group])):
            found[i] = answer
    return found


def load(folder, part):
    lines, audio, offsets = corpus.load(folder, part)
    return lines, [batches.plain_frames(audio[a:b]) for a, b in zip(offsets, offsets[1:])]


def load_human(folder):
    """Utterances that are no command, and their length in hours."""
    clips = [soundfile.read(path, dtype="float32")[0]
             for path in sorted(glob.glob(os.path.join(folder, "*.wav")))]
    return [augment.to_frames(clip) for clip in clips], sum(map(len, clips)) / augment.RATE / 3600


def main():
    options = argparse.ArgumentParser(description="choose how sure an answer must be")
    options.add_argument("model")
    options.add_argument("--corpus", required=True)
    options.add_argument("--human", help="human_speech.py's folder of utterances")
    args = options.parse_args()
    network, vocabulary, context = pocket_file.read(args.model)
    maker = batches.Maker(vocabulary)
    automaton = grammar.Automaton(grammar.build(vocabulary, context))
    rows = []
    for part in ("valid", "others"):
        lines, clips = load(args.corpus, part)
        for line, (said, sure) in zip(lines, in_groups(network, maker, automaton, clips)):
            rows.append((line["answer"], said, sure))
    commands = [r for r in rows if r[0] != grammar.NOT_FOR_ME]
    others = [r for r in rows if r[0] == grammar.NOT_FOR_ME]
    clips, hours = load_human(args.human) if args.human else ([], 1)
    human = [sure for said, sure in in_groups(network, maker, automaton, clips)
             if said != grammar.NOT_FOR_ME]
    print(f"{len(commands)} commands, {len(others)} clips that are none, "
          f"{len(clips)} human utterances")
    print("   limit  commands right  commands wrong  others obeyed  humans obeyed per hour")
    for limit in LIMITS:
        answered = [call_part(want) == call_part(said) for want, said, sure in commands
                    if sure >= limit and said != grammar.NOT_FOR_ME]
        right, wrong = sum(answered), len(answered) - sum(answered)
        obeyed = sum(said != grammar.NOT_FOR_ME and sure >= limit for _, said, sure in others)
        print(f"{limit:8.2f}  {right:14d}  {wrong:14d}  {obeyed:13d}"
              f"  {sum(sure >= limit for sure in human) / hours:22.1f}")


if __name__ == "__main__":
    main()
