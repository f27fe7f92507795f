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
        struct grammar_place place = { 0 };
        struct grammar *g;

        expect(read(&good, &g, NULL) == 0);
        expect(grammar_n_states(g) == 3);
        expect(grammar_choose(g, &place, logits) == 1);
        logits[2] = 1;
        expect(grammar_choose(g, &place, logits) == 2);
        expect(grammar_follow(g, &place, 2) == 0 && place.state == 1);
        expect(grammar_choose(g, &place, logits) == 5);
        logits[4] = 3;
        expect(grammar_choose(g, &place, logits) == 4);
        logits[4] = logits[5] = -INFINITY;
        expect(grammar_choose(g, &place, logits) == -1);
        expect(grammar_follow(g, &place, 1) == -ENOENT && place.state == 1);
        expect(grammar_follow(g, &place, 5) == 0 && place.state == 2);
        expect(grammar_choose(g, &place, logits) == 1);
        grammar_free(g);
}

/* What was said comes back in another order: 2 or 3, then 4 or 5, then what the second writes, then
 * what the first writes.  2 writes 3 3 into register 0, 3 writes 2; 4 and 5 write 5 and 4 into
 * register 31. */
static const uint32_t recall_first[] = { 0, 2, 4, 5, 6, 7 };
static const int32_t recall_tokens[] = { 2, 3, 4, 5, -32, -1, 1 };
static const uint32_t recall_targets[] = { 1, 1, 2, 2, 3, 4, 0 };
static const uint32_t write_edges[] = { 0, 1, 2, 3 }, write_registers[] = { 0, 0, 31, 31 },
                      write_values[] = { 0, 1, 2, 3 }, value_first[] = { 0, 2, 3, 4, 5 };
static const int32_t value_tokens[] = { 3, 3, 2, 5, 4 };

struct recall {
        const int32_t *tokens;
        const uint32_t *edges, *registers, *values, *value_first;
        const int32_t *value_tokens;
        size_t n_writes, n_value_first;
};

static const struct recall good_recall = {
        recall_tokens, write_edges, write_registers, write_values, value_first, value_tokens, 4, 5,
};

static int read_recall(const struct recall *a, struct grammar **ret, struct why *why) {
        struct gguf_builder b = { 0 };
        struct gguf *g;
        size_t size;
        void *file;
        int r;

        builder_add_u32s(&b, "gemmad.grammar.first", recall_first, 6);
        builder_add_i32s(&b, "gemmad.grammar.tokens", a->tokens, 7);
        builder_add_u32s(&b, "gemmad.grammar.targets", recall_targets, 7);
        if (a->edges)
                builder_add_u32s(&b, "gemmad.grammar.write_edges", a->edges, a->n_writes);
        builder_add_u32s(&b, "gemmad.grammar.write_registers", a->registers, 4);
        builder_add_u32s(&b, "gemmad.grammar.write_values", a->values, 4);
        if (a->value_first)
                builder_add_u32s(&b, "gemmad.grammar.value_first", a->value_first,
                                 a->n_value_first);
        if (a->value_tokens)
                builder_add_i32s(&b, "gemmad.grammar.value_tokens", a->value_tokens, 5);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "grammar", why) == 0);
        r = grammar_read(ret, g, 6, why);
        gguf_close(g);
        free(file);
        return r;
}

static void spells_what_was_said(void) {
        static const int32_t answers[][7] = {
                { 2, 4, 5, 3, 3, 1, -1 },
                { 3, 5, 4, 2, 1, -1 },
        };
        struct grammar *g;

        expect(read_recall(&good_recall, &g, NULL) == 0);
        for (unsigned i = 0; i < 2; i++) {
                struct grammar_place place = { 0 };

                for (const int32_t *token = answers[i]; *token >= 0; token++) {
                        /* Where a value is spelled, the model's own wish does not count. */
                        float logits[] = { 9, 1, 1, 1, 1, 1 };

                        logits[*token] = token - answers[i] < 2 ? 8 : -8;
                        expect(grammar_choose(g, &place, logits) == *token);
                        expect(grammar_follow(g, &place, 0) == -ENOENT);
                        expect(grammar_follow(g, &place, *token) == 0);
                }
                expect(place.state == 0);
        }
        grammar_free(g);
}

static void spells_nothing_unwritten(void) {
        static const uint32_t elsewhere[] = { 0, 0, 31, 30 };
        const float logits[] = { 1, 1, 1, 1, 1, 1 };
        struct recall unwritten = good_recall;
        struct grammar_place place = { 0 };
        struct grammar *g;

        unwritten.registers = elsewhere;
        expect(read_recall(&unwritten, &g, NULL) == 0);
        expect(grammar_follow(g, &place, 2) == 0 && grammar_follow(g, &place, 5) == 0);
        expect(grammar_choose(g, &place, logits) == -1);
        for (int32_t token = -33; token < 6; token++)
                expect(grammar_follow(g, &place, token) == -ENOENT);
        grammar_free(g);
}

static void refuses_damaged_registers(void) {
        static const int32_t beside[] = { 2, 3, -1, 5, -32, -1, 1 };
        static const int32_t beyond[] = { 2, 3, 4, 5, -33, -1, 1 };
        static const int32_t no_token[] = { 3, 3, 2, 5, 6 }, negative[] = { 3, 3, 2, 5, -1 };
        static const uint32_t no_edge[] = { 0, 1, 2, 7 }, falling[] = { 0, 1, 3, 2 };
        static const uint32_t no_register[] = { 0, 0, 31, 32 }, no_value[] = { 0, 1, 2, 4 };
        static const uint32_t empty_value[] = { 0, 2, 2, 4, 5 }, outside[] = { 0, 2, 3, 4, 6 };
        struct recall cases[13];

        for (unsigned i = 0; i < 13; i++)
                cases[i] = good_recall;
        cases[0].tokens = beside;
        cases[1].tokens = beyond;
        cases[2].value_tokens = no_token;
        cases[3].value_tokens = negative;
        cases[4].edges = no_edge;
        cases[5].edges = falling;
        cases[6].registers = no_register;
        cases[7].values = no_value;
        cases[8].value_first = empty_value;
        cases[9].value_first = outside;
        cases[10].n_writes = 3;
        cases[11].edges = NULL;
        cases[12].value_first = NULL; /* then there are no values to spell */
        for (unsigned i = 0; i < 13; i++) {
                struct grammar *g = NULL;
                struct why why = { "" };

                expect(read_recall(&cases[i], &g, &why) == -EBADMSG);
                expect(strstr(why.text, "gemmad.grammar.") != NULL);
                grammar_free(g);
        }
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
        rule("a register is spelled as it was written", spells_what_was_said);
        rule("what was not written can not be spelled", spells_nothing_unwritten);
        rule("damaged registers are refused by their key", refuses_damaged_registers);
        rule("a file may have no grammar", absent);
        return tap_done();
}
