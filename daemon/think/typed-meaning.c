/* SPDX-License-Identifier: Apache-2.0 */
/* What a text means that is no sentence of the grammar: its words say which command it is, as far as they
 * are known from how people ask; and the command itself is a sentence of the grammar again, with all numbers,
 * times and opposites of the text in it and no others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "daemon/think/contrast.h"
#include "daemon/think/typed-internal.h"
#include "model/toolcall-notation.h"

/* What is not likely enough to be done may be named: did you mean? */
#define LEAST_TO_NAME 0.4f

/* ... and what goes beyond it is told: it would be the wrong thing to name. */
#define LEAST_TO_TELL 0.7f

#define MAX_SPOKEN 2048

/* ---- the text in the words that meanings are told by ------------------------------------------ */

struct spoken {
        char text[MAX_SPOKEN];
        const char *words[MAX_SPOKEN / 2];
        size_t n;
};

static bool spell_out(const struct wording *w, struct spoken *ret) {
        char *saved = NULL;

        ret->n = 0;
        if (!wording_is_sayable(w) || wording_write(w, ret->text, sizeof(ret->text)) < 0)
                return false;
        for (char *word = strtok_r(ret->text, " ", &saved); word; word = strtok_r(NULL, " ", &saved))
                ret->words[ret->n++] = word;
        return ret->n > 0;
}

/* How many words from at on are this phrase. */
static size_t phrase_at(const struct spoken *s, size_t at, const char *phrase) {
        size_t n = 0;

        while (at + n < s->n) {
                size_t size = strcspn(phrase, " ");

                if (strlen(s->words[at + n]) != size || memcmp(s->words[at + n], phrase, size) != 0)
                        return 0;
                n++;
                if (!phrase[size])
                        return n;
                phrase += size + 1;
        }
        return 0;
}

/* The longest phrase that stands there and means another or nothing; NULL: none does. */
static const char *stands_for(const struct leeway *l, const struct spoken *s, size_t at, size_t *ret_n) {
        const char *first = s->words[at], *said = NULL;
        size_t n_words, low = 0, high;
        const struct leeway_words *words = leeway_words(l, &n_words);

        for (high = n_words; low < high;) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(words[middle].typed, first) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_n = 0;
        for (; low < n_words && strncmp(words[low].typed, first, strlen(first)) == 0; low++) {
                size_t n = phrase_at(s, at, words[low].typed);

                if (n > *ret_n) {
                        *ret_n = n;
                        said = words[low].said;
                }
        }
        return said;
}

/* "One" may be no number, and the others tell no meaning from another. */
static bool is_number(const char *word) {
        return contrast_of(word, strlen(word), NULL) == CONTRAST_NUMBER && strcmp(word, "one") != 0 &&
               strcmp(word, "third") != 0 && strcmp(word, "point") != 0;
}

static bool put(char *out, size_t out_size, size_t *used, const char *words) {
        int n;

        if (!*words || (strcmp(words, "#") == 0 && *used > 0 && out[*used - 1] == '#'))
                return true;
        n = snprintf(out + *used, out_size - *used, "%s%s", *used > 0 ? " " : "", words);
        if (n < 0 || (size_t) n >= out_size - *used)
                return false;
        *used += (size_t) n;
        return true;
}

/* Words that mean nothing stay: some do beside others, "turn off the computer". */
bool typed_meaning_words(const struct typed *t, const struct wording *w, char *out, size_t out_size) {
        struct spoken s;
        size_t used = 0, n;

        out[0] = '\0';
        if (!spell_out(w, &s))
                return false;
        for (size_t at = 0; at < s.n; at += n) {
                const char *said = stands_for(grammar_leeway(t->grammar), &s, at, &n);

                if (!said || !*said) {
                        said = is_number(s.words[at]) ? "#" : s.words[at];
                        n = 1;
                }
                if (!put(out, out_size, &used, said))
                        return false;
        }
        return used > 0;
}

/* ---- a meaning as a sentence of the grammar --------------------------------------------------- */

struct filling {
        const struct typed *typed;
        const struct wording *text;
        char said[MAX_SPOKEN];
        struct wording before, after; /* what stands around the star */
        struct wording whole;         /* points into them and the text */
};

/* What was typed stays nowhere. */
static struct filling *filling_free(struct filling *f) {
        if (f)
                wipe(f, sizeof(*f));
        free(f);
        return NULL;
}
DEFINE_CLEANUP(struct filling *, filling_free)

