/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

struct process {
        struct process_config config;
        pid_t pid; /* 0: has ended */
        int output_fd; /* owned; -1: closed */
        sd_event_source *child, *output, *deadline; /* owned */
        char *text;  /* owned, [config.max_output + 1] */
        size_t size;
        int status;
};

static struct process *release(struct process *p) {
        (void) sd_event_source_disable_unref(p->child);
        (void) sd_event_source_disable_unref(p->output);
        (void) sd_event_source_disable_unref(p->deadline);
        closep(&p->output_fd);
        free(p->text);
        free(p);
        return NULL;
}

/* With those that it has started; its process group is its own. */
static void kill_all(struct process *p) {
        if (p->pid > 0) {
                (void) kill(-p->pid, SIGKILL);
                (void) waitpid(p->pid, NULL, 0);
        }
        p->pid = 0;
}

static void finish(struct process *p, int status) {
        p->text[p->size] = 0;
        p->config.done(status, p->text, p->size, p->config.userdata);
        (void) release(p);
}

/* What is there; false at the end. */
static bool read_output(struct process *p) {
        char dropped[4096];
        ssize_t n;

        for (;;) {
                size_t room = p->config.max_output - p->size;

                n = read(p->output_fd, room > 0 ? p->text + p->size : dropped,
                         room > 0 ? room : sizeof(dropped));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN;
                if (n == 0)
                        return false;
                if (room > 0)
                        p->size += (size_t) n;
        }
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct process *p = userdata;

        (void) fd, (void) events;
        if (!read_output(p))
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
}

/* Its end is the end, even where a child of its own keeps the output open. */
static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata) {
        struct process *p = userdata;
        int status = info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status;

        (void) source;
        p->pid = 0;
        (void) read_output(p);
        finish(p, status);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        struct process *p = userdata;

        (void) source, (void) usec;
        p->child = sd_event_source_disable_unref(p->child);
        kill_all(p);
        finish(p, -ETIMEDOUT);
        return 0;
}

/* In a process group of its own, with no signal blocked. */
static int spawn(pid_t *ret, char *const *argv, const char *input, int output_fd) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, standard;
        int r;

        (void) sigemptyset(&none);
        (void) sigemptyset(&standard);
        (void) sigaddset(&standard, SIGPIPE);
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawnattr_init(&attributes);
        (void) posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input ? input : "/dev/null",
                                                O_RDONLY, 0);
        if (output_fd >= 0)
                (void) posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setsigdefault(&attributes, &standard);
        (void) posix_spawnattr_setpgroup(&attributes, 0);
        (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                             POSIX_SPAWN_SETPGROUP);
        r = posix_spawnp(ret, argv[0], &actions, &attributes, argv, environ);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int watch(struct process *p) {
        sd_event *loop = p->config.loop;
        int r;

        r = sd_event_add_child(loop, &p->child, p->pid, WEXITED, on_child, p);
        if (r >= 0)
                r = sd_event_add_io(loop, &p->output, p->output_fd, EPOLLIN, on_output, p);
        if (r >= 0)
                r = sd_event_add_time_relative(loop, &p->deadline, CLOCK_MONOTONIC,
                                               p->config.timeout_usec, 0, on_deadline, p);
        return r;
}

int process_start(struct process **ret, const struct process_config *config) {
        struct process *p = calloc(1, sizeof(*p));
        int pipe_fds[2], r;

        if (!p)
                return -ENOMEM;
        p->config = *config;
        p->output_fd = -1;
        p->text = malloc(config->max_output + 1);
        if (!p->text || pipe2(pipe_fds, O_CLOEXEC) < 0) {
                (void) release(p);
                return -ENOMEM;
        }
        p->output_fd = pipe_fds[0];
        (void) fcntl(p->output_fd, F_SETFL, O_NONBLOCK);

        r = spawn(&p->pid, config->argv, config->input, pipe_fds[1]);
        (void) close(pipe_fds[1]);
        if (r >= 0)
                r = watch(p);
        if (r < 0) {
                kill_all(p);
                (void) release(p);
                return r;
        }
        *ret = p;
        return 0;
}

struct process *process_stop(struct process *p) {
        if (!p)
                return NULL;

        p->child = sd_event_source_disable_unref(p->child);
        kill_all(p);
        return release(p);
}
