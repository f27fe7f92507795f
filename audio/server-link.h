/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SERVER_LINK_H
#define AUDIO_SERVER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <pulse/pulseaudio.h>

/* A connection to the sound server for a few questions, whose answers are waited for, up to a moment.
 * To be used by one thread; closed in any case. */
struct server_link {
        pa_mainloop *loop;   /* owned */
        pa_context *context; /* owned */
        uint64_t until_ns;
};

/* Never starts a server.  0, -ENOMEM, -ETIMEDOUT: one runs, but does not answer; -ENOTCONN: none does. */
int server_link_open(struct server_link *l, uint64_t patience_ns);
void server_link_close(struct server_link *l);

/* One round of its loop, which waits for something to happen.  False when that fails, or there is no
 * time left. */
bool server_link_turn(struct server_link *l);

/* Whether the operation, which is taken over, was carried out. */
bool server_link_wait(struct server_link *l, pa_operation *operation);

/* Why something was not: -ETIMEDOUT or -ENOTCONN. */
int server_link_error(const struct server_link *l);

#endif
