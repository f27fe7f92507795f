/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_REPLIES_H
#define DAEMON_SERVE_REPLIES_H

#include <jansson.h>

#include "daemon/common/record.h"
#include "daemon/turn/turns.h"

/* The types of io.gemmad.Assistant as JSON.  Each returns a new reference, NULL when there is no
 * memory. */
json_t *reply_turn(const struct record *turn);

/* {event: Event}, what Ask and Watch reply. */
json_t *reply_event(const struct turns *turns, const struct news *news);

/* A text that need not be UTF-8. */
json_t *reply_text(const char *text, size_t size);
json_t *reply_string(const char *text);

/* {reason: ...}, of several errors. */
json_t *reply_reason(const char *reason);

const char *activity_name(enum activity activity);

#endif
