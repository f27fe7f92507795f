/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_CONN_H
#define IPC_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

/* One connected stream socket that carries messages ended by a zero byte, with file descriptors
 * now and then.  Belongs to the thread of its event loop.
 *
 * Bounded both ways.  In: one message at most is being collected beyond what waits; while messages
 * wait the socket is not read further, so that the sender waits too.  Out: what the peer has not
 * taken; the next message is handed on only when all answers have left. */
struct conn;

/* Descriptors that may wait in one connection. */
#define CONN_MAX_FDS 8

struct conn_fds {
        int fds[CONN_MAX_FDS]; /* owned; -1: taken */
        size_t n_fds;
};

struct conn_handler {
        /* One message; text has size bytes and a zero byte behind, and lives until the call
         * returns.  Descriptors that are left in fds are closed afterwards.  May free c. */
        void (*message)(struct conn *c,
                        const char *text,
                        size_t size,
                        struct conn_fds *fds,
                        void *userdata);

        /* The end, once; must free c.  0: the peer closed.  -EMSGSIZE: a message longer than
         * allowed.  -EMFILE: more descriptors than allowed, or than could be received.  Other
         * -errno: the socket failed. */
        void (*ended)(struct conn *c, int r, void *userdata);
};

struct conn_config {
        int fd; /* connected; taken over on success */
        size_t max_message_size;
        size_t max_unsent_size;
        int64_t priority; /* of its messages among the sources of the loop: the lower is the first */
        const struct conn_handler *handler; /* not owned */
        void *userdata;
};

int conn_new(struct conn **ret, sd_event *loop, const struct conn_config *config);

/* Closes without calling ended(). */
struct conn *conn_free(struct conn *c);

/* Sends or queues, never calls back.  -ENOBUFS: the peer has left more unsent than allowed (a
 * message for a peer that has left nothing unsent is always taken).  -EPIPE and others: the peer is
 * gone.  After an error only conn_free() makes sense. */
int conn_send(struct conn *c, const char *message, size_t size);

/* One more attempt at what is queued. */
int conn_flush(struct conn *c);

/* The same with a descriptor (borrowed) that goes along; -EAGAIN when something else still waits to be sent. */
int conn_send_fd(struct conn *c, const char *message, size_t size, int fd);

/* While held, messages wait, and a peer that goes away ends the connection at once instead of after
 * its last message.  A peer that has merely stopped sending may still read its answers. */
void conn_set_held(struct conn *c, bool held);

void conn_fds_close(struct conn_fds *fds);

#endif
