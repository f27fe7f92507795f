# SPDX-License-Identifier: Apache-2.0
"""Write a trained model as one GGUF file and prove that the file says the same.

    python export.py RUN/last.pt ../model/pocket.gguf [--corpus CORPUS]

With a corpus, held-out clips are answered by the trained model and by the model read back
from the file (dequantised); the command fails if they disagree on more than 2 %.
"""
import argparse
import dataclasses
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

import batches
import context as contexts
import evaluate
import meaning_file
import pocket_file
import train
import vocabulary as vocabularies
from network import Network, Shape


def load_checkpoint(path, other=None, share=0.5):
    """The network of a checkpoint or a GGUF file, or a mean of two of which one began with the other,
    share of it the first; and its context."""
    known = train.known_of(path)
    state = without_helpers(known.state)
    if other:
        state = mean(known, train.known_of(other), share)
    network = Network(known.shape)
    network.load_state_dict(state)
    network.eval()
    return network, known.context.source


def without_helpers(state):
    return {name: value.float() for name, value in state.items() if not name.startswith("helpers")}


def mean(known, other, share):
    """Of all weights, and of the rows of the tokens that both contexts have; the others' rows are as they
    were learned."""
    if dataclasses.replace(known.shape, vocabulary=0) != dataclasses.replace(other.shape, vocabulary=0):
        raise SystemExit("a mean is of two models of the same sizes")
    ours, theirs = without_helpers(known.state), without_helpers(other.state)
    rows, their_rows = ours.pop(pocket_file.ROWS), theirs.pop(pocket_file.ROWS)
    state = {name: share * value + (1 - share) * theirs[name] for name, value in ours.items()}
    old = vocabularies.build(other.context).ids
    state[pocket_file.ROWS] = rows.clone()
    for number, token in enumerate(vocabularies.build(known.context).tokens):
        # An older context wrote "I".
        its = old.get(token, old.get(token.replace("i", "I")))
        if its is not None:
            state[pocket_file.ROWS][number] = share * rows[number] + (1 - share) * their_rows[its]
    return state


def for_context(network, source, newer):
    """The network for a newer context, whose tokens it all has learned: its sentences may be others."""
    old, fresh = (vocabularies.build(contexts.parse(text)) for text in (source, newer))
    unknown = [token for token in fresh.tokens if token not in old.ids]
    if unknown:
        raise SystemExit(f"not learned: {' '.join(unknown[:20])}; train.py --start learns it")
    state = network.state_dict()
    state[pocket_file.ROWS] = state[pocket_file.ROWS][[old.ids[token] for token in fresh.tokens]]
    newly = Network(dataclasses.replace(network.shape, vocabulary=len(fresh)))
    newly.load_state_dict(state)
    newly.eval()
    return newly


def check_vocabulary(vocabulary, context):
    """The vocabulary that came back must encode the answers as the one used in training."""
    vocabularies.check(vocabulary, context)
    fresh = vocabularies.build(context)
    assert fresh.tokens == vocabulary.tokens and fresh.merges == vocabulary.merges
    assert fresh.types == list(vocabulary.types)


def compare(network, path, folder, count):
    """How often the file's answers are those of the trained model."""
    _, clips = train.validation(folder)
    clips = clips[::max(1, len(clips) // count)]
    copy, vocabulary, context = pocket_file.read(path)
    check_vocabulary(vocabulary, context)
    maker = batches.Maker(vocabulary)
    before = evaluate.in_groups(network, maker, clips)
    after = evaluate.in_groups(copy, maker, clips)
    for a, b in zip(before, after):
        if a != b:
            print(f"  trained {a!r}\n  file    {b!r}")
    return sum(a == b for a, b in zip(before, after)), len(clips)


def main():
    options = argparse.ArgumentParser(description="write a pocket model as GGUF")
    options.add_argument("checkpoint")
    options.add_argument("out")
    options.add_argument("--corpus")
    options.add_argument("--type", choices=pocket_file.TYPES, default="q8_0", help="of the matrices")
    options.add_argument("--rows", choices=pocket_file.TYPES, help="of the words' rows; as the matrices by itself")
    options.add_argument("--mean", metavar="CHECKPOINT", help="write the mean of this one's weights and the other's")
    options.add_argument("--share", type=float, default=0.5, help="of the first in --mean (%(default)s)")
    options.add_argument("--context", metavar="FILE", help="a newer version of the context, of the same words, with what meanings.py learned")
    options.add_argument("--least", type=float, help="the limit that calibrate.py led to")
    options.add_argument("--least-short", type=float, help="and that of one word, or the wake phrase alone, if another")
    options.add_argument("--least-alone", type=float, help="that of one sentence in a single hearing, as of the wake "
                         "phrase, and of what is typed: a probability, if it is to be another number")
    options.add_argument("--count", type=int, default=60, help="clips to compare")
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    network, source = load_checkpoint(args.checkpoint, args.mean, args.share)
    meanings = {}
    if args.context:
        newer = contexts.load(args.context)
        meanings = meaning_file.keys(meaning_file.beside(args.context), newer)
        network, source = for_context(network, source, newer.source), newer.source
    vocabulary = vocabularies.build(contexts.parse(source))
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    alone = args.least if args.least_alone is None else args.least_alone
    limits = {"least_log_share": args.least, "least_short_log_share": args.least_short, "least_log_probability": alone}
    pocket_file.write(args.out, network, vocabulary, source, args.type, limits, args.rows, meanings)
    parameters = sum(p.numel() for n, p in network.named_parameters() if "helpers" not in n)
    print(f"{args.out}: {os.path.getsize(args.out)} bytes, {parameters} parameters")
    if args.corpus:
        same, total = compare(network, args.out, args.corpus, args.count)
        print(f"the file answers {same} of {total} clips as the trained model does")
        sys.exit(0 if same >= 0.98 * total else 1)


if __name__ == "__main__":
    main()
