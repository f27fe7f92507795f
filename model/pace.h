/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PACE_H
#define MODEL_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* How many tokens it pays to guess.  A pass over the known token and n guesses takes longer than one
 * over the known token alone, and so does the guessing; in return it may bring up to n + 1 tokens.  What
 * passes and guesses take, and how often a guess at each depth holds once those before it have held,
 * is measured as it goes, and the n that brings the most tokens a second is chosen: none, where
 * none brings more.  Now and then one guess more is made, or none, to see whether that has changed.
 *
 * It decides about time only; no token depends on it.  Owned by a session. */

#define PACE_MAX_GUESSES 7

struct pace_time {
        double ns; /* 0: not measured yet */
        unsigned n;
};

struct pace {
        struct pace_time passes[PACE_MAX_GUESSES + 2]; /* by rows */
        struct pace_time guess;
        struct {
                double tried, held; /* older ones count less and less */
        } depths[PACE_MAX_GUESSES];
        unsigned n_idle;   /* passes without a guess since the last with one */
        unsigned patience; /* so many of them before one is tried again */
        unsigned n_busy;   /* passes for which guessing seemed best */
};

void pace_init(struct pace *p);

/* Guesses for the next pass, at most `most`. */
unsigned pace_choose(struct pace *p, unsigned most);

/* What was measured: a pass over n_rows <= PACE_MAX_GUESSES + 1, one guess, and what came of the
 * guess at a depth when all before it had held. */
void pace_note_pass(struct pace *p, unsigned n_rows, uint64_t ns);
void pace_note_guess(struct pace *p, uint64_t ns);
void pace_note_outcome(struct pace *p, unsigned depth, bool held);

/* Tokens a second with n guesses over those with none, as far as is known; 0: nothing is. */
double pace_gain(const struct pace *p, unsigned n);

/* The share of the guesses at the first depth that held of late, 0 .. 1. */
double pace_acceptance(const struct pace *p);

#endif
