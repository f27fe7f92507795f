/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/typed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/think/contrast.h"
#include "daemon/think/typed-internal.h"
#include "model/toolcall-notation.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Only words that are long enough can be mistyped ones. */
#define LEAST_LETTERS 4

/* Longer names are no names. */
#define MOST_OPEN_WORDS 8

/* Each way to read a text is tried only if those before it lead nowhere. */
static const struct typed_slack slacks[] = {
        { 0 },
        { .n_slips = 1 },
        { .n_slips = 2 },
        { .n_idle = 4 },
        { .n_idle = 4, .n_small = 2 },
        { .n_slips = 1, .n_idle = 4 },
        { .n_idle = 4, .n_open = 1 },
};

/* What a sentence may lack and still says the same. */
static const char *const small_words[] = { "a", "an", "the", "my", "to", "for", "of", "is", "me", "at", "it" };

/* Steps of one search; no sentence of a context needs a tenth of it. */
#define MAX_STEPS 50000

static const char space[] = "\xe2\x96\x81"; /* as the vocabulary writes it */

static int compare_words(const void *a, const void *b) {
        const struct typed_word *x = a, *y = b;

        return strcmp(x->text, y->text);
}

const struct typed_word *typed_find(const struct typed *t, const char *text, size_t size) {
        char word[TYPED_MAX_WORD];
        const struct typed_word key = { .text = word };

        if (size >= sizeof(word))
                return NULL;
        memcpy(word, text, size);
        word[size] = '\0';
        return bsearch(&key, t->words, t->n_words, sizeof(key), compare_words);
}

/* The word that a token stands for, and whether it is the first of a sentence; NULL: none. */
static char *word_of(const struct typed *t, int32_t token, bool *ret_is_first) {
        struct gguf_string piece = tokenizer_piece(t->tokenizer, token);

        *ret_is_first = piece.size < sizeof(space) - 1 ||
                        memcmp(piece.text, space, sizeof(space) - 1) != 0;
        if (!*ret_is_first) {
                piece.text += sizeof(space) - 1;
                piece.size -= sizeof(space) - 1;
        }
        if (piece.size == 0 || piece.size >= TYPED_MAX_WORD)
                return NULL;
        for (size_t i = 0; i < piece.size; i++)
                if (strchr("<>|{}:,", piece.text[i]))
                        return NULL;
        return strndup(piece.text, piece.size);
}

static int add_token(struct typed *t, int32_t token) {
        struct typed_word *grown;
        bool is_first;
        char *text;

        if (tokenizer_is_control(t->tokenizer, token))
                return 0;
        text = word_of(t, token, &is_first);
        if (!text)
                return 0;
        grown = reallocarray(t->words, t->n_words + 1, sizeof(*grown));
        if (!grown) {
                free(text);
                return -ENOMEM;
        }
        t->words = grown;
        t->words[t->n_words++] = (struct typed_word){
                .text = text,
                .first = is_first ? token : -1,
                .later = is_first ? -1 : token,
        };
        return 0;
}

/* The two tokens of a word become one row. */
static void join_words(struct typed *t) {
        size_t n = 0;

        qsort(t->words, t->n_words, sizeof(*t->words), compare_words);
        for (size_t i = 0; i < t->n_words; i++) {
                struct typed_word *word = &t->words[i];

                if (n > 0 && strcmp(t->words[n - 1].text, word->text) == 0) {
                        struct typed_word *kept = &t->words[n - 1];

                        kept->first = kept->first >= 0 ? kept->first : word->first;
                        kept->later = kept->later >= 0 ? kept->later : word->later;
                        free(word->text);
                } else {
                        t->words[n++] = *word;
                }
        }
        t->n_words = n;
}

struct typed_word *typed_word_of(struct typed *t, int32_t token) {
        bool is_first;
        _cleanup_(freep) char *text = word_of(t, token, &is_first);
        const struct typed_word key = { .text = text };

