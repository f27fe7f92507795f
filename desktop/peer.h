/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_PEER_H
#define DESKTOP_PEER_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "ipc/varlink.h"

/* gemmad as it is seen from here: what it does, what it says of itself, and what it can be asked for.
 * Connects again for as long as it lives.  Owned by the main thread.
 *
 * Three connections: one watches, one has the status, one is for calls. */
struct peer;

struct peer_config {
        sd_event *loop;
        const char *path; /* of the socket; copied */

        /* What happens in the turns of gemmad: an event as Watch tells it, borrowed. */
        void (*event)(json_t *event, void *userdata);

        /* What Status tells, now and whenever it changes, borrowed; NULL: gemmad is not there any more.
         * A change that comes with the end of a turn is told before that end. */
        void (*status)(json_t *status, void *userdata);
        void *userdata;
};

int peer_new(struct peer **ret, const struct peer_config *config);

/* Calls that wait for their reply are ended as by a gemmad that has gone. */
struct peer *peer_free(struct peer *p);
DEFINE_CLEANUP(struct peer *, peer_free)

/* The reply, borrowed; NULL: gemmad has gone before it. */
typedef void peer_replied(const struct varlink_reply *reply, void *userdata);

/* Calls a method, which has no interface in front and answers once; parameters is taken over and may
 * be NULL.  0: replied is called once, later.  -ENOTCONN: gemmad is not there; -EBUSY: too much has
 * been asked at once; -ENOBUFS: it is too long. */
int peer_call(struct peer *p,
              const char *method,
              json_t *parameters,
              peer_replied *replied,
              void *userdata);

#endif
