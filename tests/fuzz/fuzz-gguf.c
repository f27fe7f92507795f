/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a GGUF file: whatever opens can be walked to its last byte, and a grammar in it followed
 * without leaving it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"
#include "model/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition) {
        if (!condition)
                abort();
}

/* Reads every byte, so that the address sanitizer sees each outside of the file. */
static void touch(const void *data, size_t size) {
        const volatile unsigned char *p = data;

        for (size_t i = 0; i < size; i++)
                (void) p[i];
}

static void walk_tensors(const struct gguf *g) {
        for (size_t i = 0; i < gguf_n_tensors(g); i++) {
                const struct gguf_tensor *t = gguf_tensor_at(g, i);
                char name[512];

                check(t->n_dims >= 1 && t->n_dims <= 4 && t->name.size < sizeof(name));
                check((t->data != NULL) == (gguf_type_block(t->type) > 0));
                touch(t->data, t->data ? t->size : 0);

                memcpy(name, t->name.text, t->name.size);
                name[t->name.size] = '\0';
                check(gguf_find_tensor(g, name) == t);
        }
        check(!gguf_tensor_at(g, gguf_n_tensors(g)));
}

static void walk_key(const struct gguf *g, const char *key) {
        struct why why = { 0 };
        struct gguf_string s;
        struct gguf_array a;
        size_t cursor = 0, n = 0;
        int64_t integer;
        uint32_t u;
        float f;
        bool flag;

        (void) gguf_get_u32(g, key, &u, &why);
        (void) gguf_get_f32(g, key, &f, &why);
        (void) gguf_get_bool(g, key, &flag, &why);
        if (gguf_get_string(g, key, &s, &why) == 0)
                touch(s.text, s.size);
        if (gguf_get_array(g, key, &a, &why) < 0)
                return;

        touch(a.data, a.size);
        while (gguf_array_string(&a, &cursor, &s) > 0) {
                touch(s.text, s.size);
                n++;
        }
        check(a.kind == GGUF_KIND_STRING ? n == a.n : n == 0);
        for (size_t i = 0; i < a.n && i < 100; i++)
                (void) gguf_array_integer(&a, i, &integer);
        check(gguf_array_integer(&a, a.n, &integer) < 0);
}

/* Along the likeliest answers for a few different wishes, and against them. */
static void walk_grammar(const struct gguf *file) {
        struct why why = { 0 };
        float logits[6];
        struct grammar *g;

        if (grammar_read(&g, file, 6, &why) < 0)
                return;
        for (unsigned wish = 0; wish < 6; wish++) {
                struct grammar_place place = { 0 };

                for (unsigned step = 0; step < 40; step++) {
                        int32_t token;

                        for (unsigned i = 0; i < 6; i++)
                                logits[i] = (float) ((i * (wish + 1) + step) % 7);
                        token = grammar_choose(g, &place, logits);
                        check(token >= -1 && token < 6);
                        (void) grammar_follow(g, &place, -1 - (int32_t) step);
                        check((grammar_follow(g, &place, token) == 0) == (token >= 0));
                        check(place.state < grammar_n_states(g));
                        if (token < 0)
                                break;
                }
        }
        grammar_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const keys[] = { "a", "b", "c", "general.alignment", "absent" };
        struct why why = { 0 };
        struct gguf *g = NULL;
        void *aligned = NULL;

        check(posix_memalign(&aligned, GGUF_ALIGNMENT, size) == 0);
        if (size > 0)
                memcpy(aligned, data, size);

        if (gguf_open_memory(&g, aligned, size, "fuzz", &why) == 0) {
                walk_tensors(g);
                walk_grammar(g);
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                        walk_key(g, keys[i]);
        } else
                check(!g && why.text[0] != '\0');

        gguf_close(g);
        free(aligned);
        return 0;
}
