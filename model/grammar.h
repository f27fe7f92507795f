/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_GRAMMAR_H
#define MODEL_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/gguf.h"
#include "model/leeway.h"
#include "model/meaning.h"

/* What a model may answer, as a deterministic automaton over tokens: in each state only the listed
 * tokens can follow.  It comes from the commands that a model was trained on and travels in its
 * file, in three keys:
 *
 *   gemmad.grammar.first    [n_states + 1]  index of a state's first edge; state 0 is the start
 *   gemmad.grammar.tokens   [n_edges]       rising within a state
 *   gemmad.grammar.targets  [n_edges]       the state after that token
 *
 * An answer repeats in its call what was said in its transcript, in another order; states that
 * remember that would be the product of all slots.  So edges can write values into registers, and
 * a token -1 - r stands for the value of register r, which its state has to spell and which nothing
 * else can replace.  If a file has registers, it has all five of
 *
 *   gemmad.grammar.write_edges      [n_writes]      the edge that writes, not falling
 *   gemmad.grammar.write_registers  [n_writes]      below GRAMMAR_N_REGISTERS
 *   gemmad.grammar.write_values     [n_writes]
 *   gemmad.grammar.value_first      [n_values + 1]  index of a value's first token
 *   gemmad.grammar.value_tokens                     at least one for each value
 *
 * gemmad.grammar.least_log_probability says which answers are to be believed, and .least_short_log_probability
 * of those of one word, .least_log_share and .least_short_log_share of spoken ones (engine.h); what more may be typed is in keys of its own (leeway.h, meaning.h).
 *
 * An answer ends with a token that ends a turn.  Immutable: any thread. */
struct grammar;

#define GRAMMAR_N_REGISTERS 32

/* A place in an answer.  All zero: its beginning. */
struct grammar_place {
        uint32_t state;
        uint32_t spelled; /* tokens of the register's value that are said already */
        uint32_t registers[GRAMMAR_N_REGISTERS]; /* 1 + value; 0: not written */
};

/* 0; -ENOENT when the file has none; -EBADMSG naming the key. */
int grammar_read(struct grammar **ret, const struct gguf *g, size_t n_vocab, struct why *why);
struct grammar *grammar_free(struct grammar *g);

size_t grammar_n_states(const struct grammar *g);

/* What typed texts may have beside it; belongs to the grammar. */
const struct leeway *grammar_leeway(const struct grammar *g);

/* What texts mean that are none of its sentences; belongs to the grammar.  NULL: nothing is known. */
const struct meanings *grammar_meanings(const struct grammar *g);

/* The likeliest of the tokens that can follow (ties: the lowest id); -1 if all of them have logits
 * of -infinity, or if a register should be spelled that was not written. */
int32_t
grammar_choose(const struct grammar *g, const struct grammar_place *place, const float *logits);

/* How many tokens can follow, and the i-th of them, rising.  Where a register is spelled that is one,
 * or none if it was not written; nothing can follow as well where an answer is over. */
size_t grammar_n_options(const struct grammar *g, const struct grammar_place *place);
int32_t grammar_option(const struct grammar *g, const struct grammar_place *place, size_t i);

/* Follows a token.  0 and *place, or -ENOENT when it can not follow. */
int grammar_follow(const struct grammar *g, struct grammar_place *place, int32_t token);

#endif
