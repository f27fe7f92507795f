/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_ARCHIVE_H
#define DAEMON_SERVE_ARCHIVE_H

#include <jansson.h>

#include "base/cleanup.h"
#include "daemon/common/config.h"
#include "daemon/store/keeper.h"
#include "ipc/server.h"

/* The calls about past turns: History, Search, Show, Forget.  Belongs to the main thread. */
struct archive {
        const struct config *config; /* not owned */
        struct keeper *keeper;       /* not owned; NULL: no history */
        struct why missing;          /* ... because of this */

        /* Without a history: what else remembers turns has to let go.  With one the keeper says it. */
        void (*forgotten)(void *userdata);
        void *userdata;
};

/* Each answers the call, at once or later, and returns 0, or -errno for the connection.  Forget answers when
 * nothing of the turns is in a file any more. */
int archive_on_history(struct archive *a, struct call *call, json_t *parameters);
int archive_on_search(struct archive *a, struct call *call, json_t *parameters);
int archive_on_show(struct archive *a, struct call *call, json_t *parameters);
int archive_on_forget(struct archive *a, struct call *call, json_t *parameters);

#endif
