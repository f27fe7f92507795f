/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "desktop/bus-step.h"
#include "desktop/desktop.h"
#include "desktop/programs.h"

#define SYSTEMD  "org.freedesktop.systemd1"
#define MAX_UNIT 256

/* "app-gemmad-NAME@RANDOM.service", which is how desktops tell programs apart. */
static void name_unit(const char *id, char *ret, size_t size) {
        uint64_t random = 0;
        char name[128];
        size_t n = 0;

        for (const char *at = id; *at && n < sizeof(name) - 5; at++) {
                bool is_plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                                (*at >= '0' && *at <= '9') || *at == '.' || *at == '_';

                n += (size_t) snprintf(name + n, sizeof(name) - n, is_plain ? "%c" : "\\x%02x",
                                       (unsigned char) *at);
        }
        name[n] = 0;
        (void) !getrandom(&random, sizeof(random), 0);
        (void) snprintf(ret, size, "app-gemmad-%s@%016" PRIx64 ".service", name, random);
}

/* The whole path of a command, as this program would find it.  False: there is none. */
static bool find_command(const char *program, char *ret, size_t size) {
        const char *path = getenv("PATH");

        if (strchr(program, '/'))
                return snprintf(ret, size, "%s", program) < (int) size && access(ret, X_OK) == 0;
        for (const char *at = path ? path : "/usr/bin:/bin"; *at;) {
                size_t n = strcspn(at, ":");

                if (*at == '/' &&
                    snprintf(ret, size, "%.*s/%s", (int) n, at, program) < (int) size &&
                    access(ret, X_OK) == 0)
                        return true;
                at += n + (at[n] == ':');
        }
        return false;
}

static int append_command(sd_bus_message *m, const struct program *p, const char *command) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "ExecStart");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", command);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) p->argv);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", 0);
        for (unsigned i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

/* A unit that is gone when all its processes are. */
static int
build(sd_bus *bus, sd_bus_message **ret, const struct program *p, const char *command) {
        sd_bus_message *m = NULL;
        char unit[MAX_UNIT];
        int r;

        name_unit(p->id, unit, sizeof(unit));
        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, "/org/freedesktop/systemd1",
                                           SYSTEMD ".Manager", "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Description", "s", p->title,
                                          "CollectMode", "s", "inactive-or-failed", "Slice", "s",
                                          "app.slice", "ExitType", "s", "cgroup");
        if (r >= 0)
                r = append_command(m, p, command);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0)
                m = sd_bus_message_unref(m);
        *ret = m;
        return r;
}

/* Where there is no service manager: by hand, in a session of its own. */
static int spawn(const struct program *p) {
        posix_spawnattr_t attributes;
        posix_spawn_file_actions_t actions;
        sigset_t none;
        pid_t pid;
        int r;

        (void) sigemptyset(&none);
        (void) posix_spawnattr_init(&attributes);
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
        r = posix_spawnp(&pid, p->argv[0], &actions, &attributes, p->argv, environ);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) posix_spawnattr_destroy(&attributes);
        return -r;
}

static void say(struct call *call, const struct program *p) {
        call_say(call, json_pack("{s:s, s:s}", "program", p->id, "title", p->title), "Opening %s.",
                 p->title);
}

static void start_by_hand(struct call *call, const struct program *p) {
        int r = spawn(p);

        if (r < 0)
                call_fail(call, "%s can not be started: %s.", p->title, strerror(-r));
        else
                say(call, p);
}

static void on_started(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        const struct program *p = step->data;

        if (reply)
                say(step->call, p);
        else if (bus_is_missing(error))
                start_by_hand(step->call, p);
        else
                call_fail(step->call, "%s can not be started: %s", p->title, error->message);
}

/* A program that is owned by the step that has it as its data: one block of memory, so that free()
 * ends it. */
static struct program *flatten(const struct program *p) {
        size_t size = sizeof(*p) + strlen(p->id) + strlen(p->title) + 2;
        struct program *copy;
        char *at;

        for (unsigned i = 0; p->argv[i]; i++)
                size += strlen(p->argv[i]) + 1;
        copy = calloc(1, size);
        if (!copy)
                return NULL;
        at = (char *) (copy + 1);
        copy->id = at;
        at = stpcpy(at, p->id) + 1;
        copy->title = at;
        at = stpcpy(at, p->title) + 1;
        for (unsigned i = 0; p->argv[i]; i++) {
                copy->argv[i] = at;
                at = stpcpy(at, p->argv[i]) + 1;
        }
        return copy;
}

static void start(struct desktop *d, struct call *call, const struct program *p) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        sd_bus *bus = buses_session(d->buses);
        struct program *kept = flatten(p);
        char command[PATH_MAX];

        /* Here, because a unit that can not be started is told to nobody. */
        if (!kept || !find_command(p->argv[0], command, sizeof(command))) {
                call_fail(call, "%s is not installed completely: there is no %.100s.", p->title,
                          p->argv[0]);
                free(kept);
                return;
        }
        log_debug("Starting %s", p->argv[0]);
        if (!bus || build(bus, &message, p, command) < 0) {
                free(kept);
                start_by_hand(call, p);
        } else if (bus_step_send(d, call, message, kept, NULL, on_started) < 0) {
                start_by_hand(call, p);
        }
}

void launch_program(struct desktop *d, struct call *call) {
        const char *name = call_string(call, "name");
        struct program program;
        struct why why = {};

        if (!name || !*name) {
                call_fail(call, "Which program?");
                return;
        }
        if (programs_find(name, NULL, &program, &why) < 0) {
                call_fail(call, "%s", why.text);
                return;
        }
        start(d, call, &program);
        program_done(&program);
}

void launch_file(struct desktop *d, struct call *call, const char *path, const char *type, const char *title) {
        struct program program;
        struct why why = {};
        char *copy;

        if (programs_find_for(path, type, &program, &why) < 0) {
                call_fail(call, "%s", why.text);
                return;
        }
        copy = title ? strdup(title) : NULL;
        if (copy) {
                free(program.title);
                program.title = copy;
        }
        start(d, call, &program);
        program_done(&program);
}

static void open_target(struct desktop *d, struct call *call) {
        launch_file(d, call, call_string(call, "target"), NULL, NULL);
}

/* A page that is fetched can tell others what was said here, so a person is asked. */
void launch_target(struct desktop *d, struct call *call) {
        const char *target = call_string(call, "target");
        char question[512];

        if (!target || !*target) {
                call_fail(call, "Open what?");
                return;
        }
        (void) snprintf(question, sizeof(question), "Really open %.400s?", target);
        confirm_ask(d->confirm, call, question, open_target);
}
