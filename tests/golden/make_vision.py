# SPDX-License-Identifier: Apache-2.0
"""A small random model that sees as well, and what transformers computes with it: pixels as its image
processor prepares them, rows of pictures, and logits of text, pictures and sound together."""

import argparse
import pathlib

import gguf
import numpy as np
import torch
from transformers import Gemma4UnifiedImageProcessor

import export_gguf
import make_golden
import vocabulary

LEAST_VARIETY = 6
PLACEHOLDERS = ("<|audio|>", "<|image|>", "<|video|>")

PARTS = 3  # of the side of a patch, as image processor and files count it

# Pictures as the image processor prepares them: width, height, positions at most, a third of the side of a
# patch. Up and down, whole and broken ratios, one side that stays as it is, both, the narrowest.
PIXELS = [
    (100, 75, 70, 1),
    (333, 222, 140, 1),
    (41, 67, 280, 1),
    (640, 480, 280, 1),
    (1000, 31, 560, 1),
    (97, 801, 1120, 1),
    (30, 21, 70, 1),
    (30, 40, 70, 1),
    (24, 96, 70, 1),
    (1, 1, 70, 1),
    (1, 300, 70, 1),
    (700, 2, 70, 1),
    (2, 1, 140, 1),
    (151, 149, 70, 3),
    (61, 1201, 70, 2),
]

# Of pictures in a case: width, height, seed. They share the greatest number of positions.
MODEL_V = {
    "name": "golden-v",
    "seed": 4311,
    "shape": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "layer_types": [
            "sliding_attention",
            "full_attention",
            "sliding_attention",
            "full_attention",
        ],
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "global_head_dim": 32,
        "num_global_key_value_heads": 1,
        "sliding_window": 16,
        "max_position_embeddings": 1024,
    },
    "vision": {
        "patch_size": 2,
        "mm_embed_dim": 40,
        "mm_posemb_size": 160,
        "output_proj_dims": 40,
    },
    "cases": [
        ("a picture", 4311000, 70, [5, (70, 50, 1), 23]),
        (
            "text, pictures and sound",
            4311100,
            70,
            [
                18,
                (20, 300, 2),
                (64, 64, 3),
                [make_golden.LOUD, make_golden.QUIET, make_golden.FAINT] * 3,
                21,
                (33, 10, 4),
                [make_golden.SILENT, make_golden.LOUD],
                19,
            ],
        ),
        ("longer than a pass", 4311200, 140, [2, (150, 111, 5), 17]),
    ],
}


