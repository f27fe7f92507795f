/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/tray.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "base/log.h"
#include "desktop/tray-menu.h"

#define WATCHER      "org.kde.StatusNotifierWatcher"
#define WATCHER_PATH "/StatusNotifierWatcher"
#define ITEM         "org.kde.StatusNotifierItem"
#define ITEM_PATH    "/StatusNotifierItem"

#define MAX_LABEL 72

enum look { LOOK_IDLE, LOOK_LISTENING, LOOK_THINKING, LOOK_MUTED, LOOK_NONE };

static const struct {
        const char *icon, *title;
} looks[] = {
        [LOOK_IDLE] = { "audio-input-microphone-symbolic", "Voice assistant" },
        [LOOK_LISTENING] = { "microphone-sensitivity-high-symbolic", "Voice assistant: listening" },
        [LOOK_THINKING] = { "content-loading-symbolic", "Voice assistant: thinking" },
        [LOOK_MUTED] = { "microphone-sensitivity-muted-symbolic", "Voice assistant: muted" },
        [LOOK_NONE] = { "audio-input-microphone-symbolic", "Voice assistant: not running" },
};

struct tray {
        struct buses *buses; /* not owned */
        struct peer *peer;   /* not owned */
        enum look look;
        struct menu menu;
        char mode[8]; /* what the menu points to */
        bool is_reading; /* the history, which has to be read again if this is dirty */
        bool is_dirty;
};

static void drop_past(struct tray *t) {
        while (t->menu.n_past > 0)
                free(t->menu.past[--t->menu.n_past]);
}

/* "question: answer", cut; an underscore would be an accelerator.  NULL: nothing was said. */
static char *label_of(json_t *turn) {
        const char *heard = json_string_value(json_object_get(turn, "heard"));
        const char *answered = json_string_value(json_object_get(turn, "answered"));
        char text[1024], *label, *at;
        size_t n = 0;

        if (!heard || !*heard)
                return NULL;
        at = label = malloc(4 * MAX_LABEL + 8);
        if (!label)
                return NULL;
        (void) snprintf(text, sizeof(text), "%s%s%s", heard,
                        answered && *answered ? ": " : "", answered ? answered : "");
        for (const char *from = text; *from; from++) {
                /* Cut before a character, not within one. */
                if (((unsigned char) *from & 0xc0) != 0x80 && n++ == MAX_LABEL) {
                        at = stpcpy(at, "...");
                        break;
                }
                if (*from == '_')
                        *at++ = '_';
                *at++ = (unsigned char) *from < ' ' ? ' ' : *from;
        }
        *at = 0;
        return label;
}

static void read_history(struct tray *t);

static void on_history(const struct varlink_reply *reply, void *userdata) {
        struct tray *t = userdata;
        json_t *turn;
        size_t i;

        t->is_reading = false;
        drop_past(t);
        if (reply && !reply->error)
                json_array_foreach(json_object_get(reply->parameters, "turns"), i, turn) {
                        char *label = t->menu.n_past < MENU_MAX_PAST ? label_of(turn) : NULL;

                        if (label)
                                t->menu.past[t->menu.n_past++] = label;
                }
        if (reply)
                menu_changed(&t->menu, buses_session(t->buses));
        if (reply && t->is_dirty)
                read_history(t);
}

static void read_history(struct tray *t) {
        t->is_dirty = t->is_reading;
        if (t->is_reading)
                return;
        t->is_reading = peer_call(t->peer, "History", json_pack("{s:i}", "limit", MENU_MAX_PAST),
                                  on_history, t) >= 0;
}

/* What was asked for is seen in the status. */
static void on_replied(const struct varlink_reply *reply, void *userdata) {
        (void) userdata;
        if (reply && reply->error)
                log_info("What was chosen in the panel was refused: %s", reply->error);
}

static void on_chosen(const char *method, json_t *parameters, void *userdata) {
        struct tray *t = userdata;

        (void) peer_call(t->peer, method, parameters, on_replied, t);
}

static int get_text(sd_bus *bus,
                    const char *path,
                    const char *interface,
                    const char *property,
                    sd_bus_message *reply,
                    void *userdata,
                    sd_bus_error *error) {
        const struct tray *t = userdata;
        const char *text = "";

        (void) bus, (void) path, (void) interface, (void) error;
        if (strcmp(property, "Category") == 0)
                text = "ApplicationStatus";
        else if (strcmp(property, "Id") == 0)
                text = "gemmad";
        else if (strcmp(property, "Title") == 0)
                text = looks[t->look].title;
        else if (strcmp(property, "Status") == 0)
                text = t->look == LOOK_NONE ? "Passive" : "Active";
        else if (strcmp(property, "IconName") == 0)
                text = looks[t->look].icon;
        return sd_bus_message_append(reply, "s", text);
}

static int get_rest(sd_bus *bus,
                    const char *path,
                    const char *interface,
                    const char *property,
                    sd_bus_message *reply,
                    void *userdata,
                    sd_bus_error *error) {
        const struct tray *t = userdata;

        (void) bus, (void) path, (void) interface, (void) error;
        if (strcmp(property, "Menu") == 0)
                return sd_bus_message_append(reply, "o", MENU_PATH);
        if (strcmp(property, "ItemIsMenu") == 0)
                return sd_bus_message_append(reply, "b", 0);
        return sd_bus_message_append(reply, "(sa(iiay)ss)", looks[t->look].icon, 0,
                                     looks[t->look].title, "");
}

/* A click asks by voice. */
static int on_activate(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        (void) error;
        on_chosen("Listen", json_pack("{s:b}", "detached", 1), userdata);
        return sd_bus_reply_method_return(message, NULL);
}

