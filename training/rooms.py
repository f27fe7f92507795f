# SPDX-License-Identifier: Apache-2.0
"""Noise that happens: rooms in which somebody puts a plate down, shuts a door, types, runs water.

What tells it from hiss is that most of its power comes in moments, and little lies between them. A
Rooms makes it from nothing; with a folder of recordings it uses those as well: what is longer
than LONG is a room, what is shorter is a thing that happens in one.
"""
import glob
import os

import numpy as np
import soundfile
from scipy import fft
from scipy.signal import resample_poly

import augment
from augment import FRAME, RATE

LONG = 5.0                   # seconds of a recording that is a room
MOST = 90.0                  # seconds of a room that are used
POOL = 160                   # struck things that are kept; each scene replaces one of them
SOUNDS = (".flac", ".oga", ".ogg", ".wav")

# Struck things: hertz of the modes, seconds in which they fade, how many, share and seconds of the
# noise of the blow, how often it is struck in a row and seconds between.
THINGS = {
    "plate": ((700, 6500), (0.02, 0.25), (4, 10), (0.1, 0.6), (0.002, 0.01), (1, 3), (0.03, 0.2)),
    "glass": ((1500, 7500), (0.05, 0.4), (2, 6), (0.0, 0.3), (0.001, 0.004), (1, 2), (0.05, 0.3)),
    "pan": ((200, 4000), (0.05, 0.5), (5, 12), (0.1, 0.8), (0.003, 0.02), (1, 2), (0.05, 0.3)),
    "cutlery": ((2000, 7800), (0.005, 0.06), (3, 8), (0.2, 1.0), (0.001, 0.006), (2, 9), (0.02, 0.12)),
    "door": ((50, 500), (0.02, 0.12), (3, 8), (0.5, 2.0), (0.01, 0.06), (1, 2), (0.05, 0.2)),
    "step": ((60, 900), (0.008, 0.04), (2, 6), (0.5, 2.0), (0.005, 0.03), (1, 6), (0.3, 0.7)),
    "key": ((900, 6000), (0.002, 0.012), (2, 5), (0.5, 2.0), (0.001, 0.006), (1, 12), (0.06, 0.25)),
    "paper": ((1000, 7000), (0.002, 0.01), (1, 3), (3.0, 9.0), (0.01, 0.12), (2, 8), (0.03, 0.2)),
}


def loudness(samples):
    """The root of the mean power."""
    return float(np.sqrt(np.mean(np.square(samples)) + 1e-12))


def to_power_one(samples):
    return (samples / loudness(samples)).astype(np.float32)


def _between(rng, low, high):
    """Drawn evenly on a logarithmic scale."""
    return np.exp(rng.uniform(np.log(low), np.log(high)))


def blow(kind, rng):
    """One blow at a thing of THINGS: damped modes and the noise of the contact; its peak is 1."""
    hertz, fade, modes, share, burst, _, _ = THINGS[kind]
    longest = _between(rng, *fade)
    size = min(RATE // 2, max(FRAME // 4, int(5 * longest * RATE)))
    time = np.arange(size, dtype=np.float32) / RATE
    count = rng.integers(*modes)
    pitch = np.exp(rng.uniform(*np.log(hertz), count)).astype(np.float32)
    # High modes fade sooner than low ones.
    decay = longest * (pitch.min() / pitch) ** rng.uniform(0, 0.7)
    phase, weight = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.1, 1, count)
    waves = np.sin(2 * np.pi * pitch[:, None] * time + phase[:, None]) * np.exp(-time / decay[:, None])
    sound = weight @ waves
    contact = rng.standard_normal(size) * np.exp(-time / _between(rng, *burst))
    sound += contact * rng.uniform(*share) * weight.mean()
    sound[:16] *= np.linspace(0, 1, 16)
    return (sound / (np.abs(sound).max() + 1e-9)).astype(np.float32)


def strike(rng):
    """A thing that is struck once or some times in a row."""
    kind = rng.choice(list(THINGS))
    *_, times, gap = THINGS[kind]
    hit, at = blow(kind, rng), 0
    places = []
    for _ in range(rng.integers(times[0], times[1] + 1)):
        places.append(at)
        at += int(rng.uniform(*gap) * RATE)
    sound = np.zeros(places[-1] + len(hit), np.float32)
    for place in places:
        sound[place:place + len(hit)] += hit * np.float32(10 ** rng.uniform(-0.8, 0))
    return sound


