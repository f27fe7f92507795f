/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_CONFINEMENT_H
#define DAEMON_CONFINEMENT_H

#include <stdio.h>

#include "base/why.h"
#include "daemon/common/config.h"

/* Confines this program, by what it was configured to need, before anything is opened that could be
 * talked to: to the files and sockets that it has to reach, and, in a second step before which what it
 * needs can be started, from the network, other programs and other processes; see daemon/sandbox.h.
 * What the kernel can not do is logged and done without.
 *
 * Threads that a library has started before main() (OpenBLAS does) allow no namespace and are not
 * held by Landlock, so the program is started anew without them: argv is what it was started with.  config_path: a file of the user's
 * choice that is read again on reload, or NULL. */
void confinement_enter_files(const struct config *config, const char *config_path, char **argv);

/* The second half: no program can be run from here on. */
void confinement_enter(void);

/* After both: a line for each part, whether it holds, and what that means or why not. */
void confinement_show(FILE *to);

/* -EPERM, and the first part that does not hold; 0: all do. */
int confinement_missing(struct why *why);

#endif
