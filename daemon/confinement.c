/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/confinement.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/paths.h"
#include "base/privileges.h"
#include "daemon/common/drafter.h"
#include "daemon/common/memory.h"
#include "daemon/pressure.h"
#include "daemon/sandbox.h"
#include "daemon/store/store.h"

/* Says to the program that is started anew how far it has come: the number of the process, which
 * stays, and a step. */
#define CONFINED "GEMMAD_CONFINED"

/* Has OpenBLAS start no thread before main() begins; the engine wants none of it either. */
#define NO_THREADS "OPENBLAS_NUM_THREADS"

/* A history of ten million turns. */
#define MAX_FILE_SIZE (UINT64_C(4) << 30)

/* How the kernel marks a socket that listens in its list. */
#define ACCEPTS_FLAG 0x10000

enum step {
        STEP_FIRST,
        STEP_ALONE,    /* started anew so that it has no other thread */
        STEP_CONFINED, /* ... so that all threads are held by what has been done */
};

static enum step take_step(void) {
        const char *text = getenv(CONFINED);
        long pid, step;
        char *end;

        if (!text)
                return STEP_FIRST;
        pid = strtol(text, &end, 10);
        step = strtol(end, NULL, 10);
        (void) unsetenv(CONFINED);
        if (pid != (long) getpid() || step < STEP_FIRST || step > STEP_CONFINED)
                return STEP_FIRST;
        return (enum step) step;
}

static void start_anew(char **argv, enum step step) {
        char text[64];

        (void) snprintf(text, sizeof(text), "%ld %d", (long) getpid(), (int) step);
        if (setenv(CONFINED, text, 1) < 0)
                return;
        (void) execv("/proc/self/exe", argv);
        (void) unsetenv(CONFINED);
        log_debug("It can not be started anew (%s), going on", strerror(errno));
}

static bool has_other_threads(void) {
        DIR *directory = opendir("/proc/self/task");
        unsigned n = 0;

        if (!directory)
                return true;
        while (readdir(directory))
                n++;
        (void) closedir(directory);
        return n > 3; /* . and .. are entries, too */
}

/* Cuts off the last part of a path; what is nothing but a name is in this folder. */
static void cut_to_folder(char path[static PATH_MAX]) {
        char *slash = strrchr(path, '/');

        if (slash)
                slash[slash == path ? 1 : 0] = '\0';
        else if (*path)
                (void) strcpy(path, ".");
}

/* The folder of the socket, from the root on, made if only it is missing; empty: there is none. */
static void find_socket_folder(const struct config *config, char folder[static PATH_MAX]) {
        char absolute[PATH_MAX];

        if (*config->socket_path)
                (void) snprintf(folder, PATH_MAX, "%s", config->socket_path);
        else if (paths_socket(folder, PATH_MAX, NULL) < 0)
                *folder = '\0';
        cut_to_folder(folder);
        if (*folder)
                (void) mkdir(folder, 0700);
        if (*folder && *folder != '/' && realpath(folder, absolute))
                (void) strcpy(folder, absolute);
}

/* The folder of the history, which has to be there before there can be a rule for it. */
static void find_state(const struct config *config, char folder[static PATH_MAX]) {
        *folder = '\0';
        if (!config->store_enabled)
                return;
        if (*config->store_path)
                (void) snprintf(folder, PATH_MAX, "%s", config->store_path);
        else if (paths_state(folder, PATH_MAX, NULL) < 0)
                *folder = '\0';
        /* That it can not be made is told by whoever opens it. */
        if (*folder)
                (void) store_make_folder(folder);
}

static const char *or_null(const char *path) {
        return *path ? path : NULL;
}

/* The model, or the folder of one in parts; false: it is the one built in. */
static bool find_model(const struct config *config, char path[static PATH_MAX]) {
        const char *name = strrchr(config->model_path, '/');

        (void) snprintf(path, PATH_MAX, "%s", config->model_path);
        if (strstr(name ? name : path, "-00001-of-"))
                cut_to_folder(path);
        return *path;
}

/* Where gemmactl puts models, of which one may be used later.  It has to be there before there can be a
 * rule for it, and where it can not be made, another model needs a restart. */
static bool find_models(char folder[static PATH_MAX]) {
        return paths_models(folder, PATH_MAX, NULL) >= 0 && store_make_folder(folder) >= 0;
}