        return text ? bsearch(&key, t->words, t->n_words, sizeof(key), compare_words) : NULL;
}

/* Every token that some state of the grammar has an edge for. */
static int collect_words(struct typed *t) {
        size_t n_tokens = tokenizer_n_tokens(t->tokenizer);
        _cleanup_(freep) bool *is_used = calloc(n_tokens, sizeof(bool));
        int r = 0;

        if (!is_used)
                return -ENOMEM;
        for (uint32_t state = 0; state < grammar_n_states(t->grammar); state++) {
                const struct grammar_place place = { .state = state };
                size_t n = grammar_n_options(t->grammar, &place);

                for (size_t i = 0; i < n; i++)
                        is_used[grammar_option(t->grammar, &place, i)] = true;
        }
        for (size_t i = 0; r >= 0 && i < n_tokens; i++)
                r = is_used[i] ? add_token(t, (int32_t) i) : 0;
        join_words(t);
        return r;
}

int typed_new(struct typed **ret, const struct grammar *g, const struct tokenizer *tokenizer) {
        _cleanup_(typed_freep) struct typed *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        t->grammar = g;
        t->tokenizer = tokenizer;
        r = collect_words(t);
        if (r >= 0)
                r = typed_note_topics(t);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

struct typed *typed_free(struct typed *t) {
        if (!t)
                return NULL;

        for (size_t i = 0; i < t->n_words; i++)
                free(t->words[i].text);
        free(t->words);
        free(t->outcomes);
        free(t);
        return NULL;
}

size_t typed_sentence(const struct typed *t,
                      const int32_t *tokens,
                      unsigned n_tokens,
                      char *out,
                      size_t out_size) {
        const int32_t call_begin = tokenizer_special(t->tokenizer)->call_begin;
        size_t used = 0;

        out[0] = '\0';
        for (unsigned i = 0; i < n_tokens && tokens[i] != call_begin; i++) {
                bool is_first;
                _cleanup_(freep) char *word = word_of(t, tokens[i], &is_first);
                int n;

                if (!word)
                        continue;
                n = snprintf(out + used, out_size - used, "%s%s", used > 0 ? " " : "", word);
                if (n < 0 || (size_t) n >= out_size - used)
                        break;
                used += (size_t) n;
        }
        out[used] = '\0';
        return used;
}

/* The call as it is written. */
static bool write_call(const struct typed *t, const struct typed_command *command, char *out, size_t out_size) {
        size_t used = 0;

        for (unsigned i = command->call + 1; i < command->n_tokens; i++) {
                struct gguf_string piece = tokenizer_piece(t->tokenizer, command->tokens[i]);

                if (piece.size >= out_size - used)
                        return false;
                memcpy(out + used, piece.text, piece.size);
                used += piece.size;
        }
        out[used] = '\0';
        return true;
}

void typed_call_name(const struct typed *t, const struct typed_command *command, char name[static TYPED_MAX_WORD]) {
        static const char opening[] = "call:";
        char call[TYPED_MAX_SENTENCE];
        size_t n;

        name[0] = '\0';
        if (!write_call(t, command, call, sizeof(call)) || strncmp(call, opening, sizeof(opening) - 1) != 0)
                return;
        n = strcspn(call + sizeof(opening) - 1, "{");
        if (n < TYPED_MAX_WORD) {
                memcpy(name, call + sizeof(opening) - 1, n);
                name[n] = '\0';
        }
}

bool typed_calls(const struct typed *t, const struct typed_command *command, const char *name) {
        char its[TYPED_MAX_WORD];

        typed_call_name(t, command, its);
        return *its && strcmp(its, name) == 0;
}

bool typed_passes(const struct typed *t, const struct typed_command *command, const char *value) {
        char call[TYPED_MAX_SENTENCE], quoted[TYPED_MAX_WORD + 2 * sizeof(NOTATION_QUOTE)];

        if (!write_call(t, command, call, sizeof(call)))
                return false;
        (void) snprintf(quoted, sizeof(quoted), NOTATION_QUOTE "%.*s" NOTATION_QUOTE, TYPED_MAX_WORD, value);
        return strstr(call, quoted) != NULL;
}

/* ---- one sentence ---------------------------------------------------------------------------- */

/* The words of a text in the order in which they are to be read, and what was found. */
struct search {
        const struct typed *typed;
        const struct wording *wording;
        const unsigned *order; /* [n] indices of words */
        unsigned n;
        unsigned n_steps;
        bool is_exact; /* the first reading counts; else all must be one command */

        struct typed_command said;
        struct typed_command *found; /* [1] */
        bool has_found, is_ambiguous;
};

static bool add(struct typed_command *c, int32_t token) {
        if (c->n_tokens == TYPED_MAX_TOKENS)
                return false;
        c->tokens[c->n_tokens++] = token;
        return true;
}

bool typed_is_same_call(const struct typed_command *a, const struct typed_command *b) {
        unsigned n = a->n_tokens - a->call;

        return n == b->n_tokens - b->call &&
               memcmp(a->tokens + a->call, b->tokens + b->call, n * sizeof(a->tokens[0])) == 0;
}

/* The words are over: which call are they, if any? */
static bool complete(const struct typed *t, struct grammar_place place, struct typed_command *command) {
        const struct special_tokens *special = tokenizer_special(t->tokenizer);
        int32_t token = special->call_begin;

        command->call = command->n_tokens;
        while (grammar_follow(t->grammar, &place, token) >= 0 && add(command, token)) {
                if (token == special->call_end)
                        return true;
                /* A call follows from its sentence: there is never a choice in it. */
                if (grammar_n_options(t->grammar, &place) != 1)
                        return false;
                token = grammar_option(t->grammar, &place, 0);
        }
        return false;
}

bool typed_command_of(const struct typed *t, const int32_t *words, unsigned n, struct typed_command *ret) {
        struct grammar_place place = { 0 };

        ret->n_tokens = 0;
        for (unsigned i = 0; i < n; i++)
                if (grammar_follow(t->grammar, &place, words[i]) < 0 || !add(ret, words[i]))
                        return false;
        return complete(t, place, ret);
}

static void finish(struct search *s, struct grammar_place place) {
        struct typed_command command = s->said;

        if (!complete(s->typed, place, &command))
                return;
        if (s->has_found && !typed_is_same_call(&command, s->found))
                s->is_ambiguous = true;
        if (!s->has_found)
                *s->found = command;
        s->has_found = true;
}

static void walk(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left);

/* One word more in the place, if it can follow there. */
static bool follow(struct search *s, struct grammar_place *place, const char *text, size_t size) {
        const struct typed_word *word = typed_find(s->typed, text, size);
        int32_t token;

        if (!word)
                return false;
        token = s->said.n_tokens == 0 ? word->first : word->later;
        return token >= 0 && grammar_follow(s->typed->grammar, place, token) >= 0 &&
               add(&s->said, token);
}

/* All words of a reading, and then the rest of the text. */
static void read_on(struct search *s,
                    unsigned next,
                    struct grammar_place place,
                    const char *words,
                    struct typed_slack left) {
        unsigned n_before = s->said.n_tokens;

        while (*words) {
                size_t n = strcspn(words, " ");

                if (!follow(s, &place, words, n))
                        break;
                words += n + (words[n] == ' ');
        }
        if (!*words)
                walk(s, next, place, left);
        s->said.n_tokens = n_before;
}

static bool is_done(struct search *s) {
        return s->is_ambiguous || (s->has_found && s->is_exact) || s->n_steps > MAX_STEPS;
}

/* Words that are written apart or with a hyphen and that the grammar has in one. */
static void join(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left) {
        char word[TYPED_MAX_WORD];
        int n;

        if (at + 1 >= s->n)
                return;
        n = snprintf(word, sizeof(word), "%s%s", s->wording->words[s->order[at]].typed,
                     s->wording->words[s->order[at + 1]].typed);
        if (n > 0 && (size_t) n < sizeof(word))
                read_on(s, at + 2, place, word, left);
}

/* Whether one is the other but for one letter too many, too few, wrong, or two that changed places. */
bool typed_is_slip(const char *a, const char *b) {
        size_t n = strlen(a), m = strlen(b), head = 0, tail = 0;

        if (n > m + 1 || m > n + 1)
                return false;
        while (head < n && head < m && a[head] == b[head])
                head++;
        while (tail < n - head && tail < m - head && a[n - 1 - tail] == b[m - 1 - tail])
                tail++;
        n -= head + tail;
        m -= head + tail;
        if (n <= 1 && m <= 1)
                return n + m > 0;
        return n == 2 && m == 2 && a[head] == b[head + 1] && a[head + 1] == b[head];
}

/* The words that a mistyped one may be: the first letter is right, as it nearly always is, so that
 * nothing that begins with "un" loses it. */
static bool may_be(const char *typed, const char *word) {
        return typed[0] == word[0] && strlen(word) >= LEAST_LETTERS && typed_is_slip(typed, word);
}

/* Where one of them is a number or an opposite, all of them have to mean the same. */
static bool is_safe(const struct typed *t, const char *typed) {
        bool is_weighty = false, has_others = false;
        unsigned first = 0, side = 0, n = 0;

        for (size_t i = 0; i < t->n_words; i++) {
                const char *word = t->words[i].text;
                bool weighs;

                if (!may_be(typed, word))
                        continue;
                weighs = contrast_of(word, strlen(word), &side) != CONTRAST_NONE;
                has_others |= n++ > 0 && (weighs != is_weighty || (weighs && side != first));
                is_weighty |= weighs;
                first = side;
        }
        return n > 0 && !(is_weighty && has_others);
}

static bool is_slip(const struct typed *t, const struct wording_word *word) {
        return strlen(word->typed) >= LEAST_LETTERS && word->n_readings == 1 &&
               !strchr(word->readings[0], ' ') && !typed_find(t, word->typed, strlen(word->typed)) &&
               contrast_of(word->typed, strlen(word->typed), NULL) == CONTRAST_NONE;
}

static void correct(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left) {
        const struct wording_word *word = &s->wording->words[s->order[at]];
        const struct typed *t = s->typed;

        if (left.n_slips-- == 0 || !is_slip(t, word) || !is_safe(t, word->typed))
                return;
        for (size_t i = 0; i < t->n_words && !is_done(s); i++)
                if (may_be(word->typed, t->words[i].text))
                        read_on(s, at + 1, place, t->words[i].text, left);
}

/* How many words from at on these are; 0: they do not stand there. */
static unsigned phrase_at(const struct search *s, unsigned at, const char *phrase) {
        unsigned n = 0;

        while (at + n < s->n) {
                const char *typed = s->wording->words[s->order[at + n]].typed;
                size_t size = strcspn(phrase, " ");

                if (strlen(typed) != size || memcmp(typed, phrase, size) != 0)
                        return 0;
                n++;
                if (!phrase[size])
                        return n;
                phrase += size + 1;
        }
        return 0;
}

/* Words that the grammar does not have, or that mean nothing. */
static void stand_in(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left) {
        const char *first = s->wording->words[s->order[at]].typed;
        size_t n_words, low = 0, high;
        const struct leeway_words *words = leeway_words(grammar_leeway(s->typed->grammar), &n_words);

        for (high = n_words; low < high;) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(words[middle].typed, first) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < n_words && !is_done(s) && strncmp(words[low].typed, first, strlen(first)) == 0; low++) {
                struct typed_slack after = left;
                unsigned n = phrase_at(s, at, words[low].typed);

                if (n == 0 || (!*words[low].said && after.n_idle-- == 0))
                        continue;
                read_on(s, at + n, place, words[low].said, after);
        }
}

