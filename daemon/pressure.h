/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PRESSURE_H
#define DAEMON_PRESSURE_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"

/* Hears from the system when memory runs short, as https://systemd.io/MEMORY_PRESSURE says: from what
 * MEMORY_PRESSURE_WATCH names, or from the kernel's own account of the whole machine.  Belongs to the main
 * thread. */
struct pressure;

/* The file to be watched; NULL: none is to be. */
const char *pressure_path(void);

int pressure_open(struct pressure **ret,
                  sd_event *loop,
                  void (*short_of_memory)(void *userdata),
                  void *userdata,
                  struct why *why);
struct pressure *pressure_close(struct pressure *p);
DEFINE_CLEANUP(struct pressure *, pressure_close)

#endif
