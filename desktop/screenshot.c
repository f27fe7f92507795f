/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/screenshot.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "base/log.h"
#include "desktop/bus-step.h"
#include "desktop/desktop.h"
#include "desktop/look.h"
#include "desktop/process.h"

#define PORTAL       "org.freedesktop.portal.Desktop"
#define PORTAL_PATH  "/org/freedesktop/portal/desktop"
#define COMMAND_USEC UINT64_C(10000000)

/* One picture on its way. */
struct job {
        struct desktop *desktop; /* not owned */
        struct call *call;       /* owned reference */
        unsigned n_refs;
        sd_bus_slot *response; /* of the portal, with a reference; belongs to the bus */
        char path[PATH_MAX];   /* where the program that is tried writes it */
        unsigned tried;        /* how many programs were */
        unsigned copied;       /* ... of those that know the clipboard */
        bool is_ours;          /* the file, which is of no use once it is there */
};

/* Programs that take one, and what goes before the name of the file. */
static const char *const programs[][4] = {
        { "grim" },
        { "gnome-screenshot", "-f" },
        { "spectacle", "-b", "-n", "-o" },
        { "scrot" },
};

#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static void job_unref(void *userdata) {
        struct job *job = userdata;

        if (--job->n_refs > 0)
                return;
        (void) call_unref(job->call);
        free(job);
}

/* In the user's folder of pictures. */
static bool name_file(char *ret, size_t size) {
        const char *folder = g_get_user_special_dir(G_USER_DIRECTORY_PICTURES);
        time_t now = time(NULL);
        char name[64];
        struct tm local;

        if (!folder)
                folder = g_get_home_dir();
        if (!folder || !localtime_r(&now, &local) ||
            strftime(name, sizeof(name), "Screenshot %Y-%m-%d %H-%M-%S.png", &local) == 0)
                return false;
        (void) mkdir(folder, 0755);
        return snprintf(ret, size, "%s/%s", folder, name) < (int) size;
}

static void show(struct job *job, const struct picture *picture) {
        const char *slash = strrchr(job->path, '/');

        call_show(job->call, json_pack("{s:s}", "path", job->path), picture,
                  "Screenshot saved: %s.", slash ? slash + 1 : job->path);
}

static void on_looked(const struct picture *picture, const char *reason, void *userdata) {
        struct job *job = userdata;

        if (!picture)
                log_notice("The screenshot is not shown to the model: %s", reason);
        show(job, picture);
        job_unref(job);
}

static void copy(struct job *job);

static void on_copied(int status, const char *output, size_t size, void *userdata) {
        struct job *job = userdata;

        (void) output, (void) size;
        if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                if (job->is_ours)
                        (void) unlink(job->path);
                call_say(job->call, NULL, "Screenshot copied.");
        } else {
                copy(job);
        }
        job_unref(job);
}

/* By the next program that is there; each goes on by itself for as long as it owns the clipboard. */
static void copy(struct job *job) {
        static const char *const names[][7] = {
                { "wl-copy", "--type", "image/png" },
                { "xclip", "-selection", "clipboard", "-t", "image/png" },
        };
        struct process_config config = {
                .loop = job->desktop->loop,
                .input = job->path,
                .timeout_usec = COMMAND_USEC,
                .max_output = 1024,
                .done = on_copied,
                .userdata = job,
        };
        struct process *process;

        while (job->copied < sizeof(names) / sizeof(names[0])) {
                config.argv = (char *const *) names[job->copied++];
                if (process_start(&process, &config) >= 0) {
                        job->n_refs++;
                        return;
                }
        }
        call_fail(job->call, "The screenshot is %s: without wl-copy or xclip there is no clipboard.",
                  job->path);
}

/* The file is there; a model that sees is shown what is in it. */
static void say(struct job *job, const char *path) {
        job->is_ours = path == job->path;
        if (!job->is_ours)
                (void) snprintf(job->path, sizeof(job->path), "%s", path);
        if (call_is(job->call, "to", "clipboard")) {
                copy(job);
                return;
        }
        job->n_refs++;
        if (call_sees(job->call) && look_at(job->desktop->loop, job->path, on_looked, job) >= 0)
                return;
        show(job, NULL);
        job_unref(job);
}

static void try_program(struct job *job);

static void on_command(int status, const char *output, size_t size, void *userdata) {
        struct job *job = userdata;
        struct stat st;

        (void) output, (void) size;
        if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
            stat(job->path, &st) == 0 && st.st_size > 0)
                say(job, job->path);
        else
                try_program(job);
        job_unref(job);
}

