/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_PICTURES_H
#define DAEMON_COMMON_PICTURES_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "ipc/limits.h"

/* Pictures on their way from a client to the model: pixels in memories that nobody can change any more, so
 * that they can be read without looking out for who gave them.  No decoder is here: clients bring pixels.  Plain
 * values that own their descriptors; zeroed, there are none. */
struct pixels {
        int fd;                 /* owned */
        unsigned width, height; /* three bytes each: red, green, blue, by rows from the top */
};

struct pictures {
        struct pixels list[LIMIT_IMAGES];
        unsigned n;
};

/* The descriptor becomes one of the pictures, of which there is room for one more; it stays the caller's when it can not:
 * -EINVAL and why: it is no memory, one that can still be changed, or of another size. */
int pictures_add(struct pictures *p, int fd, unsigned width, unsigned height, struct why *why);

/* Hands them on; here are none afterwards. */
struct pictures pictures_take(struct pictures *p);

void pictures_done(struct pictures *p);

#endif
