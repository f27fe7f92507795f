/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RANDOM_MODEL_H
#define TESTS_RANDOM_MODEL_H

/* A small model of the real architecture with random weights of any type, as a GGUF file on disk,
 * and its twin whose matrices hold the same values as floats. */
#include <stdio.h>
#include <unistd.h>

#include "model/quant.h"
#include "tests/unit/gguf-builder.h"
#include "tests/unit/random.h"
#include "tests/unit/vocabulary.h"

enum {
        RANDOM_WIDTH = 256,
        RANDOM_LAYERS = 3, /* sliding, sliding, global */
        RANDOM_FFN = 512,
        RANDOM_HEADS = 4,
        RANDOM_WINDOW = 24,
};

/* A matrix of random weights; as_floats writes what a reader of `type` would compute. */
static inline void random_matrix_tensor(struct gguf_builder *b,
                                        struct random *rng,
                                        const char *name,
                                        enum gguf_type type,
                                        bool as_floats,
                                        uint64_t n_cols,
                                        uint64_t n_rows) {
        const uint64_t dims[] = { n_cols, n_rows };
        size_t n = n_cols * n_rows, size = n / gguf_type_block(type) * gguf_type_block_size(type);
        unsigned char *data = malloc(size);
        float *floats = malloc(n * sizeof(float));

        random_weights(rng, data, type, n);
        quant_dequantize_row(floats, type, data, n);
        if (as_floats)
                builder_add_tensor(b, name, GGUF_F32, 2, dims, floats, n * sizeof(float));
        else
                builder_add_tensor(b, name, type, 2, dims, data, size);
        free(data);
        free(floats);
}

/* How vectors are written: as floats, as halves, or as the floats that these halves are. */
enum random_vectors { RANDOM_FLOATS, RANDOM_HALVES, RANDOM_WIDENED };

/* For files that differ in something: called with the empty builder. */
static enum random_vectors random_vectors __attribute__((unused));
static void (*random_model_hook)(struct gguf_builder *b) __attribute__((unused));

static inline void random_vector_tensor(
        struct gguf_builder *b, struct random *rng, const char *name, uint64_t n, float scale) {
        float *x = malloc(n * sizeof(float));
        uint16_t *halves = malloc(n * sizeof(*halves));

        for (size_t i = 0; i < n; i++) {
                x[i] = scale * (0.7f + 0.6f * random_uniform(rng));
                halves[i] = half_from_float(x[i]);
                if (random_vectors == RANDOM_WIDENED)
                        x[i] = half_to_float(halves[i]);
        }
        if (random_vectors == RANDOM_HALVES)
                builder_add_tensor(b, name, GGUF_F16, 1, &n, halves, n * sizeof(*halves));
        else
                builder_add_tensor(b, name, GGUF_F32, 1, &n, x, n * sizeof(float));
        free(x);
        free(halves);
}

/* A quarter of a head is rotated in the global layers. */
static inline void random_rope_factors(struct gguf_builder *b, unsigned head_size) {
        uint64_t n = head_size / 2;
        float *x = malloc(n * sizeof(float));

        for (size_t i = 0; i < n; i++)
                x[i] = i < n / 4 ? 1 : 1e30f;
        builder_add_tensor(b, "rope_freqs.weight", GGUF_F32, 1, &n, x, n * sizeof(float));
        free(x);
}

static inline void random_layer(struct gguf_builder *b,
                                struct random *rng,
                                unsigned i,
                                enum gguf_type type,
                                bool as_floats) {
        bool sliding = i + 1 < RANDOM_LAYERS;
        unsigned head_size = sliding ? 64 : 128, n_kv = sliding ? 2 : 1;
        const struct {
                const char *part;
                uint64_t n_cols, n_rows;
        } matrices[] = {
                { "attn_q", RANDOM_WIDTH, RANDOM_HEADS * head_size },
                { "attn_k", RANDOM_WIDTH, n_kv * head_size },
                { "attn_v", RANDOM_WIDTH, sliding ? n_kv * head_size : 0 },
                { "attn_output", RANDOM_HEADS * head_size, RANDOM_WIDTH },
                { "ffn_gate", RANDOM_WIDTH, RANDOM_FFN },
                { "ffn_up", RANDOM_WIDTH, RANDOM_FFN },
                { "ffn_down", RANDOM_FFN, RANDOM_WIDTH },
        };
        const struct {
                const char *part;
                uint64_t n;
                float scale;
        } vectors[] = {
                { "attn_norm", RANDOM_WIDTH, 1 },  { "post_attention_norm", RANDOM_WIDTH, 0.5f },
                { "ffn_norm", RANDOM_WIDTH, 1 },   { "post_ffw_norm", RANDOM_WIDTH, 0.5f },
                { "attn_q_norm", head_size, 1 },   { "attn_k_norm", head_size, 0.2f },
                { "layer_output_scale", 1, 0.8f },
        };
        char name[64];

        for (unsigned j = 0; j < sizeof(vectors) / sizeof(vectors[0]); j++) {
                (void) snprintf(name, sizeof(name), "blk.%u.%s.weight", i, vectors[j].part);
                random_vector_tensor(b, rng, name, vectors[j].n, vectors[j].scale);
        }
        for (unsigned j = 0; j < sizeof(matrices) / sizeof(matrices[0]); j++) {
                (void) snprintf(name, sizeof(name), "blk.%u.%s.weight", i, matrices[j].part);
                if (matrices[j].n_rows)
                        random_matrix_tensor(b, rng, name, type, as_floats, matrices[j].n_cols,
                                             matrices[j].n_rows);
        }
}

