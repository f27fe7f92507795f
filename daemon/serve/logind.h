/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_LOGIND_H
#define DAEMON_SERVE_LOGIND_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"

/* Learns from logind, on the system bus, that the machine goes to sleep and that it is awake again.
 * Holds a delay lock of logind's while it is awake, so that there is time to close the microphone.
 * Where there is no logind nothing is told, and nothing is tried again.  Belongs to the main
 * thread. */
struct logind;

struct logind_config {
        sd_event *loop; /* not owned */

        /* Asleep: logind_rest() is due once all is put away.  Every true is followed by a false,
         * also when logind or its bus go away meanwhile; until logind_close(). */
        void (*on_sleep)(bool is_asleep, void *userdata);
        void *userdata;
};

/* Connects without waiting.  A negative errno and a reason when there is no system bus. */
int logind_open(struct logind **ret, const struct logind_config *config, struct why *why);
struct logind *logind_close(struct logind *l);
DEFINE_CLEANUP(struct logind *, logind_close)

/* The machine may sleep as far as we are concerned.  Takes NULL. */
void logind_rest(struct logind *l);

#endif