def water(length, rng):
    """Running water: hiss of a band, and bubbles, which are short tones that rise."""
    size = fft.next_fast_len(length, real=True)
    hertz = fft.rfftfreq(size, 1 / RATE)
    low, high = rng.uniform(200, 1500), rng.uniform(2500, 7500)
    band = 1 / (1 + (low / np.maximum(hertz, 1)) ** 4) / (1 + (hertz / high) ** 6)
    sound = fft.irfft(fft.rfft(rng.standard_normal(length), size) * band, size)[:length]
    sound *= rng.uniform(0.2, 1) / loudness(sound)
    for _ in range(int(rng.uniform(2, 25) * length / RATE)):
        size = int(rng.uniform(0.01, 0.06) * RATE)
        at, time = rng.integers(0, length), np.arange(size) / RATE
        tone = np.sin(2 * np.pi * rng.uniform(400, 2500) * time * (1 + rng.uniform(0, 6) * time))
        tone *= np.exp(-time / rng.uniform(0.004, 0.02)) * rng.uniform(0.3, 3)
        sound[at:at + size] += tone[:length - at]
    return sound.astype(np.float32)


class Rooms:
    """Where recordings are made. Each process that makes examples has its own."""

    def __init__(self, folder=None, is_recorded=False):
        """is_recorded: nothing is made, so the folder has what is longer than LONG and what is shorter."""
        self.beds, self.events, self._pool = [], [], []
        for path in self._paths(folder):
            sound = self._read(path)
            if len(sound) >= LONG * RATE:
                self.beds.append(to_power_one(sound))
            elif len(sound):
                self.events.append(sound / np.float32(np.abs(sound).max() + 1e-9))
        self.is_recorded = is_recorded
        if is_recorded and not (self.beds and self.events):
            raise SystemExit(f"{folder}: needs recordings of more and of less than {LONG:g} seconds")

    @staticmethod
    def _paths(folder):
        if not folder:
            return []
        paths = [path for path in sorted(glob.glob(os.path.join(folder, "**/*"), recursive=True))
                 if path.endswith(SOUNDS)]
        if not paths:
            raise SystemExit(f"{folder}: no recordings ({' '.join(SOUNDS)})")
        return paths

    @staticmethod
    def _read(path):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sound = sound[:int(MOST * rate)].mean(axis=1)
        common = np.gcd(rate, RATE)
        return resample_poly(sound, RATE // common, rate // common).astype(np.float32)

    def _thing(self, rng):
        """Something that happens: a recording, or something struck."""
        if self.is_recorded or self.events and rng.random() < 0.4:
            return self.events[rng.integers(len(self.events))]
        while len(self._pool) < POOL:
            self._pool.append(strike(rng))
        return self._pool[rng.integers(POOL)]

    def happening(self, length, rng):
        """Things that happen now and then, faster or slower, nearer or further."""
        sound = np.zeros(length, np.float32)
        if self._pool:
            self._pool[rng.integers(POOL)] = strike(rng)
        spread = rng.uniform(0.2, 1.5)           # in powers of ten, of their levels
        for _ in range(1 + rng.poisson(length / RATE * _between(rng, 0.2, 4))):
            thing, speed = self._thing(rng), _between(rng, 0.7, 1.4)
            thing = np.interp(np.arange(0, len(thing) - 1, speed), np.arange(len(thing)), thing)
            at = rng.integers(-len(thing) // 2, length)
            part = thing[max(0, -at):length - at]
            sound[max(0, at):max(0, at) + len(part)] += part * 10 ** -rng.uniform(0, spread)
        return sound

    def _bed(self, length, rng):
        if not self.beds:
            return augment.noise(length, rng)
        bed = self.beds[rng.integers(len(self.beds))]
        return to_power_one(np.resize(np.roll(bed, -rng.integers(len(bed))), length))

    def scene(self, length, rng):
        """The noise of a room for so many samples; mean power 1."""
        kind = rng.random()
        if kind < 0.35 and self.beds:
            sound = self._bed(length, rng)
        elif 0.35 <= kind < 0.43 and not self.is_recorded:
            sound = water(length, rng)
        else:                                    # things that happen over something much quieter
            sound = to_power_one(self.happening(length, rng))
            sound += self._bed(length, rng) * np.float32(_between(rng, 0.01, 0.5))
        if kind < 0.15 or 0.4 < kind < 0.5:
            sound = to_power_one(sound) + to_power_one(self.happening(length, rng)) * np.float32(rng.uniform(0.2, 1))
        if rng.random() < 0.35:
            sound = augment.in_room(sound, rng)
        return to_power_one(sound)
