/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PARCEL_H
#define BASE_PARCEL_H

#include <stddef.h>

/* Messages with descriptors over a Unix socket that keeps them apart (SOCK_SEQPACKET).  Neither waits.  Any
 * thread. */
#define PARCEL_MAX_FDS 8

/* The descriptors stay the caller's.  0 or -errno; -EPIPE, too, when the other side is gone, -EAGAIN when it
 * does not take what was sent before. */
int parcel_send(int socket_fd, const void *message, size_t size, const int *fds, size_t n_fds);

/* The next one: its size, 0: nobody is there any more, -EAGAIN: there is none, or -errno.  The descriptors,
 * at most as many as *n_fds asks for, are the caller's; *n_fds is how many came.  Those that are too many
 * are closed. */
int parcel_receive(int socket_fd, void *message, size_t size, int *fds, size_t *n_fds);

#endif
