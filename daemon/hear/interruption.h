/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_INTERRUPTION_H
#define DAEMON_HEAR_INTERRUPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/hear/gate.h"
#include "daemon/hear/hearing.h"

/* Whether speech that has to wait, because a turn is being answered or the answer spoken, begins with the wake
 * phrase: then the answer is not waited for.  Embedded by value; owned by the pipeline thread. */
struct interruption {
        struct gate *gate; /* owned; NULL before it was needed */
        size_t n_seen;     /* frames of the speech that waits */
        size_t n_before;   /* ... of which so many are not looked at any more */
        bool is_decided;   /* about it */
        bool has_failed;   /* it can not be looked at */
};

enum interruption_verdict {
        INTERRUPTION_UNDECIDED, /* yet, or decided before */
        INTERRUPTION_CALLED,
        INTERRUPTION_STOPPED, /* "stop", and nothing else */
        INTERRUPTION_NOT_CALLED,
};

void interruption_done(struct interruption *i);

/* What waits now is other speech, or none. */
void interruption_reset(struct interruption *i);

/* Speech that goes on, which may be what is left of the answer's own echo, is looked at anew from every half
 * second on: who calls does so in the midst of it.  When that was found, n_before frames of the speech are of
 * before the call.
 *
 * Looks at the frames that came since.  What counts - the phrase, and if asked for "stop" - is found while
 * the speech goes on; that there is none is known at its end.  Each is told once.  Speech that can not be looked
 * at stays undecided; beside a voice (hears_stop), which it may be itself, it has not called. */
enum interruption_verdict interruption_look(struct interruption *i,
                                            const struct hearing *speech,
                                            bool hears_stop);

#endif
