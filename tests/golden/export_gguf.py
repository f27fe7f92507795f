# SPDX-License-Identifier: Apache-2.0
"""Writes a Gemma 4 Unified model of Hugging Face transformers as GGUF, with the paths of sound and pictures.

Names and keys are the ones that llama.cpp gives its files: architecture "gemma4" for the text
model, and the projector either in the same file or in one of architecture "clip".
"""

import re
from dataclasses import dataclass

import gguf
import numpy as np

SLIDING = "sliding_attention"

TEXT_PREFIX = "model.language_model."
PROJECTOR = "model.embed_audio.embedding_projection.weight"
PROJECTOR_TENSOR = "mm.a.input_projection.weight"

# The other half of the projector.
VISION_PREFIX = "model.embed_vision."
VISION_TENSORS = {
    "patch_ln1.weight": "v.patch_norm.1.weight",
    "patch_ln1.bias": "v.patch_norm.1.bias",
    "patch_dense.weight": "v.patch_embd.weight",
    "patch_dense.bias": "v.patch_embd.bias",
    "patch_ln2.weight": "v.patch_norm.2.weight",
    "patch_ln2.bias": "v.patch_norm.2.bias",
    "pos_embedding": "v.position_embd.weight",
    "pos_norm.weight": "v.patch_norm.3.weight",
    "pos_norm.bias": "v.patch_norm.3.bias",
    "multimodal_embedder.embedding_projection.weight": "mm.input_projection.weight",
}

# Marks the pairs of a global head that do not rotate: their frequency is divided by this.
NO_ROTATION = 1e30

OUTER_TENSORS = {
    "embed_tokens.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
}

BLOCK_TENSORS = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "post_attention_norm.weight",
    "pre_feedforward_layernorm.weight": "ffn_norm.weight",
    "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
    "layer_scalar": "layer_output_scale.weight",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


@dataclass
class Vocabulary:
    """What the tokenizer.ggml.* keys say."""

    tokens: list
    types: list
    scores: list
    merges: list  # "left right"
    ids: dict  # of bos, eos, eot, unknown, padding, mask; those that the file shall name
    suppressed: list


def tensor_name(name):
    """The GGUF name of a transformers parameter; None for what such files do not hold."""
    if name == PROJECTOR:
        return PROJECTOR_TENSOR
    if name.startswith(VISION_PREFIX):
        return VISION_TENSORS[name[len(VISION_PREFIX) :]]
    if not name.startswith(TEXT_PREFIX):
        return None
    return text_tensor_name(name[len(TEXT_PREFIX) :])


def text_tensor_name(name):
    """The same for what belongs to the text model, without its prefix."""
    if name in OUTER_TENSORS:
        return OUTER_TENSORS[name]

    block = re.fullmatch(r"layers\.(\d+)\.(.+)", name)
    return f"blk.{block[1]}.{BLOCK_TENSORS[block[2]]}"


def add_tokenizer(writer, vocabulary):
    """The tokenizer keys. There is no tokenizer.ggml.pre: the model name says it all."""
    writer.add_string("tokenizer.ggml.model", "gemma4")
    writer.add_array("tokenizer.ggml.tokens", vocabulary.tokens)
    writer.add_array("tokenizer.ggml.scores", [float(score) for score in vocabulary.scores])
    writer.add_array("tokenizer.ggml.token_type", vocabulary.types)
    writer.add_array("tokenizer.ggml.merges", vocabulary.merges)
    for name, number in vocabulary.ids.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", number)
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_bool("tokenizer.ggml.add_space_prefix", False)
    writer.add_array("tokenizer.ggml.suppress_tokens", vocabulary.suppressed)


def add_text_keys(writer, config, ffn_array=False, architecture="gemma4"):
    """The hyper-parameters of a Gemma4UnifiedTextConfig. Some published files give the size of the
    feed-forward network once, others as an array over the layers: ffn_array."""
    sliding = [kind == SLIDING for kind in config.layer_types]
    layers = [config.per_layer_config[i] for i in range(config.num_hidden_layers)]
    local = layers[sliding.index(True)]
    remote = layers[sliding.index(False)]
    n_ffn = config.intermediate_size

    for name, value in {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "embedding_length_per_layer_input": 0,
        "attention.head_count": config.num_attention_heads,
        "attention.key_length": remote.head_dim,
        "attention.value_length": remote.head_dim,
        "attention.key_length_swa": local.head_dim,
        "attention.value_length_swa": local.head_dim,
        "attention.sliding_window": config.sliding_window,
        "attention.shared_kv_layers": config.num_kv_shared_layers,
        "rope.dimension_count": remote.head_dim,
        "rope.dimension_count_swa": local.head_dim,
    }.items():
        writer.add_uint32(f"{architecture}.{name}", value)

    for name, value in {
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": config.rope_parameters["full_attention"]["rope_theta"],
        "rope.freq_base_swa": config.rope_parameters[SLIDING]["rope_theta"],
        "final_logit_softcapping": config.final_logit_softcapping,
    }.items():
        writer.add_float32(f"{architecture}.{name}", value)

    if ffn_array:
        writer.add_array(f"{architecture}.feed_forward_length", [n_ffn] * config.num_hidden_layers)
    else:
        writer.add_uint32(f"{architecture}.feed_forward_length", n_ffn)
    writer.add_array(
        f"{architecture}.attention.head_count_kv", [layer.num_key_value_heads for layer in layers]
    )
    writer.add_array(f"{architecture}.attention.sliding_window_pattern", sliding)


