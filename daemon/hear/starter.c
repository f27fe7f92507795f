/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/starter.h"
#include "base/parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

#define MAX_VARIABLES 64

struct starter {
        int fds[2]; /* owned, each -1 or a socket; the first one is asked */
};

/* Of the environment, what the sound libraries read. */
static bool is_for_sound(const char *variable) {
        static const char *const prefixes[] = {
                "HOME=", "USER=", "LANG=", "LC_", "TZ=", "TMPDIR=", "LD_LIBRARY_PATH=", "XDG_RUNTIME_DIR=",
                "XDG_CONFIG_HOME=", "XDG_CONFIG_DIRS=", "PULSE_", "PIPEWIRE_", "PW_", "SPA_", "ALSA_",
                "JACK_", "JOURNAL_STREAM=", "ASAN_", "UBSAN_", "TSAN_", "LSAN_",
        };

        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
                if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

static void choose_environment(char *ret[static MAX_VARIABLES + 1]) {
        size_t n = 0;

        for (char **v = environ; *v && n < MAX_VARIABLES; v++)
                if (is_for_sound(*v))
                        ret[n++] = *v;
        ret[n] = NULL;
}

/* In a build tree it is next to this one. */
static void find_program(char path[static PATH_MAX]) {
        ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof("gemmad-sound"));
        char *name;

        path[n > 0 ? n : 0] = '\0';
        name = strrchr(path, '/');
        if (name)
                (void) strcpy(name + 1, "gemmad-sound");
        if (!name || access(path, X_OK) < 0)
                (void) snprintf(path, PATH_MAX, "%s", GEMMAD_LIBEXECDIR "/gemmad-sound");
}

static int run(const char *path, int socket_fd) {
        char *argv[] = { (char *) "gemmad-sound", NULL }, *environment[MAX_VARIABLES + 1];
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        pid_t pid;
        int r;

        choose_environment(environment);
        (void) sigemptyset(&none);
        (void) posix_spawnattr_init(&attributes);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        r = posix_spawn_file_actions_init(&actions);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, socket_fd, STDIN_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
                                                     0);
        /* What systemd has opened for gemmad is not close-on-exec yet. */
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        if (r == 0)
                r = posix_spawn(&pid, path, &actions, &attributes, argv, environment);
        (void) posix_spawn_file_actions_destroy(&actions);
        (void) posix_spawnattr_destroy(&attributes);
        return -r;
}

/* A pair of which the other end is to be given away. */
static int make_pair(int *ret, int *ret_other) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        *ret = fds[0];
        *ret_other = fds[1];
        return 0;
}

int starter_new(struct starter **ret, struct why *why) {
        _cleanup_(starter_freep) struct starter *s = NULL;
        _cleanup_(closep) int other = -1;
        char path[PATH_MAX];
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return because(why, -ENOMEM, "out of memory");
        s->fds[0] = s->fds[1] = -1;
        r = make_pair(&s->fds[0], &other);
        if (r < 0)
                return because(why, r, "a socket: %s", strerror(-r));
        find_program(path);
        r = run(path, other);
        if (r < 0)
                return because(why, r, "%s: %s", path, strerror(-r));

        *ret = TAKE_PTR(s);
        return 0;
}

struct starter *starter_free(struct starter *s) {
        if (!s)
                return NULL;

        closep(&s->fds[0]);
        closep(&s->fds[1]);
        free(s);
        return NULL;
}

static bool is_gone(int fd) {
        struct pollfd end = { .fd = fd, .events = POLLIN };

        return poll(&end, 1, 0) != 0;
}

/* The last one may only be stopped, or wait for a machine that is busy, and there will be no other. */
void starter_give_up(struct starter *s) {
        bool has_other = s->fds[1] >= 0 && !is_gone(s->fds[1]);

        if (!has_other && s->fds[0] >= 0 && !is_gone(s->fds[0]))
                return;
        closep(&s->fds[0]);
        s->fds[0] = TAKE_FD(s->fds[1]);
}

/* Lets the first one make the second, where there is none any more. */
static void have_another(struct starter *s) {
        const uint32_t request = WALL_START_STARTER;
        _cleanup_(closep) int fd = -1, other = -1;

        if (s->fds[1] >= 0 && is_gone(s->fds[1])) {
                closep(&s->fds[1]);
                s->fds[1] = -1;
        }
        if (s->fds[0] < 0 || s->fds[1] >= 0 || make_pair(&fd, &other) < 0)
                return;
        if (parcel_send(s->fds[0], &request, sizeof(request), &other, 1) >= 0)
                s->fds[1] = TAKE_FD(fd);
}

int starter_start(struct starter *s, const int fds[static WALL_MAX_FDS], struct why *why) {
        const uint32_t request = WALL_START_WORKER;
        int r = -EPIPE;

        have_another(s);
        for (unsigned n = 0; n < 2 && s->fds[0] >= 0; n++) {
                r = parcel_send(s->fds[0], &request, sizeof(request), fds, WALL_MAX_FDS);
                if (r >= 0) {
                        have_another(s);
                        return 0;
                }
                starter_give_up(s);
        }
        if (s->fds[0] >= 0)
                return because(why, r, "the sound process does not answer: %s", strerror(-r));
        return because(why, -EPIPE, "the sound process ended, and can not be started again");
}
