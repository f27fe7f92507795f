/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_BUSES_H
#define DESKTOP_BUSES_H

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* The connections to the session bus and to the system bus: made when first needed, and again when
 * they were lost.  Owned by the main thread. */
struct buses;

int buses_new(struct buses **ret, sd_event *loop);
struct buses *buses_free(struct buses *b);
DEFINE_CLEANUP(struct buses *, buses_free)

/* Borrowed until the loop turns; NULL: there is none.  Never waits. */
sd_bus *buses_session(struct buses *b);
sd_bus *buses_system(struct buses *b);

/* Called with every new connection to the session bus, and at once when there is one, so that
 * matches can be made.  A bus that is not there is looked for now and then from here on. */
#define BUSES_MAX_HOOKS 8
void buses_on_session(struct buses *b, void (*opened)(sd_bus *bus, void *userdata), void *userdata);

/* How long one call may take: every call is made with it. */
#define BUS_CALL_USEC UINT64_C(5000000)

#endif
