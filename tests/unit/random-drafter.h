/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RANDOM_DRAFTER_H
#define TESTS_RANDOM_DRAFTER_H

/* A drafter with random weights for the models of random-model.h, and files that are no such thing. */
#include "tests/unit/random-model.h"

enum {
        DRAFTER_WIDTH = 64,
        DRAFTER_LAYERS = 2, /* sliding, global */
        DRAFTER_FFN = 128,
        DRAFTER_HEADS = 4,
};

/* What a file may have that does not fit; zeros: nothing. */
struct misfit {
        const char *architecture;
        const char *missing; /* a tensor that is not there */
        uint32_t width_out, window, head_size, heads;
        bool other_token, fewer_tokens;
        bool is_short; /* the last bytes are missing */
};

static inline void drafter_layer(struct gguf_builder *b,
                                 struct random *rng,
                                 unsigned i,
                                 enum gguf_type type,
                                 const struct misfit *m) {
        bool sliding = i == 0;
        unsigned head_size = sliding ? 64 : (m->head_size ? m->head_size : 128);
        unsigned q_width = (m->heads ? m->heads : DRAFTER_HEADS) * head_size;
        const struct {
                const char *part;
                uint64_t n_cols, n_rows;
        } matrices[] = {
                { "attn_q", DRAFTER_WIDTH, q_width },
                { "attn_output", q_width, DRAFTER_WIDTH },
                { "ffn_gate", DRAFTER_WIDTH, DRAFTER_FFN },
                { "ffn_up", DRAFTER_WIDTH, DRAFTER_FFN },
                { "ffn_down", DRAFTER_FFN, DRAFTER_WIDTH },
        };
        const struct {
                const char *part;
                uint64_t n;
                float scale;
        } vectors[] = {
                { "attn_norm", DRAFTER_WIDTH, 1 }, { "post_attention_norm", DRAFTER_WIDTH, 0.5f },
                { "ffn_norm", DRAFTER_WIDTH, 1 },  { "post_ffw_norm", DRAFTER_WIDTH, 0.5f },
                { "attn_q_norm", head_size, 1 },   { "layer_output_scale", 1, 0.8f },
        };
        char name[64];

        for (unsigned j = 0; j < sizeof(vectors) / sizeof(vectors[0]); j++) {
                (void) snprintf(name, sizeof(name), "blk.%u.%s.weight", i, vectors[j].part);
                random_vector_tensor(b, rng, name, vectors[j].n, vectors[j].scale);
        }
        for (unsigned j = 0; j < sizeof(matrices) / sizeof(matrices[0]); j++) {
                (void) snprintf(name, sizeof(name), "blk.%u.%s.weight", i, matrices[j].part);
                if (!m->missing || strcmp(name, m->missing) != 0)
                        random_matrix_tensor(b, rng, name, type, false, matrices[j].n_cols,
                                             matrices[j].n_rows);
        }
}

static inline void drafter_keys(struct gguf_builder *b, const struct misfit *m) {
        const bool sliding[DRAFTER_LAYERS] = { true, false };
        uint32_t head_size = m->head_size ? m->head_size : 128;

        builder_add_string(b, "general.architecture",
                           m->architecture ? m->architecture : "gemma4-assistant");
        builder_add_u32(b, "gemma4-assistant.block_count", DRAFTER_LAYERS);
        builder_add_u32(b, "gemma4-assistant.context_length", 4096);
        builder_add_u32(b, "gemma4-assistant.embedding_length", DRAFTER_WIDTH);
        builder_add_u32(b, "gemma4-assistant.embedding_length_out",
                        m->width_out ? m->width_out : RANDOM_WIDTH);
        builder_add_u32(b, "gemma4-assistant.feed_forward_length", DRAFTER_FFN);
        builder_add_u32(b, "gemma4-assistant.attention.head_count",
                        m->heads ? m->heads : DRAFTER_HEADS);
        builder_add_u32(b, "gemma4-assistant.attention.head_count_kv", 1);
        builder_add_u32(b, "gemma4-assistant.attention.key_length", head_size);
        builder_add_u32(b, "gemma4-assistant.attention.value_length", head_size);
        builder_add_u32(b, "gemma4-assistant.attention.key_length_swa", 64);
        builder_add_u32(b, "gemma4-assistant.attention.value_length_swa", 64);
        builder_add_u32(b, "gemma4-assistant.attention.sliding_window",
                        m->window ? m->window : RANDOM_WINDOW);
        builder_add_u32(b, "gemma4-assistant.attention.shared_kv_layers", DRAFTER_LAYERS);
        builder_add_bools(b, "gemma4-assistant.attention.sliding_window_pattern", sliding,
                          DRAFTER_LAYERS);
        builder_add_f32(b, "gemma4-assistant.attention.layer_norm_rms_epsilon", 1e-6f);
        builder_add_f32(b, "gemma4-assistant.rope.freq_base", 1e6f);
        builder_add_f32(b, "gemma4-assistant.rope.freq_base_swa", 1e4f);
}

/* Writes the file and returns its path in a static buffer; unlink() it.  A type in blocks of 256
 * does not go with this width. */
static inline const char *
random_drafter(enum gguf_type type, uint64_t seed, const struct misfit *misfit) {
        static char path[] = "/tmp/gemmad-test-XXXXXX";
        static struct vocabulary v;
        const struct misfit m = misfit ? *misfit : (struct misfit){ 0 };
        struct gguf_builder b = { 0 };
        struct random rng = { seed };
        size_t size;
        void *data;
        int fd;

        vocabulary_begin(&v);
        if (m.other_token)
                v.tokens[300] = "other";
        if (m.fewer_tokens)
                v.n_tokens--;
        drafter_keys(&b, &m);
        vocabulary_write(&v, &b);
        random_vector_tensor(&b, &rng, "output_norm.weight", DRAFTER_WIDTH, 1);
        random_matrix_tensor(&b, &rng, "token_embd.weight", type, false, DRAFTER_WIDTH, v.n_tokens);
        random_matrix_tensor(&b, &rng, "nextn.pre_projection.weight", type, false, 2 * RANDOM_WIDTH,
                             DRAFTER_WIDTH);
        if (!m.missing || strcmp(m.missing, "nextn.post_projection.weight") != 0)
                random_matrix_tensor(&b, &rng, "nextn.post_projection.weight", type, false,
                                     DRAFTER_WIDTH, RANDOM_WIDTH);
        for (unsigned i = 0; i < DRAFTER_LAYERS; i++)
                drafter_layer(&b, &rng, i, type, &m);

        data = builder_finish(&b, &size);
        if (m.is_short)
                size -= 1000;
        memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
        fd = mkstemp(path);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                abort();
        (void) close(fd);
        free(data);
        return path;
}

#endif
