/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_POWER_H
#define DESKTOP_POWER_H

#include "desktop/call.h"

struct desktop;

/* The tools get_battery, by UPower, and suspend and log_out, by logind and the session manager. */
void power_get_battery(struct desktop *d, struct call *call);
void power_suspend(struct desktop *d, struct call *call);
void power_log_out(struct desktop *d, struct call *call);

#endif
