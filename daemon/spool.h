/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SPOOL_H
#define DAEMON_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/* Turns any descriptor that a client sent into one that can be read without ever waiting.  Whoever
 * decodes the sound after that needs neither poll() nor a way to be cancelled. */
struct spool_config {
        size_t max_size;   /* bytes that a pipe or socket may bring */
        uint64_t stall_ms; /* longest silence of its writer */
        uint64_t total_ms; /* longest time until its end */
        int bell_fd;       /* rung when is_over() may have changed; not cleared here */

        bool (*is_over)(void *userdata);
        void *userdata;
};

/* A regular file is opened anew, so that its position is not shared with the client; all that a
 * pipe, FIFO, socket or device brings is copied into memory.  fd stays the caller's.  *ret is read
 * from its beginning.  -ECANCELED when is_over() said so; -EFBIG, -ETIMEDOUT, -ENODATA or what the
 * system says; each with a reason. */
int spool_open(int *ret, int fd, const struct spool_config *config, struct why *why);

#endif