/* The next of them that is there. */
static void try_program(struct job *job) {
        const char *argv[6];
        struct process_config config = {
                .loop = job->desktop->loop,
                .argv = (char *const *) argv,
                .timeout_usec = COMMAND_USEC,
                .max_output = 1024,
                .done = on_command,
                .userdata = job,
        };
        struct process *process;

        while (job->tried < N_PROGRAMS) {
                const char *const *program = programs[job->tried++];
                unsigned n = 0;

                for (; n < 4 && program[n]; n++)
                        argv[n] = program[n];
                argv[n++] = job->path;
                argv[n] = NULL;
                if (process_start(&process, &config) >= 0) {
                        job->n_refs++;
                        return;
                }
        }
        call_fail(job->call, "Nothing here takes screenshots: xdg-desktop-portal, grim or "
                             "gnome-screenshot is missing.");
}

/* Takes the slot back from the bus, which gives up its reference with it. */
static void end_listening(struct job *job) {
        sd_bus_slot *slot = job->response;

        job->response = NULL;
        if (slot && sd_bus_slot_set_floating(slot, 0) >= 0)
                (void) sd_bus_slot_unref(slot);
}

/* What the portal has to say in the end: 0 and the picture, 1: the user does not want it. */
static int on_response(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct job *job = userdata;
        const char *key, *uri = NULL;
        uint32_t response = 2;
        char *path;
        int r;

        (void) error;
        r = sd_bus_message_read(message, "u", &response);
        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = sd_bus_message_read(message, "s", &key);
                if (r >= 0)
                        r = strcmp(key, "uri") == 0 ? sd_bus_message_read(message, "v", "s", &uri)
                                                    : sd_bus_message_skip(message, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        path = uri ? g_filename_from_uri(uri, NULL, NULL) : NULL;
        if (response == 0 && path)
                say(job, path);
        else if (response == 1)
                call_say(job->call, NULL, "Then not.");
        else
                try_program(job);
        g_free(path);
        end_listening(job);
        return 0;
}

static void on_asked(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        struct job *job = step->data;

        (void) error;
        if (reply)
                return;
        end_listening(job);
        try_program(job);
}

/* The name under which the portal answers is known before, so that no answer is missed. */
static int listen_for_response(struct job *job, sd_bus *bus, const char *token) {
        const char *unique;
        char path[256], sender[128];
        int r;

        r = sd_bus_get_unique_name(bus, &unique);
        if (r < 0)
                return r;
        (void) snprintf(sender, sizeof(sender), "%s", unique[0] == ':' ? unique + 1 : unique);
        for (char *at = sender; *at; at++)
                if (*at == '.')
                        *at = '_';
        (void) snprintf(path, sizeof(path), PORTAL_PATH "/request/%s/%s", sender, token);
        r = sd_bus_match_signal_async(bus, &job->response, NULL, path,
                                      "org.freedesktop.portal.Request", "Response", on_response,
                                      NULL, job);
        if (r < 0)
                return r;
        job->n_refs++;
        (void) sd_bus_slot_set_destroy_callback(job->response, job_unref);
        return sd_bus_slot_set_floating(job->response, 1);
}

static int ask_portal(struct job *job, sd_bus *bus) {
        const struct bus_method method = { bus,          PORTAL,
                                           PORTAL_PATH,  "org.freedesktop.portal.Screenshot",
                                           "Screenshot", job_unref };
        char token[64];
        int r;

        (void) snprintf(token, sizeof(token), "gemmad%llu",
                        (unsigned long long) call_id(job->call));
        r = listen_for_response(job, bus, token);
        if (r < 0)
                return r;
        job->n_refs++;
        return bus_step_call(job->desktop, job->call, &method, job, on_asked, "sa{sv}", "", 2,
                             "handle_token", "s", token, "interactive", "b", 0);
}

void screenshot_take(struct desktop *d, struct call *call) {
        sd_bus *bus = buses_session(d->buses);
        struct job *job = calloc(1, sizeof(*job));

        if (!job)
                return;
        job->desktop = d;
        job->call = call_ref(call);
        job->n_refs = 1;
        if (!name_file(job->path, sizeof(job->path))) {
                call_fail(call, "There is no folder for pictures.");
        } else {
                call_set_deadline(call, SCREENSHOT_SECONDS - 2);
                if (!bus || ask_portal(job, bus) < 0) {
                        end_listening(job);
                        try_program(job);
                }
        }
        job_unref(job);
}
