/* SPDX-License-Identifier: Apache-2.0 */
#include "model/grammar.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define KEY                 "gemmad.grammar."
#define FIRST_KEY           KEY "first"
#define TOKENS_KEY          KEY "tokens"
#define TARGETS_KEY         KEY "targets"
#define WRITE_EDGES_KEY     KEY "write_edges"
#define WRITE_REGISTERS_KEY KEY "write_registers"
#define WRITE_VALUES_KEY    KEY "write_values"
#define VALUE_FIRST_KEY     KEY "value_first"
#define VALUE_TOKENS_KEY    KEY "value_tokens"

struct edge {
        int32_t token; /* below 0: spells register -1 - token */
        uint32_t target;
};

struct write {
        uint32_t edge, number, value; /* number: of the register */
};

struct grammar {
        uint32_t *first;       /* owned, [n_states + 1] */
        struct edge *edges;    /* owned */
        struct write *writes;  /* owned */
        uint32_t *value_first; /* owned, [n_values + 1]; NULL: no values */
        int32_t *value_tokens; /* owned */
        struct leeway *leeway; /* owned */
        struct meanings *meanings; /* owned; NULL: the file has none */
        size_t n_states, n_edges, n_writes, n_values, n_value_tokens;
};

DEFINE_CLEANUP(struct grammar *, grammar_free)

static int bad(struct why *why, const char *key, const char *what) {
        return because(why, -EBADMSG, "key '%s' %s", key, what);
}

/* [n + 1] indices that rise from 0 to end, so that every part has something. */
static int read_rising(uint32_t *ret,
                       const struct gguf_array *a,
                       size_t n,
                       size_t end,
                       const char *key,
                       struct why *why) {
        int64_t value, before = 0;

        for (size_t i = 0; i <= n; i++) {
                if (gguf_array_integer(a, i, &value) < 0)
                        return bad(why, key, "is not an array of integers");
                if (i == 0 ? value != 0 : value <= before)
                        return bad(why, key, "does not rise from 0");
                if ((uint64_t) value > end)
                        return bad(why, key, "points beyond the end");
                ret[i] = (uint32_t) value;
                before = value;
        }
        return (size_t) before == end ? 0 : bad(why, key, "does not reach the end");
}

static bool is_token(const struct grammar *g, int64_t token, bool is_alone, size_t n_vocab) {
        if (token >= 0)
                return (uint64_t) token < n_vocab;
        /* A register is spelled in a state of its own: what else could follow is not known when
         * the automaton is made, so it would not be deterministic. */
        return is_alone && g->n_values > 0 && token >= -GRAMMAR_N_REGISTERS;
}

static int read_edges(struct grammar *g,
                      const struct gguf_array *tokens,
                      const struct gguf_array *targets,
                      size_t n_vocab,
                      struct why *why) {
        for (size_t state = 0; state < g->n_states; state++)
                for (size_t i = g->first[state]; i < g->first[state + 1]; i++) {
                        int64_t token, target;

                        if (gguf_array_integer(tokens, i, &token) < 0 ||
                            !is_token(g, token, g->first[state + 1] - g->first[state] == 1,
                                      n_vocab))
                                return bad(why, TOKENS_KEY, "is not an array of token ids");
                        if (i > g->first[state] && token <= g->edges[i - 1].token)
                                return bad(why, TOKENS_KEY, "does not rise within a state");
                        if (gguf_array_integer(targets, i, &target) < 0 || target < 0 ||
                            (uint64_t) target >= g->n_states)
                                return bad(why, TARGETS_KEY, "is not an array of states");
                        g->edges[i] = (struct edge){ (int32_t) token, (uint32_t) target };
                }
        return 0;
}

