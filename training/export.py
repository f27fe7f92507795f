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
import pocket_file
import train
import vocabulary as vocabularies
from network import Network, Shape

NEVER_SAID = "<mask>"


def load_checkpoint(path, other=None):
    """The network of a checkpoint or of a GGUF file, or the mean of two of the same context, and the
    context."""
    known = train.known_of(path)
    state = without_helpers(known.state)
    if other:
        before = train.known_of(other)
        if before.shape != known.shape or before.context != known.context:
            raise SystemExit(f"{other} is a model of another shape or context than {path}")
        mate = without_helpers(before.state)
        state = {name: (value.float() + mate[name].float()) / 2 for name, value in state.items()}
    network = Network(known.shape)
    network.load_state_dict(state)
    network.eval()
    return network, known.context.source


def without_helpers(state):
    return {name: value for name, value in state.items() if not name.startswith("helpers")}


def for_context(network, source, newer, is_typed_only):
    """The network for a newer context of the same words. is_typed_only: of more words, too; those it has
    not learned it never hears, and they are for what is typed, which the grammar alone reads."""
    old, fresh = (vocabularies.build(contexts.parse(text)) for text in (source, newer))
    known = {token: old.ids.get(token, old.ids.get(token.replace("i", "I"))) for token in fresh.tokens}
    unknown = [token for token, number in known.items() if number is None]
    if unknown and not is_typed_only:
        raise SystemExit(f"not learned: {' '.join(unknown[:20])}; train.py --start learns it")
    rows = network.token_embd.weight
    # What is never said is as unlikely as can be, and so is what was not learned.
    chosen = [old.ids[NEVER_SAID] if known[token] is None else known[token] for token in fresh.tokens]
    newly = Network(dataclasses.replace(network.shape, vocabulary=len(fresh)))
    newly.load_state_dict({**network.state_dict(), "token_embd.weight": rows.detach()[chosen]})
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
    options.add_argument("--mean", metavar="CHECKPOINT", help="write the mean of this one's weights and the other's")
    options.add_argument("--context", metavar="FILE", help="a newer version of the context, of the same words")
    options.add_argument("--typed-only", action="store_true",
                         help="with --context: words that were not learned are never heard, only read")
    options.add_argument("--least", type=float, help="the limit that calibrate.py led to")
    options.add_argument("--count", type=int, default=60, help="clips to compare")
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    network, source = load_checkpoint(args.checkpoint, args.mean)
    if args.context:
        newer = contexts.load(args.context).source
        network, source = for_context(network, source, newer, args.typed_only), newer
    vocabulary = vocabularies.build(contexts.parse(source))
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    pocket_file.write(args.out, network, vocabulary, source, args.type, args.least)
    parameters = sum(p.numel() for n, p in network.named_parameters() if "helpers" not in n)
    print(f"{args.out}: {os.path.getsize(args.out)} bytes, {parameters} parameters")
    if args.corpus:
        same, total = compare(network, args.out, args.corpus, args.count)
        print(f"the file answers {same} of {total} clips as the trained model does")
        sys.exit(0 if same >= 0.98 * total else 1)


if __name__ == "__main__":
    main()
