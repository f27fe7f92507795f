# SPDX-License-Identifier: Apache-2.0
"""The same clips through another recognizer: pocketsphinx with the context as its grammar.

    pip install pocketsphinx
    python peer.py contexts/coffee_maker.yaml --corpus CORPUS [--noise clean 18 12 6 --rooms FOLDER]

Its acoustic model and its dictionary are in the package. A word that the dictionary lacks is left out of the
grammar with all that needs it, and told.
"""
import argparse
import tempfile

import numpy as np

import context as contexts
import corpus
import evaluate
import rooms


class Grammar:
    """A context in JSGF, a rule for each type of slot and each intent."""

    def __init__(self, context, is_known):
        self.is_known, self.left_out = is_known, set()
        rules = {f"slot_{kind}": self.choice([self.words(value.split()) for value in values])
                 for kind, values in context.slots.items()}
        intents = {f"intent_{intent}": self.choice([self.of(tree) for tree in trees])
                   for intent, trees in context.expressions.items()}
        free = [f"<{name}>" for name in intents if name.removeprefix("intent_") not in context.not_for]
        bound = [f"<{name}>" for name in intents if f"<{name}>" not in free]
        around = [self.of(context.before) or "<NULL>", self.choice(free), self.of(context.after) or "<NULL>"]
        rules = {**rules, **intents, "main": self.choice([" ".join(around), *bound])}
        self.text = "#JSGF V1.0;\ngrammar context;\n" + "".join(
            f"{'public ' if name == 'main' else ''}<{name}> = {body or '<VOID>'};\n" for name, body in rules.items())

    def words(self, words):
        unknown = {word for word in words if not self.is_known(word.lower())}
        self.left_out |= unknown
        return None if unknown else " ".join(words).lower()

    @staticmethod
    def choice(parts):
        """Of what can be said; None if nothing can."""
        said = [part for part in parts if part is not None]
        return f"( {' | '.join(part or '<NULL>' for part in said)} )" if said else None

    def of(self, tree):
        if tree[0] == "word":
            return self.words([tree[1]])
        if tree[0] == "slot":
            return f"<slot_{tree[1]}>"
        if tree[0] == "set":                     # an argument without a word
            return ""
        parts = [self.of(part) for part in tree[1]]
        if tree[0] == "choice":
            return self.choice(parts)
        return None if None in parts else " ".join(part for part in parts if part)


class Peer:
    def __init__(self, context):
        from pocketsphinx import Decoder
        plain = Decoder(lm=None, loglevel="FATAL")
        grammar = Grammar(context, lambda word: plain.lookup_word(word) is not None)
        if grammar.left_out:
            print("without:", *sorted(grammar.left_out))
        with tempfile.NamedTemporaryFile("w", suffix=".gram") as file:
            file.write(grammar.text)
            file.flush()
            self.decoder = Decoder(lm=None, jsgf=file.name, loglevel="FATAL")
        self.drawer = corpus.Drawer(context)

    def answer(self, samples):
        self.decoder.start_utt()
        self.decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        self.decoder.end_utt()
        best = self.decoder.hyp()
        found = self.drawer.answer_to(best.hypstr) if best else None
        return found[1] if found else corpus.NOTHING


def main():
    options = argparse.ArgumentParser(description="score pocketsphinx with the context as its grammar")
    options.add_argument("context")
    options.add_argument("--corpus", required=True)
    options.add_argument("--only", nargs="+", metavar="ENGINE")
    options.add_argument("--noise", nargs="+", type=evaluate.decibel, default=[None], metavar="DECIBEL")
    options.add_argument("--rooms", metavar="FOLDER")
    options.add_argument("--silence", type=float, default=evaluate.SILENCE)
    options.add_argument("--show", action="store_true")
    args = options.parse_args()
    args.speech = args.others = args.people = False
    peer, columns = Peer(contexts.load(args.context)), []
    where = rooms.Rooms(args.rooms, is_recorded=True) if args.rooms else None
    for noise in args.noise:
        lines, clips = evaluate.clips_of(args, noise, where)
        said = [peer.answer(clip) for clip in clips]
        columns.append(evaluate.Column("clean" if noise is None else f"{noise:g} dB", *evaluate.score(args, lines, said)))
    evaluate.print_table(lines, columns, with_intents=False)


if __name__ == "__main__":
    main()
