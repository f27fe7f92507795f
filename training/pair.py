# SPDX-License-Identifier: Apache-2.0
"""Train a small model and its drafter on this project's own texts, in minutes: what they say is of no
use to anybody, but a drafter's guesses hold as they do for a large model, so what it gains can be measured.

    python pair.py FOLDER [--minutes 4] [--drafter-minutes 2]

writes FOLDER/target.gguf, FOLDER/drafter.gguf and FOLDER/prompts.txt, texts that neither has seen; see
bench/README.md for what to do with them. The drafter learns what the model says, not what the texts say.
"""
import argparse
import collections
import dataclasses
import math
import os
import pathlib
import random
import re
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import gguf
import torch
import torch.nn.functional as F
from torch import nn

import pocket_file
from network import Network, Norm, Shape, angles, matrix, rms, rotate
from vocabulary import BYTE, CONTROL, NORMAL, SHOWN, SPACE, SPECIALS, USER_DEFINED, Vocabulary

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = ["*.md", "*/*.md", "*/*/*.md", "man/*.[1-8]", "base/*.[ch]", "model/*.[ch]", "audio/*.[ch]"]
HELD_OUT = 12              # of so many files one is not learned
MERGES = 1200
LENGTH = 128
BATCH = 12
DEPTHS = 4                 # guesses in a row that the drafter learns to make

TARGET = dict(width=256, layers=4, hidden=1024, heads=4, kv_heads=2, head_size=64,
              global_head_size=128, window=128)
WIDER = 64                 # times is its feed-forward as wide in the file, see widen()
DRAFTER = dict(width=128, layers=2, hidden=256, heads=4)
ARCHITECTURE = "gemma4-assistant"


# ---- texts and their tokens --------------------------------------------------------------

