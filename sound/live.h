/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_LIVE_H
#define SOUND_LIVE_H

#include "sound/work.h"

/* Opens the task's microphone and hands on its frames until nobody wants them, or until it is gone,
 * which is an error.  Who takes them too slowly loses some, and the next one says how much.  0,
 * -ENODEV, or what capture_open() says; with a reason. */
int live_run(struct work *w, struct why *why);

#endif
