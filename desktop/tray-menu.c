/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/tray-menu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE "com.canonical.dbusmenu"

/* The items by number; those of the past are children of one. */
enum item {
        ITEM_ROOT,
        ITEM_LISTEN,
        ITEM_MUTED,
        ITEM_LINE,
        ITEM_PUSH,
        ITEM_OPEN,
        ITEM_WAKE,
        ITEM_OTHER_LINE,
        ITEM_HISTORY,
        N_ITEMS,
        ITEM_PAST = 100,
};

static const char *const labels[N_ITEMS] = {
        [ITEM_LISTEN] = "Ask by voice", [ITEM_MUTED] = "Mute the microphone",
        [ITEM_PUSH] = "Push to talk",   [ITEM_OPEN] = "Open microphone",
        [ITEM_WAKE] = "Wake phrase",    [ITEM_HISTORY] = "History",
};

static const char *const modes[N_ITEMS] = {
        [ITEM_PUSH] = "push",
        [ITEM_OPEN] = "open",
        [ITEM_WAKE] = "wake",
};

static bool is_item(const struct menu *m, int id) {
        return (id >= ITEM_ROOT && id < N_ITEMS) ||
               (id >= ITEM_PAST && id < ITEM_PAST + (int) m->n_past);
}

static int append(sd_bus_message *reply, const char *key, const char *type, ...) {
        va_list args;
        int r;

        va_start(args, type);
        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', type);
        if (r >= 0)
                r = sd_bus_message_appendv(reply, type, args);
        va_end(args);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_toggle(sd_bus_message *reply, const char *type, bool is_on) {
        int r = append(reply, "toggle-type", "s", type);

        return r < 0 ? r : append(reply, "toggle-state", "i", (int) is_on);
}

static int append_own(const struct menu *m, sd_bus_message *reply, int id) {
        bool is_enabled = m->is_there && (id != ITEM_LISTEN || !m->is_muted) &&
                          (id != ITEM_HISTORY || m->n_past > 0);
        int r = 0;

        if (id == ITEM_LINE || id == ITEM_OTHER_LINE)
                return append(reply, "type", "s", "separator");
        if (id != ITEM_ROOT) {
                r = append(reply, "label", "s", labels[id]);
                if (r >= 0)
                        r = append(reply, "enabled", "b", (int) is_enabled);
        }
        if (r >= 0 && (id == ITEM_ROOT || id == ITEM_HISTORY))
                r = append(reply, "children-display", "s", "submenu");
        if (r >= 0 && id == ITEM_MUTED)
                r = append_toggle(reply, "checkmark", m->is_muted);
        if (r >= 0 && modes[id])
                r = append_toggle(reply, "radio", strcmp(m->mode, modes[id]) == 0);
        return r;
}

static int append_properties(const struct menu *m, sd_bus_message *reply, int id) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0 && id >= ITEM_PAST) {
                r = append(reply, "label", "s", m->past[id - ITEM_PAST]);
                if (r >= 0)
                        r = append(reply, "enabled", "b", 0);
        } else if (r >= 0) {
                r = append_own(m, reply, id);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_item(const struct menu *m, sd_bus_message *reply, int id, int depth);

static int append_child(const struct menu *m, sd_bus_message *reply, int id, int depth) {
        int r;

        r = sd_bus_message_open_container(reply, 'v', "(ia{sv}av)");
        if (r >= 0)
                r = append_item(m, reply, id, depth);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* depth: so many floors below it; -1: all. */
static int append_item(const struct menu *m, sd_bus_message *reply, int id, int depth) {
        int first = id == ITEM_ROOT ? ITEM_LISTEN : ITEM_PAST, n = 0, r;

        if (depth != 0 && id == ITEM_ROOT)
                n = N_ITEMS - ITEM_LISTEN;
        else if (depth != 0 && id == ITEM_HISTORY)
                n = (int) m->n_past;
        r = sd_bus_message_open_container(reply, 'r', "ia{sv}av");
        if (r >= 0)
                r = sd_bus_message_append(reply, "i", id);
        if (r >= 0)
                r = append_properties(m, reply, id);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "v");
        for (int i = 0; r >= 0 && i < n; i++)
                r = append_child(m, reply, first + i, depth - 1);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int send_and_unref(sd_bus_message *reply, int r) {
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        (void) sd_bus_message_unref(reply);
        return r;
}

static int no_such_item(sd_bus_error *error, int id) {
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "there is no item %d", id);
}

static int on_get_layout(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const struct menu *m = userdata;
        sd_bus_message *reply = NULL;
        int id, depth, r;

        r = sd_bus_message_read(message, "ii", &id, &depth);
        if (r < 0)
                return r;
        if (!is_item(m, id))
                return no_such_item(error, id);
        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "u", m->revision);
        if (r >= 0)
                r = append_item(m, reply, id, depth);
        return send_and_unref(reply, r);
}

