#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recordings made worse, and the network; each needs what it is about."""
import importlib.util
import unittest

import training_test

HAS_NUMPY = importlib.util.find_spec("numpy") is not None
HAS_TORCH = HAS_NUMPY and importlib.util.find_spec("torch") is not None


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
