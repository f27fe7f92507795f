/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SPEAKER_H
#define DESKTOP_SPEAKER_H

#include <stdbool.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "desktop/peer.h"
#include "desktop/when.h"

/* Answers aloud, sentence by sentence while they come, until the user asks the next thing or speaks to the
 * microphone.  How far it came then is told to gemmad, whose history keeps no more of an answer to
 * something spoken.  Owned by the main thread. */
struct speaker;

struct speaker_config {
        sd_event *loop;
        const char *path;  /* of gemmad's socket; copied */
        struct peer *peer; /* not owned */
        enum when when;
        void (*changed)(bool is_speaking, void *userdata);
        void *userdata;
};

int speaker_new(struct speaker **ret, const struct speaker_config *config);
struct speaker *speaker_free(struct speaker *s);
DEFINE_CLEANUP(struct speaker *, speaker_free)

/* An event of gemmad, as Watch tells it. */
void speaker_on_event(struct speaker *s, json_t *event);

void speaker_stop(struct speaker *s);

#endif
