/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_INPUT_H
#define AUDIO_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/why.h"

/* The bytes of any descriptor that a client sent, none of which can hold the reader up.  A file is
 * read through an offset of our own and from its beginning, because the client's usually stands
 * where the client stopped writing.  A pipe, socket or device may be live, so reading waits, but
 * neither for ever nor beyond the moment at which nobody wants it any more.  Embedded by value;
 * owned by one thread. */
struct input_config {
        uint64_t stall_ms; /* longest time in which a pipe may bring nothing */
        uint64_t total_ms; /* longest time to wait for it in all */

        /* Asked while a pipe is waited for, once a second and whenever the bell rings, which it has
         * to clear.  NULL and -1: there is nobody to ask. */
        bool (*is_over)(void *userdata);
        int bell_fd; /* not owned */
        void *userdata;
};

#define INPUT_HEAD_SIZE 12

struct input {
        struct input_config config;
        int fd; /* owned */
        bool is_file, is_socket;
        int64_t size, offset;       /* size of a pipe: INT64_MAX */
        int64_t begin;              /* where in a file offset 0 is */
        int64_t n_consumed;         /* of a pipe */
        uint64_t waited_ns;         /* for a pipe, in all */
        int error;                  /* errno of the first read that failed; stays */
        char head[INPUT_HEAD_SIZE]; /* of a pipe, read ahead */
        size_t n_head;
};

/* The descriptor stays the caller's and may be closed at once.  -EISDIR, -ENODATA for an empty file,
 * -EBADMSG for what is no file, pipe, socket or device, or what the system says. */
int input_open(struct input *in, int fd, const struct input_config *config, struct why *why);
void input_close(struct input *in);

/* Fills the buffer as far as there is something; less means the end or an error (see error). */
size_t input_read(struct input *in, void *buffer, size_t size);

/* The first bytes without moving on, to be called before anything is read.  How many there are. */
size_t input_peek(struct input *in, char head[static INPUT_HEAD_SIZE]);

/* Moves to a place relative to SEEK_SET, SEEK_CUR or SEEK_END: the new offset, or -1.  On a pipe
 * nothing moves, but reading anywhere else than where it stands fails. */
int64_t input_seek(struct input *in, int64_t offset, int whence);

/* What has been read was a head: here is offset 0 from now on, and the end at size, or where it is if
 * that comes before. */
void input_restart(struct input *in, int64_t size);

/* A pipe becomes a file: what it brings up to its end, at most so many bytes, is copied into
 * memory.  -EFBIG, or what reading and the system say. */
int input_spool(struct input *in, size_t max_size, struct why *why);

/* The reason that belongs to error. */
int input_because(const struct input *in, struct why *why);

#endif
