/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SCREEN_H
#define DESKTOP_SCREEN_H

#include "desktop/call.h"

struct desktop;

/* The tools of the screen: how bright it is, by logind, and locking it. */
void screen_set_brightness(struct desktop *d, struct call *call);
void screen_change_brightness(struct desktop *d, struct call *call);
void screen_lock(struct desktop *d, struct call *call);

#endif