def planar(values):
    """Pixels of a patch lie row by row with the channels together in transformers, and channel by
    channel in such files; the last dimension is that of pixels."""
    side = round((values.shape[-1] / 3) ** 0.5)
    parts = values.reshape(*values.shape[:-1], side, side, 3)
    return np.moveaxis(parts, -1, -3).reshape(values.shape)


def as_stored(name, values):
    """The values of a tensor in the order in which the file holds them."""
    if name in ("v.patch_embd.weight", "v.patch_norm.1.weight", "v.patch_norm.1.bias"):
        return planar(values)
    return np.swapaxes(values, 0, 1) if name == "v.position_embd.weight" else values


def add_vision_keys(writer, config, width):
    """The clip.vision.* keys; the size and the epsilon are what published files say, and mean
    nothing to this architecture."""
    writer.add_string("clip.vision.projector_type", "gemma4uv")
    for name, value in {
        "embedding_length": config.mm_embed_dim,
        "projection_dim": width,
        "patch_size": config.patch_size,
        "image_size": 224,
        "block_count": 0,
        "feed_forward_length": 0,
        "attention.head_count": 0,
    }.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", config.rms_norm_eps)
    writer.add_array("clip.vision.image_mean", [0.0, 0.0, 0.0])
    writer.add_array("clip.vision.image_std", [1.0, 1.0, 1.0])


def add_projector_keys(writer, config, width, sees):
    """The clip.* keys of the audio projector; num_mel_bins is what published files say, and means
    nothing to this architecture."""
    writer.add_bool("clip.has_audio_encoder", True)
    writer.add_bool("clip.has_vision_encoder", sees)
    writer.add_string("clip.audio.projector_type", "gemma4ua")
    for name, value in {
        "embedding_length": config.audio_embed_dim,
        "projection_dim": width,
        "num_mel_bins": 128,
        "block_count": 0,
        "feed_forward_length": 0,
        "attention.head_count": 0,
    }.items():
        writer.add_uint32(f"clip.audio.{name}", value)
    writer.add_float32("clip.audio.attention.layer_norm_epsilon", config.rms_norm_eps)


def add_tensor(writer, name, values, kind="F32"):
    """A float tensor, stored in the named type."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    if kind == "F32":
        writer.add_tensor(name, values)
        return
    stored = gguf.GGMLQuantizationType[kind]
    writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)


def rope_divisors(config):
    """What the frequency of each pair of a global head is divided by."""
    parameters = config.rope_parameters["full_attention"]
    head_dim = config.per_layer_config["full_attention"].head_dim
    n_rotating = int(parameters["partial_rotary_factor"] * head_dim // 2)

    divisors = np.full(head_dim // 2, NO_ROTATION, dtype=np.float32)
    divisors[:n_rotating] = parameters.get("factor", 1.0)
    return divisors


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def export(model, vocabulary, path, name, kind_of, projector_path=None, ffn_array=False):
    """Writes the model to path, and the projector to projector_path, or to path as well. kind_of
    tells the stored type of a matrix by its GGUF name; vectors are always F32."""
    text_config = model.config.text_config
    writer = gguf.GGUFWriter(path, "gemma4")
    writer.add_string("general.name", name)
    add_text_keys(writer, text_config, ffn_array)
    add_tokenizer(writer, vocabulary)

    projector = writer
    if projector_path is not None:
        projector = gguf.GGUFWriter(projector_path, "clip")
        projector.add_string("general.name", name)
    vision = model.config.vision_config
    add_projector_keys(
        projector, model.config.audio_config, text_config.hidden_size, vision is not None
    )
    if vision is not None:
        add_vision_keys(projector, vision, text_config.hidden_size)

    add_tensor(writer, "rope_freqs.weight", rope_divisors(text_config))
    for source, values in model.state_dict().items():
        target = tensor_name(source)
        if target is None:
            continue
        kind = kind_of(target) if values.ndim == 2 else "F32"
        add_tensor(
            projector if target.startswith(("mm.", "v.")) else writer,
            target,
            as_stored(target, values.numpy()),
            kind,
        )

    close(writer)
    if projector is not writer:
        close(projector)
