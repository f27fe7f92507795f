/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SPEAKER_H
#define DESKTOP_SPEAKER_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "desktop/when.h"

/* Answers aloud, sentence by sentence while they come, until the user asks the next thing.  Owned
 * by the main thread. */
struct speaker;

int speaker_new(struct speaker **ret, sd_event *loop, enum when when);
struct speaker *speaker_free(struct speaker *s);
DEFINE_CLEANUP(struct speaker *, speaker_free)

/* An event of gemmad, as Watch tells it. */
void speaker_on_event(struct speaker *s, json_t *event);

void speaker_stop(struct speaker *s);

#endif
