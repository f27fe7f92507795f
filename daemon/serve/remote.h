/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_REMOTE_H
#define DAEMON_SERVE_REMOTE_H

#include <stdbool.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "daemon/common/config.h"
#include "daemon/think/inference.h"
#include "ipc/server.h"
#include "remote/link.h"

/* Who asks servers for us (the method Remote), and what it says of them.  Embedded by value; the members above the
 * line are set before the first call.  Belongs to the main thread. */
struct remote_desk {
        const struct config *config; /* none of these is owned */
        sd_event *loop;
        void (*take_link)(int link_fd, void *userdata); /* takes it over */
        void (*changed)(void *userdata);
        void *userdata;
        /* ---- */
        struct call *call; /* not owned; NULL: nobody does */
        int state_fd;      /* owned, with a call */
        sd_event_source *source; /* owned */
        struct link_state state;
        bool has_state;
};

/* The method; as those of daemon/serve/provide.h.  A newer call takes the place of the one that there is. */
int remote_on_remote(struct remote_desk *d, struct call *call, const json_t *parameters);

/* Whether a server would be asked now. */
bool remote_is_up(const struct remote_desk *d);

void remote_add_status(const struct remote_desk *d, json_t *status);

/* The calls themselves must have ended. */
void remote_done(struct remote_desk *d);

#endif
