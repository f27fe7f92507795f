# SPDX-License-Identifier: Apache-2.0
"""Small random models of the architecture, and what transformers computes with them."""

import argparse
import pathlib

import gguf
import numpy as np
import torch
from transformers import (
    Gemma4UnifiedAudioConfig,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    Gemma4UnifiedTextConfig,
    Gemma4UnifiedVisionConfig,
    GenerationConfig,
)

import export_gguf
import vocabulary

FRAME = 640
N_GREEDY = 64

# Smallest distance between the two best logits that any greedy choice may have: far above what the
# order of float additions changes.
LEAST_MARGIN = 0.02

# Small random models soon repeat themselves; a continuation shall have this many different tokens.
LEAST_VARIETY = 12

PIECES = [
    "the",
    "th",
    "he",
    "an",
    "in",
    "\u2581the",
    "\u2581th",
    "\u2581a",
    "\u2581",
    "t",
    "h",
    "e",
    "a",
    "n",
    "i",
]

# A case is a name, the seed where the search for a telling one begins (where it once ended), and a
# list of parts: a number of text tokens, or a list of frame levels (RMS).
LOUD, QUIET, FAINT, SILENT = 0.2, 0.01, 3e-4, 0.0

MODEL_A = {
    "name": "golden-a",
    "seed": 4101,
    "shape": {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "global_head_dim": 32,
        "num_global_key_value_heads": 1,
        "sliding_window": 16,
        "max_position_embeddings": 1024,
    },
    "cases": [
        ("text", 4101053, [64]),
        ("audio", 4101108, [20, [LOUD, QUIET, FAINT, SILENT, 1.0, LOUD] * 2, 30]),
        (
            "two audios",
            4101206,
            [
                9,
                [SILENT, LOUD, FAINT, QUIET, 0.05, 0.5, LOUD],
                17,
                [FAINT, LOUD, 2e-3, SILENT, LOUD],
                26,
            ],
        ),
    ],
}

MODEL_B = {
    "name": "golden-b",
    "seed": 4216,
    "shape": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "layer_types": [
            "full_attention",
            "sliding_attention",
            "sliding_attention",
            "full_attention",
        ],
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "head_dim": 32,
        "global_head_dim": 64,
        "num_global_key_value_heads": 2,
        "sliding_window": 8,
        "max_position_embeddings": 512,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0},
            "full_attention": {
                "rope_type": "proportional",
                "partial_rotary_factor": 0.25,
                "rope_theta": 2e5,
            },
        },
        "final_logit_softcapping": 20.0,
    },
    "cases": [
        ("text", 4202002, [36]),
        ("audio first", 4202102, [3, [LOUD, FAINT, SILENT, QUIET, 1.0, LOUD], 33]),
    ],
}


def stored_kind_a(name):
    """Every type of floats that a file may hold, in one model."""
    if name == export_gguf.PROJECTOR_TENSOR or name.startswith(("blk.3.", "blk.4.", "blk.5.")):
        return "BF16"
    return "F32" if name.startswith(("token_embd", "blk.0.attn")) else "F16"


def stored_kind_b(name):
    return "F16" if name == export_gguf.PROJECTOR_TENSOR else "BF16"


