/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_LOUDNESS_H
#define DESKTOP_LOUDNESS_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "desktop/sound.h"

/* What is changed of the user's loudness for a while: other streams are lowered while somebody speaks to
 * us, and the output of an alarm is made to be heard.  What it was is written down before, so that it
 * is put back even if this program crashes: then at its next start.  What somebody else has changed in
 * between is left as that is.  Owned by the main thread. */
struct loudness;

/* How much lower, in dB. */
#define LOUDNESS_DUCK_DB 12

/* directory is where to write it down, and copied; NULL: nowhere.  What a run before has left there is
 * put back as soon as there is a sound server. */
int loudness_new(struct loudness **ret, struct sound *sound, const char *directory);
struct loudness *loudness_free(struct loudness *l);
DEFINE_CLEANUP(struct loudness *, loudness_free)

/* Lowers all streams that are not ours, or puts them back. */
void loudness_duck(struct loudness *l, bool is_ducked);

/* Makes the output of that number loud enough for an alarm, unless it is already. */
void loudness_raise(struct loudness *l, uint32_t sink);

/* ... which is over. */
void loudness_lower(struct loudness *l);

/* Puts all back for good and calls settled once that is done, which is at once where nothing is
 * changed. */
void loudness_settle(struct loudness *l, void (*settled)(void *userdata), void *userdata);

#endif