/* The middle button mutes, or no longer. */
static int on_second(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct tray *t = userdata;

        (void) error;
        on_chosen("Mute", json_pack("{s:b}", "muted", (int) !t->menu.is_muted), t);
        return sd_bus_reply_method_return(message, NULL);
}

static int on_nothing(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        (void) userdata, (void) error;
        return sd_bus_reply_method_return(message, NULL);
}

/* clang-format off */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Activate", "ii", "", on_activate, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SecondaryActivate", "ii", "", on_second, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ContextMenu", "ii", "", on_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Scroll", "is", "", on_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("NewTitle", "", 0),
        SD_BUS_SIGNAL("NewIcon", "", 0),
        SD_BUS_SIGNAL("NewToolTip", "", 0),
        SD_BUS_SIGNAL("NewStatus", "s", 0),
        SD_BUS_PROPERTY("Category", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Id", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Title", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("Status", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("IconName", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("OverlayIconName", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("AttentionIconName", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("IconThemePath", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Menu", "o", get_rest, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ItemIsMenu", "b", get_rest, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ToolTip", "(sa(iiay)ss)", get_rest, 0, 0),
        SD_BUS_VTABLE_END
};
/* clang-format on */

static void enlist(sd_bus *bus) {
        char name[64];

        (void) snprintf(name, sizeof(name), ITEM "-%d-1", (int) getpid());
        (void) sd_bus_call_method_async(bus, NULL, WATCHER, WATCHER_PATH, WATCHER,
                                        "RegisterStatusNotifierItem", NULL, NULL, "s", name);
}

/* A panel that starts later, or anew. */
static int on_watcher(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const char *owner;

        (void) userdata, (void) error;
        if (sd_bus_message_read(message, "sss", NULL, NULL, &owner) >= 0 && *owner)
                enlist(sd_bus_message_get_bus(message));
        return 0;
}

static void on_bus(sd_bus *bus, void *userdata) {
        struct tray *t = userdata;
        char name[64];
        int r;

        (void) snprintf(name, sizeof(name), ITEM "-%d-1", (int) getpid());
        r = sd_bus_add_object_vtable(bus, NULL, ITEM_PATH, ITEM, vtable, t);
        if (r >= 0)
                r = menu_add(&t->menu, bus);
        if (r >= 0)
                r = sd_bus_add_match_async(bus, NULL,
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "path='/org/freedesktop/DBus',"
                                           "interface='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='" WATCHER "'",
                                           on_watcher, NULL, t);
        if (r >= 0)
                r = sd_bus_request_name_async(bus, NULL, name, 0, NULL, NULL);
        if (r < 0)
                log_debug("No icon in the panel: %s", strerror(-r));
        else
                enlist(bus);
}

int tray_new(struct tray **ret, struct buses *buses, struct peer *peer) {
        struct tray *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->buses = buses;
        t->peer = peer;
        t->look = LOOK_NONE;
        t->menu.mode = t->mode;
        t->menu.chosen = on_chosen;
        t->menu.userdata = t;
        buses_on_session(buses, on_bus, t);
        *ret = t;
        return 0;
}

struct tray *tray_free(struct tray *t) {
        if (!t)
                return NULL;

        drop_past(t);
        free(t);
        return NULL;
}

static enum look look_of(json_t *status) {
        const char *state = json_string_value(json_object_get(status, "state"));

        if (!state)
                return LOOK_NONE;
        if (strcmp(state, "listening") == 0)
                return LOOK_LISTENING;
        if (strcmp(state, "thinking") == 0 || strcmp(state, "answering") == 0)
                return LOOK_THINKING;
        return json_is_true(json_object_get(status, "muted")) ? LOOK_MUTED : LOOK_IDLE;
}

static void tell_look(struct tray *t, enum look before) {
        sd_bus *bus = buses_session(t->buses);

        if (!bus || before == t->look)
                return;
        (void) sd_bus_emit_signal(bus, ITEM_PATH, ITEM, "NewIcon", NULL);
        (void) sd_bus_emit_signal(bus, ITEM_PATH, ITEM, "NewTitle", NULL);
        (void) sd_bus_emit_signal(bus, ITEM_PATH, ITEM, "NewToolTip", NULL);
        if ((before == LOOK_NONE) != (t->look == LOOK_NONE))
                (void) sd_bus_emit_signal(bus, ITEM_PATH, ITEM, "NewStatus", "s",
                                          t->look == LOOK_NONE ? "Passive" : "Active");
}

void tray_on_status(struct tray *t, json_t *status) {
        const char *mode = json_string_value(json_object_get(status, "mode"));
        bool is_muted = json_is_true(json_object_get(status, "muted")), was_there;
        enum look before;

        if (!t)
                return;
        before = t->look;
        t->look = look_of(status);
        tell_look(t, before);

        was_there = t->menu.is_there;
        if (was_there != (status != NULL) || t->menu.is_muted != is_muted ||
            strcmp(t->mode, mode ? mode : "") != 0) {
                t->menu.is_there = status != NULL;
                t->menu.is_muted = is_muted;
                (void) snprintf(t->mode, sizeof(t->mode), "%s", mode ? mode : "");
                menu_changed(&t->menu, buses_session(t->buses));
        }
        if (!status)
                drop_past(t);
        else if (!was_there)
                read_history(t);
}

void tray_on_event(struct tray *t, json_t *event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));

        if (t && kind &&
            (strcmp(kind, "done") == 0 || strcmp(kind, "forgotten") == 0 ||
             strcmp(kind, "transcript") == 0))
                read_history(t);
}
