/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_PROGRAMS_H
#define DESKTOP_PROGRAMS_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"

/* Installed programs, as their .desktop files describe them.  Main thread. */

#define PROGRAM_MAX_ARGS 64

struct program {
        char *id;    /* owned; of the .desktop file, without its end */
        char *title; /* owned; as the user knows it */
        char *argv[PROGRAM_MAX_ARGS + 1]; /* owned; NULL at the end */
};

/* The one that is meant: "browser", "mail" and the like are the user's own choice of such a
 * program; else it is found by its name, what it is, or its keywords.  target (may be NULL) is a
 * URL or a file that it shall open.  -ENOENT: there is none. */
int programs_find(const char *name, const char *target, struct program *ret, struct why *why);

/* The one that opens a URL or a file; type (may be NULL) is what kind of file it is, where that need not be
 * guessed. */
int programs_find_for(const char *target, const char *type, struct program *ret, struct why *why);

void program_done(struct program *p);

#endif
