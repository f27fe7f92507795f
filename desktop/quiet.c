/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/quiet.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "desktop/bus-step.h"
#include "desktop/desktop.h"
#include "desktop/process.h"
#include "desktop/timer-tools.h"
#include "desktop/words.h"

#define NOTIFICATIONS "org.freedesktop.Notifications"
#define PATH          "/org/freedesktop/Notifications"

#define COMMAND_USEC UINT64_C(5000000)

#define FILE_NAME "desktop-quiet"

/* The ways in which notification daemons are silenced, by the names that they give themselves. */
struct way {
        const char *server;
        void (*set)(struct desktop *d, struct call *call, bool is_on);
        const char *on[8], *off[8]; /* commands, where it is one */
};

/* Its end outlives this program. */
static void keep_end(const struct desktop *d) {
        char path[PATH_MAX];
        FILE *file;

        if (!d->state || snprintf(path, sizeof(path), "%s/" FILE_NAME, d->state) >= (int) sizeof(path))
                return;
        (void) unlink(path);
        file = d->quiet_until > 0 ? fopen(path, "we") : NULL;
        if (!file)
                return;
        (void) fprintf(file, "%" PRId64 "\n", d->quiet_until);
        (void) fclose(file);
}

static int on_over(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_(call_unrefp) struct call *call = NULL;
        struct desktop *d = userdata;
        _cleanup_(json_decrefp) json_t *off = json_pack("{s:s}", "state", "off");
        const struct call_config config = {
                .loop = d->loop,
                .name = "do_not_disturb",
                .arguments = off,
                .begun = BEGUN_CALL,
        };

        (void) source, (void) usec;
        d->quiet_until = 0;
        keep_end(d);
        if (off && call_new(&call, &config) >= 0)
                quiet_set(d, call);
        return 0;
}

static void end_at(struct desktop *d, int64_t until) {
        d->quiet_until = until;
        d->quiet_end = sd_event_source_disable_unref(d->quiet_end);
        if (until > 0)
                (void) sd_event_add_time(d->loop, &d->quiet_end, CLOCK_REALTIME, (uint64_t) until, 0,
                                         on_over, d);
}

static void say(struct desktop *d, struct call *call, bool is_on) {
        struct moment now = bell_now();
        char words[96];
        int64_t until = 0;

        if (is_on)
                (void) timer_read_end(call, &until);
        end_at(d, until);
        keep_end(d);
        if (until > 0)
                call_say(call, json_pack("{s:b, s:I}", "on", 1, "until", (json_int_t) until / 1000000),
                         "Do not disturb is on until %s.",
                         words_moment(words, sizeof(words), until, now.real));
        else
                call_say(call, json_pack("{s:b}", "on", (int) is_on), "Do not disturb is %s.",
                         is_on ? "on" : "off");
}

static bool is_on_wanted(const struct call *call) {
        return !call_is(call, "state", "off");
}

static void on_set(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                say(step->desktop, step->call, is_on_wanted(step->call));
        else
                call_fail(step->call, "Notifications can not be silenced: %s", error->message);
}

/* dunst: a property of its own. */
static void set_dunst(struct desktop *d, struct call *call, bool is_on) {
        const struct bus_method method = { buses_session(d->buses), NOTIFICATIONS, PATH,
                                           "org.freedesktop.DBus.Properties", "Set", NULL };

        if (bus_step_call(d, call, &method, NULL, on_set, "ssv", "org.dunstproject.cmd0", "paused", "b",
                          (int) is_on) < 0)
                call_fail(call, "The session bus is gone.");
}

static void on_inhibited(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                (void) sd_bus_message_read(reply, "u", &step->desktop->inhibit_cookie);
        on_set(step, reply, error);
}

/* Plasma: for as long as the one who asked for it is there. */
static void set_plasma(struct desktop *d, struct call *call, bool is_on) {
        struct bus_method method = { buses_session(d->buses), NOTIFICATIONS, PATH, NOTIFICATIONS,
                                     is_on ? "Inhibit" : "UnInhibit", NULL };
        uint32_t cookie = d->inhibit_cookie;
        int r;

        if (is_on == (cookie != 0)) {
                say(d, call, is_on);
                return;
        }
        d->inhibit_cookie = 0;
        if (is_on)
                r = bus_step_call(d, call, &method, NULL, on_inhibited, "ssa{sv}", "gemmad-desktop",
                                  "Do not disturb", 0);
        else
                r = bus_step_call(d, call, &method, NULL, on_set, "u", cookie);
        if (r < 0)
                call_fail(call, "The session bus is gone.");
}

