/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls the words of the grammar can lead to: who says "volume" is not asking for the brightness,
 * whatever else was said. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/think/typed-internal.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define MAX_CALLS 64 /* bits; of more calls nothing is known */

/* Words that say nothing of what a sentence is about, however few sentences of a context have them. */
static const char *const empty[] = {
        "about", "again", "ahead", "also",  "does",  "from",  "give", "going", "good",  "have",
        "here",  "just",  "know",  "like",  "make",  "more",  "much", "need",  "okay",  "only",
        "over",  "please", "right", "some", "tell",  "than",  "that", "them",  "then",  "there",
        "this",  "very",  "want",  "well",  "what",  "when",  "will", "with",  "would", "could",
        "should", "your", "yours", "into",  "until", "which", "back", "thing", "things",
};

struct topics {
        struct typed *typed;
        uint64_t *calls; /* owned, [n_states]: which can be reached */
        bool *is_known;  /* owned, [n_states] */
        char names[MAX_CALLS][TYPED_MAX_WORD];
        unsigned n_names;
};

/* The name of the call that a place is at the beginning of.  False: it has none that fits. */
static bool name_at(const struct typed *t, struct grammar_place place, char name[static TYPED_MAX_WORD]) {
        size_t n = 0;

        while (n < TYPED_MAX_WORD - 1 && grammar_n_options(t->grammar, &place) == 1) {
                int32_t token = grammar_option(t->grammar, &place, 0);
                struct gguf_string piece = tokenizer_piece(t->tokenizer, token);

                for (size_t i = 0; i < piece.size && n < TYPED_MAX_WORD - 1; i++) {
                        if (piece.text[i] == '{') {
                                name[n] = '\0';
                                return true;
                        }
                        name[n++] = piece.text[i];
                }
                if (grammar_follow(t->grammar, &place, token) < 0)
                        break;
        }
        return false;
}

static uint64_t bit_of(struct topics *p, const char *name) {
        for (unsigned i = 0; i < p->n_names; i++)
                if (strcmp(p->names[i], name) == 0)
                        return UINT64_C(1) << i;
        if (p->n_names == MAX_CALLS)
                return 0;
        (void) strcpy(p->names[p->n_names], name);
        return UINT64_C(1) << p->n_names++;
}

/* What an option of a state leads to: its own calls, or a state; -ENOENT: to nothing. */
static int lead(struct topics *p, uint32_t state, size_t i, uint64_t *ret_calls, uint32_t *ret_after) {
        const struct typed *t = p->typed;
        struct grammar_place place = { .state = state };
        int32_t token = grammar_option(t->grammar, &place, i);
        char name[TYPED_MAX_WORD];

        *ret_calls = 0;
        if (grammar_follow(t->grammar, &place, token) < 0)
                return -ENOENT;
        *ret_after = place.state;
        if (token != tokenizer_special(t->tokenizer)->call_begin)
                return 0;
        if (name_at(t, place, name))
                *ret_calls = bit_of(p, name);
        return 1;
}

/* All states that can be reached from the start, those further on first.  Sentences never lead back; a
 * file that pretends so is taken as if they ended there. */
static int reach_calls(struct topics *p) {
        struct frame {
                uint32_t state;
                size_t next;
        };
        const struct grammar *g = p->typed->grammar;
        _cleanup_(freep) struct frame *stack = calloc(grammar_n_states(g) + 1, sizeof(*stack));
        size_t n = 0;

        if (!stack)
                return -ENOMEM;
        stack[n++] = (struct frame){ 0 };
        p->is_known[0] = true;
        while (n > 0) {
                struct frame *top = &stack[n - 1];
                const struct grammar_place place = { .state = top->state };
                uint32_t after = 0;
                uint64_t calls;
                int r;

                if (top->next == grammar_n_options(g, &place)) {
                        n--;
                        if (n > 0)
                                p->calls[stack[n - 1].state] |= p->calls[top->state];
                        continue;
                }
                r = lead(p, top->state, top->next++, &calls, &after);
                p->calls[top->state] |= calls;
                if (r != 0)
                        continue;
                if (p->is_known[after]) {
                        p->calls[top->state] |= p->calls[after];
                        continue;
                }
                p->is_known[after] = true;
                stack[n++] = (struct frame){ .state = after };
        }
        return 0;
}

/* Each word is about what can follow it somewhere. */
static void note_words(struct topics *p) {
        struct typed *t = p->typed;

        for (uint32_t state = 0; state < grammar_n_states(t->grammar); state++) {
                const struct grammar_place place = { .state = state };
                size_t n = p->is_known[state] ? grammar_n_options(t->grammar, &place) : 0;

                for (size_t i = 0; i < n; i++) {
                        int32_t token = grammar_option(t->grammar, &place, i);
                        struct typed_word *word = typed_word_of(t, token);
                        uint64_t calls;
                        uint32_t after;

                        if (word && lead(p, state, i, &calls, &after) == 0)
                                word->calls |= p->calls[after];
                }
        }
}

int typed_note_topics(struct typed *t) {
        size_t n = grammar_n_states(t->grammar);
        struct topics p = {
                .typed = t,
                .calls = calloc(n + 1, sizeof(*p.calls)),
                .is_known = calloc(n + 1, sizeof(*p.is_known)),
        };
        int r = -ENOMEM;

        if (p.calls && p.is_known)
                r = reach_calls(&p);
        if (r >= 0)
                note_words(&p);
        free(p.calls);
        free(p.is_known);
        return r;
}

static bool is_empty(const char *word, size_t size) {
        if (size < 4)
                return true;
        for (size_t i = 0; i < N(empty); i++)
                if (strlen(empty[i]) == size && memcmp(empty[i], word, size) == 0)
                        return true;
        return false;
}

/* The calls that the words of a sentence allow, all together. */
static uint64_t calls_of(const struct typed *t, const char *words) {
        uint64_t calls = UINT64_MAX;

        while (*words) {
                size_t n = strcspn(words, " ");
                const struct typed_word *word = is_empty(words, n) ? NULL : typed_find(t, words, n);

                if (word)
                        calls &= word->calls;
                words += n + (words[n] == ' ');
        }
        return calls;
}

bool typed_is_about(const struct typed *t, const char *said, const char *taken) {
        uint64_t both = calls_of(t, said) & calls_of(t, taken);

        return both != 0;
}
