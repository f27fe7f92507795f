/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said: the examples that come with the grammar, or, without any, for every call some of the
 * shortest sentences. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/think/typed-help.h"
#include "daemon/think/typed-internal.h"

/* Of each call so many, which differ in what they give along; a word or two says little of how to ask. */
#define MOST_EXAMPLES 3
#define LEAST_WORDS   3
#define MAX_SHAPES    1024

struct step {
        uint32_t state, before; /* before: the step that led here; its own index: none */
        int32_t token;
        uint32_t n_words;
};

struct listing {
        const struct typed *typed;
        struct step *steps; /* owned, [n_states] */
        bool *is_known;     /* owned, [n_states] */
        uint32_t n_steps;
        uint32_t shapes[MAX_SHAPES]; /* states in which a call begins that has an example */
        unsigned n_shapes;
        json_t *groups; /* owned */
};

static size_t write_sentence(const struct listing *l, uint32_t at, char *out, size_t out_size) {
        int32_t tokens[TYPED_MAX_TOKENS];
        unsigned n = TYPED_MAX_TOKENS;

        for (; l->steps[at].before != at && n > 0; at = l->steps[at].before)
                tokens[--n] = l->steps[at].token;
        return typed_sentence(l->typed, tokens + n, TYPED_MAX_TOKENS - n, out, out_size);
}

static json_t *group_of(struct listing *l, const char *name) {
        json_t *group, *sentences;
        size_t i;

        json_array_foreach(l->groups, i, group)
                if (strcmp(json_string_value(json_object_get(group, "name")), name) == 0)
                        return json_object_get(group, "sentences");
        sentences = json_array();
        group = json_pack("{s:s, s:o}", "name", name, "sentences", sentences);
        return group && json_array_append_new(l->groups, group) == 0 ? sentences : NULL;
}

static bool has_shape(struct listing *l, uint32_t state) {
        for (unsigned i = 0; i < l->n_shapes; i++)
                if (l->shapes[i] == state)
                        return true;
        if (l->n_shapes == MAX_SHAPES)
                return true;
        l->shapes[l->n_shapes++] = state;
        return false;
}

/* May be said behind any command, and makes no example better. */
static bool ends_for_me(const char *sentence) {
        static const char tail[] = " for me";
        size_t size = strlen(sentence);

        return size >= sizeof(tail) - 1 && strcmp(sentence + size - (sizeof(tail) - 1), tail) == 0;
}

/* A sentence can end here. */
static int note_end(struct listing *l, uint32_t at, struct grammar_place call, unsigned least_words) {
        char name[TYPED_MAX_WORD], sentence[TYPED_MAX_SENTENCE];
        json_t *sentences;

        if (l->steps[at].n_words < least_words || !typed_name_at(l->typed, call, name))
                return 0;
        (void) write_sentence(l, at, sentence, sizeof(sentence));
        if (ends_for_me(sentence) || has_shape(l, call.state))
                return 0;
        sentences = group_of(l, strncmp(name, "call:", 5) == 0 ? name + 5 : name);
        if (!sentences)
                return -ENOMEM;
        if (json_array_size(sentences) >= MOST_EXAMPLES ||
            write_sentence(l, at, sentence, sizeof(sentence)) == 0)
                return 0;
        return json_array_append_new(sentences, json_string(sentence)) < 0 ? -ENOMEM : 0;
}

/* What may be said with any command makes no example longer. */
static bool is_politeness(const struct typed *t, int32_t token) {
        static const char *const words[] = { "please", "now", "thanks", "thank", "right" };
        char word[TYPED_MAX_WORD];

        (void) typed_sentence(t, &token, 1, word, sizeof(word));
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcmp(word, words[i]) == 0)
                        return true;
        return false;
}

static int go_on(struct listing *l, uint32_t at, unsigned least_words) {
        const struct grammar *g = l->typed->grammar;
        const struct grammar_place place = { .state = l->steps[at].state };
        const int32_t call_begin = tokenizer_special(l->typed->tokenizer)->call_begin;
        size_t n = grammar_n_options(g, &place);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct grammar_place after = place;
                int32_t token = grammar_option(g, &place, i);

                if (grammar_follow(g, &after, token) < 0 || is_politeness(l->typed, token))
                        continue;
                if (token == call_begin) {
                        r = note_end(l, at, after, least_words);
                } else if (!l->is_known[after.state]) {
                        l->is_known[after.state] = true;
                        l->steps[l->n_steps++] = (struct step){ after.state, at, token,
                                                                l->steps[at].n_words + 1 };
                }
        }
        return r;
}

/* Shortest first, each state once. */
static int look_through(struct listing *l, unsigned least_words) {
        int r = 0;

        memset(l->is_known, 0, grammar_n_states(l->typed->grammar));
        l->is_known[0] = true;
        l->steps[0] = (struct step){ 0 };
        l->n_steps = 1;
        for (uint32_t at = 0; r >= 0 && at < l->n_steps; at++)
                r = go_on(l, at, least_words);
        return r;
}

/* The call of an example is known by reading it. */
static int note_example(struct listing *l, const char *sentence) {
        struct wording wording;
        struct typed_result result;
        struct grammar_place place = { 0 };
        char name[TYPED_MAX_WORD];
        json_t *sentences;

        if (wording_read(&wording, sentence, strlen(sentence)) < 0 ||
            typed_parse(l->typed, &wording, &result) != TYPED_COMMANDS)
                return 0;
        for (unsigned i = 0; i <= result.commands[0].call; i++)
                if (grammar_follow(l->typed->grammar, &place, result.commands[0].tokens[i]) < 0)
                        return 0;
        if (!typed_name_at(l->typed, place, name))
                return 0;
        sentences = group_of(l, strncmp(name, "call:", 5) == 0 ? name + 5 : name);
        return sentences && json_array_append_new(sentences, json_string(sentence)) == 0 ? 0 : -ENOMEM;
}

static int list_examples(struct listing *l) {
        const struct leeway *leeway = grammar_leeway(l->typed->grammar);
        const char *sentence;
        int r = 0;

        for (size_t i = 0; r >= 0 && (sentence = leeway_example(leeway, i)); i++)
                r = note_example(l, sentence);
        return r;
}

json_t *typed_help(const struct typed *t) {
        size_t n = grammar_n_states(t->grammar);
        struct listing l = {
                .typed = t,
                .steps = calloc(n + 1, sizeof(*l.steps)),
                .is_known = calloc(n + 1, sizeof(*l.is_known)),
                .groups = json_array(),
        };
        int r = l.steps && l.is_known && l.groups ? 0 : -ENOMEM;

        if (r >= 0)
                r = list_examples(&l);
        if (r >= 0 && json_array_size(l.groups) == 0) {
                r = look_through(&l, LEAST_WORDS);
                /* And those that never take so many words. */
                if (r >= 0)
                        r = look_through(&l, 1);
        }
        free(l.steps);
        free(l.is_known);
        if (r >= 0)
                return l.groups;
        json_decref(l.groups);
        return NULL;
}
