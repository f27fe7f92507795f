/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_EXPECT_H
#define DAEMON_SERVE_EXPECT_H

#include <sys/queue.h>

#include <jansson.h>

#include "daemon/common/expected.h"
#include "ipc/server.h"

/* Calls of Expect: as long as they last, what they name counts when it is spoken without the wake
 * phrase.  Belongs to the main thread. */
struct expecter;
struct expectations {
        LIST_HEAD(, expecter) list;

        /* What is expected now, all of it, has changed. */
        void (*changed)(const struct expected *expected, void *userdata);
        void *userdata;
};

/* Keeps the call, or refuses it. */
int expect_on_expect(struct expectations *e, struct call *call, json_t *parameters);

#endif
