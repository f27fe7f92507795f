/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/shortcut.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "base/log.h"

#define PORTAL      "org.freedesktop.portal.Desktop"
#define PORTAL_PATH "/org/freedesktop/portal/desktop"
#define INTERFACE   "org.freedesktop.portal.GlobalShortcuts"

#define ID          "push-to-talk"
#define TOKEN       "gemmad_shortcut"
#define DESCRIPTION "Hold to speak to the voice assistant"

struct shortcut {
        struct peer *peer;   /* not owned */
        char *trigger;       /* owned */
        char owner[64];      /* whose name the portal's is: what others on the bus say of keys is not heard */
        char session[256];   /* of the portal, on the bus that is there now */
        char request[256];   /* whose answer is waited for */
        bool is_bound;       /* the session is there, and the keys are asked for */
        bool is_down;
};

/* The portal's names of what we ask for are made of our own on the bus. */
static int name_object(sd_bus *bus, const char *kind, char *ret, size_t size) {
        const char *unique;
        char sender[128];
        int r;

        r = sd_bus_get_unique_name(bus, &unique);
        if (r < 0)
                return r;
        (void) snprintf(sender, sizeof(sender), "%s", unique[0] == ':' ? unique + 1 : unique);
        for (char *at = sender; *at; at++)
                if (*at == '.')
                        *at = '_';
        (void) snprintf(ret, size, PORTAL_PATH "/%s/%s/" TOKEN, kind, sender);
        return 0;
}

static int on_refused(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        (void) userdata, (void) error;
        if (sd_bus_message_is_method_error(reply, NULL))
                log_notice("No key to talk by the portal: %s",
                           sd_bus_message_get_error(reply)->message);
        return 0;
}

static bool is_portal(const struct shortcut *s, sd_bus_message *message) {
        const char *sender = sd_bus_message_get_sender(message);

        return sender && strcmp(sender, s->owner) == 0;
}

static void bind_keys(struct shortcut *s, sd_bus *bus) {
        s->is_bound = true;
        (void) sd_bus_call_method_async(
                bus, NULL, PORTAL, PORTAL_PATH, INTERFACE, "BindShortcuts", on_refused, s,
                "oa(sa{sv})sa{sv}", s->session, 1, ID, 2, "description", "s", DESCRIPTION,
                "preferred_trigger", "s", s->trigger, "", 1, "handle_token", "s", TOKEN);
}

/* To CreateSession, and then to BindShortcuts. */
static int on_response(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(message);
        struct shortcut *s = userdata;
        uint32_t response;

        (void) error;
        if (!is_portal(s, message) || !path || strcmp(path, s->request) != 0 ||
            sd_bus_message_read(message, "u", &response) < 0)
                return 0;
        if (response != 0)
                log_notice("No key to talk by the portal: it was %s",
                           response == 1 ? "not wanted" : "not to be had");
        else if (!s->is_bound)
                bind_keys(s, sd_bus_message_get_bus(message));
        else
                log_notice("The portal tells when the key to talk is held");
        return 0;
}

static void on_replied(const struct varlink_reply *reply, void *userdata) {
        (void) userdata;
        if (reply && reply->error)
                log_info("The key to talk: %s", reply->error);
}

static bool is_ours(const struct shortcut *s, sd_bus_message *message) {
        const char *session, *id;

        return is_portal(s, message) && sd_bus_message_read(message, "os", &session, &id) >= 0 &&
               strcmp(session, s->session) == 0 && strcmp(id, ID) == 0;
}

static int on_activated(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct shortcut *s = userdata;

        (void) error;
        /* Told again while it is held, it is held. */
        if (!is_ours(s, message) || s->is_down)
                return 0;
        s->is_down = true;
        (void) peer_call(s->peer, "Listen", json_pack("{s:b, s:b}", "hold", 1, "detached", 1),
                         on_replied, s);
        return 0;
}

static void let_go(struct shortcut *s) {
        if (!s->is_down)
                return;
        s->is_down = false;
        (void) peer_call(s->peer, "Finish", NULL, on_replied, s);
}