static int append_described(const struct menu *m, sd_bus_message *reply, int id) {
        int r;

        r = sd_bus_message_open_container(reply, 'r', "ia{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "i", id);
        if (r >= 0)
                r = append_properties(m, reply, id);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Of these items, or of all. */
static int on_get_group(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const struct menu *m = userdata;
        sd_bus_message *reply = NULL;
        const int32_t *ids;
        size_t size;
        int r;

        (void) error;
        r = sd_bus_message_read_array(message, 'i', (const void **) &ids, &size);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(ia{sv})");
        for (size_t i = 0; r >= 0 && i < size / sizeof(*ids); i++)
                if (is_item(m, ids[i]))
                        r = append_described(m, reply, ids[i]);
        for (int id = 0; size == 0 && r >= 0 && id < ITEM_PAST + MENU_MAX_PAST; id++)
                if (is_item(m, id))
                        r = append_described(m, reply, id);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return send_and_unref(reply, r);
}

static void choose(struct menu *m, int id) {
        if (id == ITEM_LISTEN)
                m->chosen("Listen", json_pack("{s:b}", "detached", 1), m->userdata);
        else if (id == ITEM_MUTED)
                m->chosen("Mute", json_pack("{s:b}", "muted", (int) !m->is_muted), m->userdata);
        else if (id < N_ITEMS && modes[id])
                m->chosen("SetMode", json_pack("{s:s}", "mode", modes[id]), m->userdata);
}

static int read_event(struct menu *m, sd_bus_message *message) {
        const char *event;
        int id, r;

        r = sd_bus_message_read(message, "is", &id, &event);
        if (r >= 0)
                r = sd_bus_message_skip(message, "vu");
        if (r >= 0 && is_item(m, id) && strcmp(event, "clicked") == 0)
                choose(m, id);
        return r;
}

static int on_event(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        int r;

        (void) error;
        r = read_event(userdata, message);
        return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int on_event_group(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        int r;

        (void) error;
        r = sd_bus_message_enter_container(message, 'a', "(isvu)");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'r', "isvu")) > 0) {
                r = read_event(userdata, message);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_reply_method_return(message, "ai", 0);
}

/* It is as it was told. */
static int on_about_to_show(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        (void) userdata, (void) error;
        return sd_bus_reply_method_return(message, "b", 0);
}

static int on_about_to_show_group(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        (void) userdata, (void) error;
        return sd_bus_reply_method_return(message, "aiai", 0, 0);
}

static int get_version(sd_bus *bus,
                       const char *path,
                       const char *interface,
                       const char *property,
                       sd_bus_message *reply,
                       void *userdata,
                       sd_bus_error *error) {
        (void) bus, (void) path, (void) interface, (void) userdata, (void) error;
        if (strcmp(property, "Version") == 0)
                return sd_bus_message_append(reply, "u", 3);
        if (strcmp(property, "IconThemePath") == 0)
                return sd_bus_message_append(reply, "as", 0);
        return sd_bus_message_append(reply, "s", strcmp(property, "Status") == 0 ? "normal" : "ltr");
}

/* clang-format off */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetLayout", "iias", "u(ia{sv}av)", on_get_layout, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetGroupProperties", "aias", "a(ia{sv})", on_get_group,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Event", "isvu", "", on_event, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("EventGroup", "a(isvu)", "ai", on_event_group, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AboutToShow", "i", "b", on_about_to_show, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AboutToShowGroup", "ai", "aiai", on_about_to_show_group,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("LayoutUpdated", "ui", 0),
        SD_BUS_SIGNAL("ItemsPropertiesUpdated", "a(ia{sv})a(ias)", 0),
        SD_BUS_PROPERTY("Version", "u", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("TextDirection", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Status", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("IconThemePath", "as", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END
};
/* clang-format on */

int menu_add(struct menu *m, sd_bus *bus) {
        return sd_bus_add_object_vtable(bus, NULL, MENU_PATH, INTERFACE, vtable, m);
}

void menu_changed(struct menu *m, sd_bus *bus) {
        m->revision++;
        if (bus)
                (void) sd_bus_emit_signal(bus, MENU_PATH, INTERFACE, "LayoutUpdated", "ui",
                                          m->revision, 0);
}
