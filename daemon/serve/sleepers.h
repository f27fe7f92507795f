/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_SLEEPERS_H
#define DAEMON_SERVE_SLEEPERS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "ipc/server.h"

/* Calls of Sleep: as long as there is one, the machine is about to sleep or asleep.  Belongs to the
 * main thread. */
struct sleeper;
struct sleepers {
        LIST_HEAD(, sleeper) list;
        bool is_closed; /* the microphone, since the first of them came */

        /* The first has come, or the last has gone. */
        void (*changed)(bool is_asleep, void *userdata);
        void *userdata;
};

/* Keeps the call, or refuses it. */
int sleepers_on_sleep(struct sleepers *s, struct call *call);

/* The microphone is closed: told to all who wait for it. */
void sleepers_on_closed(struct sleepers *s);

#endif
