/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_TOOLS_H
#define DESKTOP_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "desktop/call.h"

struct desktop;

/* A tool that this program has.  The pocket model calls them by these names and arguments. */
struct tool {
        const char *name;
        const char *description; /* for a model that answers freely */
        const char *parameters;  /* the properties of an object, in JSON */
        const char *required;    /* ... the names of those that must be there, in JSON; NULL: none */

        /* Begins to carry it out; the call is borrowed, and answered now or later. */
        void (*run)(struct desktop *d, struct call *call);

        /* What is asked before; NULL: nothing. */
        const char *question;

        /* Seconds that it may take; 0: what is usual. */
        unsigned seconds;

        /* For help: the group it stands in, and how it is said.  NULL: not told. */
        const char *group, *example;
};

/* All of them; n in number. */
const struct tool *tools_all(size_t *ret_n);

/* NULL: there is none of this name. */
const struct tool *tools_find(const char *name);

/* As Provide takes them.  NULL when there is no memory. */
json_t *tools_describe(void);

#endif
