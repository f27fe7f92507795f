/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* A local that owns something is released when it goes out of scope; TAKE_PTR and TAKE_FD hand
 * the ownership on. */
#define _cleanup_(f) __attribute__((cleanup(f)))

#define TAKE_PTR(p)                                                                                \
        __extension__({                                                                            \
                __typeof__(p) taken_ = (p);                                                        \
                (p) = NULL;                                                                        \
                taken_;                                                                            \
        })

#define TAKE_FD(fd)                                                                                \
        __extension__({                                                                            \
                int taken_ = (fd);                                                                 \
                (fd) = -1;                                                                         \
                taken_;                                                                            \
        })

/* Defines NAMEp(), the cleanup of a pointer that is ended by NAME(). */
#define DEFINE_CLEANUP(type, name)                                                                 \
        static inline void name##p(type *p) {                                                      \
                if (*p)                                                                            \
                        (void) name(*p);                                                           \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}

static inline void closep(int *fd) {
        if (*fd >= 0)
                (void) close(*fd);
}

#endif