def rounded(values, kind):
    """What is left of the values when they are stored in that type."""
    return values.to(
        {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    ).float()


def fill(model, generator, kind_of, name_of=export_gguf.tensor_name):
    """Random weights under which every term of the forward pass shows in the logits. name_of tells the
    name that a parameter has in the file, by which kind_of tells its type."""

    def uniform(like, low, high):
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    for source, values in model.state_dict().items():
        name = name_of(source)
        if name is None:
            continue
        if name.endswith("layer_output_scale.weight"):
            made = uniform(values, 0.3, 1.0)
        elif name.endswith(("attn_q_norm.weight", "attn_k_norm.weight")):
            # Scores are not divided by the root of the head size: with greater weights than these,
            # attention becomes a choice and the model a magnifier of rounding errors.
            made = uniform(values, 0.2, 0.6)
        elif values.ndim == 1:
            made = uniform(values, 0.5, 1.5)
        else:
            spread = 0.5 if name == "token_embd.weight" else 1.3 / values.shape[1] ** 0.5
            made = torch.randn(values.shape, generator=generator) * spread
            made = rounded(made, kind_of(name))
        values.copy_(made)


def make_model(recipe, words, kind_of):
    number = words.tokens.index
    shape = {"final_logit_softcapping": 30.0, "attention_k_eq_v": True} | recipe["shape"]
    config = Gemma4UnifiedConfig(
        text_config=Gemma4UnifiedTextConfig(
            vocab_size=len(words.tokens),
            pad_token_id=number("<pad>"),
            bos_token_id=number("<bos>"),
            eos_token_id=number("<eos>"),
            **shape,
        ),
        audio_config=Gemma4UnifiedAudioConfig(),
        vision_config=Gemma4UnifiedVisionConfig(**recipe["vision"]) if "vision" in recipe else None,
        boi_token_id=number("<|image>"),
        eoi_token_id=number("<image|>"),
        image_token_id=number("<|image|>"),
        video_token_id=number("<|video|>"),
        boa_token_id=number("<|audio>"),
        eoa_token_index=number("<audio|>"),
        audio_token_id=number("<|audio|>"),
    )
    config._attn_implementation = "eager"
    model = Gemma4UnifiedForConditionalGeneration(config).float().eval()
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    with torch.no_grad():
        fill(model, torch.Generator().manual_seed(recipe["seed"]), kind_of)
        # Suppressed tokens shall often be the best ones, or nobody would miss the suppression. As
        # the head is tied, this also changes what their markers mean in the input.
        model.lm_head.weight[words.suppressed] *= 2
    return model


def make_frames(levels, random):
    """Noise with a rough spectrum of speech, one frame per level."""
    frames = np.zeros((len(levels), FRAME), dtype=np.float32)
    for frame, level in zip(frames, levels):
        time = np.arange(FRAME) / 16000
        pitch = random.uniform(80, 260)
        for harmonic in range(1, 12):
            phase = random.uniform(0, 2 * np.pi)
            frame += (
                random.uniform(0.2, 1)
                / harmonic
                * np.sin(2 * np.pi * pitch * harmonic * time + phase)
            )
        frame += 0.3 * random.standard_normal(FRAME)
        frame *= level / np.sqrt(np.mean(frame**2))
    return np.clip(frames, -1, 1)


def make_input(parts, words, random):
    """ids with the placeholder at every frame, and the segments of frames."""
    number = words.tokens.index
    placeholders = [number(text) for text in ("<|audio|>", "<|image|>", "<|video|>")]
    text = [i for i in range(len(words.tokens)) if i not in placeholders + words.suppressed]
    ids, segments = [number("<bos>"), number("<|turn>")], []
    for part in parts:
        if isinstance(part, int):
            ids += [int(i) for i in random.choice(text, part)]
        else:
            segments.append(make_frames(part, random))
            ids += [number("<|audio>")] + [number("<|audio|>")] * len(part) + [number("<audio|>")]
    return ids, segments


def model_input(ids, segments, words):
    """The arguments of the model, as the processor of transformers would give them."""
    ids = torch.tensor([ids])
    audio = ids == words.tokens.index("<|audio|>")
    given = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": torch.where(audio, 3, 0),
    }
    if segments:
        longest = max(len(segment) for segment in segments)
        features = torch.zeros(len(segments), longest, FRAME)
        mask = torch.zeros(len(segments), longest, dtype=torch.bool)
        for i, segment in enumerate(segments):
            features[i, : len(segment)] = torch.from_numpy(segment)
            mask[i, : len(segment)] = True
        given |= {"input_features": features, "input_features_mask": mask}
    return given


@torch.no_grad()
def logits_of(model, given):
    """At every position, under the masks that generate() makes."""
    width = model.config.text_config.hidden_size
    masks = model.create_masks_for_generate(
        config=model.config,
        inputs_embeds=torch.zeros(*given["input_ids"].shape, width),
        attention_mask=given["attention_mask"],
        past_key_values=None,
        position_ids=torch.arange(given["input_ids"].shape[1])[None],
        mm_token_type_ids=given["mm_token_type_ids"],
        is_first_iteration=True,
    )
    return model(**given | {"attention_mask": masks}, use_cache=False).logits[0]


def greedy(model, given, words, **more):
    """Greedy tokens and the logits that each was chosen from, by the library's own generate()."""
    settings = GenerationConfig(
        max_new_tokens=N_GREEDY,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=words.ids["padding"],
        suppress_tokens=words.suppressed,
        return_dict_in_generate=True,
        output_logits=True,
        **more,
    )
    made = model.generate(**given, generation_config=settings)
    return made.sequences[0, given["input_ids"].shape[1] :], torch.stack(made.logits, 1)[0]


def margin_of(logits, words):
    allowed = logits.clone()
    allowed[:, words.suppressed] = -float("inf")
    best = allowed.topk(2, dim=-1).values
    return float((best[:, 0] - best[:, 1]).min())


