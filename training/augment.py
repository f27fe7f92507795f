# SPDX-License-Identifier: Apache-2.0
"""Make one clip sound like many recordings, and make sounds that are no speech at all.

All functions take a numpy random Generator, so a seed decides everything.
"""
import numpy as np
from scipy import fft

RATE = 16000
FRAME = 640
BEAT = 4000                  # samples between two changes of the tempo
TRACT, LIFTER = 512, 28      # samples of a short spectrum; cepstrum that is its envelope
CLOSE = 1400                 # samples that may be cut off; voices.trim() leaves 1600


def to_frames(samples):
    """Cut into frames of 640 samples (40 ms); the last one is filled with zeros."""
    samples = np.pad(samples, (0, -len(samples) % FRAME))
    return samples.reshape(-1, FRAME).astype(np.float32)


def change_speed(samples, rng):
    """Resampling: tempo, pitch and vocal tract change together, and a little from syllable to
    syllable, so that no engine's rhythm and tune is learned by heart."""
    knots = np.arange(0, len(samples) + 2 * BEAT, BEAT)
    speed = rng.uniform(0.86, 1.16) * rng.uniform(0.9, 1.1, len(knots))
    along = np.cumsum(1 / np.interp(np.arange(len(samples)), knots, speed))
    at = np.interp(np.arange(int(along[-1])), along, np.arange(len(samples)))
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def change_tract(samples, rng):
    """Another speaker: the envelope of each short spectrum is stretched, while the pitch stays."""
    half = TRACT // 2
    window = np.sin(np.pi * np.arange(TRACT) / TRACT).astype(np.float32)   # its squares add up to 1
    padded = np.pad(samples, (half, TRACT + half))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, TRACT)[::half] * window
    spectra = fft.rfft(pieces)
    envelopes = _envelopes(spectra)
    gain = np.clip(_stretched(envelopes, rng) - envelopes, -3, 3)
    pieces = fft.irfft(spectra * np.exp(gain), TRACT) * window
    out = np.zeros((len(pieces) + 1, half), np.float32)
    out[:-1] += pieces[:, :half]
    out[1:] += pieces[:, half:]
    return out.ravel()[half:half + len(samples)]


def _envelopes(spectra):
    """The logarithm of each spectrum without what varies fast in it, which is the voice's pitch."""
    cepstra = fft.irfft(np.log(np.abs(spectra) + 1e-4), TRACT)
    cepstra[:, LIFTER:-LIFTER] = 0
    return fft.rfft(cepstra).real


def _stretched(envelopes, rng):
    """By one factor, and a little more or less in each region: tracts differ in more than length."""
    regions = np.array([0, 900, 2000, 3500, RATE / 2])
    factors = rng.uniform(0.84, 1.19) * rng.uniform(0.93, 1.07, len(regions) - 1)
    moved = np.concatenate([[0], np.cumsum(np.diff(regions) * factors)])
    hertz = np.linspace(0, RATE / 2, envelopes.shape[1])
    source = np.interp(hertz, moved, regions) * TRACT / RATE
    low = np.minimum(source.astype(int), envelopes.shape[1] - 2)
    part = (source - low).astype(np.float32)
    return envelopes[:, low] * (1 - part) + envelopes[:, low + 1] * part


def change_spectrum(samples, rng):
    """Tilt, a few bumps, band limits and a room, all in one pass through the spectrum."""
    room = _room(rng) if rng.random() < 0.4 else None
    size = fft.next_fast_len(len(samples) + (len(room) if room is not None else 0), real=True)
    spectrum = fft.rfft(samples, size)
    hertz = fft.rfftfreq(size, 1 / RATE).astype(np.float32)
    decibel = rng.uniform(-6, 6) * np.log2(np.maximum(hertz, 60) / 1000) / 2
    for _ in range(3):                            # microphones and small loudspeakers
        centre, width = rng.uniform(100, 7500), rng.uniform(100, 1200)
        decibel += rng.uniform(-6, 6) * np.exp(-0.5 * ((hertz - centre) / width) ** 2)
    if rng.random() < 0.3:                        # a band is missing: hear with the others
        centre, width = rng.uniform(200, 6500), rng.uniform(80, 350)
        decibel -= 25 * np.exp(-0.5 * ((hertz - centre) / width) ** 2)
    gain = 10 ** (np.clip(decibel, -25, 25) / 20)
    if rng.random() < 0.4:
        gain *= 1 / (1 + (rng.uniform(60, 320) / np.maximum(hertz, 1)) ** 4)
    if rng.random() < 0.35:
        gain *= 1 / (1 + (hertz / rng.uniform(3300, 7500)) ** 10)
    if room is not None:
        spectrum = spectrum * fft.rfft(room, size)
    return fft.irfft(spectrum * gain, size)[:len(samples)].astype(np.float32)


