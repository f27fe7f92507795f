/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_SHORTCUT_H
#define DAEMON_THINK_SHORTCUT_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/expected.h"
#include "daemon/think/tools.h"
#include "daemon/think/typed.h"

/* The commands that the pocket model inside of the program understands when they are typed, for a model that
 * answers freely: its vocabulary and its grammar are read, and none of its weights.  Owned by one thread. */
struct shortcut;

int shortcut_open(struct shortcut **ret, struct why *why);
struct shortcut *shortcut_close(struct shortcut *s);
DEFINE_CLEANUP(struct shortcut *, shortcut_close)

#define SHORTCUT_MAX_CALLS TYPED_MAX_COMMANDS

struct shortcut_calls {
        char *texts[SHORTCUT_MAX_CALLS]; /* owned; in the model's notation, without its markers */
        unsigned n;
};
void shortcut_calls_done(struct shortcut_calls *calls);

/* What can be called: tools of clients (NULL: none), those of the daemon itself, and what a client waits for. */
struct shortcut_tools {
        const struct toolset *provided;
        const struct expected *expected;
};

/* The calls that a text is beyond doubt and that all can be called, with these arguments; none: it is for the
 * model.  0 or -ENOMEM. */
int shortcut_read(const struct shortcut *s,
                  const char *text,
                  size_t size,
                  const struct shortcut_tools *tools,
                  struct shortcut_calls *ret);

#endif
