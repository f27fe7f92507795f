/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SOUND_H
#define DESKTOP_SOUND_H

#include <pulse/pulseaudio.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"

/* The connection to the sound server, PulseAudio or PipeWire: made when first needed, and again
 * after it was lost.  Owned by the main thread. */
struct sound;

int sound_new(struct sound **ret, sd_event *loop);
/* Tells all who wait that there is none. */
struct sound *sound_free(struct sound *s);
DEFINE_CLEANUP(struct sound *, sound_free)

/* Calls ready once: with a context that is ready, borrowed, or with NULL and a sentence on why
 * there is none, not later than after some seconds.  May call it at once. */
typedef void sound_ready(pa_context *context, const char *missing, void *userdata);
void sound_with(struct sound *s, sound_ready *ready, void *userdata);

#endif
