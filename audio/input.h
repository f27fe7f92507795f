/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_INPUT_H
#define AUDIO_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"

/* The bytes of a sound file, or of a pipe or socket.  A file is read through an offset of our own
 * and from its beginning, because a descriptor that came from a client shares its offset with that
 * client and usually stands where the client stopped writing.  A pipe may be live, so reading
 * waits, but not for ever.  Embedded by value; owned by one thread; fd is not owned. */
struct input {
        int fd;
        bool is_file;
        int64_t size, offset; /* size of a pipe: INT64_MAX */
        int64_t n_consumed;   /* of a pipe */
        int error;            /* errno of the first read that failed; stays */
};

/* How long a pipe may bring nothing before it fails with ETIMEDOUT. */
#define INPUT_PATIENCE_MS 10000

/* -EISDIR, -ENODATA for an empty file, -EBADMSG for what is no file or pipe at all. */
int input_init(struct input *in, int fd, struct why *why);

/* Fills the buffer as far as there is something; less means the end or an error (see error). */
size_t input_read(struct input *in, void *buffer, size_t size);

/* Moves to a place relative to SEEK_SET, SEEK_CUR or SEEK_END: the new offset, or -1.  On a pipe
 * nothing moves, but reading anywhere else than where it stands fails. */
int64_t input_seek(struct input *in, int64_t offset, int whence);

/* What has been read of a pipe was its head: here is offset 0 from now on, and the end at size. */
void input_restart(struct input *in, int64_t size);

/* The reason that belongs to error. */
int input_because(const struct input *in, struct why *why);

#endif