def _room(rng):
    """An impulse response: the direct sound and a tail of decaying noise."""
    length = int(rng.uniform(0.06, 0.35) * RATE)
    tail = rng.standard_normal(length) * np.exp(-np.arange(length) / (length / 6))
    response = tail * rng.uniform(0.02, 0.12)
    response[0] = 1.0
    return response.astype(np.float32)


def in_room(samples, rng):
    """Heard through a room; no longer than before."""
    room = _room(rng)
    size = fft.next_fast_len(len(samples) + len(room), real=True)
    return fft.irfft(fft.rfft(samples, size) * fft.rfft(room, size), size)[:len(samples)].astype(np.float32)


def noise(length, rng):
    """Hiss, rumble, hum or something between; mean power 1."""
    shape = rng.choice(4)
    hiss = rng.standard_normal(length, np.float32)
    if shape == 1 or shape == 2:
        size = fft.next_fast_len(length, real=True)
        hertz = np.maximum(fft.rfftfreq(size, 1 / RATE), 30).astype(np.float32)
        hiss = fft.irfft(fft.rfft(hiss, size) * hertz ** (-0.5 * shape), size)[:length]
    elif shape == 3:
        time = np.arange(length, dtype=np.float32) / RATE
        base = rng.choice([50, 60]) * rng.integers(1, 4)
        for harmonic in range(1, 6):
            turns = base * harmonic * time + rng.uniform(0, 1)
            hiss += rng.uniform(0, 3) * np.sin(2 * np.pi * turns)
    if rng.random() < 0.3:                        # it swells and fades
        time = np.arange(length, dtype=np.float32) / RATE
        hiss = hiss * (1.2 + np.sin(time * rng.uniform(1, 12)))
    return (hiss / np.sqrt(np.mean(hiss ** 2) + 1e-12)).astype(np.float32)


def add_noise(samples, decibel, rng):
    power = np.sqrt(np.mean(samples ** 2) + 1e-12)
    return samples + noise(len(samples), rng) * np.float32(power * 10 ** (-decibel / 20))


def add_talk(samples, talk, power, decibel, rng):
    """Somebody else talks all the while, decibel below a voice of this power, further away or in a
    television; the talk begins and ends anywhere."""
    talk = np.resize(np.pad(talk, (0, int(rng.uniform(0, 0.5) * RATE))), len(samples))
    talk = np.roll(talk, rng.integers(len(samples)))
    if rng.random() < 0.5:
        talk = change_spectrum(talk, rng)
    if rng.random() < 0.5:
        talk = in_room(talk, rng)
    power = np.sqrt(power / (np.mean(talk ** 2) + 1e-12))
    return samples + talk * np.float32(power * 10 ** (-decibel / 20))


def amid(samples, talk, rng):
    """Talk before and after what is meant for us: "... wait, hey gemma, lock the screen, as I said".
    Of both a piece that begins or ends anywhere, somewhat fainter, with a short silence between."""
    parts = [samples]
    for is_before in (True, False):
        if rng.random() < 0.3:
            continue
        piece = talk[:int(rng.uniform(0.3, 1.5) * RATE)] if is_before else talk[-int(rng.uniform(0.3, 1.5) * RATE):]
        piece = piece * np.float32(10 ** -rng.uniform(0, 0.7))
        gap = np.zeros(int(rng.uniform(0.08, 0.6) * RATE), np.float32)
        parts = [piece, gap, *parts] if is_before else [*parts, gap, piece]
    return np.concatenate(parts)


def surround(samples, rng, longest):
    """Silence before and after; its odd length shifts the speech inside the frames. Now and
    then none: an endpointer that is in a hurry leaves little behind the last sound."""
    before, after = (int(rng.uniform(0, longest) * RATE) for _ in range(2))
    if rng.random() < 0.2:
        return np.pad(samples[:len(samples) - rng.integers(0, CLOSE)], (before, 0))
    return np.pad(samples, (before, after))


