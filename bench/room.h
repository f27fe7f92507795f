/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ROOM_H
#define BENCH_ROOM_H

#include <stddef.h>

#include "base/cleanup.h"

/* A room that is only computed: what comes out of a loudspeaker comes back into the microphone, later and
 * with an echo that dies away.  Everything is at 16 kHz. */
struct room;

struct room_config {
        unsigned delay_ms;  /* of buffers, devices and air */
        unsigned echo_ms;   /* until the echo has died away by 60 dB */
        double gain_db;     /* of what comes back */
        double noise_db;    /* of the room itself, below full scale */
        unsigned long seed; /* of the echo and of the noise */
};

int room_new(struct room **ret, const struct room_config *config);
struct room *room_free(struct room *r);
DEFINE_CLEANUP(struct room *, room_free)

/* What the microphone hears while the loudspeaker plays so many samples and somebody says others; NULL:
 * nothing of it. */
void room_hear(struct room *r, const float *played, const float *said, size_t n, float *heard);

#endif