static int read_values(struct grammar *g,
                       const struct gguf *file,
                       const struct gguf_array *first,
                       size_t n_vocab,
                       struct why *why) {
        struct gguf_array tokens;
        int64_t token;
        int r;

        r = gguf_get_array(file, VALUE_TOKENS_KEY, &tokens, why);
        if (r < 0)
                return r == -ENOENT ? bad(why, VALUE_TOKENS_KEY, "is missing") : r;
        if (first->n < 2 || first->n > UINT32_MAX || tokens.n > UINT32_MAX)
                return bad(why, VALUE_FIRST_KEY, "and its tokens do not fit together");

        g->n_values = first->n - 1;
        g->n_value_tokens = tokens.n;
        g->value_first = calloc(first->n, sizeof(*g->value_first));
        g->value_tokens = calloc(tokens.n + 1, sizeof(*g->value_tokens));
        if (!g->value_first || !g->value_tokens)
                return -ENOMEM;

        for (size_t i = 0; i < tokens.n; i++) {
                if (gguf_array_integer(&tokens, i, &token) < 0 || token < 0 ||
                    (uint64_t) token >= n_vocab)
                        return bad(why, VALUE_TOKENS_KEY, "is not an array of token ids");
                g->value_tokens[i] = (int32_t) token;
        }
        return read_rising(g->value_first, first, g->n_values, tokens.n, VALUE_FIRST_KEY, why);
}

/* After the edges and the values that they are about. */
static int read_writes(struct grammar *g, const struct gguf *file, struct why *why) {
        static const char *const keys[] = { WRITE_EDGES_KEY, WRITE_REGISTERS_KEY,
                                            WRITE_VALUES_KEY };
        const size_t limits[] = { g->n_edges, GRAMMAR_N_REGISTERS, g->n_values };
        struct gguf_array columns[3];
        int64_t row[3], before = 0;
        int r;

        for (size_t k = 0; k < 3; k++) {
                r = gguf_get_array(file, keys[k], &columns[k], why);
                if (r < 0)
                        return r == -ENOENT ? bad(why, keys[k], "is missing") : r;
                if (columns[k].n != columns[0].n || columns[k].n > UINT32_MAX)
                        return bad(why, keys[k], "has another length than the others");
        }

        g->writes = calloc(columns[0].n + 1, sizeof(*g->writes));
        if (!g->writes)
                return -ENOMEM;
        g->n_writes = columns[0].n;
        for (size_t i = 0; i < g->n_writes; i++) {
                for (size_t k = 0; k < 3; k++)
                        if (gguf_array_integer(&columns[k], i, &row[k]) < 0 || row[k] < 0 ||
                            (uint64_t) row[k] >= limits[k])
                                return bad(why, keys[k], "points at nothing");
                if (row[0] < before)
                        return bad(why, keys[0], "falls");
                before = row[0];
                g->writes[i] =
                        (struct write){ (uint32_t) row[0], (uint32_t) row[1], (uint32_t) row[2] };
        }
        return 0;
}

/* The states and their edges, after the values. */
static int read_states(struct grammar *g,
                       const struct gguf *file,
                       const struct gguf_array *first,
                       size_t n_vocab,
                       struct why *why) {
        struct gguf_array tokens, targets;
        int r;

        r = gguf_get_array(file, TOKENS_KEY, &tokens, why);
        if (r < 0)
                return r == -ENOENT ? bad(why, TOKENS_KEY, "is missing") : r;
        r = gguf_get_array(file, TARGETS_KEY, &targets, why);
        if (r < 0)
                return r == -ENOENT ? bad(why, TARGETS_KEY, "is missing") : r;
        if (first->n < 2 || tokens.n != targets.n || tokens.n > UINT32_MAX || first->n > UINT32_MAX)
                return bad(why, FIRST_KEY, "and its edges do not fit together");

        g->n_states = first->n - 1;
        g->n_edges = tokens.n;
        g->first = calloc(first->n, sizeof(*g->first));
        g->edges = calloc(tokens.n + 1, sizeof(*g->edges));
        if (!g->first || !g->edges)
                return -ENOMEM;

        r = read_rising(g->first, first, g->n_states, g->n_edges, FIRST_KEY, why);
        if (r < 0)
                return r;
        return read_edges(g, &tokens, &targets, n_vocab, why);
}

