/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/notify.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SERVICE   "org.freedesktop.Notifications"
#define PATH      "/org/freedesktop/Notifications"
#define MAX_SHOWN 64

#define URGENCY_LOW      0
#define URGENCY_NORMAL   1
#define URGENCY_CRITICAL 2

struct notice {
        struct notify *owner;
        struct notice_config config;
        uint32_t id;        /* 0: not known yet */
        sd_bus_slot *slot;  /* owned; the call that shows it */
        char *title, *body; /* owned; what to show next, while that is not known */
        bool is_closed;     /* by its owner, before its id was known */
        bool is_left;       /* its owner is gone, whoever sees it closes it */
};

struct notify {
        struct buses *buses;               /* not owned */
        struct notice *shown[MAX_SHOWN]; /* owned, [n_shown] */
        unsigned n_shown;
};

static struct notice *find(const struct notify *n, uint32_t id) {
        for (unsigned i = 0; id != 0 && i < n->n_shown; i++)
                if (n->shown[i]->id == id)
                        return n->shown[i];
        return NULL;
}

static void release(struct notice *notice) {
        struct notify *n = notice->owner;

        for (unsigned i = 0; i < n->n_shown; i++)
                if (n->shown[i] == notice) {
                        n->shown[i] = n->shown[--n->n_shown];
                        break;
                }
        (void) sd_bus_slot_unref(notice->slot);
        free(notice->title);
        free(notice->body);
        free(notice);
}

static void choose(struct notice *notice, const char *key) {
        if (notice && !notice->is_closed && !notice->is_left && notice->config.chosen)
                notice->config.chosen(key, notice->config.userdata);
}

static int on_action(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *key;
        uint32_t id;

        (void) error;
        if (sd_bus_message_read(message, "us", &id, &key) >= 0)
                choose(find(userdata, id), key);
        return 0;
}

static int on_closed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct notice *notice;
        uint32_t id, reason;

        (void) error;
        if (sd_bus_message_read(message, "uu", &id, &reason) < 0)
                return 0;
        notice = find(userdata, id);
        if (!notice)
                return 0;
        notice->id = 0;
        if (notice->is_left)
                release(notice);
        else
                choose(notice, NULL);
        return 0;
}

/* Those that were shown on a bus that is gone are gone with it. */
static void on_bus(sd_bus *bus, void *userdata) {
        struct notify *n = userdata;

        for (unsigned i = n->n_shown; i-- > 0;) {
                struct notice *notice = n->shown[i];

                notice->id = 0;
                notice->slot = sd_bus_slot_unref(notice->slot);
                if (notice->is_closed || notice->is_left)
                        release(notice);
        }
        (void) sd_bus_match_signal_async(bus, NULL, NULL, PATH, SERVICE, "ActionInvoked", on_action,
                                         NULL, n);
        (void) sd_bus_match_signal_async(bus, NULL, NULL, PATH, SERVICE, "NotificationClosed",
                                         on_closed, NULL, n);
}

static void take_off(struct notify *n, uint32_t id) {
        sd_bus *bus = buses_session(n->buses);

        if (bus && id != 0)
                (void) sd_bus_call_method_async(bus, NULL, SERVICE, PATH, SERVICE,
                                                "CloseNotification", NULL, NULL, "u", id);
}

static int append_actions(sd_bus_message *message, const char *const *actions) {
        int r;

        r = sd_bus_message_open_container(message, 'a', "s");
        for (; r >= 0 && actions && *actions; actions++)
                r = sd_bus_message_append(message, "s", *actions);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_hints(sd_bus_message *message, const struct notice_config *config) {
        uint8_t urgency = config->is_urgent    ? URGENCY_CRITICAL
                          : config->is_passing ? URGENCY_LOW
                                               : URGENCY_NORMAL;

        return sd_bus_message_append(message, "a{sv}", 3, "urgency", "y", urgency, "transient", "b",
                                     (int) config->is_passing, "desktop-entry", "s",
                                     "gemmad-desktop");
}

static int show(struct notice *notice, const char *title, const char *body);

static int on_shown(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct notice *notice = userdata;
        uint32_t id = 0;

        (void) error;
        notice->slot = sd_bus_slot_unref(notice->slot);
        if (sd_bus_message_is_method_error(reply, NULL))
                log_debug("No notification: %s", sd_bus_message_get_error(reply)->message);
        else if (sd_bus_message_read(reply, "u", &id) >= 0)
                notice->id = id;
        if (notice->is_closed) {
                take_off(notice->owner, notice->id);
                release(notice);
        } else if (notice->title && notice->body) {
                _cleanup_(freep) char *title = TAKE_PTR(notice->title);
                _cleanup_(freep) char *body = TAKE_PTR(notice->body);

                (void) show(notice, title, body);
        }
        return 0;
}

/* Sends it; the id comes later. */
static int show(struct notice *notice, const char *title, const char *body) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        const struct notice_config *config = &notice->config;
        sd_bus *bus = buses_session(notice->owner->buses);
        int r;

        if (!bus)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(bus, &message, SERVICE, PATH, SERVICE, "Notify");
        if (r >= 0)
                r = sd_bus_message_append(message, "susss", "gemmad", notice->id,
                                          config->icon ? config->icon : "audio-input-microphone",
                                          title, body);
        if (r >= 0)
                r = append_actions(message, config->actions);
        if (r >= 0)
                r = append_hints(message, config);
        if (r >= 0)
                r = sd_bus_message_append(message, "i", config->is_urgent ? 0 : -1);
        if (r >= 0)
                r = sd_bus_call_async(bus, &notice->slot, message, on_shown, notice, BUS_CALL_USEC);
        return r;
}

int notify_new(struct notify **ret, struct buses *buses) {
        struct notify *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        n->buses = buses;
        buses_on_session(buses, on_bus, n);
        *ret = n;
        return 0;
}

struct notify *notify_free(struct notify *n) {
        if (!n)
                return NULL;

        while (n->n_shown > 0) {
                if (!n->shown[0]->is_left)
                        take_off(n, n->shown[0]->id);
                release(n->shown[0]);
        }
        free(n);
        return NULL;
}

struct notice *notice_show(struct notify *n, const struct notice_config *config) {
        struct notice *notice;

        if (n->n_shown == MAX_SHOWN)
                return NULL;
        notice = calloc(1, sizeof(*notice));
        if (!notice)
                return NULL;
        notice->owner = n;
        notice->config = *config;
        n->shown[n->n_shown++] = notice;
        if (show(notice, config->title, config->body) < 0) {
                release(notice);
                return NULL;
        }
        return notice;
}

struct notice *notice_close(struct notice *notice) {
        if (!notice)
                return NULL;

        notice->is_closed = true;
        if (notice->slot)
                return NULL;
        take_off(notice->owner, notice->id);
        release(notice);
        return NULL;
}

void notice_leave(struct notice *notice) {
        if (notice)
                notice->is_left = true;
}

void notice_change(struct notice *notice, const char *title, const char *body) {
        if (!notice->slot) {
                (void) show(notice, title, body);
                return;
        }
        free(notice->title);
        free(notice->body);
        notice->title = strdup(title);
        notice->body = strdup(body);
}
