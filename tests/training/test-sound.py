#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recordings made worse or cut, and the network; each needs what it is about."""
import glob
import importlib.util
import os
import subprocess
import tempfile
import unittest
import wave

import training_test

HAS_NUMPY = importlib.util.find_spec("numpy") is not None
HAS_TORCH = HAS_NUMPY and importlib.util.find_spec("torch") is not None

CUTTER = os.path.join(os.environ.get("BUILD_DIR", "build"), "bench/cut-speech")


def read(path):
    with wave.open(path) as file:
        return file.readframes(file.getnframes())


@unittest.skipUnless(HAS_NUMPY, "no numpy")
class Augment(unittest.TestCase):
    def setUp(self):
        import numpy
        import augment
        self.np, self.augment = numpy, augment
        self.tone = (0.3 * numpy.sin(numpy.arange(16000) * 0.2)).astype(numpy.float32)

    def test_frames(self):
        """frames keep every sample and fill the last one with zeros"""
        frames = self.augment.to_frames(self.tone[:1000])
        self.assertEqual(frames.shape, (2, 640))
        self.assertTrue((frames.ravel()[:1000] == self.tone[:1000]).all())
        self.assertFalse(frames.ravel()[1000:].any())

    def test_tract(self):
        """another vocal tract moves the formants and leaves the pitch and the length"""
        def peak(spectrum, low, high):
            return low + int(self.np.argmax(spectrum[low:high]))

        ones = self.np.ones

        class Longer:                                   # all formants by the same factor
            def uniform(self, low, high, count=None):
                return 1.15 if count is None else ones(count)
        time = self.np.arange(16000)
        ring = self.np.exp(-time[:400] / 40) * self.np.cos(2 * self.np.pi * 1500 / 16000 * time[:400])
        voice = self.np.convolve(time % 160 == 0, ring)[:16000].astype(self.np.float32)   # 100 Hz
        moved = self.augment.change_tract(voice, Longer())
        self.assertEqual(len(moved), len(voice))
        before, after = (abs(self.np.fft.rfft(x)) for x in (voice, moved))        # bins of 1 Hz
        self.assertAlmostEqual(peak(before, 500, 4000), 1500, delta=50)
        self.assertAlmostEqual(peak(after, 500, 4000), 1725, delta=100)
        self.assertEqual(peak(after, 1650, 1790) % 100, 0)                        # a harmonic still

    def test_noise(self):
        """noise lies as far below the speech as it should"""
        rng = self.np.random.default_rng(1)
        for decibel in (20, 10):
            noisy = self.augment.add_noise(self.tone, decibel, rng)
            ratio = self.np.mean(self.tone ** 2) / self.np.mean((noisy - self.tone) ** 2)
            self.assertAlmostEqual(10 * self.np.log10(ratio), decibel, delta=1)

    def test_seed(self):
        """a seed decides everything, and nothing is louder than full scale"""
        for hardness in (0.0, 1.0):
            a, b = (self.augment.recording(self.tone, self.np.random.default_rng(7), hardness)
                    for _ in range(2))
            self.assertTrue(self.np.array_equal(a, b))
            self.assertTrue(self.np.isfinite(a).all() and abs(a).max() <= 1)


@unittest.skipUnless(HAS_NUMPY, "no numpy")
class Cutter(unittest.TestCase):
    @staticmethod
    def energy(numpy, samples):
        """Of what is speech: of what lies below 120 Hz some is taken out of every recording."""
        spectrum = numpy.fft.rfft(samples, 1 << 18)
        return numpy.sum(abs(spectrum[120 * len(spectrum) // 8000:]) ** 2)

    def test_cut(self):
        """a long recording is cut into its utterances, and hardly anything is lost"""
        import numpy
        rng = numpy.random.default_rng(0)
        room = rng.normal(0, 3, 24000).astype("<i2")
        paths = sorted(glob.glob(os.path.join(training_test.SOURCE, "tests/speech/*.wav")))[:3]
        spoken = [numpy.frombuffer(read(path), "<i2") for path in paths]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "long.wav")
            with wave.open(path, "wb") as out:
                out.setparams((1, 2, 16000, 0, "NONE", ""))
                for samples in spoken:
                    out.writeframes(numpy.concatenate([room, samples, room]).tobytes())
            subprocess.run([CUTTER, path, os.path.join(folder, "part")], check=True,
                           stdout=subprocess.DEVNULL)
            cut = sorted(glob.glob(os.path.join(folder, "part-*.wav")))
            self.assertEqual(len(cut), len(spoken))
            for samples, part in zip(spoken, cut):
                loud, kept = (self.energy(numpy, each) for each in (samples, numpy.frombuffer(read(part), "<i2")))
                self.assertGreater(kept, 0.98 * loud)

    def test_refuses(self):
        """what is no recording is refused"""
        done = subprocess.run([CUTTER, __file__, "/nonexistent/part"], capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cut-speech: ", done.stderr)


@unittest.skipUnless(HAS_TORCH, "no torch")
class Model(unittest.TestCase):
    def test_causal(self):
        """what comes later changes nothing earlier"""
        import torch
        from network import Network, Shape
        torch.manual_seed(0)
        network = Network(Shape(300, layers=2), {})
        network.eval()
        ids = torch.randint(0, 300, (1, 12))
        padding = torch.zeros(1, dtype=torch.long)
        with torch.no_grad():
            whole = network.logits(network(network.embed(ids), padding, 0)[0])
            part = network.logits(network(network.embed(ids[:, :8]), padding, 0)[0])
        self.assertTrue(torch.allclose(whole[:, :8], part, atol=1e-4))


if __name__ == "__main__":
    training_test.main()
