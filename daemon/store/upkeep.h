/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_UPKEEP_H
#define DAEMON_STORE_UPKEEP_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/store/store.h"

/* Looks after the history: notes the days on which it runs, forgets turns that are older than
 * keep_days of them, writes turns that wait, and erases what was forgotten, again and again until
 * that is possible.
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

/* Who waits for the end of a forgetting.  r: 0 with the number of turns that it took, or why they may
 * still be in a file (-ECANCELED: gemmad ends), which is then tried again without being told. */
struct upkeep_waiter {
        void (*erased)(int r, uint64_t n, const struct why *why, void *userdata);
        void *userdata;
};

/* Forgets turns.  When this returns 0 no reading shows them any more, and the waiter is called once,
 * later or before this returns (there was nothing to forget, or it can not be erased now).  After an
 * error nothing has been forgotten, and nobody is called. */
int upkeep_forget(struct upkeep *u,
                  const struct store_span *span,
                  const struct upkeep_waiter *waiter,
                  struct why *why);

#endif
