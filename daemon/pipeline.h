/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PIPELINE_H
#define DAEMON_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "daemon/config.h"
#include "daemon/sound.h"

/* The audio thread: takes one sound after the other and pushes its frames into the sound queue, at
 * the speed of the clock or as fast as there is room.  All functions below are for the main
 * thread. */
struct pipeline;

struct pipeline_job {
        uint64_t turn;
        int fd; /* owned by the pipeline once it was accepted */
        bool realtime;
};

/* Neither config nor sounds is owned. */
int pipeline_new(struct pipeline **ret, const struct config *config, struct sound_queue *sounds);
struct pipeline *pipeline_free(struct pipeline *p);
DEFINE_CLEANUP(struct pipeline *, pipeline_free)

int pipeline_start(struct pipeline *p);

/* Tells the thread to end; pipeline_join() waits for that at most until the time of the monotonic
 * clock.  False when it still runs: then p can not be freed. */
void pipeline_stop(struct pipeline *p);
bool pipeline_join(struct pipeline *p, uint64_t until_ns);

/* -EBUSY when too many wait; the descriptor stays the caller's then. */
int pipeline_play(struct pipeline *p, const struct pipeline_job *job);

/* Nobody listens to this turn and those before it any more. */
void pipeline_end_turn(struct pipeline *p, uint64_t turn);

/* Counts up while the thread is alive, at least once a second, except inside one read of a file. */
unsigned long pipeline_beat(const struct pipeline *p);

#endif