def is_telling(tokens, logits, margin, words):
    """Whether a wrong engine would hardly give this continuation, and a right one surely does."""
    placeholders = {words.tokens.index(text) for text in ("<|audio|>", "<|image|>", "<|video|>")}
    seen = set(tokens.tolist())
    suppressed = set(logits.argmax(-1).tolist()) & set(words.suppressed)
    return (
        margin >= LEAST_MARGIN
        and len(seen) >= LEAST_VARIETY
        and suppressed
        and not placeholders & seen
    )


def check_case(model, given, logits, tokens, steps, words):
    """The reference agrees with itself: with and without a cache, and it is causal."""
    n = given["input_ids"].shape[1]
    again = {
        "input_ids": torch.cat([given["input_ids"], tokens[None]], 1),
        "attention_mask": torch.ones(1, n + len(tokens), dtype=torch.long),
        "mm_token_type_ids": torch.cat(
            [given["mm_token_type_ids"], torch.zeros(1, len(tokens)).long()], 1
        ),
    }
    whole = logits_of(model, given | again)
    assert torch.allclose(whole[:n], logits, rtol=0, atol=1e-4)
    assert torch.allclose(whole[n - 1 : -1], steps, rtol=0, atol=1e-4)
    assert torch.allclose(model(**given, use_cache=False).logits[0], logits, rtol=0, atol=1e-5)

    if "input_features" in given:
        changed = given["input_features"].clone()
        last = int(given["input_features_mask"][-1].sum()) - 1
        changed[-1, last] = 0.1 * torch.randn(FRAME, generator=torch.Generator().manual_seed(1))
        other = logits_of(model, given | {"input_features": changed})
        position = int(torch.nonzero(given["mm_token_type_ids"][0] == 3)[-1])
        assert torch.allclose(other[:position], logits[:position], rtol=0, atol=1e-5)
        assert not torch.allclose(other[position], logits[position], rtol=0, atol=1e-2)


@torch.no_grad()
def make_case(model, parts, words, seed):
    """A case with a telling continuation, from the first seed that gives one."""
    while True:
        random = np.random.default_rng(seed)
        ids, segments = make_input(parts, words, random)
        given = model_input(ids, segments, words)
        tokens, steps = greedy(model, given, words)
        margin = margin_of(steps, words)
        if is_telling(tokens, steps, margin, words):
            break
        seed += 1

    logits = logits_of(model, given)
    check_case(model, given, logits, tokens, steps, words)
    return {
        "ids": ids,
        "segments": segments,
        "logits": logits,
        "tokens": tokens,
        "margin": margin,
        "seed": seed,
    }


def write_cases(path, named):
    writer = gguf.GGUFWriter(path, "golden")
    writer.add_uint32("golden.n_cases", len(named))
    for i, (name, case) in enumerate(named):
        writer.add_string(f"case.{i}.name", name)
        writer.add_float32(f"case.{i}.margin", case["margin"])
        writer.add_tensor(f"case.{i}.ids", np.array(case["ids"], dtype=np.int32))
        if case["segments"]:
            writer.add_tensor(f"case.{i}.frames", np.concatenate(case["segments"]))
        writer.add_tensor(f"case.{i}.logits", np.ascontiguousarray(case["logits"].numpy()))
        writer.add_tensor(f"case.{i}.greedy", case["tokens"].numpy().astype(np.int32))
    export_gguf.close(writer)


def make(recipe, words, kind_of, folder, letter, **layout):
    model = make_model(recipe, words, kind_of)
    export_gguf.export(
        model, words, folder / f"model-{letter}.gguf", recipe["name"], kind_of, **layout
    )

    named = []
    for name, seed, parts in recipe["cases"]:
        case = make_case(model, parts, words, seed)
        named.append((name, case))
        z = case["logits"]
        print(
            f"{recipe['name']}, {name}: {len(case['ids'])} positions,"
            f" logits {z.min():.2f} to {z.max():.2f}, deviation {z.std():.2f},"
            f" least margin {case['margin']:.3f}, seed {case['seed']},"
            f" {len(set(case['tokens'].tolist()))} different greedy tokens"
        )
    write_cases(folder / f"golden-{letter}.gguf", named)


def vocabulary_of_models():
    return vocabulary.assemble(["\n", "\n\n"], PIECES)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    words = vocabulary_of_models()
    make(MODEL_A, words, stored_kind_a, folder, "a")

    # The other published habit: <eos> ends the text, and the end of a turn has a key of its own.
    words.ids = words.ids | {
        "eos": words.tokens.index("<eos>"),
        "eot": words.tokens.index("<turn|>"),
    }
    make(
        MODEL_B,
        words,
        stored_kind_b,
        folder,
        "b",
        projector_path=folder / "mmproj-b.gguf",
        ffn_array=True,
    )


if __name__ == "__main__":
    main()