static bool is_small(const struct typed *t, int32_t token) {
        char word[TYPED_MAX_WORD];

        (void) typed_sentence(t, &token, 1, word, sizeof(word));
        for (size_t i = 0; i < N(small_words); i++)
                if (strcmp(word, small_words[i]) == 0)
                        return true;
        return false;
}

/* A word that nobody typed. */
static void supply(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left) {
        const struct typed *t = s->typed;
        size_t n = left.n_small > 0 ? grammar_n_options(t->grammar, &place) : 0;
        unsigned n_before = s->said.n_tokens;

        left.n_small--;
        for (size_t i = 0; i < n && !is_done(s); i++) {
                struct grammar_place after = place;
                int32_t token = grammar_option(t->grammar, &place, i);

                if (is_small(t, token) && grammar_follow(t->grammar, &after, token) >= 0 &&
                    add(&s->said, token))
                        walk(s, at, after, left);
                s->said.n_tokens = n_before;
        }
}

/* Any words, as few as will do, where the grammar has some of many that it does not pass on. */
static void take_any(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left) {
        const struct grammar *g = s->typed->grammar;
        unsigned n_before = s->said.n_tokens;
        /* What begins with any words could be any sentence. */
        size_t n = left.n_open > 0 && n_before > 0 ? grammar_n_options(g, &place) : 0, i = 0;

        while (i < n && !leeway_is_open(grammar_leeway(g), grammar_option(g, &place, i)))
                i++;
        if (i >= n || !add(&s->said, grammar_option(g, &place, i)) ||
            grammar_follow(g, &place, grammar_option(g, &place, i)) < 0)
                return;
        left.n_open--;
        for (unsigned k = 0; k < MOST_OPEN_WORDS && at + k < s->n && !is_done(s); k++) {
                const struct wording_word *word = &s->wording->words[s->order[at + k]];

                if (typed_is_joint(word->typed) || (k > 0 && word->is_break))
                        break;
                walk(s, at + k + 1, place, left);
        }
        s->said.n_tokens = n_before;
}

