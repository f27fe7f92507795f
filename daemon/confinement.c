/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/confinement.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/paths.h"
#include "daemon/sandbox.h"
#include "daemon/store/store.h"

/* Says to the program that is started anew that it is that one: the number of the process stays. */
#define CONFINED "GEMMAD_CONFINED"

static bool is_started_anew(void) {
        const char *text = getenv(CONFINED);
        bool is_it = text && strtol(text, NULL, 10) == (long) getpid();

        (void) unsetenv(CONFINED);
        return is_it;
}

static void start_anew(char **argv) {
        char pid[32];

        (void) snprintf(pid, sizeof(pid), "%ld", (long) getpid());
        if (setenv(CONFINED, pid, 1) < 0)
                return;
        (void) execv("/proc/self/exe", argv);
        (void) unsetenv(CONFINED);
        log_debug("It can not be started anew (%s), going on", strerror(errno));
}

/* Cuts off the last part of a path. */
static void cut_to_folder(char *path) {
        char *slash = strrchr(path, '/');

        if (slash)
                slash[slash == path ? 1 : 0] = '\0';
}

/* The folder of the socket, made if only it is missing; empty: there is none. */
static void find_socket_folder(const struct config *config, char folder[static PATH_MAX]) {
        if (*config->socket_path)
                (void) snprintf(folder, PATH_MAX, "%s", config->socket_path);
        else if (paths_socket(folder, PATH_MAX, NULL) < 0)
                *folder = '\0';
        cut_to_folder(folder);
        if (*folder == '/')
                (void) mkdir(folder, 0700);
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

static int confine_files(const struct config *config, const char *config_path, struct why *why) {
        char state[PATH_MAX], socket_folder[PATH_MAX], user_config[PATH_MAX];
        const char *readable[5] = {};
        struct sandbox_files files = { .home = getenv("HOME"), .readable = readable };
        size_t n = 0;

        find_state(config, state);
        find_socket_folder(config, socket_folder);
        files.state = or_null(state);
        files.socket_folder = or_null(socket_folder);
        if (*config->model_path)
                readable[n++] = config->model_path;
        if (*config->projector_path)
                readable[n++] = config->projector_path;
        if (config_path)
                readable[n++] = config_path;
        if (paths_config(user_config, sizeof(user_config), NULL) >= 0) {
                cut_to_folder(user_config);
                readable[n++] = user_config;
        }
        return sandbox_confine_files(&files, why);
}

void confinement_enter(const struct config *config, const char *config_path, char **argv) {
        struct why why = {};

        if (!is_started_anew()) {
                if (confine_files(config, config_path, &why) >= 0)
                        start_anew(argv);
                else
                        log_info("Files can not be put out of reach (%s), going on without that",
                                 why.text);
        }
        if (sandbox_enter(&why) < 0)
                log_warning("The network and other programs can not be shut off (%s), going on "
                            "without that",
                            why.text);
}
