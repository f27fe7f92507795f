/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_SLEEP_H
#define DESKTOP_SLEEP_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* Tells gemmad that the machine goes to sleep and that it is awake again, which logind says on the
 * system bus.  Holds a delay lock of logind's while it is awake, so that there is time to close the
 * microphone.  Where there is no logind nothing is told.  Owned by the main thread. */
struct sleep;

/* Connects to the system bus without waiting; path is that of gemmad's socket and copied.  A negative
 * errno when there is no system bus. */
int sleep_open(struct sleep **ret, sd_event *loop, const char *path);
struct sleep *sleep_close(struct sleep *s);
DEFINE_CLEANUP(struct sleep *, sleep_close)

#endif
