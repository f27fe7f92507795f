/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_CONTROL_H
#define DAEMON_SERVE_CONTROL_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/config.h"
#include "daemon/hear/pipeline.h"
#include "daemon/hear/sound.h"
#include "daemon/store/store.h"
#include "daemon/think/event.h"
#include "daemon/turn/turns.h"

/* io.gemmad.Assistant: calls of clients become turns, news of turns become replies.  Belongs to the
 * main thread. */
struct control;

struct control_config {
        const struct config *config; /* none of these is owned */
        const char *version;
        sd_event *loop;
        struct keeper *keeper;    /* NULL: no history */
        struct why store_missing; /* ... because of this, though one is wanted; or empty */
        const struct sound_queue *sounds;
        struct pipeline *pipeline;
        struct toolbox *toolbox;
        int listen_fd; /* taken over on success */

        /* Past turns have been forgotten; NULL: nobody needs to know. */
        void (*forgotten)(void *userdata);

        /* Another way to servers, taken over. */
        void (*take_link)(int link_fd, void *userdata);

        /* Something that Status tells may have changed, once per round of the loop; or NULL. */
        void (*changed)(void *userdata);

        /* Reads the configuration again. 1: another model is on its way, of which control_reloaded() will
         * tell; 0: done; -errno with a reason: nothing has changed. */
        int (*reload)(void *userdata, struct why *why);
        void *userdata;
};

int control_new(struct control **ret, const struct control_config *config, struct why *why);

/* Sends what can be sent at once and drops all clients. */
struct control *control_free(struct control *c);
DEFINE_CLEANUP(struct control *, control_free)

/* The turns that calls are about, once; before the loop runs. */
void control_set_turns(struct control *c, struct turns *turns);

void control_set_loaded(struct control *c, const struct event_loaded *loaded);

/* The notify of struct turns_config, with the control as its userdata. */
void control_on_news(const struct news *news, void *userdata);

/* Whether the model's memory has been given back. */
void control_set_resting(struct control *c, bool is_resting);

/* What speaks is to be silent: somebody speaks to us. */
void control_interrupt(struct control *c);

/* Answers have begun turns by themselves. */
void control_heard_itself(struct control *c);

void control_on_reload(struct control *c);

/* The model that was on its way is there, or could not be loaded (why): those who wait for it are told. */
void control_reloaded(struct control *c, const struct why *why);
void control_on_pipeline_event(struct control *c, const struct pipeline_event *event);

/* Something that Status tells may have changed. */
void control_changed(struct control *c);

/* Past turns have been forgotten: those who watch are told. */
void control_tell_forgotten(struct control *c);

/* Clients come to this socket from now on, as server_listen_at(). */
int control_listen_at(struct control *c, int fd);

/* No more clients; those that are there get their answers. */
void control_stop_accepting(struct control *c);

#endif
