/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_BUFFER_H
#define REMOTE_BUFFER_H

#include <stddef.h>

/* Bytes that grow up to a bound; always ended by a NUL once something was appended.  Starts zeroed; owned by
 * one thread.  What was said may be in it, so it is wiped when it is ended. */
struct buffer {
        char *data; /* owned */
        size_t size, room;
};

/* 0; -EFBIG when it would be longer than max, -ENOMEM; then nothing was appended. */
int buffer_append(struct buffer *b, const void *data, size_t size, size_t max);

/* Keeps the memory. */
void buffer_clear(struct buffer *b);
void buffer_done(struct buffer *b);

#endif
