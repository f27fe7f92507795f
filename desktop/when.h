/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_WHEN_H
#define DESKTOP_WHEN_H

#include <stdbool.h>
#include <string.h>

/* Which answers are shown, or spoken: to what came from the microphone, all, or none. */
enum when { WHEN_SPOKEN, WHEN_ALWAYS, WHEN_NEVER };

/* "spoken", "always", "never"; false for anything else. */
static inline bool when_from_name(const char *name, enum when *ret) {
        static const char *const names[] = { "spoken", "always", "never" };

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strcmp(names[i], name) == 0) {
                        *ret = (enum when) i;
                        return true;
                }
        return false;
}

/* Whether it is one of those; source as gemmad names it. */
static inline bool when_is_wanted(enum when when, const char *source) {
        return when == WHEN_ALWAYS || (when == WHEN_SPOKEN && strcmp(source, "microphone") == 0);
}

#endif
