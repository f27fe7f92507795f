/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_RETENTION_H
#define DAEMON_RETENTION_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/store.h"

/* Forgets turns that are older than keep_days, now and once a day.  Belongs to the main thread. */
struct retention;

/* The store is not owned. */
int retention_new(struct retention **ret, sd_event *loop, struct store *store, unsigned keep_days);
struct retention *retention_free(struct retention *t);
DEFINE_CLEANUP(struct retention *, retention_free)

#endif
