/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_SPEAKING_H
#define DAEMON_SERVE_SPEAKING_H

#include <stdbool.h>
#include <sys/queue.h>

#include <jansson.h>

#include "ipc/server.h"

/* Calls of Speaking: as long as there is one, an answer is spoken.  Belongs to the main thread. */
struct speaking_call;
struct speaking {
        LIST_HEAD(, speaking_call) list;

        /* The first has come, or the last has gone. */
        void (*changed)(bool is_speaking, void *userdata);
        void *userdata;
};

/* Keeps the call, or refuses it. */
int speaking_on_speaking(struct speaking *s, struct call *call);

/* Tells all of them that somebody speaks, and that they are to be silent. */
void speaking_interrupt(struct speaking *s);

#endif