static struct wording *wording_free(struct wording *w) {
        if (w)
                wipe(w, sizeof(*w));
        free(w);
        return NULL;
}
DEFINE_CLEANUP(struct wording *, wording_free)

static void append(struct wording *whole, const struct wording *part, unsigned begin, unsigned end) {
        for (unsigned i = begin; i < end && whole->n_words < WORDING_MAX_WORDS; i++)
                whole->words[whole->n_words++] = part->words[i];
}

static bool denies(const char *said) {
        while (*said) {
                size_t n = strcspn(said, " ");

                if (contrast_of(said, n, NULL) == CONTRAST_DENIAL)
                        return true;
                said += n + (said[n] == ' ');
        }
        return false;
}

/* Who said that something is to be locked, or unlocked, meant that and no other thing. */
static bool locks_as_said(const char *said, const char *sentence) {
        while (*said) {
                size_t n = strcspn(said, " "), m;
                unsigned wanted, side;
                bool is_found = contrast_of(said, n, &wanted) != CONTRAST_LOCK;

                for (const char *at = sentence; *at && !is_found; at += m + (at[m] == ' ')) {
                        m = strcspn(at, " ");
                        is_found = contrast_of(at, m, &side) == CONTRAST_LOCK && side == wanted;
                }
                if (!is_found)
                        return false;
                said += n + (said[n] == ' ');
        }
        return true;
}

/* A question, or that something can not be done, does no harm whatever numbers were said. */
static bool is_held(const struct filling *f, const struct typed_command *command) {
        char sentence[TYPED_MAX_SENTENCE];

        (void) typed_sentence(f->typed, command->tokens, command->n_tokens, sentence, sizeof(sentence));
        if (typed_calls(f->typed, command, "ask") || typed_calls(f->typed, command, "cannot"))
                return !denies(f->said) && !contrast_opposes(f->said, sentence);
        return contrast_agrees(f->said, sentence) && locks_as_said(f->said, sentence);
}

/* Where it begins what is to be remembered, "to take two pills": that is said to nobody here.  The end of the text:
 * nowhere. */
static unsigned purpose_at(const struct wording *w) {
        static const char *const openings[] = { "remind", "wake", "tell", "let", "alert", "notify" };
        bool is_open = false;

        for (unsigned i = 0; i + 1 < w->n_words; i++) {
                const struct wording_word *word = &w->words[i], *next = word + 1;
                bool is_to = strcmp(word->typed, "to") == 0 || strcmp(word->typed, "that") == 0;

                is_open |= typed_is_one_of(word->typed, openings, sizeof(openings) / sizeof(openings[0]));
                if (is_open && is_to && i > 1 && next->n_readings > 0 &&
                    contrast_of(next->readings[0], strcspn(next->readings[0], " "), NULL) != CONTRAST_NUMBER)
                        return i;
        }
        return w->n_words;
}

/* The sentence with those words of the text in the place of its star. */
static bool fill(struct filling *f, unsigned begin, unsigned end, struct typed_command *ret) {
        unsigned order[WORDING_MAX_WORDS];
        const struct typed_text text = { f->typed, &f->whole, { 0 } };

        f->whole.n_words = 0;
        append(&f->whole, &f->before, 0, f->before.n_words);
        append(&f->whole, f->text, begin, end);
        append(&f->whole, &f->after, 0, f->after.n_words);
        for (unsigned i = 0; i < f->whole.n_words; i++)
                order[i] = i;
        return typed_sentence_in(&text, order, f->whole.n_words, ret) && is_held(f, ret);
}

static bool is_idle(const struct leeway *l, const char *typed) {
        size_t n;
        const struct leeway_words *words = leeway_words(l, &n);

        for (size_t i = 0; i < n; i++)
                if (strcmp(words[i].typed, typed) == 0)
                        return !*words[i].said;
        return false;
}

/* "Five minutes" alone says nothing of what is wanted. */
static bool says_more(const struct filling *f, unsigned begin, unsigned end) {
        const struct leeway *l = grammar_leeway(f->typed->grammar);

        for (unsigned i = 0; i < f->text->n_words; i++)
                if ((i < begin || i >= end) && !is_idle(l, f->text->words[i].typed))
                        return true;
        return false;
}

/* As many words of the text as the sentence takes; "me" is none of them: "set a timer for me" lacks what is to be
 * said. */