static int confine_files(const struct config *config, const char *config_path, struct why *why) {
        char state[PATH_MAX], socket_folder[PATH_MAX], user_config[PATH_MAX];
        char model[PATH_MAX], beside[PATH_MAX], models[PATH_MAX];
        const char *drafter = drafter_find(config, beside);
        const char *readable[7] = {};
        struct sandbox_files files = { .home = getenv("HOME"), .readable = readable };
        size_t n = 0;

        find_state(config, state);
        find_socket_folder(config, socket_folder);
        files.state = or_null(state);
        files.socket_folder = or_null(socket_folder);
        files.pressure = pressure_path();
        if (find_model(config, model))
                readable[n++] = model;
        if (find_models(models))
                readable[n++] = models;
        if (*config->projector_path)
                readable[n++] = config->projector_path;
        if (drafter)
                readable[n++] = drafter;
        if (config_path)
                readable[n++] = config_path;
        if (paths_config(user_config, sizeof(user_config), "gemmad.conf", NULL) >= 0) {
                cut_to_folder(user_config);
                readable[n++] = user_config;
        }
        return sandbox_confine_files(&files, why);
}

/* What of a path in the environment is a path; NULL: nothing. */
static const char *path_in(const char *variable) {
        const char *value = getenv(variable);

        if (value && strncmp(value, "unix:", 5) == 0)
                value += 5;
        return value && *value == '/' ? value : NULL;
}

static bool has_no_path(const char *variable) {
        const char *value = getenv(variable);

        return value && *value == '@';
}

/* Whether somebody answers there. */
static bool can_call(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return false;
        (void) strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return fd >= 0 && (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0 ||
                           errno == EAGAIN);
}

static bool can_call_bus(const char *addresses) {
        static const char key[] = "unix:path=";
        const char *at = addresses;
        char path[PATH_MAX];

        while ((at = strstr(at, key))) {
                int size = (int) strcspn(at += strlen(key), ",;");

                if (snprintf(path, sizeof(path), "%.*s", size, at) < (int) sizeof(path) &&
                    can_call(path))
                        return true;
        }
        return false;
}

/* Whether anybody who could do more than this process can be called from here. */
static bool reaches_others(const struct sandbox_sockets *s) {
        static const char *const of_session[] = { "bus", "systemd/private", "wayland-0",
                                                  "wayland-1" };
        static const char *const of_machine[] = { "/run/dbus/system_bus_socket", "/run/docker.sock",
                                                  "/tmp/.X11-unix/X0", "/tmp/.X11-unix/X1" };
        char path[PATH_MAX];

        for (size_t i = 0; s->buses[i]; i++)
                if (can_call_bus(s->buses[i]))
                        return true;
        for (size_t i = 0; s->runtime_folder && i < sizeof(of_session) / sizeof(of_session[0]); i++)
                if (snprintf(path, sizeof(path), "%s/%s", s->runtime_folder, of_session[i]) <
                            (int) sizeof(path) &&
                    can_call(path))
                        return true;
        for (size_t i = 0; i < sizeof(of_machine) / sizeof(of_machine[0]); i++)
                if (can_call(of_machine[i]))
                        return true;
        return false;
}

/* What each part of the confinement came to. */
enum part {
        PART_FILES,
        PART_SOCKETS,
        PART_NAMES,
        PART_PROGRAMS,
        N_PARTS,
};

static struct {
        bool holds;
        struct why why; /* else */
} parts[N_PARTS];

static void note(enum part part, int r, const struct why *why) {
        parts[part].holds = r >= 0;
        parts[part].why = *why;
}

/* Whether there is anybody in this network who listens without a path. */
static bool reaches_names(void) {
        FILE *list = fopen("/proc/self/net/unix", "re");
        char line[512];
        bool found = false;

        if (!list)
                return true;
        while (!found && fgets(line, sizeof(line), list)) {
                unsigned flags;
                char name[2];

                found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %1s", &flags, name) == 2 &&
                        *name == '@' && (flags & ACCEPTS_FLAG);
        }
        (void) fclose(list);
        return found;
}

/* That Landlock keeps them away it does from when files are confined on. */
static void note_names(bool is_apart, bool has_files) {
        struct why why = {};
        bool holds = is_apart || (has_files && sandbox_files_know_names()) || !reaches_names();

        if (!holds)
                (void) because(&why, -EPERM, "there is no network of its own, and Landlock is older than Linux 6.12");
        note(PART_NAMES, holds ? 0 : -EPERM, &why);
}

/* The unit does the same from outside, and allows no namespace any more.  True: there is nobody without a
 * path either. */
