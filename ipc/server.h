/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_SERVER_H
#define IPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/why.h"

/* A Varlink service on a Unix stream socket: it knows messages, not meanings.  Everything here
 * belongs to the thread of the event loop.
 *
 * Bounds, each with a counter: clients (the newest is refused, unless one of them is idle), bytes of one message and its
 * nesting (the client is told and dropped), unsent bytes per client (a client that does not read is
 * dropped), file descriptors per message.  Peers of another user are refused (SO_PEERCRED). */
struct server;

/* One method call that has not been answered completely.  Lives until its last reply, its error, or
 * the loss of its client.  A connection's next call is handled when the one before it has been
 * answered.  A oneway call looks like any other here: its replies go nowhere, and it holds nothing
 * up. */
struct call;

struct server_method {
        const char *name; /* fully qualified, "io.gemmad.Assistant.Ask" */

        /* Handles a call whose parameters (a JSON object, borrowed) have been checked against the
         * interface description.  Must answer at once or keep the call and answer later.  0 or
         * -errno: an error of ours, which ends the connection; the call must not have been kept and
         * its callback is not called.  May not free the server. */
        int (*handle)(struct call *call, json_t *parameters, void *userdata);
};

struct server_config {
        int listen_fd;                       /* a listening socket; taken over on success */
        const char *const *interfaces;       /* Varlink descriptions, NULL-terminated; copied */
        const struct server_method *methods; /* ended by a NULL name; not owned, like all below */
        void *userdata;
        const char *vendor, *product, *version, *url;
        unsigned max_clients;
        size_t max_message_size;
        size_t max_unsent_size;

        /* Who has asked nothing for so long makes room for one who comes when there are
         * max_clients. */
        unsigned idle_seconds;

        /* There are max_clients, and one more came: called for the first of those that come in a row.
         * May be NULL; may not free the server. */
        void (*on_full)(void *userdata);
};

struct server_counters {
        unsigned n_clients;       /* now */
        unsigned long n_accepted; /* ever */
        unsigned long n_refused;  /* one too many, or of another user */
        unsigned long
                n_dropped; /* did not read, did not speak Varlink, or was idle and in the way */
};

/* Creates and listens on a socket file, mode 0600, in a directory that is created 0700 when only it
 * is missing; a stale socket is replaced, a live one is -EADDRINUSE, another kind of file -EEXIST.
 * Returns the descriptor. */
int server_listen(const char *path, struct why *why);

int server_new(struct server **ret,
               sd_event *loop,
               const struct server_config *config,
               struct why *why);

/* Ends all calls without an answer (their callbacks are called), after a last attempt to send what
 * is pending. */
struct server *server_free(struct server *s);

/* From now on clients come to this socket, which does not block and is taken over on success, and to the one
 * before no more.  0 or -errno. */
int server_listen_at(struct server *s, int fd);

/* Closes the listening socket; calls that are under way go on. */
void server_stop_accepting(struct server *s);

struct server_counters server_counters(const struct server *s);

/* Whether the client asked for several replies. */
bool call_wants_more(const struct call *call);

bool call_is_oneway(const struct call *call);

/* The process that the client's connection was made by; 0: not known, or it has left. */
pid_t call_process(const struct call *call);

/* Called when the client is gone (or was dropped, or the server freed) before the last reply; the
 * call must not be used afterwards.  So a call that was kept ends in exactly one way: by the
 * keeper's reply or error, or by this.  At most one callback per call; NULL takes it back. */
void call_on_gone(struct call *call,
                  void (*gone)(struct call *call, void *userdata),
                  void *userdata);

/* Takes a file descriptor that came with the message, by index; -ENOENT if there is none.  The
 * caller owns it. */
int call_take_fd(struct call *call, size_t index);

/* One of several replies ("continues"), only for a call that wants more; steals the reference.
 * Returns false when this dropped the client (it did not read): the call is gone, its callback has
 * been called. */
bool call_continue(struct call *call, json_t *parameters);

/* The last reply; steals the reference (NULL: no parameters) and ends the call. */
void call_reply(struct call *call, json_t *parameters);

/* An error of an interface, fully qualified; steals the reference (may be NULL) and ends the
 * call. */
void call_error(struct call *call, const char *error, json_t *parameters);

/* org.varlink.service.InvalidParameter; ends the call. */
void call_invalid_parameter(struct call *call, const char *name);

#endif
