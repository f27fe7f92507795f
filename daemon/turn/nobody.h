/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_NOBODY_H
#define DAEMON_TURN_NOBODY_H

#include <stdbool.h>
#include <stddef.h>

/* The program that carries out what the pocket model knows, by the name that it provides under. */
#define NOBODY_DESKTOP "gemmad-desktop"

/* A sentence for the user about a call that nobody provides: what can not be done here, and what is
 * missing for it.  Returns false and writes nothing when the call is no action, such as "wake": then
 * there is nothing to complain of. */
bool nobody_say(const char *name, bool desktop_runs, char *out, size_t out_size);

#endif