def read_texts():
    """(learned, held out)"""
    files = sorted({path for pattern in TEXTS for path in ROOT.glob(pattern)})
    texts = [path.read_text(errors="replace") for path in files]
    held = [text for number, text in enumerate(texts) if number % HELD_OUT == HELD_OUT // 2]
    return [text for text in texts if text not in held], held


def words_of(text):
    """Pieces that no token reaches over: words with the space before them, signs, runs of newlines."""
    return re.findall(rf"\n+|{SPACE}*[A-Za-z_]+|{SPACE}+|[0-9]|[^A-Za-z_0-9{SPACE}\n]+", text.replace(" ", SPACE))


def learn_vocabulary(texts, n_merges):
    """Byte-pair merges by how often a pair stands in all the texts."""
    counts = collections.Counter(word for text in texts for word in words_of(text) if word[0] != "\n")
    words = [(list(word), count) for word, count in counts.items() if count > 1]
    where = collections.defaultdict(set)
    pairs = collections.Counter()
    for number, (split, count) in enumerate(words):
        for pair in zip(split, split[1:]):
            pairs[pair] += count
            where[pair].add(number)
    merges = []
    while len(merges) < n_merges and pairs:
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for number in where.pop(best):
            split, count = words[number]
            for pair in zip(split, split[1:]):
                pairs[pair] -= count
            at = 0
            while at + 1 < len(split):
                if (split[at], split[at + 1]) == best:
                    split[at:at + 2] = [best[0] + best[1]]
                at += 1
            for pair in zip(split, split[1:]):
                pairs[pair] += count
                where[pair].add(number)
        del pairs[best]
    letters = sorted({letter for word in counts for letter in word})
    return make_vocabulary(letters, merges)


def make_vocabulary(letters, merges):
    tokens = list(SPECIALS)
    types = [USER_DEFINED if t in SHOWN else CONTROL for t in tokens]
    tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    types += [BYTE] * 256
    for piece in ["\n", "\n\n", "\n\n\n", *letters, *(a + b for a, b in merges)]:
        if piece not in tokens:
            tokens.append(piece)
            types.append(NORMAL)
    return Vocabulary(tokens, types, merges)


def encode(vocabulary, text, known):
    ids = [vocabulary.ids["<bos>"]]
    for word in words_of(text):
        if word not in known:
            known[word] = vocabulary.encode(word)
        ids += known[word]
    return ids


# ---- the model ---------------------------------------------------------------------------

def make_target(shape):
    network = Network(shape)
    for name, weight in network.named_parameters():
        if weight.ndim == 2 and "embd" not in name:
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        elif name.endswith(("post_attention_norm.weight", "post_ffw_norm.weight")):
            nn.init.constant_(weight, (2 * shape.layers) ** -0.5)
    return network


@torch.no_grad()
def widen(network, times):
    """The same function at a large model's price: each unit of the feed-forward stands there so many times,
    and each of them adds its part. What is trained in minutes is computed in no time, and there is
    nothing to gain from guessing it; what a pass costs does not depend on what the weights are."""
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith(("ffn_gate.weight", "ffn_up.weight")):
            state[name] = value.repeat(times, 1)
        elif name.endswith("ffn_down.weight"):
            state[name] = value.repeat(1, times) / times
    wide = Network(dataclasses.replace(network.shape, hidden=times * network.shape.hidden))
    wide.load_state_dict(state)
    return wide.eval()


def turns(shape, positions):
    local = angles(positions, shape.head_size, shape.base, shape.head_size // 2)
    wide = angles(positions, shape.global_head_size, shape.global_base, shape.rotating_pairs())
    return local, wide


def run_target(network, ids):
    """(state after the last norm, keys and values of the last sliding and of the last global layer)."""
    shape, length = network.shape, ids.shape[1]
    column = torch.arange(length)
    causal = (column[None, :] <= column[:, None])[None, None]
    near = causal & (column[None, :] > column[:, None] - shape.window)[None, None]
    local, wide = turns(shape, column[None])
    x, kept = network.embed(ids), []
    for number, layer in enumerate(network.blk):
        turn = wide if layer.is_global else local
        if number >= shape.layers - 2:
            kept.append(keys_and_values(layer, x, turn))
        x = layer(x, causal if layer.is_global else near, turn)
    return network.output_norm(x), kept


def keys_and_values(layer, x, turn):
    inner = layer.attn_norm(x)
    raw = layer._split(layer.attn_k(inner), layer.kv_heads)
    value = rms(raw if layer.is_global else layer._split(layer.attn_v(inner), layer.kv_heads))
    return rotate(layer.attn_k_norm(raw), turn), value


def capped(network, state):
    y = F.linear(state, network.token_embd.weight).float()
    return network.shape.softcap * torch.tanh(y / network.shape.softcap)


# ---- the drafter -------------------------------------------------------------------------

class DraftLayer(nn.Module):
    """A layer without keys and values of its own. The names are those of the tensors."""

    def __init__(self, sizes, heads_of, is_global):
        super().__init__()
        width, hidden = sizes["width"], sizes["hidden"]
        self.heads, self.is_global, self.head_size = sizes["heads"], is_global, heads_of
        self.attn_norm, self.attn_q = Norm(width), matrix(width, self.heads * heads_of)
        self.attn_q_norm = Norm(heads_of)
        self.attn_output, self.post_attention_norm = matrix(self.heads * heads_of, width), Norm(width)
        self.ffn_norm = Norm(width)
        self.ffn_gate, self.ffn_up = matrix(width, hidden), matrix(width, hidden)
        self.ffn_down, self.post_ffw_norm = matrix(hidden, width), Norm(width)
        self.register_buffer("layer_output_scale", torch.ones(1))

    def forward(self, x, kept, mask, turn):
        batch, length, _ = x.shape
        query = self.attn_q(self.attn_norm(x)).view(batch, length, self.heads, self.head_size).transpose(1, 2)
        query = rotate(self.attn_q_norm(query), turn)
        key, value = (part.repeat_interleave(self.heads // part.shape[1], 1) for part in kept)
        seen = (query @ key.transpose(2, 3)).masked_fill(~mask, -torch.inf).softmax(-1) @ value
        x = x + self.post_attention_norm(self.attn_output(seen.transpose(1, 2).reshape(batch, length, -1)))
        inner = self.ffn_norm(x)
        inner = F.gelu(self.ffn_gate(inner), approximate="tanh") * self.ffn_up(inner)
        return (x + self.post_ffw_norm(self.ffn_down(inner))) * self.layer_output_scale


class Drafter(nn.Module):
    def __init__(self, target, sizes):
        super().__init__()
        shape, width = target.shape, sizes["width"]
        self.sizes = sizes
        self.token_embd = nn.Embedding(shape.vocabulary, width)
        self.pre_projection = matrix(2 * shape.width, width)
        self.post_projection = matrix(width, shape.width)
        self.blk = nn.ModuleList(
            DraftLayer(sizes, shape.global_head_size if last else shape.head_size, last)
            for last in (number == sizes["layers"] - 1 for number in range(sizes["layers"])))
        self.output_norm = Norm(width)
        nn.init.normal_(self.token_embd.weight, std=width ** -0.5)

    def forward(self, embedded, state, kept, masks, rotations):
        x = self.pre_projection(torch.cat([embedded, state], -1))
        for layer in self.blk:
            n = int(layer.is_global)
            x = layer(x, kept[n], masks[n], rotations[n])
        y = self.output_norm(x)
        return F.linear(y, self.token_embd.weight), self.post_projection(y)


def draft_loss(drafter, target, ids, depths):
    """Each position n knows token n, the state at n - 1 and the keys up to n - 1; the guess at depth d is
    of token n + 1 + d, from token n + d. Teaches the model's own distribution there."""
    shape = target.shape
    with torch.no_grad():
        state, kept = run_target(target, ids)
        wanted = capped(target, state).log_softmax(-1)
        embedded = target.embed(ids)
    n = ids.shape[1] - depths          # positions 1 .. n
    column, place = torch.arange(ids.shape[1]), torch.arange(1, n + 1)
    known = (column[None, :] < place[:, None])[None, None]
    near = known & (column[None, :] >= place[:, None] - 1 - shape.window)[None, None]
    rotations = turns(shape, place[None])
    own, total, right = state[:, :n], 0, []
    for depth in range(depths):
        logits, own = drafter(embedded[:, 1 + depth:1 + depth + n], own, kept, (near, known), rotations)
        goal = wanted[:, 1 + depth:1 + depth + n]
        total = total + F.kl_div(logits.log_softmax(-1), goal, log_target=True, reduction="none").sum(-1).mean()
        right.append((logits.argmax(-1) == goal.argmax(-1)).float().mean().item())
    return total / depths, right


# ---- training ----------------------------------------------------------------------------

def learn(network, what, loss_of, minutes, rate):
    """Until the minutes are over; the rate rises for a twentieth of them and falls to a twentieth."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.05)
    network.train()
    began, step, mean = time.process_time(), 0, None
    while (share := (time.process_time() - began) / (60 * minutes * torch.get_num_threads())) < 1:
        now = rate * min(1, 20 * share + 0.02) * (0.05 + 0.95 * (1 + math.cos(math.pi * share)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = now
        with torch.autocast("cpu", torch.bfloat16):
            loss, note = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        step += 1
        if step % 25 == 0:
            print(f"{what}: {share:4.0%}, step {step}, loss {mean:.3f} {note}", flush=True)
    network.eval()


def batches(ids, generator):
    starts = torch.randint(len(ids) - LENGTH - 1, (BATCH,), generator=generator)
    return torch.stack([ids[start:start + LENGTH + 1] for start in starts])


def teach_target(network, ids, minutes, generator):
    def loss():
        batch = batches(ids, generator)
        state, _ = run_target(network, batch[:, :-1])
        y = capped(network, state)
        return F.cross_entropy(y.flatten(0, 1), batch[:, 1:].flatten()), ""
    learn(network, "model", loss, minutes, 1e-3)


def teach_drafter(drafter, target, ids, minutes, generator):
    target.requires_grad_(False)

    def loss():
        value, right = draft_loss(drafter, target, batches(ids, generator), DEPTHS)
        return value, "same as the model's: " + " ".join(f"{share:.0%}" for share in right)
    learn(drafter, "drafter", loss, minutes, 2e-3)


# ---- files -------------------------------------------------------------------------------

def add_matrix(out, name, value, kind):
    array = value.detach().float().numpy()
    if array.ndim == 2:
        out.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    else:
        out.add_tensor(name, array)


def finish(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_target(path, network, vocabulary, kind):
    out = gguf.GGUFWriter(path, "gemma4")
    out.add_name("gemmad pair")
    pocket_file.write_shape(out, network.shape)
    pocket_file.write_vocabulary(out, vocabulary)
    for name, value in pocket_file.tensors(network):
        add_matrix(out, name, value, kind)
    finish(out)


def write_drafter(path, drafter, target, vocabulary, kind):
    shape, sizes = target.shape, drafter.sizes
    out = gguf.GGUFWriter(path, ARCHITECTURE)
    out.add_name("gemmad pair, drafter")
    numbers = {
        "context_length": pocket_file.CONTEXT_LENGTH, "embedding_length": sizes["width"],
        "embedding_length_out": shape.width, "block_count": sizes["layers"],
        "nextn_predict_layers": sizes["layers"], "feed_forward_length": sizes["hidden"],
        "attention.head_count": sizes["heads"], "attention.shared_kv_layers": sizes["layers"],
        "attention.key_length": shape.global_head_size, "attention.value_length": shape.global_head_size,
        "attention.key_length_swa": shape.head_size, "attention.value_length_swa": shape.head_size,
        "attention.sliding_window": shape.window,
    }
    for name, value in numbers.items():
        out.add_uint32(f"{ARCHITECTURE}.{name}", value)
    out.add_float32(f"{ARCHITECTURE}.attention.layer_norm_rms_epsilon", 1e-6)
    out.add_float32(f"{ARCHITECTURE}.rope.freq_base", shape.global_base)
    out.add_float32(f"{ARCHITECTURE}.rope.freq_base_swa", shape.base)
    kinds = [layer.is_global for layer in drafter.blk]
    out.add_array(f"{ARCHITECTURE}.attention.sliding_window_pattern", [not is_global for is_global in kinds])
    out.add_array(f"{ARCHITECTURE}.attention.head_count_kv",
                  [shape.global_kv_heads if is_global else shape.kv_heads for is_global in kinds])
    pocket_file.write_vocabulary(out, vocabulary)
    out.add_tensor("rope_freqs.weight", pocket_file.rope_factors(shape).numpy())
    for name, value in drafter.state_dict().items():
        name = f"nextn.{name}" if "projection" in name else name
        add_matrix(out, name + ".weight" if name.endswith("scale") else name, value, kind)
    finish(out)


def write_prompts(path, texts, chooser):
    """One a line, as gemma-bench reads them: the beginning of some lines, newlines written as \\n."""
    prompts = []
    for text in texts:
        lines = text.split("\n")
        at = chooser.randrange(max(1, len(lines) - 12))
        prompts.append("\\n".join(lines[at:at + 8]).replace("\t", " "))
    path.write_text("\n".join(prompts) + "\n")


def main():
    options = argparse.ArgumentParser(description="train a small model and its drafter")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--minutes", type=float, default=4, help="of all threads (%(default)s)")
    options.add_argument("--drafter-minutes", type=float, default=2, help="(%(default)s)")
    options.add_argument("--wider", type=int, default=WIDER, help="times, the model's feed-forward (%(default)s)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--type", choices=pocket_file.TYPES, default="q8_0", help="of the matrices")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    args.folder.mkdir(parents=True, exist_ok=True)

    learned, held = read_texts()
    vocabulary = learn_vocabulary(learned, MERGES)
    known = {}
    ids = torch.tensor([number for text in learned for number in encode(vocabulary, text, known)])
    kind = pocket_file.TYPES[args.type][0]
    target = make_target(Shape(vocabulary=len(vocabulary), **TARGET))
    drafter = Drafter(target, DRAFTER)
    sizes = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (target, drafter)]
    print(f"{len(learned)} texts, {len(ids)} tokens of {len(vocabulary)};"
          f" {sizes[0]:.1f} and {sizes[1]:.1f} million parameters", flush=True)

    generator = torch.Generator().manual_seed(2)
    teach_target(target, ids, args.minutes, generator)
    write_target(args.folder / "target.gguf", widen(target, args.wider), vocabulary, kind)
    teach_drafter(drafter, target, ids, args.drafter_minutes, generator)
    write_drafter(args.folder / "drafter.gguf", drafter, target, vocabulary, kind)
    write_prompts(args.folder / "prompts.txt", held, random.Random(3))


if __name__ == "__main__":
    main()
