/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_LISTENERS_H
#define DAEMON_SERVE_LISTENERS_H

#include <stdbool.h>

#include <jansson.h>
#include <sys/queue.h>

#include "ipc/server.h"

/* Calls that get replies for as long as their clients stay.  Belongs to the main thread; starts
 * zeroed. */
LIST_HEAD(listeners, listener);

int listeners_add(struct listeners *list, struct call *call);

/* Sends the same reply to all; the reference stays the caller's, NULL sends nothing. */
void listeners_tell(struct listeners *list, json_t *reply);

/* Ends all calls, by the same reply (as above) or by an error with a reason. */
void listeners_answer(struct listeners *list, json_t *reply);
void listeners_refuse(struct listeners *list, const char *error, const char *reason);

/* Frees those who have gone, which happens while the list is walked. */
void listeners_sweep(struct listeners *list);
bool listeners_is_empty(const struct listeners *list);

/* The calls themselves must have ended. */
void listeners_done(struct listeners *list);

#endif
