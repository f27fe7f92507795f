/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_VARLINK_H
#define IPC_VARLINK_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/why.h"

/* Varlink messages: JSON objects, each ended by a zero byte.  Nothing here keeps state but
 * varlink_lacked_memory(); any thread. */

/* Objects and arrays within one another.  jansson would go down to 2048, on the stack. */
#define VARLINK_MAX_DEPTH 16

#define VARLINK_SERVICE "org.varlink.service"

struct varlink_call {
        json_t *root;       /* owned, all others point into it */
        const char *method; /* fully qualified, not checked */
        json_t *parameters; /* an object, empty when the message has none */
        bool more, oneway, upgrade;
};

struct varlink_reply {
        json_t *root;       /* owned, all others point into it */
        const char *error;  /* NULL: an answer */
        json_t *parameters; /* an object, empty when the message has none */
        bool continues;
};

/* Parse one message of size bytes, its zero byte not counted.  -EBADMSG and why: too deep, not
 * JSON, not UTF-8, a key twice, a key of the wrong type or one that Varlink does not know.  -ENOMEM:
 * nothing is known of it. */
int varlink_parse_call(struct varlink_call *ret, const char *text, size_t size, struct why *why);
int varlink_parse_reply(struct varlink_reply *ret, const char *text, size_t size, struct why *why);

/* Whether JSON has wanted memory in this thread and there was none, since varlink_forgive(): what was
 * built of it may lack a part, and what could not be read may have been right. */
bool varlink_lacked_memory(void);
void varlink_forgive(void);

void varlink_call_done(struct varlink_call *c);
void varlink_reply_done(struct varlink_reply *r);

/* Build one message; ret_size counts its zero byte.  parameters is borrowed and may be NULL.  The
 * caller frees *ret.  -ENOMEM, also when something in it is not UTF-8. */
int varlink_format_call(
        const char *method, json_t *parameters, bool more, char **ret, size_t *ret_size);
int varlink_format_reply(
        const char *error, json_t *parameters, bool continues, char **ret, size_t *ret_size);

#endif
