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
        bool is_decided;   /* about it */
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

/* Looks at the frames that came since.  What counts - the phrase, and if asked for "stop" - is found while
 * the speech goes on; that there is none is known at its end.  Each is told once. */
enum interruption_verdict interruption_look(struct interruption *i,
                                            const struct hearing *speech,
                                            bool hears_stop);

#endif
