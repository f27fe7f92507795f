/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_TYPED_H
#define DAEMON_THINK_TYPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "daemon/think/wording.h"
#include "model/grammar.h"
#include "model/tokenizer.h"

/* Typed commands, understood by the grammar of a model's file and not by the model: of a text there is
 * no doubt what was said.  Exact, but for slips of the finger in words that can only be one other;
 * what was taken back or corrected in the same breath is; two commands in one text are both
 * understood or none is.  Immutable after typed_new(): any thread. */
struct typed;

/* Neither is owned; both have to live as long. */
int typed_new(struct typed **ret, const struct grammar *g, const struct tokenizer *t);
struct typed *typed_free(struct typed *t);
DEFINE_CLEANUP(struct typed *, typed_free)

#define TYPED_MAX_COMMANDS 4
#define TYPED_MAX_TOKENS   128
#define TYPED_MAX_SENTENCE 512

/* A sentence and its call as the model would have answered it, up to the end of the call. */
struct typed_command {
        int32_t tokens[TYPED_MAX_TOKENS];
        unsigned n_tokens;
        unsigned call; /* the first token of the call */
};

enum typed_verdict {
        TYPED_NOTHING,   /* no sentence of the grammar */
        TYPED_TAKEN_BACK, /* a command, and that it is not wanted */
        TYPED_IN_PART,   /* several commands of which one was not understood */
        TYPED_COMMANDS,
};

struct typed_result {
        struct typed_command commands[TYPED_MAX_COMMANDS]; /* in the order in which they were said */
        unsigned n_commands;
};

enum typed_verdict
typed_parse(const struct typed *t, const struct wording *w, struct typed_result *ret);

/* What a text that is no sentence of the grammar means all the same, by how people ask: see
 * model/meaning.h. */
enum typed_meant {
        TYPED_MEANS_NOTHING,
        TYPED_MEANS_COMMAND, /* .command */
        TYPED_MEANS_REPLY,   /* nothing can be done; .words are to be said of it */
        TYPED_MEANS_CALL,    /* .call, that no sentence of the grammar leads to */
        TYPED_MEANS_HINT,    /* not for certain: .words are a sentence that is to be named */
};

#define TYPED_MAX_CALL 512

struct typed_meaning {
        struct typed_command command;
        char call[TYPED_MAX_CALL]; /* as a model writes it: call:NAME{...} */
        const char *words;         /* as long as the typed */
};

enum typed_meant
typed_means(const struct typed *t, const struct wording *w, struct typed_meaning *ret);

/* Whether a command, which is what the grammar makes of the text, stands for a call that takes words of the
 * text along: "what time is it in lima" for one that has only heard of paris. */
bool typed_takes(const struct typed *t,
                 const struct wording *w,
                 const struct typed_command *command,
                 char call[static TYPED_MAX_CALL]);

/* What a text says beyond its commands, as what is to be said of it: that it is to be done again and again, or
 * somewhere else.  Of no commands: of words that are taken along.  NULL: nothing that is known of.  For as long
 * as the program runs. */
const char *typed_beyond(const struct typed *t,
                         const struct wording *w,
                         const struct typed_command *commands,
                         unsigned n_commands);

/* The same of a text that is no sentence, but a command and when or how long it is to be done: "pause in ten
 * minutes".  NULL: it is no such. */
const char *typed_postpones(const struct typed *t, const struct wording *w);

/* The words by which meanings are told from each other: as they are spoken, those of the leeway in the
 * place of others, each number as a sign.  False: the text has none. */
bool typed_meaning_words(const struct typed *t, const struct wording *w, char *out, size_t out_size);

/* The sentence that was probably meant: by how people ask, or else the nearest one.  Its length, or 0. */
size_t typed_suggest(const struct typed *t, const struct wording *w, char *out, size_t out_size);

/* The sentence of the grammar that is nearest to what was typed, if one is near: its length, or 0.
 * It has the numbers and the opposites of what was typed. */
size_t typed_nearest(const struct typed *t, const struct wording *w, char *out, size_t out_size);

/* The sentence of an answer, up to its call, as words with spaces between; its length. */
size_t typed_sentence(const struct typed *t,
                      const int32_t *tokens,
                      unsigned n_tokens,
                      char *out,
                      size_t out_size);

/* The command that these words of an answer are.  False: they are no sentence. */
bool typed_command_of(const struct typed *t, const int32_t *words, unsigned n, struct typed_command *ret);

/* "Fifteen or fifty?": what tells the sentence of an answer from another; its length. */
size_t typed_question(const struct typed *t,
                      const int32_t *tokens,
                      unsigned n_tokens,
                      const struct typed_command *other,
                      char *out,
                      size_t out_size);

/* What a question was about: a command that lacks something, or two that were heard alike. */
struct typed_asked {
        struct typed_command command; /* no tokens: nothing was asked */
        struct typed_command other;   /* no tokens: the command lacks something */
};

/* Whether a command is the call for what it lacks: "set a timer". */
bool typed_asks(const struct typed *t, const struct typed_command *command);

/* What a text is as the answer to that: TYPED_COMMANDS, and *ret is the command that it makes of the
 * question's; TYPED_TAKEN_BACK: "no", it is not wanted any more; TYPED_NOTHING: no answer. */
enum typed_verdict typed_answer(const struct typed *t,
                                const struct typed_asked *asked,
                                const struct wording *w,
                                struct typed_command *ret);

/* Whether two commands are the same call, whatever their words. */
bool typed_is_same_call(const struct typed_command *a, const struct typed_command *b);

/* Whether these words of an answer, which are a sentence, can be the beginning of one that means something
 * else: "set a timer for twenty". */
bool typed_can_go_on(const struct typed *t, const int32_t *tokens, unsigned n_tokens);

/* Whether the second of two texts in single words can be about what the first is about: there is a call
 * that all their words which the grammar has can lead to. */
bool typed_is_about(const struct typed *t, const char *said, const char *taken);

#endif
