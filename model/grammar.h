/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_GRAMMAR_H
#define MODEL_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/gguf.h"

/* What a model may answer, as a deterministic automaton over tokens: in each state only the listed
 * tokens can follow.  It comes from the commands that a model was trained on and travels in its
 * file, in three keys:
 *
 *   gemmad.grammar.first    [n_states + 1]  index of a state's first edge; state 0 is the start
 *   gemmad.grammar.tokens   [n_edges]       rising within a state
 *   gemmad.grammar.targets  [n_edges]       the state after that token
 *
 * and gemmad.grammar.least_log_probability says which answers are to be believed (engine.h).
 *
 * An answer ends with a token that ends a turn.  Immutable: any thread. */
struct grammar;

/* 0; -ENOENT when the file has none; -EBADMSG naming the key. */
int grammar_read(struct grammar **ret, const struct gguf *g, size_t n_vocab, struct why *why);
struct grammar *grammar_free(struct grammar *g);

size_t grammar_n_states(const struct grammar *g);

/* The likeliest of the tokens that can follow in a state (ties: the lowest id), -1 if all of them
 * have logits of -infinity. */
int32_t grammar_choose(const struct grammar *g, uint32_t state, const float *logits);

/* Follows a token.  0 and *state, or -ENOENT when it can not follow. */
int grammar_follow(const struct grammar *g, uint32_t *state, int32_t token);

#endif