int grammar_read(struct grammar **ret, const struct gguf *file, size_t n_vocab, struct why *why) {
        _cleanup_(grammar_freep) struct grammar *g = NULL;
        struct gguf_array first, value_first;
        bool has_values;
        int r;

        r = gguf_get_array(file, FIRST_KEY, &first, why);
        if (r < 0)
                return r;
        r = gguf_get_array(file, VALUE_FIRST_KEY, &value_first, why);
        if (r < 0 && r != -ENOENT)
                return r;
        has_values = r != -ENOENT;

        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        r = has_values ? read_values(g, file, &value_first, n_vocab, why) : 0;
        if (r < 0)
                return r;
        r = read_states(g, file, &first, n_vocab, why);
        if (r < 0)
                return r;
        r = has_values ? read_writes(g, file, why) : 0;
        if (r >= 0)
                r = leeway_read(&g->leeway, file, n_vocab, why);
        if (r >= 0)
                r = meanings_read(&g->meanings, file, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(g);
        return 0;
}

struct grammar *grammar_free(struct grammar *g) {
        if (!g)
                return NULL;

        leeway_free(g->leeway);
        meanings_free(g->meanings);
        free(g->first);
        free(g->edges);
        free(g->writes);
        free(g->value_first);
        free(g->value_tokens);
        free(g);
        return NULL;
}

size_t grammar_n_states(const struct grammar *g) {
        return g->n_states;
}

const struct leeway *grammar_leeway(const struct grammar *g) {
        return g->leeway;
}

const struct meanings *grammar_meanings(const struct grammar *g) {
        return g->meanings;
}

/* The tokens of the value that a state has to spell: n of them, 0 if its register was not written.
 * NULL in any other state. */
static const int32_t *
spelled(const struct grammar *g, const struct grammar_place *place, uint32_t *ret_n) {
        int32_t token = g->edges[g->first[place->state]].token;
        uint32_t value;

        if (token >= 0)
                return NULL;
        value = place->registers[-1 - token];
        *ret_n = 0;
        if (value == 0)
                return g->value_tokens;
        *ret_n = g->value_first[value] - g->value_first[value - 1];
        return g->value_tokens + g->value_first[value - 1];
}

int32_t
grammar_choose(const struct grammar *g, const struct grammar_place *place, const float *logits) {
        float best = -INFINITY;
        const int32_t *value;
        int32_t choice = -1;
        uint32_t n;

        value = spelled(g, place, &n);
        if (value) {
                if (place->spelled >= n || logits[value[place->spelled]] == -INFINITY)
                        return -1;
                return value[place->spelled];
        }

        for (size_t i = g->first[place->state]; i < g->first[place->state + 1]; i++)
                if (logits[g->edges[i].token] > best) {
                        best = logits[g->edges[i].token];
                        choice = g->edges[i].token;
                }
        return choice;
}

size_t grammar_n_options(const struct grammar *g, const struct grammar_place *place) {
        uint32_t n;

        if (spelled(g, place, &n))
                return place->spelled < n;
        return g->first[place->state + 1] - g->first[place->state];
}

int32_t grammar_option(const struct grammar *g, const struct grammar_place *place, size_t i) {
        uint32_t n;
        const int32_t *value = spelled(g, place, &n);

        return value ? value[place->spelled] : g->edges[g->first[place->state] + i].token;
}

static int compare_edges(const void *a, const void *b) {
        int32_t x = ((const struct edge *) a)->token, y = ((const struct edge *) b)->token;

        return (x > y) - (x < y);
}

/* The first of the writes of an edge, or where it would be. */
static size_t first_write(const struct grammar *g, size_t edge) {
        size_t low = 0, high = g->n_writes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (g->writes[middle].edge < edge)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void cross(const struct grammar *g, struct grammar_place *place, const struct edge *e) {
        size_t edge = (size_t) (e - g->edges);

        for (size_t i = first_write(g, edge); i < g->n_writes && g->writes[i].edge == edge; i++)
                place->registers[g->writes[i].number] = 1 + g->writes[i].value;
        place->state = e->target;
        place->spelled = 0;
}

int grammar_follow(const struct grammar *g, struct grammar_place *place, int32_t token) {
        const struct edge key = { .token = token };
        size_t first = g->first[place->state];
        const struct edge *e;
        const int32_t *value;
        uint32_t n;

        value = spelled(g, place, &n);
        if (value) {
                if (place->spelled >= n || value[place->spelled] != token)
                        return -ENOENT;
                place->spelled++;
                if (place->spelled == n)
                        cross(g, place, &g->edges[first]);
                return 0;
        }

        e = bsearch(&key, g->edges + first, g->first[place->state + 1] - first, sizeof(*e),
                    compare_edges);
        if (!e)
                return -ENOENT;
        cross(g, place, e);
        return 0;
}
