/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SERVE_BUS_H
#define DAEMON_SERVE_BUS_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/config.h"
#include "daemon/serve/live.h"
#include "daemon/think/event.h"
#include "daemon/turn/turns.h"

/* io.gemmad.Assistant1 on the session bus; see gemmad-dbus(7).  Belongs to the main thread.  A bus
 * that goes away takes nothing along; one that does not read loses signals, which are counted.  All
 * functions but the first take NULL for no bus. */
struct bus;

struct bus_config {
        const struct config *config; /* none of these is owned */
        const char *version;
        sd_event *loop;
        struct live *live;
        void (*changed)(void *userdata); /* by a call: what is told of the microphone */
        void *userdata;
};

/* Connects without waiting.  A negative errno and a reason when there is no session bus. */
int bus_open(struct bus **ret, const struct bus_config *config, struct why *why);
struct bus *bus_close(struct bus *b);
DEFINE_CLEANUP(struct bus *, bus_close)

/* What calls are about, once; before the loop runs. */
void bus_set_turns(struct bus *b, struct turns *turns);

void bus_set_loaded(struct bus *b, const struct event_loaded *loaded);

/* Says what happens in a turn. */
void bus_on_news(struct bus *b, const struct news *news);

/* The activity, the mode or the muting may have changed. */
void bus_changed(struct bus *b);

/* Past turns have been forgotten: lets go of the last words, too. */
void bus_forget(struct bus *b);

#endif
