/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of a text that is more than one sentence: commands one after the other, one that is
 * taken back, one that is corrected. */
#include <string.h>

#include "daemon/think/contrast.h"
#include "daemon/think/typed-internal.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Longer corrections are new sentences. */
#define MAX_CORRECTED 6

static const char *const joints[] = { "and", "then", "also", "plus", "afterwards" };

/* At the end of a text: what was said before is not wanted. */
static const char *const withdrawals[] = {
        "no wait never mind", "no never mind", "never mind that", "never mind", "nevermind",
        "forget about it", "forget it", "forget that", "cancel that", "scratch that",
        "no wait forget it", "no forget it", "ignore that", "no do not", "no don't", "no wait", "no no",
        "actually do not", "actually don't", "on second thought do not", "wait no", "actually no", "no",
};

/* In the middle: what follows is to be instead of something before.  The longest first. */
static const char *const corrections[] = {
        "no wait make that", "no make that", "no i mean", "no i meant", "no sorry", "sorry i mean",
        "sorry i meant", "wait no", "no wait", "oh no", "i mean", "i meant", "make that", "make it",
        "or rather", "scratch that", "actually", "sorry", "rather", "oops", "no",
};

/* Behind "and": the same once more.  The longest first. */
static const char *const others[] = {
        "another alarm", "another timer", "another one", "another", "a second alarm", "a second timer",
        "a second one", "a second", "an alarm", "a timer", "one more", "one alarm", "one", "also",
};

static const char *typed_at(const struct typed_text *text, unsigned i) {
        return text->wording->words[i].typed;
}

/* How many words from at on are this phrase; 0: it does not stand there. */
static unsigned phrase_at(const struct typed_text *text, unsigned at, unsigned end, const char *phrase) {
        unsigned n = 0;

        for (;;) {
                size_t size = strcspn(phrase, " ");

                if (at + n >= end || strlen(typed_at(text, at + n)) != size ||
                    memcmp(typed_at(text, at + n), phrase, size) != 0)
                        return 0;
                n++;
                if (!phrase[size])
                        return n;
                phrase += size + 1;
        }
}

bool typed_is_joint(const char *word) {
        for (size_t k = 0; k < N(joints); k++)
                if (strcmp(word, joints[k]) == 0)
                        return true;
        return false;
}

static bool is_joint(const struct typed_text *text, unsigned i) {
        return typed_is_joint(typed_at(text, i));
}

/* The words from begin to end are a sentence. */
static bool
is_sentence(const struct typed_text *text, unsigned begin, unsigned end, struct typed_command *ret) {
        unsigned order[WORDING_MAX_WORDS], n = 0;

        for (unsigned i = begin; i < end; i++)
                order[n++] = i;
        return typed_sentence_in(text, order, n, ret);
}

unsigned typed_kinds_in(const struct typed_text *text, unsigned begin, unsigned end) {
        unsigned kinds = 0;

        for (unsigned i = begin; i < end; i++) {
                const struct wording_word *word = &text->wording->words[i];
                const char *said = word->n_readings > 0 ? word->readings[0] : word->typed;
                enum contrast kind = contrast_of(said, strcspn(said, " "), NULL);

                /* "am" is read as two words. */
                if (kind == CONTRAST_NONE)
                        kind = contrast_of(word->typed, strlen(word->typed), NULL);
                kinds |= kind == CONTRAST_NONE ? 0 : 1u << kind;
                if (strcmp(word->typed, "m") == 0 && i > 0 && strchr("ap", typed_at(text, i - 1)[0]) &&
                    strlen(typed_at(text, i - 1)) == 1)
                        kinds |= 1u << CONTRAST_DAYTIME;
        }
        return kinds;
}

/* What is said again, in part, in the place of what was said before. */
struct echo {
        unsigned begin, before; /* the sentence that it is about */
        unsigned from, to;      /* the words that are new */
};

