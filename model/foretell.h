/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_FORETELL_H
#define MODEL_FORETELL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/engine-internal.h"

/* What a session's constrained answer goes on with, as far as that can be told before the model is asked:
 * where its grammar leaves no choice, and where it may be an answer that was given before.  What is foretold is
 * computed in one pass, and decides nothing: each token is chosen from the model's logits as if nothing had been.
 *
 * Owned by one session. */

/* Of one pass, with the token before them.  Float products of more rows may sum in another order: see
 * matmul.c. */
#define FORETELL_MAX_ROWS 16

/* Of an answer that was given before. */
#define FORETELL_MAX_LIKELY 96

struct foretold {
        int32_t likely[FORETELL_MAX_LIKELY];
        unsigned n_likely;
        unsigned n_said; /* tokens of the answer that goes on now */

        int32_t tokens[FORETELL_MAX_ROWS]; /* that lie in the cache ahead of the session */
        unsigned n_tokens;
        unsigned n_held; /* ... of which it has reached so many */
};

/* An answer begins; n tokens that it may have, of which as many as there is room for are looked at. */
void foretell_begin(struct foretold *f, const int32_t *likely, unsigned n);

/* Fills tokens with what may follow what was said, which has led to that place: `most` at most; how many. */
unsigned foretell(struct foretold *f,
                  const struct engine *e,
                  const struct grammar_place *place,
                  unsigned most);

/* Positions of the cache that the session has not reached. */
unsigned foretell_ahead(const struct foretold *f);

/* Whether the token is the next one foretold, so that its position is in the cache already; it is reached
 * now. */
bool foretell_holds(struct foretold *f, int32_t token);

#endif