static int on_deactivated(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct shortcut *s = userdata;

        (void) error;
        if (is_ours(s, message))
                let_go(s);
        return 0;
}

/* Of a portal that is new, or new to us. */
static void create_session(struct shortcut *s, sd_bus *bus, const char *owner) {
        if (strcmp(owner, s->owner) == 0)
                return;
        (void) snprintf(s->owner, sizeof(s->owner), "%s", owner);
        s->is_bound = false;
        let_go(s);
        if (*owner)
                (void) sd_bus_call_method_async(bus, NULL, PORTAL, PORTAL_PATH, INTERFACE,
                                                "CreateSession", on_refused, s, "a{sv}", 2,
                                                "handle_token", "s", TOKEN, "session_handle_token",
                                                "s", TOKEN);
}

/* A portal that ends takes its sessions along, and one that begins has none. */
static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new;
        struct shortcut *s = userdata;

        (void) error;
        if (sd_bus_message_read(message, "sss", &name, &old, &new) >= 0 && strcmp(name, PORTAL) == 0)
                create_session(s, sd_bus_message_get_bus(message), new);
        return 0;
}

static int on_owner(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct shortcut *s = userdata;
        const char *owner;

        (void) error;
        if (sd_bus_message_is_method_error(reply, NULL))
                return on_refused(reply, s, error);
        if (sd_bus_message_read(reply, "s", &owner) >= 0)
                create_session(s, sd_bus_message_get_bus(reply), owner);
        return 0;
}

/* One that nothing starts may be there all the same. */
static int on_portal_started(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct shortcut *s = userdata;

        (void) error;
        (void) sd_bus_call_method_async(sd_bus_message_get_bus(reply), NULL, "org.freedesktop.DBus",
                                        "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                        "GetNameOwner", on_owner, s, "s", PORTAL);
        return 0;
}

static int listen_to(struct shortcut *s, sd_bus *bus) {
        int r;

        r = sd_bus_match_signal_async(bus, NULL, PORTAL, NULL, "org.freedesktop.portal.Request",
                                      "Response", on_response, NULL, s);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, PORTAL, PORTAL_PATH, INTERFACE, "Activated",
                                              on_activated, NULL, s);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, PORTAL, PORTAL_PATH, INTERFACE,
                                              "Deactivated", on_deactivated, NULL, s);
        if (r >= 0)
                r = sd_bus_add_match_async(bus, NULL,
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "interface='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='" PORTAL "'",
                                           on_owner_changed, NULL, s);
        return r;
}

/* The bus has said who we are. */
static int on_ready(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        sd_bus *bus = sd_bus_message_get_bus(reply);
        struct shortcut *s = userdata;
        int r;

        (void) error;
        s->is_bound = s->is_down = false;
        s->owner[0] = '\0';
        r = name_object(bus, "request", s->request, sizeof(s->request));
        if (r >= 0)
                r = name_object(bus, "session", s->session, sizeof(s->session));
        if (r >= 0)
                r = listen_to(s, bus);
        if (r >= 0)
                r = sd_bus_call_method_async(bus, NULL, "org.freedesktop.DBus",
                                             "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                             "StartServiceByName", on_portal_started, s, "su", PORTAL,
                                             0);
        if (r < 0)
                log_debug("No key to talk by the portal: %s", strerror(-r));
        return 0;
}

static void on_bus(sd_bus *bus, void *userdata) {
        (void) sd_bus_call_method_async(bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "GetId", on_ready, userdata, NULL);
}

int shortcut_new(struct shortcut **ret, struct buses *buses, struct peer *peer, const char *trigger) {
        _cleanup_(shortcut_freep) struct shortcut *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->peer = peer;
        s->trigger = strdup(trigger);
        if (!s->trigger)
                return -ENOMEM;
        buses_on_session(buses, on_bus, s);
        *ret = TAKE_PTR(s);
        return 0;
}

struct shortcut *shortcut_free(struct shortcut *s) {
        if (!s)
                return NULL;

        free(s->trigger);
        free(s);
        return NULL;
}
