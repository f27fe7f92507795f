/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WIPE_H
#define BASE_WIPE_H

#include <stddef.h>
#include <string.h>

/* What was said is wiped when it is done with, because a user can have it forgotten and memory that is
 * given back keeps what it held.  Any thread, for memory that is the caller's. */
static inline void wipe(void *p, size_t size) {
        if (size > 0)
                explicit_bzero(p, size);
}

/* Wipes the part of the caller's stack that calls before may have left something on. */
void wipe_stack(void);

#endif
