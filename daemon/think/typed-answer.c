/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to a question: which of two commands was meant, or what a command lacked.  Only what
 * was said counts: no word of an answer is left out and none is guessed but the likes of "for". */
#include <stdio.h>
#include <string.h>

#include "daemon/think/contrast.h"
#include "daemon/think/typed-internal.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* "Set a timer", "five minutes": "for" need not be said. */
static const struct typed_slack slacks[] = {
        { 0 },
        { .n_small = 1 },
        { .n_slips = 1, .n_small = 1 },
        { .n_idle = 2, .n_small = 1 },
};

static const char *const firsts[] = { "first", "the first", "first one", "the first one", "the former" };
static const char *const seconds[] = { "second", "the second", "second one", "the second one", "the latter" };

bool typed_is_one_of(const char *said, const char *const *phrases, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(said, phrases[i]) == 0)
                        return true;
        return false;
}

/* ---- one of two ------------------------------------------------------------------------------ */

/* "fifteen please", "I said fifteen" */
static char *bare(char *said) {
        static const char *const heads[] = { "i said ", "i meant ", "please " };
        static const char tail[] = " please";
        size_t size = strlen(said);

        if (size > sizeof(tail) - 1 && strcmp(said + size - (sizeof(tail) - 1), tail) == 0)
                said[size - (sizeof(tail) - 1)] = '\0';
        for (size_t i = 0; i < N(heads); i++)
                if (strncmp(said, heads[i], strlen(heads[i])) == 0)
                        return said + strlen(heads[i]);
        return said;
}

bool typed_stands_in(const char *said, const char *sentence) {
        size_t size = strlen(said);

        for (const char *at = sentence; (at = strstr(at, said)); at++)
                if ((at == sentence || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
                        return true;
        return false;
}

/* The next number word from *at on; its size, 0: there is none. */
static size_t next_number(const char **at) {
        while (**at) {
                size_t n = strcspn(*at, " ");

                if (contrast_of(*at, n, NULL) == CONTRAST_NUMBER)
                        return n;
                *at += n + ((*at)[n] == ' ');
        }
        return 0;
}

/* "Five" is not "twenty five". */
static bool has_same_numbers(const char *a, const char *b) {
        for (;;) {
                size_t n = next_number(&a), m = next_number(&b);

                if (n != m || memcmp(a, b, n) != 0)
                        return false;
                if (n == 0)
                        return true;
                a += n;
                b += m;
        }
}

/* Whether said is what the question offered for that sentence, or says more of it. */
static bool is_meant(const char *said, const char *sentence, const char *offered, size_t offered_size) {
        if (strlen(said) == offered_size && memcmp(said, offered, offered_size) == 0)
                return true;
        return typed_stands_in(said, sentence) && has_same_numbers(said, sentence);
}

static const struct typed_command *
chosen(const struct typed *t, const struct typed_asked *asked, char *answer) {
        const struct typed_command *a = &asked->command, *b = &asked->other;
        char first[TYPED_MAX_SENTENCE], second[TYPED_MAX_SENTENCE];
        size_t n = typed_sentence(t, a->tokens, a->n_tokens, first, sizeof(first));
        size_t m = typed_sentence(t, b->tokens, b->n_tokens, second, sizeof(second));
        const char *said = bare(answer);
        size_t head, tail;
        bool is_first, is_second;

        typed_apart(first, n, second, m, &head, &tail);
        is_first = typed_is_one_of(said, firsts, N(firsts)) ||
                   is_meant(said, first, first + head, n - head - tail);
        is_second = typed_is_one_of(said, seconds, N(seconds)) ||
                    is_meant(said, second, second + head, m - head - tail);
        if (is_first == is_second)
                return NULL;
        return is_first ? a : b;
}

/* ---- what a command lacks --------------------------------------------------------------------- */

static bool parses(const struct typed *t, const char *text, struct typed_command *ret) {
        struct wording w;
        unsigned order[WORDING_MAX_WORDS];

        if (wording_read(&w, text, strlen(text)) < 0)
                return false;
        for (unsigned i = 0; i < w.n_words; i++)
                order[i] = i;
        for (size_t i = 0; i < N(slacks); i++)
                if (typed_sentence_in(&(struct typed_text){ t, &w, slacks[i] }, order, w.n_words, ret))
                        return true;
        return false;
}

/* A last word that says nothing of its own may go: "set a timer please". */
static bool cut_last(const struct typed *t, const struct typed_command *whole, char *sentence) {
        struct typed_command rest;
        char *last;

        while ((last = strrchr(sentence, ' ')) &&
               contrast_of(last + 1, strlen(last + 1), NULL) == CONTRAST_NONE) {
                *last = '\0';
                if (parses(t, sentence, &rest) && typed_is_same_call(&rest, whole))
                        return true;
        }
        return false;
}

static bool
complete(const struct typed *t, const struct typed_command *open, const char *said, struct typed_command *ret) {
        char sentence[TYPED_MAX_SENTENCE], text[2 * TYPED_MAX_SENTENCE];

        (void) typed_sentence(t, open->tokens, open->n_tokens, sentence, sizeof(sentence));
        do {
                int n = snprintf(text, sizeof(text), "%s %s", sentence, said);

                if (n < 0 || (size_t) n >= sizeof(text))
                        return false;
                if (parses(t, text, ret))
                        return !typed_asks(t, ret) && !typed_calls(t, ret, "cannot");
        } while (cut_last(t, open, sentence));
        return false;
}

bool typed_asks(const struct typed *t, const struct typed_command *command) {
        return typed_calls(t, command, "ask");
}

enum typed_verdict typed_answer(const struct typed *t,
                                const struct typed_asked *asked,
                                const struct wording *w,
                                struct typed_command *ret) {
        const struct typed_command *command;
        char said[TYPED_MAX_SENTENCE];

        if (w->n_words == 0 || asked->command.n_tokens == 0)
                return TYPED_NOTHING;
        if (typed_text_withdraws(&(struct typed_text){ t, w, { 0 } }))
                return TYPED_TAKEN_BACK;
        if (!wording_is_sayable(w) || wording_write(w, said, sizeof(said)) < 0)
                return TYPED_NOTHING;
        if (asked->other.n_tokens == 0)
                return complete(t, &asked->command, said, ret) ? TYPED_COMMANDS : TYPED_NOTHING;
        command = chosen(t, asked, said);
        if (command)
                *ret = *command;
        return command ? TYPED_COMMANDS : TYPED_NOTHING;
}
