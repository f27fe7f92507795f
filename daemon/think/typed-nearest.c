/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence of the grammar that is nearest to what was typed: a shortest path through pairs of a
 * word of the text and a state of the grammar; and what tells two sentences apart. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/think/contrast.h"
#include "daemon/think/typed-internal.h"

/* What it costs that the sentence has a word more, less or another.  Words that a contrast has are
 * never left out and never exchanged: a hint may not say the opposite. */
#define COST_SLIP   1
#define COST_MORE   2
#define COST_LESS   3
#define COST_OTHER  3
#define MOST_COST   5
#define MAX_WORDS   (WORDING_MAX_WORDS)
#define MAX_NODES   60000
#define N_SLOTS     131072 /* of the set of nodes; a power of two, twice what can be in it */

struct node {
        uint32_t state, parent; /* parent: its index; the root's is its own */
        int32_t token;          /* that led here; -1: none did */
        uint8_t at, cost;
};

struct nearest {
        const struct typed *typed;
        struct {
                char text[TYPED_MAX_WORD];
                bool is_weighty;
        } words[MAX_WORDS];
        unsigned n_words, most_cost;
        bool has_number;
        struct node *nodes; /* owned, [MAX_NODES] */
        unsigned n_nodes;
        uint32_t *slots; /* owned, [N_SLOTS], 1 + index of a node that was visited */
};

static bool is_weighty(const char *word) {
        return contrast_of(word, strlen(word), NULL) != CONTRAST_NONE;
}

/* The likeliest readings, word by word.  False: too many, or too long. */
static bool spread(struct nearest *n, const struct wording *w) {
        char text[2048], *saved = NULL;

        if (wording_write(w, text, sizeof(text)) < 0)
                return false;
        for (char *word = strtok_r(text, " ", &saved); word; word = strtok_r(NULL, " ", &saved)) {
                if (n->n_words == MAX_WORDS || strlen(word) >= TYPED_MAX_WORD)
                        return false;
                (void) strcpy(n->words[n->n_words].text, word);
                n->words[n->n_words++].is_weighty = is_weighty(word);
                n->has_number |= contrast_of(word, strlen(word), NULL) == CONTRAST_NUMBER;
        }
        return n->n_words > 0;
}

static void reach(struct nearest *n, uint32_t parent, struct node node, unsigned cost) {
        cost += n->nodes[parent].cost;
        if (cost > n->most_cost || n->n_nodes == MAX_NODES)
                return;
        node.parent = parent;
        node.cost = (uint8_t) cost;
        n->nodes[n->n_nodes++] = node;
}

/* False: somebody came here before, and so for less. */
static bool visit(struct nearest *n, uint32_t index) {
        const struct node *node = &n->nodes[index];
        uint32_t at = (node->state * 2654435761u + node->at * 40503u) & (N_SLOTS - 1);

        while (n->slots[at]) {
                const struct node *other = &n->nodes[n->slots[at] - 1];

                if (other->state == node->state && other->at == node->at)
                        return false;
                at = (at + 1) & (N_SLOTS - 1);
        }
        n->slots[at] = index + 1;
        return true;
}

/* The word of a token, as a row of the vocabulary. */
static size_t text_of(const struct typed *t, int32_t token, char *out, size_t size) {
        return typed_sentence(t, &token, 1, out, size);
}

/* What it costs to take the typed word for that one; above MOST_COST: it can not be. */
static unsigned price(const struct nearest *n, unsigned at, const char *word) {
        const char *typed = n->words[at].text;

        if (strcmp(typed, word) == 0)
                return 0;
        if (n->words[at].is_weighty || is_weighty(word))
                return MOST_COST + 1;
        return strlen(typed) >= 4 && typed_is_slip(typed, word) ? COST_SLIP : COST_OTHER;
}

/* Nothing is denied or corrected that was not, and a number that was typed is the whole number. */
static bool may_be_more(const struct nearest *n, const char *word) {
        static const char *const corrections[] = { "sorry", "actually", "wait", "rather", "mean" };
        enum contrast kind = contrast_of(word, strlen(word), NULL);

        for (size_t i = 0; i < sizeof(corrections) / sizeof(corrections[0]); i++)
                if (strcmp(word, corrections[i]) == 0)
                        return false;
        return kind != CONTRAST_DENIAL && !(kind == CONTRAST_NUMBER && n->has_number);
}

