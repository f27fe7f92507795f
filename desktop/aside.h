/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_ASIDE_H
#define DESKTOP_ASIDE_H

#include <systemd/sd-event.h>

/* What may wait for a disk, on a thread of its own, so that the loop goes on: run(), and when it is over done() in a
 * later round of the loop, once.  userdata is the thread's until then.  0, or -errno and neither is called. */
int aside_run(sd_event *loop, void (*run)(void *userdata), void (*done)(void *userdata), void *userdata);

#endif
