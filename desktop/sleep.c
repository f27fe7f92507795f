/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/sleep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/log.h"
#include "desktop/line.h"
#include "ipc/varlink.h"

#define LOGIND_NAME    "org.freedesktop.login1"
#define LOGIND_PATH    "/org/freedesktop/login1"
#define LOGIND_MANAGER "org.freedesktop.login1.Manager"

struct sleep {
        sd_event *loop;       /* owned reference */
        char *path;           /* owned */
        sd_bus *bus;          /* owned reference */
        sd_bus_slot *pending; /* owned; of the lock that was asked for */
        int lock_fd;          /* owned; -1: not held */
        struct conn *told;    /* owned; a call of Sleep, which lasts as long as the sleep */
        bool is_asleep;
};

/* The machine may sleep as far as we are concerned. */
static void rest(struct sleep *s) {
        closep(&s->lock_fd);
        s->lock_fd = -1;
}

/* gemmad's one reply: its microphone is closed.  An error: it does not know of sleep. */
static void
on_reply(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        (void) c, (void) text, (void) size, (void) fds;
        rest(userdata);
}

static void on_line_ended(struct conn *c, int r, void *userdata) {
        struct sleep *s = userdata;

        (void) c, (void) r;
        s->told = conn_free(s->told);
        rest(s);
}

static int tell_gemmad(struct sleep *s) {
        static const struct conn_handler handler = { on_reply, on_line_ended };
        const struct line_config config = {
                .loop = s->loop,
                .path = s->path,
                .handler = &handler,
                .userdata = s,
        };
        int r;

        r = line_open(&s->told, &config);
        if (r >= 0)
                r = line_send(s->told, "Sleep", NULL, /* more= */ true);
        return r;
}

static void set_asleep(struct sleep *s, bool is_asleep) {
        int r;

        if (s->is_asleep == is_asleep)
                return;
        s->is_asleep = is_asleep;
        s->told = conn_free(s->told);
        if (!is_asleep)
                return;
        r = tell_gemmad(s);
        if (r >= 0)
                return;
        log_debug("gemmad is not told of sleep: %s", strerror(-r));
        s->told = conn_free(s->told);
        rest(s);
}

static int on_lock(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct sleep *s = userdata;
        int fd = -1;

        (void) error;
        s->pending = sd_bus_slot_unref(s->pending);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_debug("logind gives no time before sleep (%s), going on without it",
                          sd_bus_message_get_error(reply)->message);
                return 0;
        }

        /* One that comes only when it is time to sleep is let go at once, with the message. */
        if (!s->is_asleep && sd_bus_message_read(reply, "h", &fd) >= 0)
                s->lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

static void take_lock(struct sleep *s) {
        if (s->lock_fd >= 0 || s->pending)
                return;
        (void) sd_bus_call_method_async(s->bus, &s->pending, LOGIND_NAME, LOGIND_PATH,
                                        LOGIND_MANAGER, "Inhibit", on_lock, s, "ssss", "sleep",
                                        "gemmad", "Closes the microphone", "delay");
}

static int on_prepare(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct sleep *s = userdata;
        int is_asleep;

        (void) error;
        if (sd_bus_message_read(message, "b", &is_asleep) < 0)
                return 0;
        set_asleep(s, is_asleep != 0);
        if (!is_asleep)
                take_lock(s);
        return 0;
}

/* A logind that ended will not say that the machine is awake; another one may give a lock. */
static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct sleep *s = userdata;
        const char *owner;

        (void) error;
        if (sd_bus_message_read(message, "sss", NULL, NULL, &owner) < 0)
                return 0;
        set_asleep(s, false);
        if (*owner)
                take_lock(s);
        return 0;
}

static int on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct sleep *s = userdata;

        (void) message;
        (void) error;
        log_debug("The system bus is gone, going on without it");
        set_asleep(s, false);
        return 0;
}

static int start(struct sleep *s) {
        int r;

        r = sd_bus_match_signal_async(s->bus, NULL, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_gone, NULL, s);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(s->bus, NULL, LOGIND_NAME, LOGIND_PATH, LOGIND_MANAGER,
                                      "PrepareForSleep", on_prepare, NULL, s);
        if (r < 0)
                return r;
        r = sd_bus_add_match_async(s->bus, NULL,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" LOGIND_NAME "'",
                                   on_owner, NULL, s);
        if (r < 0)
                return r;
        take_lock(s);
        /* At the end of the loop nothing is flushed: a bus that does not read would hold up the end. */
        r = sd_bus_set_close_on_exit(s->bus, 0);
        if (r < 0)
                return r;
        return sd_bus_attach_event(s->bus, s->loop, SD_EVENT_PRIORITY_NORMAL);
}

int sleep_open(struct sleep **ret, sd_event *loop, const char *path) {
        _cleanup_(sleep_closep) struct sleep *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->lock_fd = -1;
        s->loop = sd_event_ref(loop);
        s->path = strdup(path);
        if (!s->path)
                return -ENOMEM;

        r = sd_bus_open_system_with_description(&s->bus, "gemmad-system");
        if (r >= 0)
                r = start(s);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(s);
        return 0;
}

struct sleep *sleep_close(struct sleep *s) {
        if (!s)
                return NULL;

        sd_bus_slot_unref(s->pending);
        sd_bus_close_unref(s->bus);
        (void) conn_free(s->told);
        closep(&s->lock_fd);
        (void) sd_event_unref(s->loop);
        free(s->path);
        free(s);
        return NULL;
}