static void expand(struct nearest *n, uint32_t index) {
        const struct node from = n->nodes[index];
        const struct grammar *g = n->typed->grammar;
        const struct grammar_place place = { .state = from.state };
        size_t n_options = grammar_n_options(g, &place);

        if (from.at < n->n_words && !n->words[from.at].is_weighty)
                reach(n, index, (struct node){ from.state, 0, -1, (uint8_t) (from.at + 1), 0 },
                      COST_LESS);
        for (size_t i = 0; i < n_options; i++) {
                struct grammar_place after = place;
                int32_t token = grammar_option(g, &place, i);
                char word[TYPED_MAX_WORD];

                if (text_of(n->typed, token, word, sizeof(word)) == 0 ||
                    grammar_follow(g, &after, token) < 0)
                        continue;
                if (from.at < n->n_words)
                        reach(n, index,
                              (struct node){ after.state, 0, token, (uint8_t) (from.at + 1), 0 },
                              price(n, from.at, word));
                if (may_be_more(n, word))
                        reach(n, index, (struct node){ after.state, 0, token, from.at, 0 },
                              COST_MORE);
        }
}

static bool can_end(const struct nearest *n, const struct node *node) {
        struct grammar_place place = { .state = node->state };

        return node->at == n->n_words &&
               grammar_follow(n->typed->grammar, &place,
                              tokenizer_special(n->typed->tokenizer)->call_begin) >= 0;
}

/* From the root to the node; the words of the path. */
static size_t write_path(const struct nearest *n, uint32_t index, char *out, size_t out_size) {
        int32_t tokens[TYPED_MAX_TOKENS];
        unsigned at = TYPED_MAX_TOKENS;

        for (; n->nodes[index].parent != index; index = n->nodes[index].parent)
                if (n->nodes[index].token >= 0 && at > 0)
                        tokens[--at] = n->nodes[index].token;
        return typed_sentence(n->typed, tokens + at, TYPED_MAX_TOKENS - at, out, out_size);
}

/* Nodes are made in no order, so each cost goes through all of them. */
static size_t search(struct nearest *n, char *out, size_t out_size) {
        n->nodes[0] = (struct node){ .token = -1 };
        n->n_nodes = 1;
        for (unsigned cost = 0; cost <= n->most_cost; cost++)
                for (uint32_t i = 0; i < n->n_nodes; i++) {
                        if (n->nodes[i].cost != cost || !visit(n, i))
                                continue;
                        if (can_end(n, &n->nodes[i]))
                                return write_path(n, i, out, out_size);
                        expand(n, i);
                }
        return 0;
}

size_t typed_nearest(const struct typed *t, const struct wording *w, char *out, size_t out_size) {
        struct nearest n = { .typed = t };
        size_t size = 0;

        if (!spread(&n, w))
                return 0;
        /* Of a word or two nothing can be known but how they go on. */
        n.most_cost = n.n_words > 2 ? MOST_COST : COST_MORE * n.n_words;
        n.nodes = malloc(MAX_NODES * sizeof(*n.nodes));
        n.slots = calloc(N_SLOTS, sizeof(*n.slots));
        if (n.nodes && n.slots)
                size = search(&n, out, out_size);
        free(n.nodes);
        free(n.slots);
        return size;
}

/* Whole words that both begin with, and those that both end with; how much of either they are. */
static size_t common_head(const char *a, const char *b) {
        size_t n = 0, head = 0;

        while (a[n] && a[n] == b[n])
                if (a[n++] == ' ')
                        head = n;
        return head;
}

static size_t common_tail(const char *a, size_t a_size, const char *b, size_t b_size) {
        size_t n = 0, tail = 0;

        while (n < a_size && n < b_size && a[a_size - 1 - n] == b[b_size - 1 - n])
                if (a[a_size - 1 - n++] == ' ')
                        tail = n;
        /* All of one, behind a word of the other. */
        if ((n == a_size && (n == b_size || b[b_size - 1 - n] == ' ')) ||
            (n == b_size && a[a_size - 1 - n] == ' '))
                tail = n;
        return tail;
}

void typed_apart(
        const char *a, size_t a_size, const char *b, size_t b_size, size_t *ret_head, size_t *ret_tail) {
        size_t head = common_head(a, b);
        size_t tail = common_tail(a + head, a_size - head, b + head, b_size - head);
        /* Where one only says more, it takes the whole of both to see what. */
        bool is_apart = head + tail < a_size && head + tail < b_size;

        *ret_head = is_apart ? head : 0;
        *ret_tail = is_apart ? tail : 0;
}

size_t typed_question(const struct typed *t,
                      const int32_t *tokens,
                      unsigned n_tokens,
                      const struct typed_command *other,
                      char *out,
                      size_t out_size) {
        char a[TYPED_MAX_SENTENCE], b[TYPED_MAX_SENTENCE];
        size_t n = typed_sentence(t, tokens, n_tokens, a, sizeof(a));
        size_t m = typed_sentence(t, other->tokens, other->n_tokens, b, sizeof(b));
        size_t head, tail;
        int size;

        typed_apart(a, n, b, m, &head, &tail);
        size = snprintf(out, out_size, "%.*s or %.*s?", (int) (n - head - tail), a + head,
                        (int) (m - head - tail), b + head);
        if (size < 0 || (size_t) size >= out_size)
                return 0;
        out[0] = (char) toupper((unsigned char) out[0]);
        return (size_t) size;
}
