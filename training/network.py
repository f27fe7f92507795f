# SPDX-License-Identifier: Apache-2.0
"""The pocket model: the text and audio path of Gemma 4 Unified, in small.

Raw frames of 640 samples -> RMS norm -> one matrix -> a Gemma 4 decoder. The names of the
parameters are the names of the GGUF tensors, so that export.py only has to copy.
"""
import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-6
FRAME = 640
RATE = 16000
DROPOUT = 0.1              # while training: of what attention and feed-forward add


@dataclass(frozen=True)
class Shape:
    """Sizes of a model. The last layer is global, the others slide."""
    vocabulary: int
    width: int = 256
    layers: int = 4
    hidden: int = 1024
    heads: int = 4
    head_size: int = 64            # sliding layers
    kv_heads: int = 2
    global_head_size: int = 128    # the global layer: one key head, and no values of its own
    global_kv_heads: int = 1
    base: float = 1e4
    global_base: float = 1e6
    partial: float = 0.25          # this part of the global layer's pairs rotates
    window: int = 1024
    softcap: float = 30.0

    def is_global(self, layer):
        return layer == self.layers - 1

    def rotating_pairs(self):
        return int(self.partial * self.global_head_size / 2)

    def as_dict(self):
        return asdict(self)


def rms(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS)


class Norm(nn.Module):
    """RMS norm; the weight multiplies as it is (not 1 + weight)."""

    def __init__(self, size, start=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((size,), float(start)))

    def forward(self, x):
        return rms(x) * self.weight


def matrix(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def angles(positions, size, base, pairs):
    """Cosines and sines [batch, 1, length, size / 2]; only the first `pairs` rotate."""
    step = torch.arange(size // 2, dtype=torch.float32)
    frequency = base ** (-2 * step / size)
    frequency[pairs:] = 0
    angle = positions.float()[:, None, :, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x, turn):
    cosine, sine = turn
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], dim=-1)


class Layer(nn.Module):
    def __init__(self, shape, number):
        super().__init__()
        self.heads, self.is_global = shape.heads, shape.is_global(number)
        self.head_size = shape.global_head_size if self.is_global else shape.head_size
        self.kv_heads = shape.global_kv_heads if self.is_global else shape.kv_heads
        width, size = shape.width, self.head_size
        self.attn_norm = Norm(width)
        self.attn_q = matrix(width, self.heads * size)
        self.attn_k = matrix(width, self.kv_heads * size)
        if not self.is_global:
            self.attn_v = matrix(width, self.kv_heads * size)
        # Scores are not divided by sqrt(head size): the norm weights must keep them small.
        self.attn_q_norm, self.attn_k_norm = Norm(size), Norm(size, 2.8 / math.sqrt(size))
        self.attn_output = matrix(self.heads * size, width)
        self.post_attention_norm = Norm(width)
        self.ffn_norm = Norm(width)
        self.ffn_gate, self.ffn_up = matrix(width, shape.hidden), matrix(width, shape.hidden)
        self.ffn_down = matrix(shape.hidden, width)
        self.post_ffw_norm = Norm(width)
        self.register_buffer("layer_output_scale", torch.ones(1))

    def _split(self, x, heads):
        batch, length, _ = x.shape
        return x.view(batch, length, heads, self.head_size).transpose(1, 2)

    def attention(self, x, mask, turn, first):
        batch, length, _ = x.shape
        query = self.attn_q_norm(self._split(self.attn_q(x[:, first:]), self.heads))
        query = rotate(query, [part[:, :, first:] for part in turn])
        raw = self._split(self.attn_k(x), self.kv_heads)
        value = rms(raw if self.is_global else self._split(self.attn_v(x), self.kv_heads))
        key = rotate(self.attn_k_norm(raw), turn)
        group = self.heads // self.kv_heads
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
        # As written, not by scaled_dot_product_attention(): its backward pass is slow on processors.
        scores = (query @ key.transpose(2, 3)).masked_fill(~mask[:, :, first:], -torch.inf)
        seen = scores.softmax(-1).to(value.dtype) @ value
        return self.attn_output(seen.transpose(1, 2).reshape(batch, length - first, -1))

    def forward(self, x, mask, turn, first=0):
        """The layer's output from column `first` on."""
        seen = self.attention(self.attn_norm(x), mask, turn, first)
        x = x[:, first:] + self._drop(self.post_attention_norm(seen))
        inner = self.ffn_norm(x)
        inner = F.gelu(self.ffn_gate(inner), approximate="tanh") * self.ffn_up(inner)
        inner = self._drop(self.post_ffw_norm(self.ffn_down(inner)))
        return (x + inner) * self.layer_output_scale

    def _drop(self, x):
        return F.dropout(x, DROPOUT, self.training)


