# SPDX-License-Identifier: Apache-2.0
"""Human speech that is not for us, from Debian's packages: what of it is falsely obeyed, and
what a model can learn from it.

    python human_speech.py OUT --cutter ../build/bench/cut-speech [--hours 1] [--corpus CORPUS]

Fetches the packages (apt-get download, unpacked below OUT/packages, nothing is installed),
plays the recordings of each speaker one after the other into one long recording of a quiet
room, and lets the daemon's own endpointer cut that into utterances.

To be scored, OUT/speech/*.wav: all English there is, then other speakers in turns until the
hours are full. What is a command by chance goes to OUT/commands with an expected.tsv.
To be learned from, CORPUS/train-human-*.npz: speakers of which none is scored, and no English.

Then: python evaluate.py MODEL --human OUT/speech --gemmactl PATH
      python evaluate.py MODEL --speech OUT/commands --gemmactl PATH
      python calibrate.py MODEL --corpus CORPUS --human OUT/speech
"""
import argparse
import glob
import json
import os
import random
import shutil
import subprocess
import wave
from math import gcd

import numpy as np
import soundfile
from scipy.signal import resample_poly

RATE = 16000
GAP = 1.2                  # seconds between recordings, so that each is an utterance of its own
ROOM = 1e-4                # the room's noise, about 80 dB below full scale
LEVEL = 0.5                # peak of each recording

SHARD = 300                # clips in a file of the corpus
LONGEST = 5.0              # seconds of a clip there

PACKAGES = ["asterisk-core-sounds-en-wav", "asterisk-core-sounds-es-wav",
            "asterisk-core-sounds-fr-wav", "asterisk-core-sounds-it-wav",
            "asterisk-core-sounds-ru-wav", "pocketsphinx-testdata", "klettres-data",
            "ktuberling-data", "alsa-utils", "fillets-ng-data-nl", "fillets-ng-data-cs"]

ASTERISK = "usr/share/asterisk/sounds/"
GAME = "usr/share/games/fillets-ng/sound/*/"
TOYS = "usr/share/ktuberling/sounds/"
LETTERS = "usr/share/klettres/"
ENGLISH = {
    "en-telephone": ASTERISK + "en_US_f_Allison/**/*.wav",
    "en-audiobook": "usr/share/pocketsphinx/test/data/librivox/*.wav",
    "en-cards": "usr/share/pocketsphinx/test/data/cards/*.wav",
    "en-robot": "usr/share/pocketsphinx/test/data/*.raw",
    "en-toys": TOYS + "en/*.ogg",
    "en-letters": LETTERS + "en*/**/*.ogg",
    "en-channels": "usr/share/sounds/alsa/*.wav",
}
OTHERS = {
    "es-telephone": ASTERISK + "es_MX_f_Allison/**/*.wav",
    "fr-telephone": ASTERISK + "fr_CA_f_June/**/*.wav",
    "cs-game": GAME + "cs/*.ogg",
    "de-toys": TOYS + "de/*.ogg",
    "da-toys": TOYS + "da/*.ogg",
    "de-letters": LETTERS + "de/**/*.ogg",
    "es-letters": LETTERS + "es/**/*.ogg",
}
TRAINING = {
    "it-telephone": ASTERISK + "it_IT_m_Carlo/**/*.wav",
    "ru-telephone": ASTERISK + "ru_RU_f_IvrvoiceRU/**/*.wav",
    "nl-game": GAME + "nl/*.ogg",
    **{language + "-toys": TOYS + language + "/*.ogg"
       for language in ("fr", "ca", "uk", "lt", "ru", "wa", "el", "gl", "sl", "nn")},
    **{language + "-letters": LETTERS + language + "/**/*.ogg"
       for language in ("ml", "lt", "hu", "nds", "pt_BR", "it", "uk", "ru", "nl", "he", "fr", "cs",
                        "nb", "tn", "ar", "da")},
}
NO_SPEECH = ("/silence/", "beep", "-2tone", "Noise.wav", "tt-monkeys", "/ascending", "/descending")

# Commands of contexts/desktop.yaml: (file, what is said, the call).
COMMANDS = [(ASTERISK + "en_US_f_Allison/dictate/pause.wav", "pause",
             'call:media{action:<|"|>pause<|"|>}'),
            (ASTERISK + "en_US_f_Allison/do-not-disturb.wav", "do not disturb",
             'call:do_not_disturb{state:<|"|>on<|"|>}')]


def fetch(folder):
    """Unpack the packages below a folder; those that are there already are not fetched again."""
    root = os.path.join(folder, "root")
    os.makedirs(root, exist_ok=True)
    for package in PACKAGES:
        done = os.path.join(folder, package + ".done")
        if os.path.exists(done):
            continue
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        (path,) = glob.glob(os.path.join(folder, package + "_*.deb"))
        subprocess.run(["dpkg", "-x", path, root], check=True)
        os.unlink(path)
        with open(done, "w", encoding="utf-8"):
            pass
    return root


