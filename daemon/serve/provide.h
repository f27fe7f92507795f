/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_PROVIDE_H
#define DAEMON_SERVE_PROVIDE_H

#include <jansson.h>

#include "daemon/turn/toolbox.h"
#include "ipc/server.h"

/* The calls about tools: Provide, Respond, Tools, Call.  Each answers or keeps the call and returns 0,
 * or -errno for the connection.  Main thread. */
int provide_on_provide(struct toolbox *t, struct call *call, json_t *parameters);
int provide_on_respond(struct toolbox *t, struct call *call, json_t *parameters);
int provide_on_tools(struct toolbox *t, struct call *call);
int provide_on_call(struct toolbox *t, struct call *call, json_t *parameters);

#endif
