/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/buses.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define AGAIN_USEC UINT64_C(5000000)

struct hook {
        void (*opened)(sd_bus *bus, void *userdata);
        void *userdata;
};

struct buses {
        sd_event *loop;                /* owned reference */
        sd_bus *session, *system;      /* owned references; NULL: not connected */
        sd_event_source *again;        /* owned; looks for the session bus */
        struct hook hooks[BUSES_MAX_HOOKS];
        unsigned n_hooks;
};

static void drop(sd_bus **bus) {
        if (!*bus)
                return;
        (void) sd_bus_detach_event(*bus);
        *bus = sd_bus_close_unref(*bus);
}

/* The end of a connection is told as a signal on it. */
static int on_lost(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct buses *b = userdata;

        (void) message, (void) error;
        log_debug("The session bus is gone");
        (void) sd_event_source_set_time_relative(b->again, AGAIN_USEC / 5);
        (void) sd_event_source_set_enabled(b->again, SD_EVENT_ONESHOT);
        return 0;
}

static int open_bus(struct buses *b, sd_bus **ret, int (*open)(sd_bus **ret)) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        drop(ret);
        r = open(&bus);
        if (r < 0)
                return r;
        (void) sd_bus_set_method_call_timeout(bus, BUS_CALL_USEC);
        /* At the end of the loop nothing is flushed: a bus that does not read would hold up the end. */
        (void) sd_bus_set_close_on_exit(bus, 0);
        r = sd_bus_attach_event(bus, b->loop, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(bus);
        return 0;
}

static int open_session(struct buses *b) {
        int r;

        r = open_bus(b, &b->session, sd_bus_open_user);
        if (r < 0)
                return r;
        (void) sd_bus_match_signal(b->session, NULL, "org.freedesktop.DBus.Local",
                                   "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                   "Disconnected", on_lost, b);
        for (unsigned i = 0; i < b->n_hooks; i++)
                b->hooks[i].opened(b->session, b->hooks[i].userdata);
        return 0;
}

static bool is_open(sd_bus *bus) {
        return bus && sd_bus_is_open(bus) > 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct buses *b = userdata;
        int r = 0;

        (void) usec;
        if (!is_open(b->session))
                r = open_session(b);
        if (r < 0) {
                log_debug("No session bus: %s", strerror(-r));
                (void) sd_event_source_set_time_relative(source, AGAIN_USEC);
                (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        }
        return 0;
}

int buses_new(struct buses **ret, sd_event *loop) {
        _cleanup_(buses_freep) struct buses *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->loop = sd_event_ref(loop);
        r = sd_event_add_time_relative(loop, &b->again, CLOCK_MONOTONIC, 0, 0, on_again, b);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(b);
        return 0;
}

struct buses *buses_free(struct buses *b) {
        if (!b)
                return NULL;

        (void) sd_event_source_disable_unref(b->again);
        drop(&b->session);
        drop(&b->system);
        (void) sd_event_unref(b->loop);
        free(b);
        return NULL;
}

sd_bus *buses_session(struct buses *b) {
        if (!is_open(b->session) && open_session(b) < 0)
                return NULL;
        return b->session;
}

sd_bus *buses_system(struct buses *b) {
        if (!is_open(b->system) && open_bus(b, &b->system, sd_bus_open_system) < 0)
                return NULL;
        return b->system;
}

void buses_on_session(struct buses *b,
                      void (*opened)(sd_bus *bus, void *userdata),
                      void *userdata) {
        assert(b->n_hooks < BUSES_MAX_HOOKS);
        b->hooks[b->n_hooks++] = (struct hook){ opened, userdata };
        if (is_open(b->session))
                opened(b->session, userdata);
}