static bool fill_star(struct filling *f, struct typed_command *ret) {
        const unsigned n = f->text->n_words;

        for (unsigned size = n; size > 0; size--)
                for (unsigned begin = 0; begin + size <= n; begin++)
                        if (says_more(f, begin, begin + size) && fill(f, begin, begin + size, ret) &&
                            !typed_asks(f->typed, ret))
                                return true;
        return false;
}

static bool is_sentence(struct filling *f, const char *sentence, size_t size, struct typed_command *ret) {
        const char *star = memchr(sentence, '*', size);
        size_t n = star ? (size_t) (star - sentence) : size;

        f->after.n_words = 0;
        if (wording_read(&f->before, sentence, n) < 0 ||
            (star && wording_read(&f->after, star + 1, size - n - 1) < 0))
                return false;
        return star ? fill_star(f, ret) : fill(f, 0, 0, ret);
}

/* Numbers, units and times of day and nothing else. */
static bool is_bare(const struct filling *f) {
        const struct leeway *l = grammar_leeway(f->typed->grammar);

        for (unsigned i = 0; i < f->text->n_words; i++) {
                const struct wording_word *word = &f->text->words[i];
                const char *said = word->readings[0];
                enum contrast kind = contrast_of(said, strcspn(said, " "), NULL);

                if (kind != CONTRAST_NUMBER && kind != CONTRAST_UNIT && kind != CONTRAST_DAYTIME &&
                    kind != CONTRAST_DAY && !is_idle(l, word->typed) && strlen(word->typed) > 2)
                        return false;
        }
        return true;
}

/* The first of several sentences that holds what was typed. */
static bool
say_all(const struct typed *t, const struct wording *w, const char *sentences, struct typed_command *ret) {
        _cleanup_(filling_freep) struct filling *f = calloc(1, sizeof(*f));

        if (!f || wording_write(w, f->said, sizeof(f->said)) < 0)
                return false;
        f->typed = t;
        f->text = w;
        if (is_bare(f))
                return false;
        while (*sentences) {
                size_t n = strcspn(sentences, "|");

                if (is_sentence(f, sentences, n, ret))
                        return true;
                sentences += n + (sentences[n] == '|');
        }
        return false;
}

/* ... or, of a reminder, what was typed of when.  A question is the last resort. */
static bool
say(const struct typed *t, const struct wording *w, const char *sentences, struct typed_command *ret) {
        _cleanup_(wording_freep) struct wording *head = NULL;
        unsigned purpose = purpose_at(w);
        bool is_said = say_all(t, w, sentences, ret);

        if ((is_said && !typed_asks(t, ret)) || purpose == w->n_words)
                return is_said;
        head = calloc(1, sizeof(*head));
        if (!head)
                return is_said;
        append(head, w, 0, purpose);
        return say_all(t, head, sentences, ret) || (is_said && say_all(t, w, sentences, ret));
}

/* ---- a call that takes words along ------------------------------------------------------------ */

/* "CALL ARGUMENT|NAME VALUE|WORDS", cut at its bars; or "CALL KEY=VALUE ARGUMENT|...". */
struct taking {
        char call[TYPED_MAX_WORD], argument[TYPED_MAX_WORD]; /* empty: it is none */
        char key[TYPED_MAX_WORD], fixed[TYPED_MAX_WORD];     /* what goes along with it; may be empty */
        char name[TYPED_MAX_WORD], value[TYPED_MAX_WORD];    /* of the grammar's call; may be empty */
        const char *but; /* words between spaces; of those with a plus one has to be there */
};

static struct taking taking_of(const char *text) {
        struct taking taking = { .but = "" };
        const char *bar = strchr(text, '|');

        if (sscanf(text, "%31[a-z_] %31[a-z_]=%31[a-z_] %31[a-z_]", taking.call, taking.key, taking.fixed,
                   taking.argument) != 4) {
                taking.key[0] = '\0';
                if (sscanf(text, "%31[a-z_] %31[a-z_]", taking.call, taking.argument) != 2)
                        taking.call[0] = '\0';
        }
        if (bar)
                (void) sscanf(bar, "|%31[a-z_] %31[a-z_]", taking.name, taking.value);
        if (bar && strchr(bar + 1, '|'))
                taking.but = strchr(bar + 1, '|') + 1;
        return taking;
}

