/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CTL_SVG_H
#define IPC_CTL_SVG_H

#include <stddef.h>

#include "base/why.h"

/* One step of a turn, in milliseconds from its beginning. */
struct svg_step {
        const char *label;
        double from, to;
};

struct svg_drawing {
        const char *title; /* any text; what XML does not take in it is left out */
        const char *note;  /* the same, below; may be "" */
        const struct svg_step *steps;
        size_t n_steps;
        double total; /* ms */
};

/* Draws the steps below each other against one axis of time, into a file of this name, which is
 * replaced.  -errno, with why. */
int svg_write(const char *path, const struct svg_drawing *drawing, struct why *why);

#endif
