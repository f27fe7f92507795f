/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_TIMER_TOOLS_H
#define DESKTOP_TIMER_TOOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "desktop/call.h"

struct desktop;

/* The tools of timers and alarms. */
void timer_set(struct desktop *d, struct call *call);
void timer_cancel(struct desktop *d, struct call *call);
void timer_get(struct desktop *d, struct call *call);
void timer_pause(struct desktop *d, struct call *call);
void timer_resume(struct desktop *d, struct call *call);
void timer_add(struct desktop *d, struct call *call);
void alarm_set(struct desktop *d, struct call *call);
void alarm_cancel(struct desktop *d, struct call *call);
void alarm_get(struct desktop *d, struct call *call);
void alarm_snooze(struct desktop *d, struct call *call);

/* When something that was asked for is over: after amount of unit, or at an hour, in microseconds since
 * 1970; 0: neither was given.  False: the call has been answered. */
bool timer_read_end(struct call *call, int64_t *ret);

#endif
