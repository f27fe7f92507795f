/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_TYPED_INTERNAL_H
#define DAEMON_THINK_TYPED_INTERNAL_H

#include "daemon/think/typed.h"

/* What typed.c (one sentence), typed-text.c (what several of them, corrections and withdrawals make)
 * and typed-nearest.c (which sentence was probably meant) share. */
#define TYPED_MAX_WORD 32

/* A word of the grammar with its tokens at the beginning of a sentence and within one; -1: none. */
struct typed_word {
        char *text; /* owned */
        int32_t first, later;
        uint64_t calls; /* that sentences with it can be, as bits */
};

struct typed {
        const struct grammar *grammar;     /* not owned */
        const struct tokenizer *tokenizer; /* not owned */
        struct typed_word *words;          /* owned, sorted */
        size_t n_words;
        uint32_t *outcomes; /* owned, [states]: which call all sentences through a state are; see typed-topic.c */
};

/* The row of a token; NULL: it is no word. */
struct typed_word *typed_word_of(struct typed *t, int32_t token);

/* "call:" and the name of the call that a place is at the beginning of.  False: it has none that fits. */
bool typed_name_at(const struct typed *t, struct grammar_place place, char name[static TYPED_MAX_WORD]);

/* Fills in the words' calls. */
int typed_note_topics(struct typed *t);

const struct typed_word *typed_find(const struct typed *t, const char *text, size_t size);

/* Whether two words differ by one slip of the finger. */
bool typed_is_slip(const char *a, const char *b);

/* How far a text may be from a sentence: so many of each, for the whole of it. */
struct typed_slack {
        unsigned n_slips; /* of the finger, that are put right */
        unsigned n_idle;  /* words that mean nothing, skipped */
        unsigned n_small; /* words that a careless sentence lacks: "set timer" */
        unsigned n_open;  /* places where any words stand, of which nothing is passed on */
};

struct typed_text {
        const struct typed *typed;
        const struct wording *wording;
        struct typed_slack slack;
};

/* "And" and its like, between two commands. */
bool typed_is_joint(const char *word);

/* Whether these words, in this order, are a sentence; and which command it is. */
bool typed_sentence_in(const struct typed_text *text,
                       const unsigned *order,
                       unsigned n,
                       struct typed_command *ret);

/* Whether it is one of n phrases. */
bool typed_is_one_of(const char *said, const char *const *phrases, size_t n);

/* Whether whole words stand in a sentence. */
bool typed_stands_in(const char *said, const char *sentence);

/* The kinds of contrast that the words from begin to end have, as bits. */
unsigned typed_kinds_in(const struct typed_text *text, unsigned begin, unsigned end);

/* What two sentences have in common at their beginnings and their ends, in whole words; 0 and 0 where
 * it takes the whole of both to tell them apart. */
void typed_apart(
        const char *a, size_t a_size, const char *b, size_t b_size, size_t *ret_head, size_t *ret_tail);

/* Whether a text is nothing but that something is not wanted. */
bool typed_text_withdraws(const struct typed_text *text);

/* The name of a command's call; empty when it has none. */
void typed_call_name(const struct typed *t, const struct typed_command *command, char name[static TYPED_MAX_WORD]);

/* Whether a command is a call of that name. */
bool typed_calls(const struct typed *t, const struct typed_command *command, const char *name);

/* ... and has this for a value, which is one word. */
bool typed_passes(const struct typed *t, const struct typed_command *command, const char *value);

enum typed_verdict typed_text_parse(const struct typed_text *text, struct typed_result *ret);

/* Whether a part of it, between two of what divides commands, is a command by itself. */
bool typed_text_has_command(const struct typed_text *text);

#endif
