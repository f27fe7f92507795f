/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_VOICE_H
#define DESKTOP_VOICE_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* Speaks, by speech-dispatcher.  Its library waits for every answer, so it has a thread of its own,
 * and a queue that is bounded: what does not fit is not spoken.  All functions are for the main
 * thread, and none waits. */
struct voice;

int voice_new(struct voice **ret, sd_event *loop);
struct voice *voice_free(struct voice *v);
DEFINE_CLEANUP(struct voice *, voice_free)

/* After all that was said before. */
void voice_say(struct voice *v, const char *sentence);

/* Silence, at once; what waits is forgotten. */
void voice_stop(struct voice *v);

#endif
