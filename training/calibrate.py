# SPDX-License-Identifier: Apache-2.0
"""How sure must the model be? Choose gemmad.grammar.least_log_share.

    python calibrate.py MODEL.gguf --hearer ../build/bench/hear-speech --corpus CORPUS
        [--noise 20 [--rooms FOLDER]] [--human FOLDER] [--show]

Lets the engine hear held-out commands and speech that is no command, three times each as the daemon
does (daemon/think/conversation-vote.c), and prints for some limits how many commands would be right and
how many wrong, and how much other speech would be obeyed; with human_speech.py's recordings also
how often per hour a human would be who did not mean us.
"""
import argparse
import glob
import math
import os
import subprocess
import tempfile

import numpy as np
import soundfile

import augment
import rooms
from evaluate import call_part, corpus_clips

SHIFTS = [number * augment.FRAME // 3 for number in range(3)]
LIMITS = (-0.02, -0.05, -0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -1.0, -1.5, -2.0, -1e9)


def hear(hearer, model, paths):
    """For each recording its hearings, and for each of them what it answers, and what else it could be: [(share
    of what the grammar allows, answer)]."""
    listed = "".join(path + "\n" for path in paths)
    hearings = []
    for shift in SHIFTS:
        said = subprocess.run([hearer, model, str(shift)], input=listed, text=True, check=True,
                              stdout=subprocess.PIPE).stdout.splitlines()
        hearings.append([answers_in(line.split("\t")) for line in said])
    return list(zip(*hearings))


def answers_in(fields):
    """The hearer's line: a probability, the answer, its share; then a share and an answer, again and again."""
    shares, texts = fields[2:3] + fields[3::2], fields[1:2] + fields[4::2]
    return [(math.exp(float(share)), text) for share, text in zip(shares, texts)]


def vote(hearings):
    """Of the calls that a hearing answers with, the one that has most in all wordings ("": none), the
    logarithm of how much, and the words."""
    shares = {call_part(answers[0][1]): 0 for answers in hearings}
    for answers in hearings:
        for number, (share, text) in enumerate(answers):
            # Nothing has no other wordings.
            if call_part(text) in shares and (call_part(text) or not number):
                shares[call_part(text)] += share / len(hearings)
    call = max(shares, key=shares.get)
    words = max(answers[0] for answers in hearings if call_part(answers[0][1]) == call)[1].partition("<")[0]
    return call, math.log(shares[call] + 1e-30), words


def heard(args, clips):
    """The voted call, and how sure it is, of sounds in memory."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{number:05}.wav") for number in range(len(clips))]
        for path, clip in zip(paths, clips):
            soundfile.write(path, np.clip(clip, -1, 1), augment.RATE, subtype="PCM_16")
        return [vote(hearings) for hearings in hear(args.hearer, args.model, paths)]


def commands_and_others(args):
    """(wanted, voted, sure) of commands, and of clips that are none."""
    rows = []
    where = rooms.Rooms(args.rooms, is_recorded=True) if args.rooms else None
    for part in ("valid", "others"):
        lines, clips = corpus_clips(args.corpus, part, args.noise, rooms=where)
        for line, (call, sure, _) in zip(lines, heard(args, clips)):
            rows.append((call_part(line["answer"]), call, sure))
            if args.show and call != rows[-1][0]:
                print(f"{line['engine']} {line.get('voice', '')}: {line['text']!r} -> {call} ({sure:.2f})")
    return [r for r in rows if r[0]], [r for r in rows if not r[0]]


def humans(args):
    """How sure the model was of each of these utterances that it took for a command, and of those
    with more than one word, which an open microphone asks for; and how many hours they are."""
    paths = sorted(glob.glob(os.path.join(args.human, "*.wav"))) if args.human else []
    hours = sum(soundfile.info(path).duration for path in paths) / 3600
    voted = [vote(hearings) for hearings in hear(args.hearer, args.model, paths)] if paths else []
    obeyed = [(sure, words) for call, sure, words in voted if call]
    return [sure for sure, _ in obeyed], [sure for sure, words in obeyed if " " in words], hours or 1


def main():
    options = argparse.ArgumentParser(description="choose how sure an answer must be")
    options.add_argument("model")
    options.add_argument("--hearer", required=True, help="the program bench/hear-speech")
    options.add_argument("--corpus", required=True)
    options.add_argument("--noise", type=float, help="decibel that the noise lies below the speech")
    options.add_argument("--rooms", metavar="FOLDER", help="the noise is that of rooms: recordings, long and short")
    options.add_argument("--human", help="human_speech.py's folder of utterances")
    options.add_argument("--show", action="store_true", help="print what was wrong")
    args = options.parse_args()
    commands, others = commands_and_others(args)
    human, in_words, hours = humans(args)
    print(f"{len(commands)} commands, {len(others)} clips that are none, {hours:.2f} hours of humans")
    print("   limit  commands right  commands wrong  others obeyed  humans obeyed per hour  open microphone")
    for limit in LIMITS:
        answered = [(want == call) for want, call, sure in commands if call and sure >= limit]
        obeyed = sum(sure >= limit and call != "" for _, call, sure in others)
        print(f"{limit:8.2f}  {sum(answered):14d}  {len(answered) - sum(answered):14d}  {obeyed:13d}"
              f"  {sum(sure >= limit for sure in human) / hours:22.1f}"
              f"  {sum(sure >= limit for sure in in_words) / hours:15.1f}")


if __name__ == "__main__":
    main()
