/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_OFFER_H
#define DAEMON_TURN_OFFER_H

#include <stdbool.h>

#include <jansson.h>

#include "base/why.h"

/* What a client offers to carry out, and what it answers, read with care: nothing of it is believed
 * before it was looked at here.  Any thread. */
#define OFFER_MAX_TOOLS       64
#define OFFER_MAX_NAME        64 /* bytes, like the next five */
#define OFFER_MAX_DESCRIPTION 1024
#define OFFER_MAX_PARAMETERS  8192 /* written as JSON */
#define OFFER_MAX_TEXT        4096
#define OFFER_MAX_ERROR       1024
#define OFFER_MAX_RESULT      16384 /* written as JSON */
#define OFFER_MAX_DEPTH       8
#define OFFER_MAX_SECONDS     120
#define OFFER_SECONDS         10 /* for a tool that does not say how long it takes */

/* A list of tools as Provide takes it: 0, or -EINVAL and which of them is no tool, and why. */
int offer_check(const json_t *tools, struct why *why);

/* Whether a call of this tool has only values that the tool lists, where it lists any: 0, or -EINVAL and
 * a sentence that names the argument, what it was and what it can be. */
int offer_check_arguments(const json_t *tool, const json_t *arguments, struct why *why);

/* Whether a client may go by this name: not empty, not long, one line. */
bool offer_is_name(const char *text);

/* What came of a call.  NULL: none.  The name of what is too long or of another kind, which lives
 * for ever; NULL when all is well. */
const char *offer_check_result(const char *text, const json_t *value, const char *error);

#endif
