/* SPDX-License-Identifier: Apache-2.0 */
#include "model/grammar.h"

#include <errno.h>
#include <math.h>

#include "tests/tap.h"
#include "tests/unit/gguf-builder.h"

/* Two answers over six tokens: 2 4 1 and 2 5 1; and the empty answer, 1. */
static const uint32_t first[] = { 0, 2, 4, 5 }, targets[] = { 0, 1, 2, 2, 0 };
static const int32_t tokens[] = { 1, 2, 4, 5, 1 };

struct arrays {
        const uint32_t *first;
        const int32_t *tokens;
        const uint32_t *targets;
        size_t n_first, n_tokens, n_targets;
};

static const struct arrays good = { first, tokens, targets, 4, 5, 5 };

static int read(const struct arrays *a, struct grammar **ret, struct why *why) {
        struct gguf_builder b = { 0 };
        struct gguf *g;
        size_t size;
        void *file;
        int r;

        builder_add_u32s(&b, "gemmad.grammar.first", a->first, a->n_first);
        builder_add_i32s(&b, "gemmad.grammar.tokens", a->tokens, a->n_tokens);
        builder_add_u32s(&b, "gemmad.grammar.targets", a->targets, a->n_targets);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "grammar", why) == 0);
        r = grammar_read(ret, g, 6, why);
        gguf_close(g);
        free(file);
        return r;
}

static void chooses_what_follows(void) {
        float logits[] = { 9, 0, -1, 8, 2, 3 };
        struct grammar *g;
        uint32_t state = 0;

        expect(read(&good, &g, NULL) == 0);
        expect(grammar_n_states(g) == 3);
        expect(grammar_choose(g, 0, logits) == 1);
        logits[2] = 1;
        expect(grammar_choose(g, 0, logits) == 2);
        expect(grammar_follow(g, &state, 2) == 0 && state == 1);
        expect(grammar_choose(g, state, logits) == 5);
        logits[4] = 3;
        expect(grammar_choose(g, state, logits) == 4);
        logits[4] = logits[5] = -INFINITY;
        expect(grammar_choose(g, state, logits) == -1);
        expect(grammar_follow(g, &state, 1) == -ENOENT && state == 1);
        expect(grammar_follow(g, &state, 5) == 0 && state == 2);
        expect(grammar_choose(g, state, logits) == 1);
        grammar_free(g);
}

static void refuses_damage(void) {
        static const uint32_t not_from_0[] = { 1, 2, 4, 5 }, stuck[] = { 0, 2, 2, 5 },
                              beyond[] = { 0, 2, 9, 5 };
        static const uint32_t short_of[] = { 0, 1, 2, 4 }, no_state[] = { 0, 1, 2, 3, 0 };
        static const int32_t not_rising[] = { 2, 1, 4, 5, 1 }, twice[] = { 1, 2, 4, 4, 1 };
        static const int32_t no_token[] = { 1, 2, 4, 6, 1 }, negative[] = { -1, 2, 4, 5, 1 };
        const struct arrays cases[] = {
                { not_from_0, tokens, targets, 4, 5, 5 }, { stuck, tokens, targets, 4, 5, 5 },
                { beyond, tokens, targets, 4, 5, 5 },     { short_of, tokens, targets, 4, 5, 5 },
                { first, tokens, no_state, 4, 5, 5 },     { first, not_rising, targets, 4, 5, 5 },
                { first, twice, targets, 4, 5, 5 },       { first, no_token, targets, 4, 5, 5 },
                { first, negative, targets, 4, 5, 5 },    { first, tokens, targets, 1, 5, 5 },
                { first, tokens, targets, 4, 4, 5 },      { first, tokens, targets, 0, 0, 0 },
        };

        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct grammar *g = NULL;
                struct why why = { "" };

                expect(read(&cases[i], &g, &why) == -EBADMSG);
                expect(strstr(why.text, "gemmad.grammar.") != NULL);
                grammar_free(g);
        }
}

static void absent(void) {
        struct gguf_builder b = { 0 };
        struct grammar *grammar;
        struct gguf *g;
        size_t size;
        void *file = builder_finish(&b, &size);

        expect(gguf_open_memory(&g, file, size, "nothing", NULL) == 0);
        expect(grammar_read(&grammar, g, 6, NULL) == -ENOENT);
        gguf_close(g);
        free(file);
}

int main(void) {
        rule("only what can follow is chosen", chooses_what_follows);
        rule("a damaged grammar is refused by its key", refuses_damage);
        rule("a file may have no grammar", absent);
        return tap_done();
}