/* That sentence with the new words in the place of those from a to b. */
static bool replaces(const struct typed_text *text,
                     unsigned a,
                     unsigned b,
                     const struct echo *said,
                     struct typed_command *ret) {
        unsigned order[WORDING_MAX_WORDS], n = 0;
        unsigned old = typed_kinds_in(text, a, b), new = typed_kinds_in(text, said->from, said->to);

        /* Like takes the place of like, and nothing that counts is lost. */
        if ((old & ~new) != 0 || (old == 0) != (new == 0))
                return false;
        for (unsigned i = said->begin; i < a; i++)
                order[n++] = i;
        for (unsigned i = said->from; i < said->to; i++)
                order[n++] = i;
        for (unsigned i = b; i < said->before; i++)
                order[n++] = i;
        return typed_sentence_in(text, order, n, ret);
}

/* The nearest words first, and as few as can be. */
static bool fits(const struct typed_text *text, const struct echo *said, struct typed_command *ret) {
        for (unsigned b = said->before; b > said->begin && said->before - b <= MAX_CORRECTED; b--)
                for (unsigned a = b; a-- > said->begin + 1 && b - a <= MAX_CORRECTED;)
                        if (replaces(text, a, b, said, ret))
                                return true;
        return false;
}

/* "... and another for eleven": the sentence before once more, with something else in it.  What stands
 * there alone has to be a time of day, since "an hour and twenty" is one time. */
static bool is_another(const struct typed_text *text, struct echo said, struct typed_command *ret) {
        unsigned n_before = said.from;

        for (size_t k = 0; k < N(others) && said.from == n_before; k++)
                said.from += phrase_at(text, said.from, said.to, others[k]);
        if (said.from == said.to)
                return false;
        if (said.from == n_before && !(typed_kinds_in(text, said.from, said.to) & (1u << CONTRAST_DAYTIME)))
                return false;
        return fits(text, &said, ret);
}

/* "Mute the sound and the microphone": what the sentence before begins with, and something else.  A number is
 * none: it may be more of the one before. */
static bool is_shared(const struct typed_text *text, const struct echo *said, struct typed_command *ret) {
        const unsigned new = typed_kinds_in(text, said->from, said->to);
        unsigned order[WORDING_MAX_WORDS], n;

        if (new & (1u << CONTRAST_NUMBER | 1u << CONTRAST_UNIT | 1u << CONTRAST_DAYTIME) ||
            (said->to - said->from == 1 && (new & ~(1u << CONTRAST_DAY))))
                return false;
        for (unsigned end = said->before - 1; end > said->begin; end--) {
                n = 0;
                for (unsigned i = said->begin; i < end; i++)
                        order[n++] = i;
                for (unsigned i = said->from; i < said->to; i++)
                        order[n++] = i;
                if (typed_sentence_in(text, order, n, ret))
                        return !typed_asks(text->typed, ret) && !typed_calls(text->typed, ret, "cannot");
        }
        return false;
}

static bool goes_on(const struct typed_text *text, struct echo said, struct typed_command *ret) {
        return is_another(text, said, ret) || is_shared(text, &said, ret);
}

/* What is left of a text behind "and" and is next to nothing may be another thing for the verb before. */
static bool stands_alone(const struct typed_text *text,
                         unsigned begin,
                         unsigned end,
                         const struct typed_command *command) {
        return end - begin > 2 || (!typed_asks(text->typed, command) && text->slack.n_small == 0);
}

/* Several commands, each as the one before ended. */
static bool
are_commands(const struct typed_text *text, unsigned begin, unsigned end, struct typed_result *ret) {
        unsigned n_before = ret->n_commands;

        if (n_before == TYPED_MAX_COMMANDS)
                return false;
        if (is_sentence(text, begin, end, &ret->commands[n_before]) &&
            (n_before == 0 || stands_alone(text, begin, end, &ret->commands[n_before]))) {
                ret->n_commands++;
                return true;
        }
        for (unsigned cut = begin + 1; cut < end; cut++) {
                unsigned next = cut;

                if (!is_joint(text, cut) && !text->wording->words[cut].is_break)
                        continue;
                if (!is_sentence(text, begin, cut, &ret->commands[n_before]))
                        continue;
                while (next < end && is_joint(text, next))
                        next++;
                ret->n_commands = n_before + 1;
                if (next < end && are_commands(text, next, end, ret))
                        return true;
                if (n_before + 1 < TYPED_MAX_COMMANDS && next < end && is_joint(text, cut) &&
                    goes_on(text, (struct echo){ begin, cut, next, end }, &ret->commands[n_before + 1])) {
                        ret->n_commands = n_before + 2;
                        return true;
                }
                ret->n_commands = n_before;
        }
        return false;
}

