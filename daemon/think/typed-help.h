/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_TYPED_HELP_H
#define DAEMON_THINK_TYPED_HELP_H

#include <jansson.h>

#include "daemon/think/typed.h"

/* What can be said, as an array of {name, sentences}: a call, and a few short sentences that mean it.  The
 * caller's; NULL when out of memory.  Any thread. */
json_t *typed_help(const struct typed *t);

#endif