def read(path):
    """A recording at 16 kHz, its loudest sample at LEVEL; None if there is nothing in it."""
    if path.endswith(".raw"):
        samples, rate = np.fromfile(path, "<i2").astype(np.float32) / 32768, RATE
    else:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        samples = samples.mean(1)
    if rate != RATE:
        divisor = gcd(rate, RATE)
        samples = resample_poly(samples, RATE // divisor, rate // divisor)
    peak = np.abs(samples).max(initial=0)
    return samples * (LEVEL / peak) if peak > 0.01 else None


def recordings(root, pattern, rng):
    """The files of a speaker, each once, in an order that is always the same."""
    commands = {os.path.join(root, path) for path, _, _ in COMMANDS}
    paths = sorted({os.path.realpath(p)
                    for p in glob.glob(os.path.join(root, pattern), recursive=True)})
    paths = [p for p in paths if not any(word in p for word in NO_SPEECH)
             and p not in {os.path.realpath(c) for c in commands}]
    rng.shuffle(paths)
    return paths


def write(path, samples):
    with wave.open(path, "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def room(seconds, rng):
    return rng.normal(0, ROOM, int(seconds * RATE)).astype(np.float32)


def stream(paths, rng):
    """Recordings one after the other in a quiet room."""
    parts = [room(3, rng)]                      # for the endpointer to learn the room
    for path in paths:
        samples = read(path)
        if samples is not None:
            parts += [samples + room(len(samples) / RATE + 1, rng)[:len(samples)], room(GAP, rng)]
    return np.concatenate(parts)


def cut(cutter, out, name, paths, rng):
    """One speaker's utterances as files; their length in seconds."""
    long = os.path.join(out, name + ".long.wav")
    write(long, stream(paths, rng))
    subprocess.run([cutter, long, os.path.join(out, name)], check=True, stdout=subprocess.DEVNULL)
    os.unlink(long)
    return sum(soundfile.info(p).duration for p in glob.glob(os.path.join(out, name + "-[0-9]*.wav")))


def write_commands(root, out):
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "expected.tsv"), "w", encoding="utf-8") as table:
        for path, text, call in COMMANDS:
            name = os.path.basename(path)
            rng = np.random.default_rng(0)
            samples = read(os.path.join(root, path))
            write(os.path.join(out, name), np.concatenate([room(0.3, rng), samples, room(0.3, rng)]))
            table.write(f"{name}\t{text}\t{call}\n")


def write_corpus(root, cutter, folder, shuffler, rng):
    """Shards of a corpus (corpus.py) with utterances that are to be answered with nothing."""
    scratch = os.path.join(folder, "human.part")
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    for name, pattern in TRAINING.items():
        cut(cutter, scratch, name, recordings(root, pattern, shuffler), rng)
    paths = sorted(glob.glob(os.path.join(scratch, "*.wav")))
    shuffler.shuffle(paths)
    for number in range(0, len(paths), SHARD):
        part = paths[number:number + SHARD]
        clips = [soundfile.read(path, dtype="int16")[0][:int(LONGEST * RATE)] for path in part]
        lines = [{"text": "", "intent": None, "answer": "<turn|>", "engine": "human",
                  "voice": os.path.basename(path).rpartition("-")[0]} for path in part]
        # Not by corpus.save(), which needs all the synthesizers.
        path = os.path.join(folder, f"train-human-{number // SHARD:03}.npz")
        np.savez(path + ".part.npz", audio=np.concatenate(clips), lines=json.dumps(lines),
                 offsets=np.cumsum([0] + [len(clip) for clip in clips]))
        os.replace(path + ".part.npz", path)
    shutil.rmtree(scratch)
    return len(paths)


def main():
    options = argparse.ArgumentParser(description="collect human speech that is no command")
    options.add_argument("out")
    options.add_argument("--cutter", required=True, help="the program bench/cut-speech")
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--corpus", help="write what a model can learn from here")
    options.add_argument("--portion", type=int, default=40, help="recordings of a speaker at a time")
    args = options.parse_args()
    root = fetch(os.path.join(args.out, "packages"))
    write_commands(root, os.path.join(args.out, "commands"))
    speech = os.path.join(args.out, "speech")
    shutil.rmtree(speech, ignore_errors=True)
    os.makedirs(speech)
    shuffler, rng = random.Random(0), np.random.default_rng(0)
    seconds = 0.0
    for name, pattern in ENGLISH.items():
        seconds += cut(args.cutter, speech, name, recordings(root, pattern, shuffler), rng)
    print(f"{seconds / 60:.1f} minutes of English")
    left = {name: recordings(root, pattern, shuffler) for name, pattern in OTHERS.items()}
    number = 0
    while seconds < 3600 * args.hours and any(left.values()):
        number += 1
        for name, paths in left.items():
            if paths and seconds < 3600 * args.hours:
                part, left[name] = paths[:args.portion], paths[args.portion:]
                seconds += cut(args.cutter, speech, f"{name}-{number}", part, rng)
    print(f"{seconds / 3600:.2f} hours in {len(os.listdir(speech))} utterances")
    if args.corpus:
        count = write_corpus(root, args.cutter, args.corpus, shuffler, rng)
        print(f"{count} utterances to learn from")


if __name__ == "__main__":
    main()