/* ret_tells: whether it is one that has to be there. */
static bool is_among(const char *words, const char *word, size_t size, bool *ret_tells) {
        while (*words) {
                bool tells = *words == '+';
                size_t n = strcspn(words += tells, " ");

                if (n == size && memcmp(words, word, n) == 0) {
                        *ret_tells |= tells;
                        return true;
                }
                words += n + (words[n] == ' ');
        }
        return false;
}

/* Whether a word is of what is said around those that are taken along. */
static bool is_around(const struct taking *taking, const struct wording_word *word, bool *ret_tells) {
        const char *said = word->n_readings > 0 ? word->readings[0] : word->typed;

        while (*said) {
                size_t n = strcspn(said, " ");

                if (!is_among(taking->but, said, n, ret_tells))
                        return false;
                said += n + (said[n] == ' ');
        }
        return true;
}

/* How long it is; not more than there is room for. */
static int write_opening(const struct taking *t, char call[static TYPED_MAX_CALL]) {
        if (t->key[0])
                return snprintf(call, TYPED_MAX_CALL,
                                "call:%s{%s:" NOTATION_QUOTE "%s" NOTATION_QUOTE ",%s:" NOTATION_QUOTE, t->call,
                                t->key, t->fixed, t->argument);
        return snprintf(call, TYPED_MAX_CALL, "call:%s{%s:" NOTATION_QUOTE, t->call, t->argument);
}

/* False: no words are left to be taken along, they are too many, or nothing around them tells what they are. */
static bool write_call(const struct taking *taking, const struct wording *w, char call[static TYPED_MAX_CALL]) {
        unsigned begin = 0, end = w->n_words;
        bool is_told = !strchr(taking->but, '+');
        int n, used;

        while (begin < end && is_around(taking, &w->words[begin], &is_told))
                begin++;
        while (end > begin && is_around(taking, &w->words[end - 1], &is_told))
                end--;
        if (!is_told)
                return false;
        used = write_opening(taking, call);
        for (unsigned i = begin; i < end && used > 0 && used < TYPED_MAX_CALL; i++) {
                n = snprintf(call + used, TYPED_MAX_CALL - (size_t) used, "%s%s", i > begin ? " " : "",
                             w->words[i].typed);
                used += n;
        }
        if (begin == end || used <= 0 || used >= TYPED_MAX_CALL)
                return false;
        n = snprintf(call + used, TYPED_MAX_CALL - (size_t) used, NOTATION_QUOTE "}");
        return used + n < TYPED_MAX_CALL;
}

static bool take_along(const struct wording *w, const struct taking *taking, char call[static TYPED_MAX_CALL]) {
        char said[MAX_SPOKEN];
        bool is_taken = taking->call[0] && wording_is_sayable(w) && wording_write(w, said, sizeof(said)) >= 0 &&
                        !denies(said) && write_call(taking, w, call);

        wipe(said, sizeof(said));
        return is_taken;
}

bool typed_takes(const struct typed *t,
                 const struct wording *w,
                 const struct typed_command *command,
                 char call[static TYPED_MAX_CALL]) {
        const struct meanings *all = grammar_meanings(t->grammar);

        for (unsigned i = 1; i < meanings_count(all); i++) {
                const char *text = meanings_text(all, i);
                struct taking taking;

                if (text[0] != MEANING_TAKES)
                        continue;
                taking = taking_of(text + 1);
                if (taking.name[0] && typed_calls(t, command, taking.name) &&
                    typed_passes(t, command, taking.value))
                        return take_along(w, &taking, call);
        }
        return false;
}

/* ---- which meaning ---------------------------------------------------------------------------- */

/* The meaning of some of the words, if it is likely enough; 0: none is. */
static unsigned judge(const struct typed *t, const struct wording *w, float *ret_likelihood) {
        const struct meanings *all = grammar_meanings(t->grammar);
        char words[MAX_SPOKEN];
        unsigned meaning;

        if (!all || !typed_meaning_words(t, w, words, sizeof(words)))
                return 0;
        meaning = meanings_judge(all, words, ret_likelihood);
        return *ret_likelihood >= meanings_least(all, meaning) ? meaning : 0;
}