static void walk(struct search *s, unsigned at, struct grammar_place place, struct typed_slack left) {
        const struct wording_word *word;

        if (is_done(s))
                return;
        s->n_steps++;
        if (at == s->n) {
                finish(s, place);
                return;
        }
        word = &s->wording->words[s->order[at]];
        for (unsigned i = 0; i < word->n_readings && !is_done(s); i++)
                read_on(s, at + 1, place, word->readings[i], left);
        if (!is_done(s))
                join(s, at, place, left);
        if (!is_done(s))
                stand_in(s, at, place, left);
        if (!is_done(s))
                correct(s, at, place, left);
        if (!is_done(s))
                supply(s, at, place, left);
        if (!is_done(s))
                take_any(s, at, place, left);
}

bool typed_sentence_in(const struct typed_text *text,
                       const unsigned *order,
                       unsigned n,
                       struct typed_command *ret) {
        struct search s = {
                .typed = text->typed,
                .wording = text->wording,
                .order = order,
                .n = n,
                .is_exact = text->slack.n_slips == 0 && text->slack.n_small == 0,
                .found = ret,
        };

        if (n == 0)
                return false;
        walk(&s, 0, (struct grammar_place){ 0 }, text->slack);
        return s.has_found && !s.is_ambiguous;
}

enum typed_verdict
typed_parse(const struct typed *t, const struct wording *w, struct typed_result *ret) {
        enum typed_verdict verdict = TYPED_NOTHING;

        ret->n_commands = 0;
        for (size_t i = 0; verdict == TYPED_NOTHING && i < N(slacks); i++) {
                const struct typed_text text = { t, w, slacks[i] };

                if (slacks[i].n_open == 0 || leeway_has_open(grammar_leeway(t->grammar)))
                        verdict = typed_text_parse(&text, ret);
        }
        if (verdict == TYPED_NOTHING &&
            typed_text_has_command(&(struct typed_text){ t, w, { 0 } }))
                verdict = TYPED_IN_PART;
        return verdict;
}
