# SPDX-License-Identifier: Apache-2.0
"""Train the detector of speech that audio/detector.c runs behind the endpointer's spectra.

    python detector.py run --speech DIR ... --noise DIR ... [--minutes 40] [--hold-out NAME ...]
    python detector.py run --write ../audio/detector.bin \
        --golden ../tests/speech/set-a-timer-for-five-minutes.flite-rms.wav >../tests/golden/detector.txt

Speech is any folder of recordings in which somebody speaks and little else is heard; noise any folder
of sounds without words.  Clatter, hiss, hum, tones and babble are made here.  Where speech is follows
from the level of the clean recording, so nothing needs labels.

The features are those of audio/spectrum.c and audio/detector.c, written a second time; the test
tests/unit/test-detector.c holds the two together by what `--golden RECORDING` prints.
"""
import argparse
import glob
import os
import struct
import time
from math import gcd

import numpy as np
import soundfile
import torch
from scipy import fft
from scipy.signal import butter, fftconvolve, iirnotch, lfilter, resample_poly, sosfilt

import augment

RATE, FRAME, BLOCK, WINDOW, BANDS = 16000, 640, 160, 512, 20
PER_FRAME = FRAME // BLOCK
FLOOR, START, BIAS, SMOOTHING = 1e-11, 1e-5, 2.2, 0.7
SECTIONS, SECTION = 8, 20
LAG_MIN, LAG_MAX, VOICED_BIN = 40, 200, 128
INPUTS = PER_FRAME * BANDS + BANDS + PER_FRAME
FIRST, SECOND, THIRD = 32, 32, 24
LATE = 3                       # frames by which the second look comes later
SECONDS = 8


# ---- what the detector sees ------------------------------------------------------------

def _band_edges():
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (100, 7000))
    edges, last = [], 0
    for b in range(BANDS + 1):
        hz = 700 * (10 ** ((low + (high - low) * b / BANDS) / 2595) - 1)
        at = int(hz * WINDOW / RATE + 0.5)
        last = last + 1 if b > 0 and at <= last else at
        edges.append(last)
    return edges


EDGES = _band_edges()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)).astype(np.float32)
HANN_LAGS = fft.irfft(np.abs(fft.rfft(HANN, 2 * WINDOW)) ** 2)[:LAG_MAX + 1]
HANN_LAGS = (HANN_LAGS / HANN_LAGS[0]).astype(np.float32)


def spectra(samples):
    """Of [clips, samples], whole frames: the power of each band and the voicing of each block."""
    padded = np.pad(samples, ((0, 0), (WINDOW - BLOCK, 0)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::BLOCK]
    power = np.abs(fft.rfft(pieces * HANN)) ** 2
    bands = np.add.reduceat(power[..., :EDGES[-1]], EDGES[:-1], axis=-1)
    voice = power.copy()
    voice[..., :EDGES[0]] = 0
    voice[..., VOICED_BIN:] = 0
    lags = fft.irfft(voice, WINDOW)
    at_zero = lags[..., :1] + 1e-12
    voicing = (lags[..., LAG_MIN:LAG_MAX + 1] / at_zero / HANN_LAGS[LAG_MIN:]).max(-1)
    scale = 2 / (0.375 * WINDOW * WINDOW)
    return bands * scale + FLOOR, np.clip(voicing, 0, 1)


def noise_floor(power):
    """The endpointer's: the smallest of the smoothed power in eight sections of 0.2 s."""
    clips, blocks, bands = power.shape
    zi = np.full((clips, 1, bands), SMOOTHING * START)
    smoothed = lfilter([1 - SMOOTHING], [1, -SMOOTHING], power, axis=1, zi=zi)[0]
    count = -(-blocks // SECTION)
    padded = np.pad(smoothed, ((0, 0), (0, count * SECTION - blocks), (0, 0)), mode="edge")
    running = np.minimum.accumulate(padded.reshape(clips, count, SECTION, bands), axis=2)
    running[:, 0] = np.minimum(running[:, 0], START)
    whole = np.concatenate([np.full((clips, SECTIONS - 1, bands), START), running[:, :, -1]], axis=1)
    before = np.stack([whole[:, n:n + SECTIONS - 1].min(1) for n in range(count)], axis=1)
    floor = np.minimum(running, before[:, :, None])
    return BIAS * floor.reshape(clips, count * SECTION, bands)[:, :blocks]


def features(samples):
    """[clips, samples] to [clips, frames, INPUTS]."""
    power, voicing = spectra(samples)
    floor = noise_floor(power)
    clips, blocks, _ = power.shape
    above = np.clip(np.log(power / floor), -4, 14) * 0.25
    last = np.log(floor[:, PER_FRAME - 1::PER_FRAME])
    shape = np.clip(last - last.mean(-1, keepdims=True), -8, 8) * 0.25
    frames = blocks // PER_FRAME
    return np.concatenate([above.reshape(clips, frames, -1), shape,
                           voicing.reshape(clips, frames, -1)], axis=2).astype(np.float32)


# ---- what it is taught with ------------------------------------------------------------

def load(path, limit=90):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples[:rate * limit].mean(axis=1)
    if rate != RATE:
        common = gcd(rate, RATE)
        samples = resample_poly(samples, RATE // common, rate // common)
    return samples.astype(np.float32)


def is_held_out(path, names):
    return any(name in os.path.basename(path) for name in names)


def load_all(folders, hold_out):
    found = []
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "**", "*"), recursive=True)):
            if path.endswith((".wav", ".flac", ".ogg", ".oga")) and not is_held_out(path, hold_out):
                samples = load(path)
                if len(samples) > RATE // 10 and np.abs(samples).max() > 1e-4:
                    found.append(samples)
    return found


