/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_RING_H
#define DESKTOP_RING_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "desktop/loudness.h"
#include "desktop/sound.h"

/* The sound of an alarm, until it is stopped, on an output that is loud enough for it meanwhile.  While
 * there is no sound server it looks for one.  Owned by the main thread. */
struct ring;

int ring_new(struct ring **ret, sd_event *loop, struct sound *sound, struct loudness *loudness);
struct ring *ring_free(struct ring *r);
DEFINE_CLEANUP(struct ring *, ring_free)

void ring_start(struct ring *r);
void ring_stop(struct ring *r);

#endif
