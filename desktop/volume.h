/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_VOLUME_H
#define DESKTOP_VOLUME_H

#include "desktop/call.h"

struct desktop;

/* The tools set_volume, change_volume, get_volume and mute: the output and the microphone that the
 * sound server takes by default. */
void volume_set(struct desktop *d, struct call *call);
void volume_change(struct desktop *d, struct call *call);
void volume_get(struct desktop *d, struct call *call);
void volume_mute(struct desktop *d, struct call *call);

#endif
