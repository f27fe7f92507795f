/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_LIVE_H
#define DAEMON_SERVE_LIVE_H

#include <stdbool.h>

#include <jansson.h>

#include "daemon/hear/pipeline.h"
#include "daemon/serve/listeners.h"
#include "daemon/turn/turns.h"
#include "ipc/server.h"

/* What clients can know of the microphone and do to it, besides listening.  Belongs to the main
 * thread. */
struct live {
        const struct config *config; /* not owned */
        struct pipeline *pipeline;   /* not owned */
        struct turns *turns;         /* not owned */

        struct pipeline_microphone microphone; /* as last told */
        bool is_muted, is_asleep;
        bool has_heard_itself;     /* ... and so the mode is MODE_PUSH */
        bool is_mode_set;          /* by a call, which counts more than the configuration */
        enum mode mode;            /* that is wanted; a model that does not hear has none but MODE_PUSH */
        bool is_loaded, can_hear;  /* the model is there, and hears */
        struct listeners meters;   /* calls of Level */
        struct listeners listings; /* calls of Devices */
};

/* After the server and its calls have ended. */
void live_done(struct live *l);

void live_on_event(struct live *l, const struct pipeline_event *event);

/* The machine goes to sleep, or is awake again: as muting, but nobody has to take it back. */
void live_set_asleep(struct live *l, bool is_asleep);

/* Adds what Status tells of the microphone. */
void live_add_status(const struct live *l, json_t *status);

/* The model is there, and so is the mode that was configured. */
void live_set_loaded(struct live *l, bool hears, enum mode mode);

/* Why no turn can listen to the microphone. */
enum live_obstacle {
        LIVE_NO_OBSTACLE,
        LIVE_DEAF, /* the model can not hear */
        LIVE_MUTED,
        LIVE_ASLEEP,
};

enum live_obstacle live_obstacle(const struct live *l);

/* Muted, what listens ends, and the microphone stays closed. */
void live_set_muted(struct live *l, bool is_muted);

/* -EOPNOTSUPP when the model can not hear. */
int live_set_mode(struct live *l, enum mode mode);

/* Answers have begun turns: the microphone opens for a key only, until a client sets a mode. */
void live_on_heard_itself(struct live *l);

/* The configuration has changed; Mode is only for the start. */
void live_on_reload(struct live *l);

int live_on_mode(struct live *l, struct call *call, json_t *parameters);
int live_on_mute(struct live *l, struct call *call, json_t *parameters);
int live_on_devices(struct live *l, struct call *call);
int live_on_level(struct live *l, struct call *call);

#endif