def longest_margin(rng, hardness):
    """Seconds that there may be before and after a clip. Whoever records presses the key early and
    lets go of it late; and what has ears of its own may have been woken by something else."""
    kind = rng.random()
    if kind < 0.06 * hardness:
        return 6.0
    return 1.5 if kind < 0.3 * hardness else 0.2 + 0.2 * hardness


def recording(clip, rng, hardness=1.0, talk=None, rooms=None):
    """A training example: the clip as it might arrive from some microphone. Hardness grows
    from 0 (clean) to 1: first learn to listen, then to listen in a noisy room. talk: a clip of
    somebody else, heard in the background; it does not change what is to be answered. rooms: a
    rooms.Rooms, whose noise is heard in most examples then."""
    samples = change_speed(clip, rng)
    if rng.random() < 0.7:
        samples = change_tract(samples, rng)
    if rng.random() < 0.8 * hardness:
        samples = change_spectrum(samples, rng)
    power = np.mean(samples ** 2) + 1e-12
    samples = surround(samples, rng, longest_margin(rng, hardness))
    if talk is not None:
        samples = add_talk(samples, talk, power, rng.uniform(35 - 30 * hardness, 38), rng)
    if rooms is not None and rng.random() < 0.65 * hardness:
        decibel = rng.triangular(40 - 43 * hardness, 40 - 27 * hardness, 40)
        samples = samples + rooms.scene(len(samples), rng) * np.float32(np.sqrt(power) * 10 ** (-decibel / 20))
    if rng.random() < 0.9:
        # Even what seems silent is heard: every frame is brought to the same power.
        loudest, faintest = (45, 70) if rng.random() < 0.4 else (45 - rng.uniform(37, 45) * hardness, 45)
        samples = add_noise(samples, rng.uniform(loudest, faintest), rng)
    return _volume(samples, rng)


def _volume(samples, rng):
    peak = np.abs(samples).max() + 1e-9
    samples = samples * np.float32(10 ** rng.uniform(-1.6, 0) / peak)
    if rng.random() < 0.05:                       # too close to the microphone
        samples = np.clip(samples, -0.3 * np.abs(samples).max(), 0.3 * np.abs(samples).max())
    return samples.astype(np.float32)


def no_speech(rng, rooms=None):
    """Silence, noise, tones, chords, clicks, a room: nothing to answer to."""
    length = int(rng.uniform(0.4, 3.0) * RATE)
    if rooms is not None and rng.random() < 0.6:
        return _volume(rooms.scene(length, rng), rng)
    kind = rng.choice(5)
    if kind == 0:
        return (noise(length, rng) * 10 ** rng.uniform(-6, -2)).astype(np.float32)
    if kind == 1:
        return _volume(noise(length, rng), rng)
    if kind == 2:
        return _volume(_melody(length, rng) + 0.02 * noise(length, rng), rng)
    if kind == 3:
        return _volume(_clicks(length, rng) + 0.01 * noise(length, rng), rng)
    return np.zeros(length, np.float32)


def _melody(length, rng):
    """Notes with overtones, a second voice and a beat."""
    time, sound, at = np.arange(length) / RATE, np.zeros(length), 0
    while at < length:
        stop = min(length, at + int(rng.uniform(0.08, 0.6) * RATE))
        for _ in range(rng.integers(1, 4)):
            pitch = 110 * 2 ** (rng.integers(0, 36) / 12)
            for overtone in range(1, rng.integers(2, 7)):
                sound[at:stop] += np.sin(2 * np.pi * pitch * overtone * time[at:stop]) / overtone
        sound[at:stop] *= np.exp(-np.arange(stop - at) / (RATE * rng.uniform(0.1, 1.0)))
        at = stop
    return sound


def _clicks(length, rng):
    """Keys, knocks, a mouse."""
    sound = np.zeros(length)
    for _ in range(rng.integers(1, 12)):
        size = int(rng.uniform(0.003, 0.06) * RATE)
        at = rng.integers(0, max(1, length - size))
        burst = rng.standard_normal(size) * np.exp(-np.arange(size) / (size / 5))
        sound[at:at + size] += burst[:length - at] * rng.uniform(0.2, 1)
    return sound