/* A command that is run for a call. */
struct command {
        struct desktop *desktop; /* not owned */
        struct call *call;       /* owned reference */
};

static void on_command(int status, const char *output, size_t size, void *userdata) {
        struct command *c = userdata;

        (void) output, (void) size;
        if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                say(c->desktop, c->call, is_on_wanted(c->call));
        else
                call_fail(c->call, "The notifications could not be silenced.");
        (void) call_unref(c->call);
        free(c);
}

static void run(struct desktop *d, struct call *call, const char *const *argv) {
        struct command *command = malloc(sizeof(*command));
        const struct process_config config = {
                .loop = d->loop,
                .argv = (char *const *) argv,
                .timeout_usec = COMMAND_USEC,
                .max_output = 1024,
                .done = on_command,
                .userdata = command,
        };
        struct process *process;
        int r;

        if (!command)
                return;
        *command = (struct command){ d, call_ref(call) };
        r = process_start(&process, &config);
        if (r >= 0)
                return;
        call_fail(call, "%s can not be run: %s.", argv[0], strerror(-r));
        (void) call_unref(call);
        free(command);
}

/* clang-format off */
static const struct way ways[] = {
        { .server = "dunst", .set = set_dunst },
        { .server = "Plasma", .set = set_plasma },
        { .server = "gnome-shell",
          .on = { "gsettings", "set", "org.gnome.desktop.notifications", "show-banners", "false" },
          .off = { "gsettings", "set", "org.gnome.desktop.notifications", "show-banners", "true" } },
        { .server = "mako",
          .on = { "makoctl", "mode", "-a", "do-not-disturb" },
          .off = { "makoctl", "mode", "-r", "do-not-disturb" } },
        { .server = "Xfce Notify Daemon",
          .on = { "xfconf-query", "-c", "xfce4-notifyd", "-p", "/do-not-disturb", "-s", "true" },
          .off = { "xfconf-query", "-c", "xfce4-notifyd", "-p", "/do-not-disturb", "-s", "false" } },
        { .server = "SwayNotificationCenter",
          .on = { "swaync-client", "--dnd-on" }, .off = { "swaync-client", "--dnd-off" } },
};
/* clang-format on */

static void on_server(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        bool is_on = is_on_wanted(step->call);
        const char *name;

        (void) error;
        if (!reply || sd_bus_message_read(reply, "s", &name) < 0) {
                call_fail(step->call, "Nobody shows notifications here.");
                return;
        }
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                if (strcmp(ways[i].server, name) != 0)
                        continue;
                if (ways[i].set)
                        ways[i].set(step->desktop, step->call, is_on);
                else
                        run(step->desktop, step->call, is_on ? ways[i].on : ways[i].off);
                return;
        }
        call_fail(step->call, "How to silence %.60s is not known.", name);
}

void quiet_set(struct desktop *d, struct call *call) {
        const struct bus_method method = { buses_session(d->buses), NOTIFICATIONS, PATH, NOTIFICATIONS,
                                           "GetServerInformation", NULL };
        int64_t until;

        if (!timer_read_end(call, &until))
                return;
        if (bus_step_call(d, call, &method, NULL, on_server, NULL) < 0)
                call_fail(call, "There is no session bus.");
}

/* One that is over by now is ended at once. */
void quiet_resume(struct desktop *d) {
        char path[PATH_MAX];
        int64_t until = 0;
        FILE *file;

        if (!d->state || snprintf(path, sizeof(path), "%s/" FILE_NAME, d->state) >= (int) sizeof(path))
                return;
        file = fopen(path, "re");
        if (!file)
                return;
        if (fscanf(file, "%" SCNd64, &until) == 1 && until > 0)
                end_at(d, until);
        (void) fclose(file);
}
