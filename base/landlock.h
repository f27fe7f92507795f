/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"

/* Landlock, which holds a process back whatever system call it uses, and needs no privileges: first what
 * it may reach, then nothing else.  See landlock(7).  A set of rules belongs to one thread. */

/* What kernels have learned since the headers that this may be built with. */
#define LANDLOCK_RIGHT_REFER    (UINT64_C(1) << 13) /* from version 2 on */
#define LANDLOCK_RIGHT_TRUNCATE (UINT64_C(1) << 14) /* ... 3 */
#define LANDLOCK_RIGHT_IOCTL    (UINT64_C(1) << 15) /* ... 5, of devices */

#define LANDLOCK_RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_RIGHTS_DEVICE                                                                     \
        (LANDLOCK_RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_RIGHT_IOCTL)

struct landlock {
        int fd;         /* owned */
        uint64_t files; /* the rights of files that rules have to grant */
        bool holds_tcp; /* ... and ports */
};

enum landlock_extent {
        LANDLOCK_WHOLE,          /* files, TCP ports, signals to others, their abstract sockets */
        LANDLOCK_BESIDE_SECCOMP, /* ... but ports and the running of files, which seccomp holds back */
};

/* Which version of it this kernel has; less than 1: none, or no use of it. */
int landlock_version(void);

/* Begins a set of rules, as far as the kernel goes; -ENOTSUP: it has no Landlock. */
int landlock_begin(struct landlock *ret, enum landlock_extent extent, struct why *why);

/* The path and all below it may be used so.  What is not there (NULL, too) needs no rule, and of a file
 * the rights of folders do not count. */
void landlock_allow(const struct landlock *l, const char *path, uint64_t rights);

/* TCP connections to this port may be made. */
void landlock_allow_port(const struct landlock *l, unsigned port);

/* From here on the calling thread, and what it starts, has that and nothing else; the set is ended.  It
 * needs no_new_privs. */
int landlock_enter(struct landlock *l, struct why *why);

#endif
