/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls the words of the grammar can lead to: who says "volume" is not asking for the brightness,
 * whatever else was said. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/think/typed-internal.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define MAX_CALLS 64 /* bits; of more calls nothing is known */

/* What the sentences through a state are, from there on: none, several calls, or one, whose first state
 * follows. */
#define OUTCOME_NONE    0
#define OUTCOME_SEVERAL 1
#define OUTCOME_CALL    2

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

bool typed_name_at(const struct typed *t, struct grammar_place place, char name[static TYPED_MAX_WORD]) {
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

/* A word that writes a value makes another call of the sentence. */
static bool has_written(const struct grammar_place *place) {
        for (unsigned i = 0; i < GRAMMAR_N_REGISTERS; i++)
                if (place->registers[i] != 0)
                        return true;
        return false;
}

static void add_outcome(struct topics *p, uint32_t state, uint32_t outcome) {
        uint32_t *all = &p->typed->outcomes[state];

        if (*all == OUTCOME_NONE)
                *all = outcome;
        else if (outcome != OUTCOME_NONE && outcome != *all)
                *all = OUTCOME_SEVERAL;
}

/* Words that take back what was said: nobody is waited for because he may change his mind. */
static bool takes_back(const struct topics *p, const struct grammar_place *place, size_t i) {
        static const char *const words[] = { "never", "forget", "no" };
        const struct typed_word *word = typed_word_of(p->typed, grammar_option(p->typed->grammar, place, i));

        return word && typed_is_one_of(word->text, words, N(words));
}

/* What an option of a state leads to: its own calls (1), a state (0); -ENOENT: to nothing. */
static int lead(struct topics *p, uint32_t state, size_t i, uint64_t *ret_calls, struct grammar_place *ret_after) {
        const struct typed *t = p->typed;
        struct grammar_place place = { .state = state };
        int32_t token = grammar_option(t->grammar, &place, i);
        char name[TYPED_MAX_WORD];

        *ret_calls = 0;
        if (grammar_follow(t->grammar, &place, token) < 0)
                return -ENOENT;
        *ret_after = place;
        if (token != tokenizer_special(t->tokenizer)->call_begin)
                return 0;
        if (typed_name_at(t, place, name))
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
                struct grammar_place after;
                bool is_taken_back;
                uint64_t calls;
                int r;

                if (top->next == grammar_n_options(g, &place)) {
                        n--;
                        continue;
                }
                r = lead(p, top->state, top->next, &calls, &after);
                if (r == 0 && !p->is_known[after.state]) {
                        /* And then this option once more. */
                        p->is_known[after.state] = true;
                        stack[n++] = (struct frame){ .state = after.state };
                        continue;
                }
                is_taken_back = takes_back(p, &place, top->next++);
                if (r < 0)
                        continue;
                p->calls[top->state] |= r == 0 ? p->calls[after.state] : calls;
                if (is_taken_back)
                        continue;
                add_outcome(p, top->state,
                            has_written(&after) ? OUTCOME_SEVERAL
                            : r == 0            ? p->typed->outcomes[after.state]
                                                : OUTCOME_CALL + after.state);
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
                        struct grammar_place after;
                        uint64_t calls;

                        if (word && lead(p, state, i, &calls, &after) == 0)
                                word->calls |= p->calls[after.state];
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

        t->outcomes = calloc(n + 1, sizeof(*t->outcomes));
        if (p.calls && p.is_known && t->outcomes)
                r = reach_calls(&p);
        if (r >= 0)
                note_words(&p);
        free(p.calls);
        free(p.is_known);
        return r;
}

bool typed_can_go_on(const struct typed *t, const int32_t *tokens, unsigned n_tokens) {
        struct grammar_place place = { 0 };

        for (unsigned i = 0; i < n_tokens; i++)
                if (grammar_follow(t->grammar, &place, tokens[i]) < 0)
                        return true;
        return t->outcomes[place.state] < OUTCOME_CALL;
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
