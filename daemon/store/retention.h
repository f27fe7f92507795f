/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_RETENTION_H
#define DAEMON_STORE_RETENTION_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/store/store.h"

/* Forgets turns that are older than keep_days, now and once a day.  Belongs to the main thread. */
struct retention;

struct retention_config {
        sd_event *loop; /* neither of these is owned */
        struct store *store;
        unsigned keep_days;

        /* Turns have been forgotten: what else remembers them has to let go. */
        void (*forgotten)(void *userdata);
        void *userdata;
};

int retention_new(struct retention **ret, const struct retention_config *config);
struct retention *retention_free(struct retention *t);
DEFINE_CLEANUP(struct retention *, retention_free)

#endif