static bool hide_sockets(const struct config *config) {
        static const char *const variables[] = { "NOTIFY_SOCKET", "PULSE_SERVER", "PIPEWIRE_REMOTE",
                                                 "PULSE_RUNTIME_PATH", "PIPEWIRE_RUNTIME_DIR" };
        const char *needed[sizeof(variables) / sizeof(variables[0]) + 2] = {};
        const char *buses[3] = {};
        char socket_folder[PATH_MAX];
        struct sandbox_sockets sockets = {
                .runtime_folder = path_in("XDG_RUNTIME_DIR"),
                .buses = buses,
                .needed = needed,
                .needs_names = has_no_path("NOTIFY_SOCKET"),
        };
        struct why why = {};
        size_t n = 0;
        int r;

        find_socket_folder(config, socket_folder);
        if (*socket_folder)
                needed[n++] = socket_folder;
        for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
                if (path_in(variables[i]))
                        needed[n++] = path_in(variables[i]);
        n = 0;
        if (getenv("DBUS_SESSION_BUS_ADDRESS"))
                buses[n++] = getenv("DBUS_SESSION_BUS_ADDRESS");
        if (getenv("DBUS_SYSTEM_BUS_ADDRESS"))
                buses[n++] = getenv("DBUS_SYSTEM_BUS_ADDRESS");

        r = sandbox_hide_sockets(&sockets, &why);
        if (r >= 0) {
                note(PART_SOCKETS, 0, &why);
                return r > 0;
        }
        note(PART_SOCKETS, reaches_others(&sockets) ? -EPERM : 0, &why);
        if (!parts[PART_SOCKETS].holds)
                log_warning("The sockets of the session can not be put out of reach (%s), going "
                            "on without that",
                            why.text);
        else
                log_debug("Sockets can not be put out of reach: %s", why.text);
        return false;
}

static void note_other_threads(void) {
        struct why why = {};

        (void) because(&why, -EBUSY, "there are other threads");
        note(PART_SOCKETS, -EBUSY, &why);
        log_debug("Sockets can not be put out of reach: %s", why.text);
}

static void
confine(const struct config *config, const char *config_path, char **argv, enum step step) {
        bool is_alone = !has_other_threads(), is_apart = false;
        struct why why = {};
        int r;

        if (!is_alone && step == STEP_FIRST && setenv(NO_THREADS, "1", 1) >= 0)
                start_anew(argv, STEP_ALONE);
        if (is_alone)
                is_apart = hide_sockets(config);
        else
                note_other_threads();
        r = confine_files(config, config_path, &why);
        note(PART_FILES, r, &why);
        note_names(is_apart, r >= 0);
        if (r < 0)
                log_info("Files can not be put out of reach (%s), going on without that", why.text);
        else if (!is_alone)
                start_anew(argv, STEP_CONFINED);
}

void confinement_enter_files(const struct config *config, const char *config_path, char **argv) {
        enum step step = take_step();

        memory_open();
        if (step != STEP_CONFINED) {
                confine(config, config_path, argv, step);
                return;
        }
        note(PART_FILES, 0, &(struct why){});
        note_names(false, true);
        note_other_threads();
}

void confinement_enter(void) {
        struct why why = {};
        int r;

        /* Whoever runs it as root still has no more rights than the files give, nor has it any in the namespaces
         * that it has made. */
        privileges_drop();
        /* Nothing that it writes to grows so large; beyond it is as if the disk were full.  Of processes there are
         * none to be limited: seccomp allows no new one, and threads would count. */
        privileges_limit(RLIMIT_FSIZE, MAX_FILE_SIZE);
        (void) signal(SIGXFSZ, SIG_IGN);
        r = sandbox_enter(&why);

        note(PART_PROGRAMS, r, &why);
        if (r < 0)
                log_warning("The network and other programs can not be shut off (%s), going on "
                            "without that",
                            why.text);
}

static const struct {
        const char *name, *what;
} shown[] = {
        [PART_FILES] = { "files", "reads what is not hidden in the home folder, and its own; "
                                  "writes its history "
                                  "and its socket; nothing else (Landlock)" },
        [PART_SOCKETS] = { "sockets", "reaches sound servers and its own socket; no bus, no "
                                      "manager of the session, "
                                      "no screen, no keys (a mount namespace)" },
        [PART_NAMES] = { "names", "reaches no socket without a path, as X servers and buses have "
                                  "(a network namespace; Landlock of Linux 6.12)" },
        [PART_PROGRAMS] = { "programs", "runs none; no network, no other process's memory, no "
                                        "namespace, no new "
                                        "privileges (seccomp)" },
};

void confinement_show(FILE *to) {
        for (unsigned i = 0; i < N_PARTS; i++)
                (void) fprintf(to, "%-9s %s: %s\n", shown[i].name,
                               parts[i].holds ? "held" : "NOT HELD",
                               parts[i].holds ? shown[i].what : parts[i].why.text);
}

int confinement_missing(struct why *why) {
        for (unsigned i = 0; i < N_PARTS; i++)
                if (!parts[i].holds)
                        return because(why, -EPERM, "%s: %s", shown[i].name, parts[i].why.text);
        return 0;
}
