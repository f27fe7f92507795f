/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_TOOLS_H
#define DAEMON_THINK_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/cleanup.h"
#include "model/prompt.h"

/* Calls that the daemon answers by itself where nobody else does: get_time and get_date.  Every other
 * call is for a client that provides it. */

/* As they are declared to a model that answers freely; n of them. */
const struct tool *tools_declared(size_t *ret_n);

/* The tools that clients provide, as they are declared to such a model.  Handed from the main thread,
 * which makes it, to the inference thread, which owns it then; nobody changes it in between. */
struct toolset {
        struct tool *tools; /* owned, with all strings in it */
        size_t n_tools;
};

int toolset_new(struct toolset **ret);
struct toolset *toolset_free(struct toolset *set);
DEFINE_CLEANUP(struct toolset *, toolset_free)

/* Adds a copy. */
int toolset_add(struct toolset *set, const struct tool *tool);

/* Takes NULL for an empty one. */
bool toolset_has(const struct toolset *set, const char *name);

/* The name of one of ours, for ever; NULL for any other. */
const char *tools_find(const char *name);

/* Writes to out what a call of it gives now, which is told in local time: a sentence for the user,
 * or a JSON object for the model.  False when name is not one of ours or it does not fit. */
enum tools_form { TOOLS_SENTENCE, TOOLS_RESULT };
bool tools_answer(const char *name, enum tools_form form, time_t now, char *out, size_t out_size);

#endif
