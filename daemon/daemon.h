/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

#include "daemon/common/config.h"
#include "daemon/hear/starter.h"

struct daemon_setup {
        const struct config *config; /* not owned, nor is the version */
        const char *version;

        struct starter *starter; /* not owned; NULL: there is none, and no sound */

        /* The configuration as it is now, checked; what is at fault is in why. */
        int (*reread)(struct config **ret, void *userdata, struct why *why);
        void *userdata;
};

/* Runs the daemon until a signal or an error ends it: owns everything, starts it in order and stops
 * it in reverse.  SIGTERM, SIGINT and SIGHUP have to be blocked by then.  0 after a signal, -errno
 * after an error, which has been logged.  SIGHUP reads the configuration again.
 *
 * *left is always written: whether a thread, in the middle of something that can not be interrupted,
 * still runs.  All is written down then, but the process has to end by _exit(), because nothing that
 * the thread uses may be taken apart. */
int daemon_run(const struct daemon_setup *setup, bool *left);

#endif
