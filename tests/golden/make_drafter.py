# SPDX-License-Identifier: Apache-2.0
"""Small random drafters for the models of make_golden.py, and what transformers computes with them."""

import argparse
import pathlib

import gguf
import numpy as np
import torch
from transformers import (
    Gemma4UnifiedAssistantConfig,
    Gemma4UnifiedAssistantForCausalLM,
    Gemma4UnifiedTextConfig,
)

import export_gguf
import make_golden

ARCHITECTURE = "gemma4-assistant"
N_STEPS = 6

PROJECTIONS = {
    "pre_projection.weight": "nextn.pre_projection.weight",
    "post_projection.weight": "nextn.post_projection.weight",
}

DRAFTER_A = {
    "name": "drafter-a",
    "seed": 5101,
    "shape": {
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "num_attention_heads": 4,
    },
    "lengths": [9, 17, 18, 64],
}

DRAFTER_B = {
    "name": "drafter-b",
    "seed": 5202,
    "shape": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "num_attention_heads": 6,
    },
    "lengths": [36],
}


# What a drafter shares with its target.
COMMON = [
    "num_key_value_heads",
    "num_global_key_value_heads",
    "head_dim",
    "global_head_dim",
    "sliding_window",
    "max_position_embeddings",
    "rope_parameters",
]


def sharing_modes(config):
    """Which layers keep keys and values for others, and which use them. The library's own property
    (5.23.0) knows neither a target whose layers all have their own, which a drafter reads all the
    same, nor a drafter whose layers all use another model's; both are what its assistant class asks
    for and says."""
    n_own = config.num_hidden_layers - config.num_kv_shared_layers
    modes = [None] * n_own + ["reuse"] * config.num_kv_shared_layers
    for kind in set(config.layer_types[:n_own]):
        modes[max(i for i in range(n_own) if config.layer_types[i] == kind)] = "store"
    return modes


def make_assistant(recipe, target, shape, kind_of):
    """Random weights under which every term shows, as in make_golden."""
    given = target.config.text_config
    config = Gemma4UnifiedAssistantConfig(
        text_config=Gemma4UnifiedTextConfig(
            vocab_size=given.vocab_size,
            attention_k_eq_v=True,
            final_logit_softcapping=30.0,
            pad_token_id=given.pad_token_id,
            bos_token_id=given.bos_token_id,
            eos_token_id=given.eos_token_id,
            **{key: shape[key] for key in COMMON if key in shape},
            **recipe["shape"],
        ),
        backbone_hidden_size=given.hidden_size,
    )
    config._attn_implementation = "eager"
    model = Gemma4UnifiedAssistantForCausalLM(config).float().eval()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    with torch.no_grad():
        make_golden.fill(
            model, torch.Generator().manual_seed(recipe["seed"]), kind_of, tensor_name
        )
    return model


def tensor_name(name):
    if name in PROJECTIONS:
        return PROJECTIONS[name]
    if name == "lm_head.weight":
        return None
    return export_gguf.text_tensor_name(name.removeprefix("model."))


def export(model, target, words, path, recipe, kind_of):
    """The drafter's file, as llama.cpp writes it: all its layers share the keys of another model."""
    config = model.config.text_config
    writer = gguf.GGUFWriter(path, ARCHITECTURE)
    writer.add_string("general.name", recipe["name"])
    export_gguf.add_text_keys(writer, config, architecture=ARCHITECTURE)
    writer.add_uint32(f"{ARCHITECTURE}.embedding_length_out", target.config.text_config.hidden_size)
    writer.add_uint32(f"{ARCHITECTURE}.nextn_predict_layers", config.num_hidden_layers)
    export_gguf.add_tokenizer(writer, words)
    export_gguf.add_tensor(writer, "rope_freqs.weight", export_gguf.rope_divisors(config))
    for source, values in model.state_dict().items():
        name = tensor_name(source)
        if name is not None:
            kind = kind_of(name) if values.ndim == 2 else "F32"
            export_gguf.add_tensor(writer, name, values.numpy(), kind)
    export_gguf.close(writer)


@torch.no_grad()
def draft(model, target, ids, first):
    """The drafter's logits for N_STEPS tokens behind ids and `first`, greedily, as the candidate
    generator of the library calls it: one position, the same keys and values, its own state."""
    given = torch.tensor([ids])
    masks = target.create_masks_for_generate(
        config=target.config,
        inputs_embeds=torch.zeros(*given.shape, target.config.text_config.hidden_size),
        attention_mask=torch.ones_like(given),
        past_key_values=None,
        position_ids=torch.arange(len(ids))[None],
        mm_token_type_ids=torch.zeros_like(given),
        is_first_iteration=True,
    )
    seen = target(
        input_ids=given,
        attention_mask=masks,
        mm_token_type_ids=torch.zeros_like(given),
        use_cache=False,
        output_hidden_states=True,
        return_shared_kv_states=True,
    )
    state = seen.hidden_states[-1][:, -1:]
    cap = target.config.text_config.final_logit_softcapping
    made = cap * torch.tanh(target.lm_head(state) / cap)
    assert torch.allclose(made, seen.logits[:, -1:], rtol=0, atol=1e-4)

    embed = target.get_input_embeddings()
    tokens, logits = [first], []
    for _ in range(N_STEPS):
        made = model(
            inputs_embeds=torch.cat([embed(torch.tensor([[tokens[-1]]])), state], dim=-1),
            position_ids=torch.tensor([[len(ids)]]),
            attention_mask=torch.ones(1, len(ids) + 1, dtype=torch.long),
            shared_kv_states=dict(seen.shared_kv_states),
            use_cache=False,
        )
        state = made.last_hidden_state
        logits.append(made.logits[0, 0])
        tokens.append(int(made.logits.argmax()))
    return tokens, torch.stack(logits)


def write_cases(path, cases):
    writer = gguf.GGUFWriter(path, "golden")
    writer.add_uint32("golden.n_cases", len(cases))
    for i, (ids, tokens, logits) in enumerate(cases):
        writer.add_tensor(f"case.{i}.ids", np.array(ids, dtype=np.int32))
        writer.add_tensor(f"case.{i}.tokens", np.array(tokens[:N_STEPS], dtype=np.int32))
        writer.add_tensor(f"case.{i}.logits", np.ascontiguousarray(logits.numpy()))
    export_gguf.close(writer)


def make(target_recipe, recipe, words, kind_of, folder, letter):
    target = make_golden.make_model(target_recipe, words, kind_of)
    model = make_assistant(recipe, target, target_recipe["shape"], kind_of)
    export(model, target, words, folder / f"drafter-{letter}.gguf", recipe, kind_of)

    cases = []
    for i, length in enumerate(recipe["lengths"]):
        random = np.random.default_rng(recipe["seed"] + i)
        ids, _ = make_golden.make_input([length], words, random)
        tokens, logits = draft(model, target, ids, int(random.choice(ids)))
        cases.append((ids, tokens, logits))
        print(
            f"{recipe['name']}, {len(ids)} positions: logits {logits.min():.2f} to"
            f" {logits.max():.2f}, deviation {logits.std():.2f}, tokens {tokens}"
        )
    write_cases(folder / f"golden-drafter-{letter}.gguf", cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().output
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    Gemma4UnifiedTextConfig.kv_sharing_modes = property(sharing_modes)

    words = make_golden.vocabulary_of_models()
    make(make_golden.MODEL_A, DRAFTER_A, words, make_golden.stored_kind_a, folder, "a")
    make(make_golden.MODEL_B, DRAFTER_B, words, make_golden.stored_kind_b, folder, "b")


if __name__ == "__main__":
    main()
