/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_MCP_H
#define DESKTOP_MCP_H

#include <stdbool.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/why.h"
#include "desktop/call.h"

struct desktop;

/* A server of the Model Context Protocol, which is run as a child and spoken to on its standard
 * input and output, a JSON message a line.  Its tools are tools here, with its name in front.  One
 * that ends is started again, with growing pauses.  Owned by the main thread. */
struct mcp;

struct mcp_config {
        sd_event *loop;
        struct desktop *desktop;
        const char *name; /* borrowed during the call, like the next */
        json_t *settings; /* its table in the configuration */

        /* Its tools are others now, or it has gone and has none: as Provide takes them; borrowed. */
        void (*changed)(struct mcp *m, json_t *tools, void *userdata);
        void *userdata;
};

/* -EINVAL: the settings are wrong. */
int mcp_new(struct mcp **ret, const struct mcp_config *config, struct why *why);
struct mcp *mcp_free(struct mcp *m);
DEFINE_CLEANUP(struct mcp *, mcp_free)

const char *mcp_name(const struct mcp *m);

/* False: it has no tool of this name. */
bool mcp_run(struct mcp *m, struct call *call);

/* Seconds that one call may take. */
#define MCP_SECONDS 60

#endif
