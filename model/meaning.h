/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MEANING_H
#define MODEL_MEANING_H

#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/gguf.h"

/* What a request means that is no sentence of a grammar: a small linear model over its words and the
 * pairs of neighbours among them, which has learnt from how people ask (training/meanings.py).  It travels
 * in the model's file, in these keys:
 *
 *   gemmad.meaning.says     texts, what each meaning is; the first one is none of them
 *   gemmad.meaning.least    [n_says]         percent: a likelihood that it must have to count
 *   gemmad.meaning.bias     [n_says]         in units, as the weights
 *   gemmad.meaning.features [n_features]     hashes (FNV-1a, 32 bit), rising
 *   gemmad.meaning.first    [n_features + 1] index of a feature's first weight, not falling
 *   gemmad.meaning.classes  [n_weights]      the meaning that a weight is for
 *   gemmad.meaning.weights  [n_weights]
 *   gemmad.meaning.unit     the value of a weight of one
 *
 * Immutable: any thread. */
struct meanings;

/* What the text of a meaning is, by its first character; anything else: sentences of the grammar divided by
 * bars, the first that holds all that was typed counts, and a star in one is any of its words. */
#define MEANING_REPLY '=' /* nothing can be done; what is to be said of it */
#define MEANING_CALL  '!' /* the name of a call that takes nothing along */
#define MEANING_HINT  '?' /* a sentence that is to be named, and not obeyed */
#define MEANING_TAKES '+' /* "CALL ARGUMENT|NAME VALUE|WORDS": a call that takes words of the text along, all but
                           * those at either end that are among WORDS; the grammar's call of that name with that
                           * value (may be empty) stands for it.  If any of WORDS have a plus before them, one of
                           * those has to be left out, or it is none */

#define MEANING_MAX_CLASSES  128
#define MEANING_MAX_FEATURES 65535
#define MEANING_MAX_TEXT     512

/* 0, *ret NULL when the file has none; -EBADMSG naming the key; -ENOMEM. */
int meanings_read(struct meanings **ret, const struct gguf *g, struct why *why);
struct meanings *meanings_free(struct meanings *m);

/* How likely it is that these words (lower case, one space between) mean anything, and the likeliest
 * meaning of them; 0: there is none, also of NULL.  Words beyond the first 64 do not count. */
unsigned meanings_judge(const struct meanings *m, const char *words, float *ret_likelihood);

/* How many meanings there are, with that of none; 0 of NULL. */
unsigned meanings_count(const struct meanings *m);

/* The text of a meaning, which is not 0. */
const char *meanings_text(const struct meanings *m, unsigned meaning);

/* From which likelihood on it counts. */
float meanings_least(const struct meanings *m, unsigned meaning);

#endif
