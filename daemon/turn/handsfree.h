/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_HANDSFREE_H
#define DAEMON_TURN_HANDSFREE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/common/config.h"
#include "daemon/common/mode.h"
#include "daemon/turn/turn.h"

/* Speech that nobody has called for: whether it waits to become a turn, and whether it counts
 * without the wake phrase.  Part of struct turns; belongs to the main thread. */
struct handsfree {
        const struct config *config; /* not owned */
        enum mode mode;
        struct expected expected; /* calls that count without anything else */
        bool is_waiting;          /* the pipeline holds speech that no turn has taken */
        bool follows_up;          /* ... and counts without the phrase */
        bool is_undecided;        /* ... and began while the one before was still judged */
        bool is_beside;           /* ... and began while an answer was spoken, which it may be itself, */
        bool is_called;           /* ... but it is meant for us */
        bool is_speaking;         /* an answer is spoken, or was a moment ago */
        uint64_t speaking_ns;     /* ... since then */
        uint64_t follow_until_ns; /* who begins to speak until then may follow up */
        uint64_t n_ignored;       /* segments of speech that were not meant for us */
};

/* is_busy: a turn is answered, so that what is said does not follow its answer; is_undecided: it is
 * not known yet whether what was said before counts. */
void handsfree_on_speech(struct handsfree *h, bool is_busy, bool is_undecided);

/* An answer is spoken: what is said beside it is heard, but waits until it has called us.  Who follows up
 * does so when it is over. */
void handsfree_begin_speaking(struct handsfree *h);
void handsfree_end_speaking(struct handsfree *h);

/* Something waits of which the pipeline has yet to say whether it calls us. */
bool handsfree_is_judged(const struct handsfree *h);

/* What makes a turn of the speech that waits.  False when none does. */
bool handsfree_take(struct handsfree *h, struct ask *ret);

/* What waits does not call us.  False: it does not have to, or may be what is expected, and waits on. */
bool handsfree_drop(struct handsfree *h);

/* A turn that clients know of has ended: what is said next may belong to it. */
void handsfree_on_done(struct handsfree *h, const struct turn *turn);

#endif