/* Where a withdrawal begins that ends the text; 0: there is none. */
static unsigned withdrawal_at(const struct typed_text *text) {
        unsigned end = text->wording->n_words;

        for (unsigned at = 1; at < end; at++)
                for (size_t k = 0; k < N(withdrawals); k++)
                        if (phrase_at(text, at, end, withdrawals[k]) == end - at)
                                return at;
        return 0;
}

bool typed_text_withdraws(const struct typed_text *text) {
        static const char *const refusals[] = { "no thanks", "no thank you", "neither" };
        const unsigned end = text->wording->n_words;

        for (size_t k = 0; k < N(withdrawals); k++)
                if (phrase_at(text, 0, end, withdrawals[k]) == end)
                        return true;
        for (size_t k = 0; k < N(refusals); k++)
                if (phrase_at(text, 0, end, refusals[k]) == end)
                        return true;
        return false;
}

/* The grammar may have a command for having said nothing. */
static enum typed_verdict take_back(const struct typed_text *text, struct typed_result *ret) {
        unsigned at = withdrawal_at(text), end = text->wording->n_words;

        if (at == 0)
                return TYPED_NOTHING;
        if (is_sentence(text, at, end, &ret->commands[0]) &&
            typed_calls(text->typed, &ret->commands[0], "stop")) {
                ret->n_commands = 1;
                return TYPED_COMMANDS;
        }
        return TYPED_TAKEN_BACK;
}

/* ---- corrections ----------------------------------------------------------------------------- */

/* What stands behind a marker: a sentence of its own, or what takes the place of words before. */
static bool is_corrected(const struct typed_text *text,
                         unsigned marker,
                         unsigned n_marker,
                         struct typed_command *ret) {
        const struct echo said = { 0, marker, marker + n_marker, text->wording->n_words };

        if (said.to - said.from >= 2 && is_sentence(text, said.from, said.to, ret))
                return true;
        return fits(text, &said, ret);
}

static bool correct(const struct typed_text *text, struct typed_result *ret) {
        const unsigned end = text->wording->n_words;

        for (unsigned at = 1; at < end; at++)
                for (size_t k = 0; k < N(corrections); k++) {
                        unsigned n = phrase_at(text, at, end, corrections[k]);

                        if (n == 0 || at + n >= end)
                                continue;
                        if (is_corrected(text, at, n, &ret->commands[0])) {
                                ret->n_commands = 1;
                                return true;
                        }
                }
        return false;
}

enum typed_verdict typed_text_parse(const struct typed_text *text, struct typed_result *ret) {
        const unsigned n = text->wording->n_words;
        enum typed_verdict verdict;

        ret->n_commands = 0;
        if (is_sentence(text, 0, n, &ret->commands[0])) {
                ret->n_commands = 1;
                return TYPED_COMMANDS;
        }
        verdict = take_back(text, ret);
        if (verdict != TYPED_NOTHING)
                return verdict;
        if (correct(text, ret))
                return TYPED_COMMANDS;
        ret->n_commands = 0;
        return are_commands(text, 0, n, ret) ? TYPED_COMMANDS : TYPED_NOTHING;
}

bool typed_text_has_command(const struct typed_text *text) {
        const unsigned n = text->wording->n_words;
        struct typed_command command;

        for (unsigned cut = 1; cut < n; cut++) {
                unsigned next = cut;

                if (!is_joint(text, cut) && !text->wording->words[cut].is_break)
                        continue;
                while (next < n && is_joint(text, next))
                        next++;
                if (is_sentence(text, 0, cut, &command) || is_sentence(text, next, n, &command))
                        return true;
        }
        return false;
}
