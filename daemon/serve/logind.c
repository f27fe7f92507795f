/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/logind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/log.h"

#define LOGIND_NAME    "org.freedesktop.login1"
#define LOGIND_PATH    "/org/freedesktop/login1"
#define LOGIND_MANAGER "org.freedesktop.login1.Manager"

struct logind {
        struct logind_config config;
        sd_bus *bus;          /* owned reference */
        sd_bus_slot *pending; /* owned; of the lock that was asked for */
        int lock_fd;          /* owned; -1: not held */
        bool is_asleep;
};

static void set_asleep(struct logind *l, bool is_asleep) {
        if (l->is_asleep == is_asleep)
                return;
        l->is_asleep = is_asleep;
        l->config.on_sleep(is_asleep, l->config.userdata);
}

static int on_lock(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct logind *l = userdata;
        int fd = -1;

        (void) error;
        l->pending = sd_bus_slot_unref(l->pending);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_debug("logind gives no time before sleep (%s), going on without it",
                          sd_bus_message_get_error(reply)->message);
                return 0;
        }

        /* One that comes only when it is time to sleep is let go at once, with the message. */
        if (!l->is_asleep && sd_bus_message_read(reply, "h", &fd) >= 0)
                l->lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

static void take_lock(struct logind *l) {
        if (l->lock_fd >= 0 || l->pending)
                return;
        (void) sd_bus_call_method_async(l->bus, &l->pending, LOGIND_NAME, LOGIND_PATH,
                                        LOGIND_MANAGER, "Inhibit", on_lock, l, "ssss", "sleep",
                                        "gemmad", "Closes the microphone", "delay");
}

static int on_prepare(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct logind *l = userdata;
        int is_asleep;

        (void) error;
        if (sd_bus_message_read(message, "b", &is_asleep) < 0)
                return 0;
        set_asleep(l, is_asleep != 0);
        if (!is_asleep)
                take_lock(l);
        return 0;
}

/* A logind that ended will not say that the machine is awake; another one may give a lock. */
static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct logind *l = userdata;
        const char *owner;

        (void) error;
        if (sd_bus_message_read(message, "sss", NULL, NULL, &owner) < 0)
                return 0;
        set_asleep(l, false);
        if (*owner)
                take_lock(l);
        return 0;
}

static int on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct logind *l = userdata;

        (void) message;
        (void) error;
        log_debug("The system bus is gone, going on without it");
        set_asleep(l, false);
        return 0;
}

static int start(struct logind *l) {
        int r;

        r = sd_bus_match_signal_async(l->bus, NULL, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_gone, NULL, l);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(l->bus, NULL, LOGIND_NAME, LOGIND_PATH, LOGIND_MANAGER,
                                      "PrepareForSleep", on_prepare, NULL, l);
        if (r < 0)
                return r;
        r = sd_bus_add_match_async(l->bus, NULL,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" LOGIND_NAME "'",
                                   on_owner, NULL, l);
        if (r < 0)
                return r;
        take_lock(l);
        /* At the end of the loop nothing is flushed: a bus that does not read would hold up the end. */
        r = sd_bus_set_close_on_exit(l->bus, 0);
        if (r < 0)
                return r;
        return sd_bus_attach_event(l->bus, l->config.loop, SD_EVENT_PRIORITY_NORMAL);
}

int logind_open(struct logind **ret, const struct logind_config *config, struct why *why) {
        _cleanup_(logind_closep) struct logind *l = NULL;
        int r;

        l = calloc(1, sizeof(*l));
        if (!l)
                return because(why, -ENOMEM, "out of memory");
        l->config = *config;
        l->lock_fd = -1;

        r = sd_bus_open_system_with_description(&l->bus, "gemmad-system");
        if (r >= 0)
                r = start(l);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));

        *ret = TAKE_PTR(l);
        return 0;
}

struct logind *logind_close(struct logind *l) {
        if (!l)
                return NULL;

        sd_bus_slot_unref(l->pending);
        sd_bus_close_unref(l->bus);
        closep(&l->lock_fd);
        free(l);
        return NULL;
}

void logind_rest(struct logind *l) {
        if (!l || !l->is_asleep)
                return;
        closep(&l->lock_fd);
        l->lock_fd = -1;
}
