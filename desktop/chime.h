/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_CHIME_H
#define DESKTOP_CHIME_H

#include <jansson.h>

#include "base/cleanup.h"
#include "desktop/sound.h"

/* Short sounds for who does not look at the screen: the wake phrase was heard, a request was heard, or
 * nothing was understood.  Only for what was said into the microphone.  Owned by the main thread. */
struct chime;

int chime_new(struct chime **ret, struct sound *sound);
struct chime *chime_free(struct chime *c);
DEFINE_CLEANUP(struct chime *, chime_free)

/* An event of gemmad, as Watch tells it.  NULL for c: no sounds are wanted. */
void chime_on_event(struct chime *c, json_t *event);

#endif
