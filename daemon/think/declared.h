/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_DECLARED_H
#define DAEMON_THINK_DECLARED_H

#include <stddef.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "daemon/think/tools.h"
#include "model/prompt.h"
#include "model/tokenizer.h"

/* Which tools a model that answers freely is told of at once: all of them where there is room; else one of
 * ours that finds the others, and of the others the first ones that have room.  Owned by the
 * inference thread. */
struct declared {
        struct tool *all; /* owned, not what is in it: ours, then those provided */
        size_t n_all;
        struct tool *told; /* owned likewise */
        size_t n_told;
        char *find_description; /* owned */
};

/* The tool that finds others. */
#define DECLARED_FIND "find_tools"

struct declared_room {
        const struct tokenizer *tokenizer;
        const char *system_text; /* which stands before them; may be NULL */
        size_t positions;        /* for both together, and all that frames them */
};

/* Takes NULL for no tools provided; what is there has to live as long as this.  -ENOMEM. */
int declared_new(struct declared **ret,
                 const struct toolset *provided,
                 const struct declared_room *room);
struct declared *declared_free(struct declared *d);
DEFINE_CLEANUP(struct declared *, declared_free)

/* The answer to a call of DECLARED_FIND, a JSON object; a new string, NULL: out of memory. */
char *declared_find(const struct declared *d, const json_t *arguments);

#endif
