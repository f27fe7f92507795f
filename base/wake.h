/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WAKE_H
#define BASE_WAKE_H

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A doorbell between threads: an eventfd that is never blocked on, only polled.  The order is
 * always the same and written here once: the producer pushes, then rings; the consumer clears,
 * then pops.  So a push after the last pop leaves the bell ringing. */

/* Returns a new doorbell, close-on-exec and non-blocking, or -errno.  Ended by close(). */
static inline int wake_open(void) {
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        return fd < 0 ? -errno : fd;
}

/* One system call that cannot block; fails only when the counter is full, and then it rings. */
static inline void wake_ring(int fd) {
        uint64_t one = 1;

        (void) !write(fd, &one, sizeof(one));
}

static inline void wake_clear(int fd) {
        uint64_t count;

        (void) !read(fd, &count, sizeof(count));
}

#endif