def frame_power(samples):
    return (samples[:len(samples) // FRAME * FRAME].reshape(-1, FRAME) ** 2).mean(1)


def label(clean):
    """The frames in which somebody speaks: near the level of the recording, above its own noise."""
    level = 10 * np.log10(frame_power(clean) + 1e-12)
    loud, quiet = np.percentile(level, 90), np.percentile(level, 5)
    is_speech = level > max(loud - 28, min(quiet + 9, loud - 12))
    at = np.flatnonzero(is_speech)
    for a, b in zip(at[:-1], at[1:]):
        if b - a <= 4:
            is_speech[a:b] = True
    for a in range(1, len(is_speech) - 1):        # one frame alone is a click
        if is_speech[a] and not is_speech[a - 1] and not is_speech[a + 1]:
            is_speech[a] = False
    return is_speech


def unit(samples):
    return (samples / (np.sqrt(np.mean(samples ** 2)) + 1e-9)).astype(np.float32)


def ring(rng, low, high, shortest, longest):
    """Something struck: resonances that die away, and the noise of the blow."""
    size = int(max(rng.uniform(0.03, 0.7), 2 * longest) * RATE)
    t = np.arange(size, dtype=np.float32) / RATE
    hit = np.zeros(size, np.float32)
    for _ in range(rng.integers(1, 10) if longest < 0.5 else rng.integers(1, 4)):
        hertz = np.exp(rng.uniform(np.log(low), np.log(high)))
        hit += (rng.uniform(0.1, 1) * np.sin(2 * np.pi * (hertz * t + rng.random()))
                * np.exp(-t / rng.uniform(shortest, longest))).astype(np.float32)
    blow = rng.standard_normal(size).astype(np.float32) * np.exp(-t / rng.uniform(0.001, 0.04))
    return hit + augment_blow(blow, rng) * rng.uniform(0, 1.5)


def augment_blow(blow, rng):
    """Dull or sharp."""
    pole = rng.uniform(0, 0.9)
    return lfilter([1 - pole], [1, -pole], blow).astype(np.float32) * (1 + pole)


def clatter(length, rng):
    """Dishes, keys, steps, doors, a rolling thing: strokes at random times or in a rhythm."""
    out = np.zeros(length + RATE, np.float32)
    kind = rng.choice(6)
    low, high, shortest, longest = [(300, 6000, 0.1, 0.9), (800, 7500, 0.01, 0.3), (150, 7000, 0.004, 0.12), (60, 500, 0.01, 0.08),
                                    (200, 2500, 0.005, 0.05), (1500, 7800, 0.002, 0.03)][kind]
    at = rng.uniform(0, 1) * RATE
    rhythm = rng.uniform(0.25, 0.9) if kind == 3 or rng.random() < 0.2 else None
    gap = np.exp(rng.uniform(np.log(0.12), np.log(3.5)))
    while at < length:
        for _ in range(1 if rng.random() < 0.6 else rng.integers(2, 9)):
            hit = ring(rng, low, high, shortest, longest) * 10 ** rng.uniform(-1.2, 0)
            end = min(int(at) + len(hit), len(out))
            out[int(at):end] += hit[:end - int(at)]
            at += rng.uniform(0.01, 0.18) * RATE
            if at >= length:
                break
        at += (rhythm * rng.uniform(0.9, 1.1) if rhythm else rng.exponential(gap)) * RATE
    return out[:length]


def scrape(length, rng):
    """Rustle, water, a chair, a drawer: noise that swells and breaks off, with moving bands."""
    steps = length // 1600 + 2
    level = np.repeat(10 ** (rng.standard_normal(steps).cumsum() * rng.uniform(0.05, 0.4) % 2 - 2), 1600)
    pieces = augment.noise(length, rng)
    size = fft.next_fast_len(length, real=True)
    hertz = fft.rfftfreq(size, 1 / RATE)
    gain = np.full(len(hertz), 0.05)
    for _ in range(rng.integers(1, 4)):
        gain += np.exp(-0.5 * ((hertz - np.exp(rng.uniform(5, 8.9))) / rng.uniform(50, 1500)) ** 2)
    return fft.irfft(fft.rfft(pieces, size) * gain, size)[:length] * level[:length]


def beeps(length, rng):
    """Start tones, alarms, a microwave oven, ringing."""
    out = np.zeros(length, np.float32)
    at, t = rng.uniform(0, 3), np.arange(length) / RATE
    pitches = np.exp(rng.uniform(np.log(180), np.log(3500), rng.integers(1, 4)))
    size = rng.uniform(0.06, 0.7)
    while at < length / RATE:
        pitch = rng.choice(pitches)
        begin, end = int(at * RATE), int(min(at + size, length / RATE) * RATE)
        for overtone in range(1, rng.integers(2, 6)):
            if pitch * overtone < RATE / 2:
                out[begin:end] += np.sin(2 * np.pi * pitch * overtone * t[begin:end]) / overtone ** 1.5
        fade = min(80, (end - begin) // 2)
        if fade > 0:
            out[begin:begin + fade] *= np.linspace(0, 1, fade)
            out[end - fade:end] *= np.linspace(1, 0, fade)
        at += size + (rng.uniform(0.02, 0.5) if rng.random() < 0.8 else rng.uniform(1, 4))
    return out


class Teacher:
    def __init__(self, speech, noise, seed):
        self.speech = [s for s in speech if len(s) > RATE // 3]
        self.labels = [label(s) for s in self.speech]
        self.noise = noise
        self.rng = np.random.default_rng(seed)

    def room(self, length):
        x = self.noise[self.rng.integers(len(self.noise))]
        if len(x) < length:                       # a short sound, now and then
            out = np.zeros(length + len(x), np.float32)
            for _ in range(self.rng.integers(1, 8)):
                at = self.rng.integers(0, length)
                out[at:at + len(x)] += x * 10 ** self.rng.uniform(-1, 0)
            return out[:length]
        at = self.rng.integers(0, len(x) - length + 1)
        x = x[at:at + length]
        if self.rng.random() < 0.5:               # another room like it
            x = augment.change_spectrum(x, self.rng)
        return x

    def babble(self, length):
        out = np.zeros(length, np.float32)
        for _ in range(self.rng.integers(5, 12)):
            x = self.speech[self.rng.integers(len(self.speech))]
            x = np.resize(unit(x), length) * 10 ** self.rng.uniform(-0.6, 0)
            out += np.roll(x, self.rng.integers(length))
        return augment.change_spectrum(out, self.rng)

    def disturbance(self, length):
        rng = self.rng
        makers = [lambda: clatter(length, rng), lambda: clatter(length, rng), lambda: clatter(length, rng),
                  lambda: scrape(length, rng), lambda: beeps(length, rng), lambda: self.room(length),
                  lambda: self.room(length), lambda: augment.noise(length, rng), lambda: self.babble(length),
                  lambda: augment._melody(length, rng)]
        out = np.zeros(length, np.float32)
        for part in rng.choice(len(makers), rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]), replace=False):
            out += unit(makers[part]()) * np.float32(10 ** rng.uniform(-1, 0))
        if rng.random() < 0.3:
            out = fftconvolve(out, augment._room(rng))[:length].astype(np.float32)
        return unit(out)

    def between(self, samples, labels, power):
        """Something loud happens where nobody speaks: a start tone, a cup that is put down."""
        rng, at = self.rng, 0
        changes = np.flatnonzero(np.diff(np.concatenate([[1], labels, [1]])))
        for begin, end in zip(changes[::2], changes[1::2]):
            if end - begin < 6 or rng.random() < 0.4:
                continue
            size = (end - begin) * FRAME - rng.integers(0, 2 * FRAME)
            size = int(size * rng.uniform(0.2, 1))
            at = begin * FRAME + rng.integers(0, (end - begin) * FRAME - size + 1)
            maker = [beeps, clatter, clatter, scrape][rng.integers(4)]
            x = maker(max(size, 1600), rng)[:size]
            fade = min(200, size // 4)
            x[size - fade:] *= np.linspace(1, 0, fade)
            samples[at:at + size] += x / (np.abs(x).max() + 1e-9) * np.float32(power * 10 ** rng.uniform(-1, 1))
        return samples

    def clip(self):
        """Samples and the label of each frame."""
        rng, length = self.rng, SECONDS * RATE
        samples, labels = np.zeros(length, np.float32), np.zeros(length // FRAME, bool)
        at = int(rng.exponential(1.2) * RATE / FRAME)
        power = 0.1
        if rng.random() < 0.8:
            n = 0
            while at < length // FRAME and (n == 0 or rng.random() < 0.7):
                which = rng.integers(len(self.speech))
                said, is_speech = self.speech[which], self.labels[which]
                if rng.random() < 0.4:
                    said = augment.change_tract(said, rng)[:len(said)]
                said = unit(said) * 10 ** rng.uniform(-0.3, 0.1)
                end = min(at + len(is_speech), len(labels))
                # The recording's own room ends softly, so that no edge tells where it was put.
                fade = np.ones(len(said), np.float32)
                fade[:400], fade[-400:] = np.linspace(0, 1, 400), np.linspace(1, 0, 400)
                said = (said * fade)[:(end - at) * FRAME]
                samples[at * FRAME:at * FRAME + len(said)] += said
                labels[at:end] |= is_speech[:end - at]
                at = end + int(rng.exponential(1.0) * RATE / FRAME)
                n += 1
            power = np.sqrt((samples.reshape(-1, FRAME)[labels] ** 2).mean() + 1e-9) if labels.any() else 0.1
            if rng.random() < 0.7:
                samples = augment.change_spectrum(samples, rng)
            if rng.random() < 0.4:
                samples = self.between(samples, labels, power)
        noise = self.disturbance(length) * power * np.float32(10 ** (-rng.uniform(-3, 40) / 20))
        samples = samples + noise
        samples += augment.noise(length, rng) * np.float32(power * 10 ** (-rng.uniform(30, 70) / 20))
        samples *= np.float32(10 ** rng.uniform(-3.2, 0) / (np.abs(samples).max() + 1e-9))
        if rng.random() < 0.5:
            samples = np.round(samples * 32768) / 32768
        return samples.astype(np.float32), labels

    def batch(self, n):
        clips = [self.clip() for _ in range(n)]
        return features(np.stack([c[0] for c in clips])), np.stack([c[1] for c in clips])


# ---- the net ---------------------------------------------------------------------------

class Detector(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(INPUTS, FIRST)
        self.second = torch.nn.GRU(FIRST, SECOND, batch_first=True)
        self.third = torch.nn.GRU(SECOND, THIRD, batch_first=True)
        self.last = torch.nn.Linear(THIRD, 2)

    def forward(self, x):
        """Logits [clips, frames, 2]: speech in this frame; speech LATE frames ago."""
        y = torch.relu(self.first(x))
        y, _ = self.second(y)
        y, _ = self.third(y)
        return self.last(y)


def loss_of(net, x, labels):
    out = net(x)
    late = torch.nn.functional.pad(labels, (LATE, 0))[:, :labels.shape[1]]
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    return bce(out[..., 0], labels) + 1.5 * bce(out[..., 1], late)


TENSORS = ("first.weight", "first.bias", "second.weight_ih_l0", "second.bias_ih_l0", "second.weight_hh_l0",
           "second.bias_hh_l0", "third.weight_ih_l0", "third.bias_ih_l0", "third.weight_hh_l0",
           "third.bias_hh_l0", "last.weight", "last.bias")


def write(net, path):
    """Of each tensor a scale, float32, and the rows of its numbers as multiples of it, int16."""
    with open(path, "wb") as out:
        for name in TENSORS:
            value = net.state_dict()[name].numpy().ravel()
            scale = max(np.abs(value).max(), 1e-9) / 32767
            out.write(struct.pack("<f", scale) + np.round(value / scale).astype("<i2").tobytes())


def golden(net, recording):
    """What it says of a recording at its second look, behind the high-pass of audio/highpass.c."""
    samples = load(recording)
    samples = np.pad(samples, (0, -len(samples) % FRAME))
    sos = [butter(2, 40, "high", fs=RATE, output="sos")[0]]
    for hertz in (50, 60):
        b, a = iirnotch(hertz, hertz / 12, fs=RATE)
        sos.append(np.concatenate([b, a]))
    x = features(sosfilt(np.array(sos), samples).astype(np.float32)[None])
    with torch.no_grad():
        late = torch.sigmoid(net(torch.from_numpy(x)))[0, LATE:, 1]
    return "".join(f"{p:.4f}\n" for p in late)


def score(net, x, labels):
    with torch.no_grad():
        p = torch.sigmoid(net(torch.from_numpy(x))).numpy()
    late = p[:, LATE:, 1] > 0.5
    at = labels[:, :-LATE]
    return 1 - late[at].mean(), late[~at].mean(), 1 - (p[..., 0] > 0.5)[labels].mean(), (p[..., 0] > 0.5)[~labels].mean()


def train(args):
    os.makedirs(args.run, exist_ok=True)
    speech, noise = load_all(args.speech, args.hold_out), load_all(args.noise, args.hold_out)
    print(f"{len(speech)} recordings of speech, {len(noise)} of noise", flush=True)
    teacher, held = Teacher(speech, noise, args.seed), Teacher(speech, noise, 99).batch(48)
    torch.manual_seed(args.seed)
    net, path = Detector(), os.path.join(args.run, "detector.pt")
    if os.path.exists(path):
        net.load_state_dict(torch.load(path))
    mean = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=1e-3)
    began, pool, told, step = time.time(), [], 0, 0
    while (done := (time.time() - began) / 60 / args.minutes) < 1:
        pool.append(teacher.batch(8))
        pool = pool[-args.pool:]
        for group in optimizer.param_groups:
            group["lr"] = args.rate * (0.5 + 0.5 * np.cos(np.pi * done)) + 1e-5
        for _ in range(args.repeat):
            picked = [pool[-1]] + [pool[i] for i in teacher.rng.integers(0, len(pool), 7)]
            x = torch.from_numpy(np.concatenate([b[0] for b in picked]))
            y = torch.from_numpy(np.concatenate([b[1] for b in picked]).astype(np.float32))
            optimizer.zero_grad()
            loss = loss_of(net, x, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            for k, v in net.state_dict().items():
                mean[k].lerp_(v, max(0.01, 1 / (step + 1)))
        if time.time() - told > 60:
            told = time.time()
            average = Detector()
            average.load_state_dict(mean)
            torch.save(mean, path)
            missed, taken, missed_now, taken_now = score(average, *held)
            print(f"{(told - began) / 60:5.1f} min, step {step}, loss {loss.item():.3f}, late: missed {missed:.3f} "
                  f"taken {taken:.3f}, at once: {missed_now:.3f} {taken_now:.3f}", flush=True)
    torch.save(mean, path)


def main():
    options = argparse.ArgumentParser(description="train the detector of speech")
    options.add_argument("run")
    options.add_argument("--speech", nargs="+", default=[])
    options.add_argument("--noise", nargs="+", default=[])
    options.add_argument("--hold-out", nargs="+", default=[], help="parts of file names to leave out")
    options.add_argument("--minutes", type=float, default=40)
    options.add_argument("--rate", type=float, default=4e-3)
    options.add_argument("--pool", type=int, default=300, help="batches of 8 clips that are used again")
    options.add_argument("--repeat", type=int, default=4, help="steps for each new batch")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--write", metavar="FILE", help="only write what was trained, for audio/")
    options.add_argument("--golden", metavar="RECORDING", help="... and print what it says of this one")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    if args.write:
        net = Detector()
        net.load_state_dict(torch.load(os.path.join(args.run, "detector.pt")))
        write(net, args.write)
        if args.golden:
            print(golden(net, args.golden), end="")
    else:
        train(args)


if __name__ == "__main__":
    main()
