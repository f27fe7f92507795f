/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_TOOLS_H
#define DAEMON_THINK_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "model/prompt.h"

/* Calls that the daemon answers by itself: get_time and get_date.  Every other call is for the
 * client. */

/* As they are declared to a model that answers freely; n of them. */
const struct tool *tools_declared(size_t *ret_n);

/* The name of one of ours, for ever; NULL for any other. */
const char *tools_find(const char *name);

/* Writes to out what a call of it gives now, which is told in local time: a sentence for the user,
 * or a JSON object for the model.  False when name is not one of ours or it does not fit. */
enum tools_form { TOOLS_SENTENCE, TOOLS_RESULT };
bool tools_answer(const char *name, enum tools_form form, time_t now, char *out, size_t out_size);

#endif
