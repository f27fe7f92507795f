/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_EXPECT_H
#define DESKTOP_EXPECT_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* Tells gemmad what is likely to be said now, so that it counts without the wake phrase: "stop" while
 * it rings, "yes" to a question.  Owned by the main thread. */
struct expect;

/* path is that of gemmad's socket and copied. */
int expect_new(struct expect **ret, sd_event *loop, const char *path);
struct expect *expect_free(struct expect *e);
DEFINE_CLEANUP(struct expect *, expect_free)

/* Names of calls from now on, in this order, up to a NULL; none: nothing is expected.  The names live
 * as long as the program.  NULL for e does nothing. */
#define EXPECT_MAX 7
void expect_set(struct expect *e, const char *const *calls);

#endif
