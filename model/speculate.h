/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_SPECULATE_H
#define MODEL_SPECULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/drafter.h"
#include "model/engine-internal.h"
#include "model/kvcache.h"
#include "model/pace.h"
#include "model/sampler.h"
#include "model/session.h"

/* Guesses of a session's next tokens, and which of them lie in its cache ahead of its position.
 *
 * A guess is what the session's own sampler would choose from the drafter's logits, with the random
 * numbers that it will use when its turn comes.  A guess decides nothing: each token is chosen by the
 * sampler from the model's logits, as without a drafter, and a guess holds when it is that token.
 * So with the same seed the same tokens come, in the same distribution, with a drafter and without.
 *
 * Owned by one session. */

#define SPECULATE_MAX_ROWS (PACE_MAX_GUESSES + 1)

struct speculation {
        struct draft draft;
        struct pace pace;
        unsigned n_fixed; /* guesses each time; 0: as it pays */
        const struct engine *engine;
        struct kvcache *cache; /* not owned */

        int32_t guesses[PACE_MAX_GUESSES];
        unsigned n_guesses; /* of the last pass, which lie in the cache behind its first row */
        unsigned n_held;    /* ... of which the session has reached so many */
        float *logits;      /* owned, [n_vocab], of the drafter */
        float *states;      /* owned, [SPECULATE_MAX_ROWS][width], of the rows of the last pass */

        struct session_drafting counts;
};

/* 0 or -ENOMEM. */
int speculation_new(struct speculation **ret,
                    const struct engine *e,
                    struct kvcache *cache,
                    unsigned n_fixed);
struct speculation *speculation_free(struct speculation *s);

/* Positions of the cache that the session has not reached. */
unsigned speculation_ahead(const struct speculation *s);

/* Whether the token is the next guess, so that its position is in the cache already; it is reached
 * now. */
bool speculation_holds(struct speculation *s, int32_t token);

/* Takes back what is ahead. */
void speculation_drop(struct speculation *s);

/* Fills guesses with what may follow the token, of which the state is the one that it was chosen
 * from, at most `most` of them; how many. */
unsigned speculation_guess(struct speculation *s,
                           const struct sampler *sampler,
                           int32_t token,
                           const float *state,
                           unsigned most);

#endif
