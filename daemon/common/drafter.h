/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_DRAFTER_H
#define DAEMON_COMMON_DRAFTER_H

#include <limits.h>

#include "daemon/common/config.h"

/* The drafter's file: the one that is configured, or, where that says auto, one beside the model's
 * file that has a name under which such files are published.  NULL: there is none.  Any thread. */
const char *drafter_find(const struct config *config, char buffer[static PATH_MAX]);

#endif
