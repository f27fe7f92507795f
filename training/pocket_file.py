# SPDX-License-Identifier: Apache-2.0
"""A pocket model as one GGUF file: decoder, audio matrix, vocabulary and context.

The layout is that of a Gemma 4 text file (architecture `gemma4`) with the audio matrix of
the projector file added. Norms are F32, matrices of one of TYPES.
"""
import gguf
import numpy as np
import torch

import context as contexts
import grammar
from network import EPS, FRAME, Network, Shape
from vocabulary import CONTROL, SUPPRESSED, Vocabulary

NAME = "gemmad pocket"
AUDIO = "mm.a.input_projection.weight"
ROWS = "token_embd.weight"
SCALE = "layer_output_scale"
STILL = 1e30               # a frequency divided by this does not rotate
CONTEXT_LENGTH = 1024
TYPES = {"f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
         "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
         "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
         "q5_0": (gguf.GGMLQuantizationType.Q5_0, gguf.LlamaFileType.MOSTLY_Q5_0),
         "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0)}
LIMITS = ("least_log_share", "least_short_log_share", "least_log_probability")     # of model/engine.h
LIST, I32 = gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.INT32


# ---- writing -------------------------------------------------------------------------

def write_shape(out, shape):
    layers = range(shape.layers)
    out.add_context_length(CONTEXT_LENGTH)
    out.add_embedding_length(shape.width)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.hidden)
    out.add_head_count(shape.heads)
    out.add_head_count_kv([shape.global_kv_heads if shape.is_global(n) else shape.kv_heads
                           for n in layers])
    out.add_key_length(shape.global_head_size)
    out.add_value_length(shape.global_head_size)
    out.add_key_length_swa(shape.head_size)
    out.add_value_length_swa(shape.head_size)
    out.add_sliding_window(shape.window)
    out.add_sliding_window_pattern([not shape.is_global(n) for n in layers])
    out.add_shared_kv_layers(0)
    out.add_layer_norm_rms_eps(EPS)
    out.add_rope_freq_base(shape.global_base)
    out.add_float32("gemma4.rope.freq_base_swa", shape.base)
    out.add_rope_dimension_count(shape.global_head_size)
    out.add_uint32("gemma4.rope.dimension_count_swa", shape.head_size)
    out.add_final_logit_softcapping(shape.softcap)
    out.add_embedding_length_per_layer_input(0)
    out.add_vocab_size(shape.vocabulary)
    out.add_bool("clip.has_audio_encoder", True)
    out.add_string("clip.audio.projector_type", "gemma4ua")
    out.add_uint32("clip.audio.embedding_length", FRAME)
    out.add_uint32("clip.audio.projection_dim", shape.width)


def write_vocabulary(out, vocabulary):
    ids = vocabulary.ids
    out.add_tokenizer_model("gemma4")
    out.add_token_list(vocabulary.tokens)
    out.add_token_scores([-1000.0 if kind == CONTROL else -float(number)
                          for number, kind in enumerate(vocabulary.types)])
    out.add_token_types(vocabulary.types)
    out.add_token_merges([f"{left} {right}" for left, right in vocabulary.merges])
    out.add_pad_token_id(ids["<pad>"])
    out.add_eos_token_id(ids["<eos>"])
    out.add_eot_token_id(ids["<turn|>"])
    out.add_bos_token_id(ids["<bos>"])
    out.add_unk_token_id(ids["<unk>"])
    out.add_mask_token_id(ids["<mask>"])
    out.add_add_bos_token(True)
    out.add_add_space_prefix(False)
    out.add_key_value("tokenizer.ggml.suppress_tokens", [ids[t] for t in SUPPRESSED], LIST, I32)


def rope_factors(shape):
    """What the frequency of each pair of a global head is divided by."""
    factors = torch.full((shape.global_head_size // 2,), STILL)
    factors[:shape.rotating_pairs()] = 1.0
    return factors


def tensors(network):
    """(name in the file, array) in a fixed order; the helpers stay behind."""
    shape = network.shape
    yield ROWS, network.token_embd.weight
    yield AUDIO, network.audio.weight
    yield "rope_freqs.weight", rope_factors(shape)
    yield "output_norm.weight", network.output_norm.weight
    for name, value in network.blk.state_dict(prefix="blk.").items():
        yield (name + ".weight" if name.endswith(SCALE) else name), value


def write(path, network, vocabulary, source, kind="q8_0", limits=None, rows=None, meanings=None):
    """source: the text of the context file; kind: of TYPES; limits: of LIMITS, each a number or None; rows: of TYPES,
    of the words' rows, if another; meanings: the keys of meaning_file.py."""
    matrix_type, file_type = TYPES[kind]
    types = {ROWS: TYPES[rows or kind][0]}
    out = gguf.GGUFWriter(path, "gemma4")
    out.add_name(NAME)
    out.add_license("apache-2.0")
    out.add_file_type(file_type)
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    out.add_string("gemmad.answer", "transcript-call")
    out.add_string("gemmad.context", source)
    write_shape(out, network.shape)
    write_vocabulary(out, vocabulary)
    grammar.add(out, vocabulary, contexts.parse(source))
    for key, value in (meanings or {}).items():
        if isinstance(value, float):
            out.add_float32(key, value)
        else:
            grammar.add_array(out, key, value)
    for key, value in (limits or {}).items():
        assert key in LIMITS, key
        if value is not None:
            out.add_float32(grammar.KEY + key, value)
    for name, value in tensors(network):
        array = value.detach().to(torch.float32).numpy()
        if array.ndim == 2:
            array_type = types.get(name, matrix_type)
            out.add_tensor(name, gguf.quants.quantize(array, array_type), raw_dtype=array_type)
        else:
            out.add_tensor(name, array)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


# ---- reading -------------------------------------------------------------------------

def _value(reader, key):
    return reader.fields[key].contents()


def _read_shape(reader):
    def number(key):
        return _value(reader, "gemma4." + key)
    kv_heads = number("attention.head_count_kv")
    return Shape(
        vocabulary=len(_value(reader, "tokenizer.ggml.tokens")),
        width=number("embedding_length"), layers=number("block_count"),
        hidden=number("feed_forward_length"), heads=number("attention.head_count"),
        head_size=number("attention.key_length_swa"), kv_heads=kv_heads[0],
        global_head_size=number("attention.key_length"), global_kv_heads=kv_heads[-1],
        base=number("rope.freq_base_swa"), global_base=number("rope.freq_base"),
        window=number("attention.sliding_window"),
        softcap=number("final_logit_softcapping"))


def read(path):
    """(network, vocabulary, context) of a file; the matrices are the dequantised ones."""
    reader = gguf.GGUFReader(path)
    merges = [tuple(m.split(" ")) for m in _value(reader, "tokenizer.ggml.merges")]
    vocabulary = Vocabulary(_value(reader, "tokenizer.ggml.tokens"),
                            _value(reader, "tokenizer.ggml.token_type"), merges)
    network = Network(_read_shape(reader))
    state = network.state_dict()
    for tensor in reader.tensors:
        name = "audio.weight" if tensor.name == AUDIO else tensor.name
        name = name.removesuffix(".weight") if SCALE in name else name
        if name in state:
            array = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            state[name] = torch.from_numpy(np.array(array, np.float32)).view(state[name].shape)
    network.load_state_dict(state)
    network.eval()
    return network, vocabulary, contexts.parse(_value(reader, "gemmad.context"))
