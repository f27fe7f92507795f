/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_QUIET_H
#define DESKTOP_QUIET_H

#include "desktop/call.h"

struct desktop;

/* The tool do_not_disturb: in the way of whoever shows the notifications here. */
void quiet_set(struct desktop *d, struct call *call);

/* Goes on with what was to end at some time when this program ended. */
void quiet_resume(struct desktop *d);

#endif
