/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_VOCABULARY_H
#define TESTS_VOCABULARY_H

/* A small vocabulary of kind gemma4 for tests: the special tokens, the bytes, printable ASCII and
 * whatever a test adds.  Texts are not copied. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"
#include "model/tokenizer.h"
#include "tests/unit/gguf-builder.h"

enum { VOCABULARY_NORMAL = 1, VOCABULARY_CONTROL = 3, VOCABULARY_USER = 4, VOCABULARY_BYTE = 6 };

struct vocabulary {
        const char *tokens[1024];
        int32_t types[1024];
        size_t n_tokens;
        const char *merges[1024];
        size_t n_merges;
        char bytes[256][8];
        char letters[128][2];
};

static inline void vocabulary_add(struct vocabulary *v, const char *text, int32_t type) {
        if (v->n_tokens == 1024)
                abort();
        v->tokens[v->n_tokens] = text;
        v->types[v->n_tokens++] = type;
}

static inline void vocabulary_merge(struct vocabulary *v, const char *line) {
        if (v->n_merges == 1024)
                abort();
        v->merges[v->n_merges++] = line;
}

/* The beginning of every vocabulary: ids 0 to 3 are pad, eos, bos and unk as in the real one. */
static inline void vocabulary_begin(struct vocabulary *v) {
        static const char *const control[] = {
                "<pad>",   "<eos>",   "<bos>",    "<unk>",    "<|tool>",  "<tool|>",   "<|think|>",
                "<|turn>", "<turn|>", "<|audio>", "<image|>", "<audio|>", "<|audio|>",
        };
        static const char *const user[] = {
                "<|channel>",       "<channel|>",       "<|tool_call>", "<tool_call|>",
                "<|tool_response>", "<tool_response|>", "<|\"|>",
        };

        *v = (struct vocabulary){ 0 };
        for (size_t i = 0; i < sizeof(control) / sizeof(control[0]); i++)
                vocabulary_add(v, control[i], VOCABULARY_CONTROL);
        for (size_t i = 0; i < sizeof(user) / sizeof(user[0]); i++)
                vocabulary_add(v, user[i], VOCABULARY_USER);
        for (unsigned i = 0; i < 256; i++) {
                (void) snprintf(v->bytes[i], sizeof(v->bytes[i]), "<0x%02X>", i);
                vocabulary_add(v, v->bytes[i], VOCABULARY_BYTE);
        }
        vocabulary_add(v, "\n", VOCABULARY_NORMAL);
        vocabulary_add(v, "\n\n", VOCABULARY_NORMAL);
        vocabulary_add(v, "\n\n\n", VOCABULARY_NORMAL);
        vocabulary_add(v, "\xe2\x96\x81", VOCABULARY_NORMAL);
        for (char c = '!'; c <= '~'; c++) {
                v->letters[(unsigned char) c][0] = c;
                vocabulary_add(v, v->letters[(unsigned char) c], VOCABULARY_NORMAL);
        }
}

/* Adds the keys of the tokenizer to a file. */
static inline void vocabulary_write(const struct vocabulary *v, struct gguf_builder *b) {
        builder_add_string(b, "tokenizer.ggml.model", "gemma4");
        builder_add_strings(b, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
        builder_add_i32s(b, "tokenizer.ggml.token_type", v->types, v->n_tokens);
        builder_add_strings(b, "tokenizer.ggml.merges", v->merges, v->n_merges);
        builder_add_u32(b, "tokenizer.ggml.bos_token_id", 2);
        builder_add_u32(b, "tokenizer.ggml.eos_token_id", 1);
}

/* A tokenizer with the file below it. */
struct loaded {
        void *file;
        struct gguf *g;
        struct tokenizer *t;
};

static inline int vocabulary_load(const struct vocabulary *v, struct loaded *ret, struct why *why) {
        struct gguf_builder b = { 0 };
        struct loaded l = { 0 };
        size_t size;
        int r;

        vocabulary_write(v, &b);
        l.file = builder_finish(&b, &size);
        r = gguf_open_memory(&l.g, l.file, size, "vocabulary", why);
        if (r >= 0)
                r = tokenizer_new(&l.t, l.g, why);
        *ret = l;
        return r;
}

static inline void loaded_done(struct loaded *l) {
        tokenizer_free(l->t);
        gguf_close(l->g);
        free(l->file);
}

#endif