/* Two things are wanted where one is what is before an "and", and another what is behind. */
static bool is_two(const struct typed *t, const struct wording *w, unsigned meaning) {
        _cleanup_(wording_freep) struct wording *half = calloc(1, sizeof(*half));

        if (!half)
                return true;
        for (unsigned cut = 1; cut + 1 < w->n_words; cut++) {
                unsigned first, second, next = cut;
                float likelihood;

                if (!typed_is_joint(w->words[cut].typed) && !w->words[cut].is_break)
                        continue;
                while (next + 1 < w->n_words && typed_is_joint(w->words[next].typed))
                        next++;
                half->n_words = 0;
                append(half, w, 0, cut);
                first = judge(t, half, &likelihood);
                half->n_words = 0;
                append(half, w, next, w->n_words);
                second = judge(t, half, &likelihood);
                if ((first > 0 && first != meaning) || (second > 0 && second != meaning))
                        return true;
        }
        return false;
}

/* What goes beyond what is done is told, and nothing is done. */
static enum typed_meant told_or(const struct typed *t,
                                const struct wording *w,
                                const struct typed_command *command,
                                enum typed_meant meant,
                                struct typed_meaning *ret) {
        ret->words = typed_beyond(t, w, command, command ? 1 : 0);
        return ret->words ? TYPED_MEANS_REPLY : meant;
}

/* "Set a daily alarm for 7", of which it is not certain that it is an alarm's. */
static enum typed_meant tell_what_is_beyond(const struct typed *t, const struct wording *w, struct typed_meaning *ret) {
        const struct meanings *all = grammar_meanings(t->grammar);
        char words[MAX_SPOKEN];
        float likelihood = 0;
        unsigned meaning = 0;

        if (all && typed_meaning_words(t, w, words, sizeof(words)))
                meaning = meanings_judge(all, words, &likelihood);
        wipe(words, sizeof(words));
        if (meaning == 0 || likelihood < LEAST_TO_TELL || strchr("=!?+", meanings_text(all, meaning)[0]) ||
            !say(t, w, meanings_text(all, meaning), &ret->command))
                return TYPED_MEANS_NOTHING;
        return told_or(t, w, &ret->command, TYPED_MEANS_NOTHING, ret);
}

enum typed_meant typed_means(const struct typed *t, const struct wording *w, struct typed_meaning *ret) {
        const struct meanings *all = grammar_meanings(t->grammar);
        struct taking taking;
        float likelihood;
        unsigned meaning = judge(t, w, &likelihood);
        const char *text;

        ret->words = typed_postpones(t, w);
        if (ret->words)
                return TYPED_MEANS_REPLY;
        if (meaning == 0)
                return tell_what_is_beyond(t, w, ret);
        if (is_two(t, w, meaning))
                return TYPED_MEANS_NOTHING;
        text = meanings_text(all, meaning);
        ret->words = text + 1;
        switch (text[0]) {
        case MEANING_REPLY:
                return TYPED_MEANS_REPLY;
        case MEANING_CALL:
                (void) snprintf(ret->call, sizeof(ret->call), "call:%.256s{}", text + 1);
                return TYPED_MEANS_CALL;
        case MEANING_TAKES:
                taking = taking_of(text + 1);
                return take_along(w, &taking, ret->call) ? told_or(t, w, NULL, TYPED_MEANS_CALL, ret) : TYPED_MEANS_NOTHING;
        case MEANING_HINT:
                return TYPED_MEANS_HINT;
        default:
                return say(t, w, text, &ret->command) ? told_or(t, w, &ret->command, TYPED_MEANS_COMMAND, ret)
                                                      : TYPED_MEANS_NOTHING;
        }
}

size_t typed_suggest(const struct typed *t, const struct wording *w, char *out, size_t out_size) {
        const struct meanings *all = grammar_meanings(t->grammar);
        char words[MAX_SPOKEN];
        struct typed_command command;
        float likelihood = 0;
        unsigned meaning = 0;
        const char *text = "";

        if (all && typed_meaning_words(t, w, words, sizeof(words)))
                meaning = meanings_judge(all, words, &likelihood);
        wipe(words, sizeof(words));
        if (meaning > 0 && likelihood >= LEAST_TO_NAME)
                text = meanings_text(all, meaning);
        if (text[0] == MEANING_HINT)
                return (size_t) snprintf(out, out_size, "%s", text + 1);
        if (text[0] && text[0] != MEANING_REPLY && text[0] != MEANING_CALL && text[0] != MEANING_TAKES &&
            say(t, w, text, &command))
                return typed_sentence(t, command.tokens, command.n_tokens, out, out_size);
        return typed_nearest(t, w, out, out_size);
}