class Network(nn.Module):
    """Decoder with an audio input. `helpers` (name -> number of classes) are heads that spell
    what is heard while training; they are not exported."""

    def __init__(self, shape, helpers=None):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.audio = matrix(FRAME, shape.width)
        self.blk = nn.ModuleList(Layer(shape, n) for n in range(shape.layers))
        self.output_norm = Norm(shape.width)
        self.helpers = nn.ModuleDict({name: nn.Linear(shape.width, classes)
                                      for name, classes in (helpers or {}).items()})
        nn.init.normal_(self.token_embd.weight, std=shape.width ** -0.5)
        energy_start(self)

    def embed(self, ids, frames=None, at=0, is_audio=None):
        """Token rows times sqrt(width); audio rows replace columns at... where is_audio."""
        x = self.token_embd(ids) * math.sqrt(self.shape.width)
        if frames is None:
            return x
        rows = self.audio(rms(frames))
        stop = at + frames.shape[1]
        middle = torch.where(is_audio[..., None], rows, x[:, at:stop])
        return torch.cat([x[:, :at], middle, x[:, stop:]], dim=1)

    def forward(self, x, padding, first=0):
        """x [batch, length, width]; padding [batch]: unused columns on the left of each row.
        Returns the last hidden state from column `first` on, and all columns of the state
        before the last layer. (Nobody reads the last layer's earlier columns.)"""
        length = x.shape[1]
        column = torch.arange(length)
        positions = (column - padding[:, None]).clamp(min=0)
        causal = column[None, :] <= column[:, None]
        real = column[None, :] >= padding[:, None]
        # A padded row sees itself, so that its softmax is not empty; nobody sees a padded row.
        mask = (causal & real[:, None, :]) | torch.eye(length, dtype=torch.bool)
        mask = mask[:, None]
        s = self.shape
        local = angles(positions, s.head_size, s.base, s.head_size // 2)
        wide = angles(positions, s.global_head_size, s.global_base, s.rotating_pairs())
        for layer in self.blk[:-1]:
            x = layer(x, mask, local)
        return self.blk[-1](x, mask, wide, first), x

    def logits(self, x):
        y = F.linear(self.output_norm(x), self.token_embd.weight).float()
        return self.shape.softcap * torch.tanh(y / self.shape.softcap)


# ---- the energy start ------------------------------------------------------------------

def band_filters(count, windows=4):
    """Windowed waves in pairs a quarter period apart: together they measure the energy of
    a band in a quarter of the frame, whatever the phase."""
    time = torch.arange(FRAME, dtype=torch.float32)
    per_window = count // (2 * windows)
    low = per_window // 2
    bands = [100 + 1400 * i / low for i in range(low)]
    bands += [1500 * (6500 / 1500) ** (i / (per_window - low - 1))
              for i in range(per_window - low)]
    rows = []
    for window in range(windows):
        centre = (window + 0.5) * FRAME / windows
        shape = torch.exp(-0.5 * ((time - centre) / 75) ** 2)
        for hertz in bands:
            for phase in (0.0, math.pi / 2):
                wave = shape * torch.cos(2 * math.pi * hertz / RATE * time + phase)
                # Speech is weaker in its high bands, but they matter as much.
                emphasis = min(2.5, max(0.6, (hertz / 1000) ** 0.5))
                rows.append(emphasis * wave / wave.norm())
    return torch.stack(rows)


@torch.no_grad()
def energy_start(network):
    """Speech lives in energies, an energy is a square, and a matrix cannot square. A gated
    MLP can: gelu(z) z + gelu(-z) (-z) is z^2. So layer 0 starts as a filter bank."""
    shape, first = network.shape, network.blk[0]
    network.audio.weight.copy_(band_filters(shape.width))
    for weight in (first.ffn_gate.weight, first.ffn_up.weight, first.ffn_down.weight):
        weight.normal_(std=0.02)
    unit = 0
    for channel in range(shape.width):
        for sign in (1.0, -1.0):
            first.ffn_gate.weight[unit] = 0
            first.ffn_up.weight[unit] = 0
            first.ffn_gate.weight[unit, channel] = sign
            first.ffn_up.weight[unit, channel] = sign
            first.ffn_down.weight[:, unit] = 0
            first.ffn_down.weight[channel // 2, unit] = 1.0     # both phases of a pair
            unit += 1
    first.post_attention_norm.weight.fill_(0.05)
    first.post_ffw_norm.weight.fill_(2.0)