static inline void random_keys(struct gguf_builder *b, const struct vocabulary *v) {
        const uint32_t kv[RANDOM_LAYERS] = { 2, 2, 1 };
        const bool sliding[RANDOM_LAYERS] = { true, true, false };

        builder_add_string(b, "general.architecture", "gemma4");
        builder_add_string(b, "general.name", "random");
        builder_add_u32(b, "gemma4.block_count", RANDOM_LAYERS);
        builder_add_u32(b, "gemma4.context_length", 4096);
        builder_add_u32(b, "gemma4.embedding_length", RANDOM_WIDTH);
        builder_add_u32(b, "gemma4.feed_forward_length", RANDOM_FFN);
        builder_add_u32(b, "gemma4.attention.head_count", RANDOM_HEADS);
        builder_add_u32s(b, "gemma4.attention.head_count_kv", kv, RANDOM_LAYERS);
        builder_add_u32(b, "gemma4.attention.key_length", 128);
        builder_add_u32(b, "gemma4.attention.value_length", 128);
        builder_add_u32(b, "gemma4.attention.key_length_swa", 64);
        builder_add_u32(b, "gemma4.attention.value_length_swa", 64);
        builder_add_u32(b, "gemma4.attention.sliding_window", RANDOM_WINDOW);
        builder_add_bools(b, "gemma4.attention.sliding_window_pattern", sliding, RANDOM_LAYERS);
        builder_add_f32(b, "gemma4.attention.layer_norm_rms_epsilon", 1e-6f);
        builder_add_f32(b, "gemma4.rope.freq_base", 1e6f);
        builder_add_f32(b, "gemma4.rope.freq_base_swa", 1e4f);
        builder_add_f32(b, "gemma4.final_logit_softcapping", 30);
        builder_add_bool(b, "clip.has_audio_encoder", true);
        builder_add_string(b, "clip.audio.projector_type", "gemma4ua");
        vocabulary_write(v, b);
}

/* How the tokens are to be chosen. */
struct random_extra {
        float temp, top_p;
        int32_t top_k;
};

static inline void random_sampling(struct gguf_builder *b, const struct random_extra *extra) {
        if (!extra)
                return;
        builder_add_f32(b, "general.sampling.temp", extra->temp);
        builder_add_f32(b, "general.sampling.top_p", extra->top_p);
        builder_add_raw(b, "general.sampling.top_k", GGUF_KIND_I32, &extra->top_k,
                        sizeof(extra->top_k));
}

static inline const char *random_model_of(enum gguf_type type,
                                          bool as_floats,
                                          uint64_t seed,
                                          const struct random_extra *extra) {
        static char path[] = "/tmp/gemmad-test-XXXXXX";
        static struct vocabulary v;
        struct gguf_builder b = { 0 };
        struct random rng = { seed };
        size_t size;
        void *data;
        int fd;

        vocabulary_begin(&v);
        if (random_model_hook)
                random_model_hook(&b);
        random_keys(&b, &v);
        random_sampling(&b, extra);
        random_rope_factors(&b, 128);
        random_vector_tensor(&b, &rng, "output_norm.weight", RANDOM_WIDTH, 1);
        random_matrix_tensor(&b, &rng, "token_embd.weight", type, as_floats, RANDOM_WIDTH,
                             v.n_tokens);
        random_matrix_tensor(&b, &rng, "mm.a.input_projection.weight",
                             gguf_type_block(type) > 32 ? GGUF_BF16 : type, as_floats, 640,
                             RANDOM_WIDTH);
        for (unsigned i = 0; i < RANDOM_LAYERS; i++)
                random_layer(&b, &rng, i, type, as_floats);

        data = builder_finish(&b, &size);
        memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
        fd = mkstemp(path);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                abort();
        (void) close(fd);
        free(data);
        return path;
}

/* Writes the file and returns its path in a static buffer; unlink() it.  The same seed gives the same
 * model whatever as_floats is. */
static inline const char *random_model(enum gguf_type type, bool as_floats, uint64_t seed) {
        return random_model_of(type, as_floats, seed, NULL);
}

static inline const char *random_model_with(const struct random_extra *extra) {
        return random_model_of(GGUF_F32, false, 1, extra);
}

#endif
