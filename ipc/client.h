/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CLIENT_H
#define IPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/why.h"
#include "ipc/varlink.h"

/* A blocking Varlink client: one connection, one call at a time.  Owned by one thread. */
struct client;

/* -ENOENT: there is nothing at the path, -ENOTSOCK: no socket, -ECONNREFUSED: nobody listens. */
int client_connect(struct client **ret, const char *path, struct why *why);
struct client *client_free(struct client *c);

/* A call with n_fds descriptors (borrowed) sent along; parameters is borrowed and may be NULL. */
struct client_call {
        const char *method;
        json_t *parameters;
        bool more;
        const int *fds;
        size_t n_fds;
};

/* Sends a call.  That the server has closed meanwhile is not an error here: what it said before it
 * did is still to be read. */
int client_send(struct client *c, const struct client_call *call, struct why *why);

/* Waits for the next reply.  1 and *ret, which the caller ends with varlink_reply_done(); 0 when
 * wake_fd (-1: none) became readable first; -ECONNRESET when the server has closed; -EBADMSG when
 * what it sent is not Varlink. */
int client_next(struct client *c, int wake_fd, struct varlink_reply *ret, struct why *why);

/* The same, for at most timeout_ms without a word: then -ETIMEDOUT, and it may be called again. */
int client_next_within(struct client *c, int timeout_ms, struct varlink_reply *ret, struct why *why);

/* The same without waiting: 0 when no reply has come completely.  For who waits for several clients,
 * by the descriptor of each. */
int client_take(struct client *c, struct varlink_reply *ret, struct why *why);
int client_fd(const struct client *c);

#endif
