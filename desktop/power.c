/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/power.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desktop/bus-step.h"
#include "desktop/desktop.h"
#include "desktop/words.h"

#define UPOWER  "org.freedesktop.UPower"
#define BATTERY "/org/freedesktop/UPower/devices/DisplayDevice"
#define LOGIN1  "org.freedesktop.login1"

/* UPower's numbers of states. */
enum state { STATE_CHARGING = 1, STATE_DISCHARGING = 2, STATE_FULL = 4 };

struct battery {
        int is_present;
        double percentage;
        uint32_t state;
        int64_t to_empty, to_full; /* seconds; 0: not known */
};

static int read_value(sd_bus_message *message, const char *type, void *ret) {
        int r;

        r = bus_enter_variant(message, type);
        if (r <= 0)
                return r;
        r = sd_bus_message_read_basic(message, type[0], ret);
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_property(sd_bus_message *message, const char *key, struct battery *b) {
        if (strcmp(key, "IsPresent") == 0)
                return read_value(message, "b", &b->is_present);
        if (strcmp(key, "Percentage") == 0)
                return read_value(message, "d", &b->percentage);
        if (strcmp(key, "State") == 0)
                return read_value(message, "u", &b->state);
        if (strcmp(key, "TimeToEmpty") == 0)
                return read_value(message, "x", &b->to_empty);
        if (strcmp(key, "TimeToFull") == 0)
                return read_value(message, "x", &b->to_full);
        return sd_bus_message_skip(message, "v");
}

static int read_battery(sd_bus_message *message, struct battery *b) {
        const char *key;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = sd_bus_message_read(message, "s", &key);
                if (r >= 0)
                        r = read_property(message, key, b);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r;
}

static void say_battery(struct call *call, const struct battery *b) {
        int percent = (int) lround(b->percentage);
        json_t *result = json_pack("{s:i, s:b}", "percent", percent, "charging",
                                   b->state == STATE_CHARGING);
        char words[128];

        if (b->state == STATE_DISCHARGING && b->to_empty > 0)
                call_say(call, result, "Battery %d percent, %s left.", percent,
                         words_duration(words, sizeof(words), b->to_empty / 60 * 60 * USEC_PER_SEC));
        else if (b->state == STATE_CHARGING && b->to_full > 0)
                call_say(call, result, "Battery %d percent, full in %s.", percent,
                         words_duration(words, sizeof(words), b->to_full / 60 * 60 * USEC_PER_SEC));
        else if (b->state == STATE_CHARGING)
                call_say(call, result, "Battery %d percent, charging.", percent);
        else if (b->state == STATE_FULL)
                call_say(call, result, "The battery is full.");
        else
                call_say(call, result, "Battery %d percent.", percent);
}

static void on_battery(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        struct battery battery = {};

        if (!reply)
                call_fail(step->call, bus_is_missing(error) ? "UPower, which knows the battery, is not there."
                                                            : "UPower does not answer.");
        else if (read_battery(reply, &battery) < 0)
                call_fail(step->call, "UPower's answer can not be understood.");
        else if (!battery.is_present)
                call_say(step->call, json_pack("{s:b}", "present", 0), "There is no battery here.");
        else
                say_battery(step->call, &battery);
}

void power_get_battery(struct desktop *d, struct call *call) {
        const struct bus_method method = { buses_system(d->buses), UPOWER, BATTERY,
                                           "org.freedesktop.DBus.Properties", "GetAll", NULL };

        if (bus_step_call(d, call, &method, NULL, on_battery, "s", UPOWER ".Device") < 0)
                call_fail(call, "UPower, which knows the battery, is not there.");
}

static void on_suspending(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                call_say(step->call, NULL, "Suspending.");
        else if (bus_is_missing(error))
                call_fail(step->call, "Only logind can suspend the machine, and it is not there.");
        else
                call_fail(step->call, "logind does not suspend the machine: %s", error->message);
}

void power_suspend(struct desktop *d, struct call *call) {
        const struct bus_method method = { buses_system(d->buses), LOGIN1, "/org/freedesktop/login1",
                                           LOGIN1 ".Manager", "Suspend", NULL };

        if (bus_step_call(d, call, &method, NULL, on_suspending, "b", 0) < 0)
                call_fail(call, "Only logind can suspend the machine, and it is not there.");
}

static void on_ending(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                call_say(step->call, NULL, "Logging out.");
        else if (bus_is_missing(error))
                call_fail(step->call, "Nothing here can end the session: neither a session manager "
                                      "nor logind is there.");
        else
                call_fail(step->call, "logind does not end the session: %s", error->message);
}

/* The last resort, which asks no program to save anything. */
static void log_out_by_logind(struct desktop *d, struct call *call) {
        const struct bus_method method = { buses_system(d->buses), LOGIN1,
                                           "/org/freedesktop/login1/session/auto", LOGIN1 ".Session",
                                           "Terminate", NULL };

        if (bus_step_call(d, call, &method, NULL, on_ending, NULL) < 0)
                call_fail(call, "Nothing here can end the session.");
}

static void on_kde(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                call_say(step->call, NULL, "Logging out.");
        else if (bus_is_missing(error))
                log_out_by_logind(step->desktop, step->call);
        else
                call_fail(step->call, "The session does not end: %s", error->message);
}

static void on_gnome(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        const struct bus_method kde = { buses_session(step->desktop->buses), "org.kde.Shutdown",
                                        "/Shutdown", "org.kde.Shutdown", "logout", NULL };

        if (reply)
                call_say(step->call, NULL, "Logging out.");
        else if (!bus_is_missing(error))
                call_fail(step->call, "The session does not end: %s", error->message);
        else if (bus_step_call(step->desktop, step->call, &kde, NULL, on_kde, NULL) < 0)
                log_out_by_logind(step->desktop, step->call);
}

/* The session's own manager lets programs save; which one it is, is tried. */
void power_log_out(struct desktop *d, struct call *call) {
        enum { WITHOUT_ASKING = 1 };
        const struct bus_method gnome = { buses_session(d->buses), "org.gnome.SessionManager",
                                          "/org/gnome/SessionManager", "org.gnome.SessionManager",
                                          "Logout", NULL };

        if (bus_step_call(d, call, &gnome, NULL, on_gnome, "u", (uint32_t) WITHOUT_ASKING) < 0)
                log_out_by_logind(d, call);
}
