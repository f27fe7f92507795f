/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

#include "daemon/config.h"

/* Runs the daemon until a signal or an error ends it: owns everything, starts it in order and stops
 * it in reverse.  SIGTERM, SIGINT and SIGHUP have to be blocked by then.  0 after a signal, -errno
 * after an error, which has been logged.
 *
 * *left is always written: whether a thread, in the middle of something that can not be interrupted,
 * still runs.  All is written down then, but the process has to end by _exit(), because nothing that
 * the thread uses may be taken apart. */
int daemon_run(const struct config *config, const char *version, bool *left);

#endif
