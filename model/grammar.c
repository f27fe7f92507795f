/* SPDX-License-Identifier: Apache-2.0 */
#include "model/grammar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define FIRST_KEY   "gemmad.grammar.first"
#define TOKENS_KEY  "gemmad.grammar.tokens"
#define TARGETS_KEY "gemmad.grammar.targets"

struct edge {
        int32_t token;
        uint32_t target;
};

struct grammar {
        uint32_t *first;    /* owned, [n_states + 1] */
        struct edge *edges; /* owned */
        size_t n_states, n_edges;
};

DEFINE_CLEANUP(struct grammar *, grammar_free)

static int bad(struct why *why, const char *key, const char *what) {
        return because(why, -EBADMSG, "key '%s' %s", key, what);
}

static int read_first(struct grammar *g, const struct gguf_array *a, struct why *why) {
        int64_t value, before = 0;

        for (size_t i = 0; i <= g->n_states; i++) {
                if (gguf_array_integer(a, i, &value) < 0)
                        return bad(why, FIRST_KEY, "is not an array of integers");
                /* Every state has an edge, or an answer could get stuck. */
                if (i == 0 ? value != 0 : value <= before)
                        return bad(why, FIRST_KEY, "does not rise from 0");
                if ((uint64_t) value > g->n_edges)
                        return bad(why, FIRST_KEY, "points beyond the edges");
                g->first[i] = (uint32_t) value;
                before = value;
        }
        if (g->first[g->n_states] != g->n_edges)
                return bad(why, FIRST_KEY, "does not end with the number of edges");
        return 0;
}

static int read_edges(struct grammar *g,
                      const struct gguf_array *tokens,
                      const struct gguf_array *targets,
                      size_t n_vocab,
                      struct why *why) {
        for (size_t state = 0; state < g->n_states; state++)
                for (size_t i = g->first[state]; i < g->first[state + 1]; i++) {
                        int64_t token, target;

                        if (gguf_array_integer(tokens, i, &token) < 0 || token < 0 ||
                            (uint64_t) token >= n_vocab)
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

int grammar_read(struct grammar **ret, const struct gguf *file, size_t n_vocab, struct why *why) {
        _cleanup_(grammar_freep) struct grammar *g = NULL;
        struct gguf_array first, tokens, targets;
        int r;

        r = gguf_get_array(file, FIRST_KEY, &first, why);
        if (r < 0)
                return r;
        r = gguf_get_array(file, TOKENS_KEY, &tokens, why);
        if (r < 0)
                return r == -ENOENT ? bad(why, TOKENS_KEY, "is missing") : r;
        r = gguf_get_array(file, TARGETS_KEY, &targets, why);
        if (r < 0)
                return r == -ENOENT ? bad(why, TARGETS_KEY, "is missing") : r;
        if (first.n < 2 || tokens.n != targets.n || tokens.n > UINT32_MAX || first.n > UINT32_MAX)
                return bad(why, FIRST_KEY, "and its edges do not fit together");

        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        g->n_states = first.n - 1;
        g->n_edges = tokens.n;
        g->first = calloc(first.n, sizeof(*g->first));
        g->edges = calloc(tokens.n + 1, sizeof(*g->edges));
        if (!g->first || !g->edges)
                return -ENOMEM;

        r = read_first(g, &first, why);
        if (r < 0)
                return r;
        r = read_edges(g, &tokens, &targets, n_vocab, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(g);
        return 0;
}

struct grammar *grammar_free(struct grammar *g) {
        if (!g)
                return NULL;

        free(g->first);
        free(g->edges);
        free(g);
        return NULL;
}

size_t grammar_n_states(const struct grammar *g) {
        return g->n_states;
}

int32_t grammar_choose(const struct grammar *g, uint32_t state, const float *logits) {
        float best = -INFINITY;
        int32_t choice = -1;

        for (size_t i = g->first[state]; i < g->first[state + 1]; i++)
                if (logits[g->edges[i].token] > best) {
                        best = logits[g->edges[i].token];
                        choice = g->edges[i].token;
                }
        return choice;
}

static int compare_edges(const void *a, const void *b) {
        int32_t x = ((const struct edge *) a)->token, y = ((const struct edge *) b)->token;

        return (x > y) - (x < y);
}

int grammar_follow(const struct grammar *g, uint32_t *state, int32_t token) {
        const struct edge key = { .token = token };
        size_t first = g->first[*state], n = g->first[*state + 1] - first;
        const struct edge *e = bsearch(&key, g->edges + first, n, sizeof(*e), compare_edges);

        if (!e)
                return -ENOENT;
        *state = e->target;
        return 0;
}
