/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_LEEWAY_H
#define MODEL_LEEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/gguf.h"

/* What a typed text may have that no sentence of a grammar has, although it means one, and what help shows
 * of the grammar; a model hears nothing of either.  It travels in the model's file, in these keys:
 *
 *   gemmad.grammar.examples texts: sentences of the grammar that are worth trying
 *   gemmad.grammar.open   tokens: a word that stands for any words ("london" for every place)
 *   gemmad.grammar.typed  texts "WORDS=OTHERS": words that people type, and words of the grammar
 *                         that mean the same; nothing behind the sign: they mean nothing
 *
 * Immutable: any thread. */
struct leeway;

#define LEEWAY_MAX_WORDS    2048
#define LEEWAY_MAX_EXAMPLES 256
#define LEEWAY_MAX_TEXT     64

struct leeway_words {
        char *typed, *said; /* owned by the leeway; lower case, one space between words */
};

/* 0, also when the file has none of the keys: then there is no leeway; -EBADMSG naming the key; -ENOMEM. */
int leeway_read(struct leeway **ret, const struct gguf *g, size_t n_vocab, struct why *why);
struct leeway *leeway_free(struct leeway *l);

/* Whether any words may stand where this token can.  False of NULL. */
bool leeway_is_open(const struct leeway *l, int32_t token);
bool leeway_has_open(const struct leeway *l);

/* All words, those that begin alike together; *ret_n is 0 of NULL. */
const struct leeway_words *leeway_words(const struct leeway *l, size_t *ret_n);

/* The sentences that a user is to be shown, in their order; NULL beyond the last, and of NULL. */
const char *leeway_example(const struct leeway *l, size_t i);

#endif
