/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_VOICE_H
#define DESKTOP_VOICE_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* Speaks, by speech-dispatcher.  Its library waits for every answer, so it has a thread of its own,
 * and a queue that is bounded: what does not fit is not spoken.  All functions are for the main
 * thread, and none waits. */
struct voice;

/* What has become of what was said since it was last silenced, as far as the library tells. */
struct voice_state {
        unsigned n_said;  /* sentences that were given to it, */
        unsigned n_begun; /* ... so many of which could be heard, */
        unsigned n_ended; /* ... and so many have ended, or never will */
};

/* changed: something of it has; not called from within the functions below.  There is one voice at a time:
 * the library does not say whose sentence it tells of. */
int voice_new(struct voice **ret,
              sd_event *loop,
              void (*changed)(const struct voice_state *state, void *userdata),
              void *userdata);
struct voice *voice_free(struct voice *v);
DEFINE_CLEANUP(struct voice *, voice_free)

/* After all that was said before. */
void voice_say(struct voice *v, const char *sentence);

/* Silence, at once; what waits is forgotten. */
void voice_stop(struct voice *v);

#endif
