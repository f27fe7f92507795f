/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_OUTBOX_H
#define REMOTE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "remote/buffer.h"

/* Messages through a socket whose reader may be slow: nobody waits for it here, what has no room is kept, in its order
 * and up to OUTBOX_MAX bytes.  Starts with the socket, all else zeroed; owned by one thread. */
struct outbox {
        int fd;                /* not owned */
        struct buffer waiting; /* each message behind its size */
        size_t n_sent;         /* bytes of that which have gone */
        uint64_t since_ns;     /* nothing was taken since then; while something waits */
};

#define OUTBOX_MAX (1024 * 1024)

/* Who takes nothing for so long is not waited for any more. */
#define OUTBOX_PATIENCE_NS UINT64_C(60000000000)

void outbox_done(struct outbox *o);

/* 0, whether it has gone or waits; -EFBIG: too much waits; -EPIPE: nobody is there; or another -errno. */
int outbox_send(struct outbox *o, const void *message, size_t size, uint64_t now_ns);

/* Sends what has room.  0: nothing waits any more, 1: something does, until the socket can be written to; -ETIMEDOUT, or
 * as above. */
int outbox_flush(struct outbox *o, uint64_t now_ns);

bool outbox_waits(const struct outbox *o);

/* When to flush at the latest; UINT64_MAX: nothing waits. */
uint64_t outbox_deadline(const struct outbox *o);

#endif
