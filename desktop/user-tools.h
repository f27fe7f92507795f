/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_USER_TOOLS_H
#define DESKTOP_USER_TOOLS_H

#include <stdbool.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/why.h"
#include "desktop/call.h"

struct desktop;

/* The user's own tools: a file each, which says what words a command consists of.  They are read
 * anew when the folder changes.  Owned by the main thread. */
struct user_tools;

struct user_tools_config {
        sd_event *loop;
        struct desktop *desktop;
        const char *directory; /* need not exist */

        /* The tools are others now. */
        void (*changed)(void *userdata);
        void *userdata;
};

int user_tools_new(struct user_tools **ret, const struct user_tools_config *config);
struct user_tools *user_tools_free(struct user_tools *u);
DEFINE_CLEANUP(struct user_tools *, user_tools_free)

/* As Provide takes them.  NULL when there is no memory. */
json_t *user_tools_describe(struct user_tools *u);

/* Takes those out of others' that are replaced by one of the same name. */
void user_tools_replace(struct user_tools *u, json_t *tools);

/* False: there is none of this name. */
bool user_tools_run(struct user_tools *u, struct call *call);

/* The words of a command, with the arguments of a call in their places: a NULL-terminated array in
 * one block, which the caller frees.  arguments have been checked against the tool's.  Exported for
 * its test.  -EINVAL with a sentence in why. */
int user_tools_command(json_t *tool, json_t *arguments, char ***ret, struct why *why);

#endif
