/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_REINS_H
#define DAEMON_THINK_REINS_H

#include <stdbool.h>
#include <stdint.h>

/* What keeps a model that answers freely from going on for ever: a limit of its tokens, a budget of its
 * thoughts, and an eye on whether it says the same over and over.  Knows tokens by their numbers only.
 * Embedded by value; owned by the inference thread. */

/* So many tokens, three times in a row, are no answer any more: a block of at least the first length
 * and at most the second. */
#define REINS_SHORTEST 30
#define REINS_LONGEST  128

struct reins {
        unsigned max_tokens, max_thought;
        unsigned n_tokens;  /* of the answer; of thoughts, too, when their budget is spent */
        unsigned n_thought; /* of thoughts */
        unsigned n_seen;    /* since the last time that a thought was ended */
        int32_t last[REINS_LONGEST];          /* token i lies at i % REINS_LONGEST */
        uint16_t n_same[REINS_LONGEST + 1]; /* at each distance: so many tokens, up to the last one, are
                                               the same as those so far before them */
};

enum reins_pull {
        REINS_LOOSE,   /* go on */
        REINS_THOUGHT, /* the thought has to end, and the answer to begin */
        REINS_LIMIT,   /* the answer has to end: it is as long as it may be */
        REINS_REPEATS, /* ... it repeats itself */
};

/* At the beginning of an answer.  Both limits are at least 1. */
void reins_begin(struct reins *r, unsigned max_tokens, unsigned max_thought);

/* After each token; is_thought: it is one of a thought. */
enum reins_pull reins_push(struct reins *r, int32_t token, bool is_thought);

/* After what somebody else has said in between: the same may be said again. */
void reins_look_anew(struct reins *r);

/* Whether the answer may go on. */
bool reins_has_left(const struct reins *r);

#endif