def picture(width, height, seed):
    """Slopes, hard edges and noise; tests/unit/test-vision.c makes the same."""
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint64),
        np.arange(width, dtype=np.uint64),
        np.arange(3, dtype=np.uint64),
        indexing="ij",
    )
    noise = (x * 73856093 ^ y * 19349663 ^ c * 83492791 ^ np.uint64(seed * 2654435761)) >> 7
    slope = x * (3 + seed) + y * (5 + c) + c * 85
    edge = ((x // 7 + y // 5) & 1) * 255
    kind = (x // 16 + y // 16 + seed) % 3
    return np.where(kind == 0, noise, np.where(kind == 1, slope, edge)).astype(np.uint64) & 255


def processor(budget, patch_size):
    return Gemma4UnifiedImageProcessor(max_soft_tokens=budget, patch_size=patch_size)


def prepare(images, budget, patch_size):
    """What the image processor makes of arrays of pixels."""
    return processor(budget, patch_size)(
        images=[image.astype(np.uint8) for image in images],
        input_data_format="channels_last",
        return_tensors="pt",
    )


def packed(values):
    """Bytes as 32-bit integers, which the container has."""
    flat = values.astype(np.uint8).reshape(-1)
    return np.pad(flat, (0, -len(flat) % 4)).view(np.int32)


def write_pixels(writer):
    for i, (width, height, budget, part) in enumerate(PIXELS):
        made = prepare([picture(width, height, i)], budget, part)
        n = int(made["num_soft_tokens_per_image"][0])
        values = made["pixel_values"][0, :n].numpy()
        last = made["image_position_ids"][0, :n].max(0).values.tolist()
        whole = np.rint(values * 255)
        assert np.abs(whole / 255 - values).max() < 1e-6
        writer.add_array(
            f"pixels.{i}", [width, height, budget, part * PARTS, last[0] + 1, last[1] + 1]
        )
        writer.add_tensor(f"pixels.{i}", packed(export_gguf.planar(whole)))
    writer.add_uint32("pixels.n", len(PIXELS))


def make_input(parts, budget, part_side, words, random):
    """ids with the placeholder at every patch and frame; sound and pictures."""
    number = words.tokens.index
    text = [i for i in range(len(words.tokens)) if i not in words.suppressed]
    ids, segments, pictures = [number("<bos>"), number("<|turn>")], [], []
    for part in parts:
        if isinstance(part, int):
            ids += [int(i) for i in random.choice(text, part)]
        elif isinstance(part, list):
            segments.append(make_golden.make_frames(part, random))
            ids += [number("<|audio>")] + [number("<|audio|>")] * len(part) + [number("<audio|>")]
        else:
            pictures.append(part)
            made = prepare([picture(*part)], budget, part_side)
            n = int(made["num_soft_tokens_per_image"][0])
            ids += [number("<|image>")] + [number("<|image|>")] * n + [number("<image|>")]
    return ids, segments, pictures


def model_input(ids, segments, pictures, budget, part_side, words):
    given = make_golden.model_input(ids, segments, words)
    image = given["input_ids"] == words.tokens.index("<|image|>")
    given["mm_token_type_ids"] = torch.where(image, 1, given["mm_token_type_ids"])
    if pictures:
        made = prepare([picture(*part) for part in pictures], budget, part_side)
        given |= {name: made[name] for name in ("pixel_values", "image_position_ids")}
    return given


def check_case(model, given, logits, tokens, steps):
    """The reference agrees with itself with and without a cache; a picture looks ahead in itself on sliding
    layers, and nothing looks out of it."""
    n = given["input_ids"].shape[1]
    again = {
        "input_ids": torch.cat([given["input_ids"], tokens[None]], 1),
        "attention_mask": torch.ones(1, n + len(tokens), dtype=torch.long),
        "mm_token_type_ids": torch.cat(
            [given["mm_token_type_ids"], torch.zeros(1, len(tokens)).long()], 1
        ),
    }
    whole = make_golden.logits_of(model, given | again)
    assert torch.allclose(whole[:n], logits, rtol=0, atol=1e-4)
    assert torch.allclose(whole[n - 1 : -1], steps, rtol=0, atol=1e-4)

    positions = torch.nonzero(given["mm_token_type_ids"][0] == 1)[:, 0].tolist()
    first = positions[-1]
    while first - 1 in positions:
        first -= 1
    changed = given["pixel_values"].clone()
    end = int((given["image_position_ids"][-1, :, 0] >= 0).sum()) - 1
    changed[-1, end] = 1 - changed[-1, end]
    other = make_golden.logits_of(model, given | {"pixel_values": changed})
    assert torch.allclose(other[:first], logits[:first], rtol=0, atol=1e-5)
    assert not torch.allclose(other[first], logits[first], rtol=0, atol=1e-3)


def is_telling(tokens, margin):
    """Whether a wrong engine would hardly give this continuation, and a right one surely does."""
    return margin >= make_golden.LEAST_MARGIN and len(set(tokens.tolist())) >= LEAST_VARIETY


@torch.no_grad()
def make_case(model, parts, budget, part_side, words, seed):
    first_seed = seed
    while True:
        random = np.random.default_rng(seed)
        ids, segments, pictures = make_input(parts, budget, part_side, words, random)
        given = model_input(ids, segments, pictures, budget, part_side, words)
        tokens, steps = make_golden.greedy(model, given, words, cache_implementation="static")
        margin = make_golden.margin_of(steps, words)
        if is_telling(tokens, margin):
            break
        seed += 1
        assert seed < first_seed + 500

    logits = make_golden.logits_of(model, given)
    check_case(model, given, logits, tokens, steps)
    rows = model.get_image_features(
        given["pixel_values"], given["image_position_ids"], return_dict=True
    ).pooler_output
    return {
        "ids": ids,
        "segments": segments,
        "pictures": pictures,
        "rows": torch.cat(rows),
        "logits": logits,
        "tokens": tokens,
        "margin": margin,
        "seed": seed,
    }


def write_case(writer, i, name, budget, case):
    writer.add_string(f"case.{i}.name", name)
    writer.add_uint32(f"case.{i}.budget", budget)
    writer.add_array(f"case.{i}.pictures", [number for part in case["pictures"] for number in part])
    writer.add_tensor(f"case.{i}.ids", np.array(case["ids"], dtype=np.int32))
    if case["segments"]:
        writer.add_tensor(f"case.{i}.frames", np.concatenate(case["segments"]))
    writer.add_tensor(f"case.{i}.rows", np.ascontiguousarray(case["rows"].numpy()))
    writer.add_tensor(f"case.{i}.logits", np.ascontiguousarray(case["logits"].numpy()))
    writer.add_tensor(f"case.{i}.greedy", case["tokens"].numpy().astype(np.int32))


def stored_kind(name):
    if name == "mm.input_projection.weight" or name.startswith("blk.1."):
        return "BF16"
    return "F32" if name.startswith(("v.", "token_embd")) else "F16"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    words = vocabulary.assemble(["\n", "\n\n"], make_golden.PIECES)
    # No placeholder is ever to be chosen; the file says so.
    words.suppressed += [words.tokens.index(text) for text in PLACEHOLDERS]
    model = make_golden.make_model(MODEL_V, words, stored_kind)
    export_gguf.export(
        model,
        words,
        folder / "model-v.gguf",
        MODEL_V["name"],
        stored_kind,
        projector_path=folder / "mmproj-v.gguf",
    )

    writer = gguf.GGUFWriter(folder / "golden-v.gguf", "golden")
    write_pixels(writer)
    writer.add_uint32("golden.n_cases", len(MODEL_V["cases"]))
    for i, (name, seed, budget, parts) in enumerate(MODEL_V["cases"]):
        case = make_case(model, parts, budget, MODEL_V["vision"]["patch_size"], words, seed)
        write_case(writer, i, name, budget, case)
        z = case["logits"]
        print(
            f"{name}: {len(case['ids'])} positions, {len(case['rows'])} of pictures,"
            f" logits {z.min():.2f} to {z.max():.2f}, deviation {z.std():.2f},"
            f" least margin {case['margin']:.3f}, seed {case['seed']},"
            f" {len(set(case['tokens'].tolist()))} different greedy tokens"
        )
    export_gguf.close(writer)


if __name__ == "__main__":
    main()
