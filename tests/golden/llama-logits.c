/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what llama.cpp computes for a model file: the logits at every position of a sequence of
 * pseudo-random tokens and of its own greedy continuation, with keys and values in F32.
 * tests/unit/test-llama compares the engine with it.  Not part of the build: see README.md.
 *
 *     llama-logits MODEL OUTPUT N_RANDOM N_GREEDY
 *
 * OUTPUT, little endian: u32 positions, u32 vocabulary, u32 N_RANDOM, positions times i32 id, and
 * positions times vocabulary floats. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <llama.h>

static void ignore(enum ggml_log_level level, const char *text, void *userdata) {
        (void) level;
        (void) text;
        (void) userdata;
}

static int32_t likeliest(const float *logits, uint32_t n) {
        uint32_t best = 0;

        for (uint32_t i = 1; i < n; i++)
                if (logits[i] > logits[best])
                        best = i;
        return (int32_t) best;
}

/* <bos>, then ids by a fixed rule. */
static void choose_ids(int32_t *ids, uint32_t n, uint32_t n_vocab, int32_t bos) {
        uint64_t state = 1;

        ids[0] = bos;
        for (uint32_t i = 1; i < n; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                ids[i] = (int32_t) ((state >> 33) % n_vocab);
        }
}

static struct llama_context *open_context(const char *path, uint32_t n) {
        struct llama_model_params mp = llama_model_default_params();
        struct llama_context_params cp = llama_context_default_params();
        struct llama_model *model = llama_model_load_from_file(path, mp);

        if (!model)
                return NULL;
        cp.n_ctx = n;
        cp.n_batch = n;
        cp.type_k = cp.type_v = GGML_TYPE_F32;
        cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        cp.n_threads = cp.n_threads_batch = 2;
        return llama_init_from_model(model, cp);
}

int main(int argc, char **argv) {
        uint32_t n_random, n, n_vocab, header[3];
        struct llama_context *c;
        const struct llama_vocab *vocab;
        int32_t *ids;
        float *logits;
        FILE *f;

        if (argc != 5 || atoi(argv[3]) < 1 || atoi(argv[4]) < 0) {
                fputs("usage: llama-logits MODEL OUTPUT N_RANDOM N_GREEDY\n", stderr);
                return 2;
        }
        n_random = (uint32_t) atoi(argv[3]);
        n = n_random + (uint32_t) atoi(argv[4]);

        llama_log_set(ignore, NULL);
        llama_backend_init();
        c = open_context(argv[1], n);
        if (!c) {
                fprintf(stderr, "llama-logits: llama.cpp does not load %s\n", argv[1]);
                return 1;
        }
        vocab = llama_model_get_vocab(llama_get_model(c));
        n_vocab = (uint32_t) llama_vocab_n_tokens(vocab);
        ids = calloc(n + 1, sizeof(*ids));
        logits = calloc((size_t) n * n_vocab, sizeof(*logits));
        if (!ids || !logits)
                return 1;
        choose_ids(ids, n_random, n_vocab, llama_vocab_bos(vocab));

        /* One position at a time: the logits of each are at hand, and the next may depend on it. */
        for (uint32_t i = 0; i < n; i++) {
                const float *row;

                if (llama_decode(c, llama_batch_get_one(&ids[i], 1)) != 0)
                        return 1;
                row = llama_get_logits_ith(c, -1);
                for (uint32_t j = 0; j < n_vocab; j++)
                        logits[(size_t) i * n_vocab + j] = row[j];
                if (i + 1 >= n_random)
                        ids[i + 1] = likeliest(row, n_vocab);
        }

        f = fopen(argv[2], "wb");
        header[0] = n;
        header[1] = n_vocab;
        header[2] = n_random;
        if (!f || fwrite(header, sizeof(header), 1, f) != 1 ||
            fwrite(ids, sizeof(*ids), n, f) != n ||
            fwrite(logits, sizeof(*logits) * n_vocab, n, f) != n || fclose(f) != 0) {
                perror(argv[2]);
                return 1;
        }
        return 0;
}
