/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_PULSE_LOOP_H
#define DESKTOP_PULSE_LOOP_H

#include <pulse/mainloop-api.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* What libpulse needs of an event loop, by sd-event: it runs on the main thread like all else. */
struct pulse_loop;

int pulse_loop_new(struct pulse_loop **ret, sd_event *loop);

/* Only after everything of libpulse that was made with it has been released. */
struct pulse_loop *pulse_loop_free(struct pulse_loop *l);
DEFINE_CLEANUP(struct pulse_loop *, pulse_loop_free)

/* Borrowed, for as long as the loop lives. */
pa_mainloop_api *pulse_loop_api(struct pulse_loop *l);

#endif
