/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_LINK_H
#define DESKTOP_LINK_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/why.h"
#include "desktop/call.h"

/* The way to gemmad of one set of tools: offers them there, receives calls of them and sends back
 * what came of them.  Connects again for as long as it lives, and only while there are tools.  A set
 * that gemmad refuses takes no other along.  Owned by the main thread.
 *
 * Two connections, since one that waits for calls can send nothing else. */
struct link;

struct link_config {
        sd_event *loop;
        const char *path; /* of the socket */
        const char *provider; /* who provides them, for people; lives as long as the link */
        json_t *tools;    /* as Provide takes them; borrowed */

        /* A call to carry out; the call is borrowed. */
        void (*call)(struct call *call, void *userdata);

        /* Whether gemmad has taken the tools. */
        void (*connected)(bool is_connected, void *userdata);
        void *userdata;
};

int link_new(struct link **ret, const struct link_config *config, struct why *why);
struct link *link_free(struct link *l);
DEFINE_CLEANUP(struct link *, link_free)

/* Other tools from now on; calls under way are not answered any more. */
void link_set_tools(struct link *l, json_t *tools);

#endif
