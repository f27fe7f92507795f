/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_UPKEEP_H
#define DAEMON_STORE_UPKEEP_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/store/store.h"

/* Looks after the history: notes the days on which it runs, forgets turns that are older than
 * keep_days of them, writes turns that wait, and ends what a forgetting had to leave undone, as
 * soon as that is possible.
 * Belongs to the main thread. */
struct upkeep;

struct upkeep_config {
        sd_event *loop; /* neither of these is owned */
        struct store *store;
        unsigned keep_days; /* 0: turns are kept */

        /* Turns have been forgotten: what else remembers them has to let go. */
        void (*forgotten)(void *userdata);
        /* Nothing waits to be written, or nothing is owed, any more. */
        void (*settled)(void *userdata);
        void *userdata;
};

int upkeep_new(struct upkeep **ret, const struct upkeep_config *config);
struct upkeep *upkeep_free(struct upkeep *u);
DEFINE_CLEANUP(struct upkeep *, upkeep_free)

void upkeep_set_keep_days(struct upkeep *u, unsigned keep_days);

#endif
