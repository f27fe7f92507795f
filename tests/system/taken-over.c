/* SPDX-License-Identifier: Apache-2.0 */
/* Plays code that has taken gemmad over: preloaded, it runs within the process as soon as that serves
 * its clients, hence in all the sandboxes that it has.  Each line on standard error is one attempt and
 * what came of it: "reached", or the error.  The attempts are in GEMMAD_ATTEMPTS, one a line. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-event.h>

/* A leading @ stands for the zero byte of an address without a path. */
static int connect_to(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        if (fd < 0)
                return errno;
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (*path == '@')
                address.sun_path[0] = '\0';
        else
                size = sizeof(address);
        r = connect(fd, (struct sockaddr *) &address, size) < 0 ? errno : 0;
        (void) close(fd);
        return r;
}

static int open_for(const char *path, int flags) {
        int fd = open(path, flags | O_CLOEXEC, 0600), r = errno;

        if (fd < 0)
                return r;
        (void) close(fd);
        return 0;
}

/* What the child ends with is the error; 0: it has become that program. */
static int run(const char *path) {
        char *const argv[] = { (char *) path, NULL };
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                (void) execv(path, argv);
                _exit(errno);
        }
        /* Where there is no child to be had, itself. */
        if (pid < 0)
                (void) execv(path, argv);
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* Whether what lies over a path can be taken away. */
static int uncover(const char *path) {
        if (umount2(path, MNT_DETACH) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0)
                return 0;
        return errno;
}

static int network(void) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), r = errno;

        if (fd < 0)
                return r;
        (void) close(fd);
        return 0;
}

static int start_process(void) {
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        return pid < 0 ? errno : waitpid(pid, NULL, 0) < 0;
}

static int attempt(const char *what, const char *where) {
        if (strcmp(what, "connect") == 0)
                return connect_to(where);
        if (strcmp(what, "read") == 0)
                return open_for(where, O_RDONLY);
        if (strcmp(what, "write") == 0)
                return open_for(where, O_WRONLY | O_CREAT);
        if (strcmp(what, "run") == 0)
                return run(where);
        if (strcmp(what, "fork") == 0)
                return start_process();
        if (strcmp(what, "uncover") == 0)
                return uncover(where);
        if (strcmp(what, "network") == 0)
                return network();
        return ENOSYS;
}

static void try_all(void) {
        char *attempts = getenv("GEMMAD_ATTEMPTS") ? strdup(getenv("GEMMAD_ATTEMPTS")) : NULL;
        char *next = NULL;

        for (char *line = attempts ? strtok_r(attempts, "\n", &next) : NULL; line;
             line = strtok_r(NULL, "\n", &next)) {
                char *where = strchr(line, ' ');
                int r;

                if (!where)
                        continue;
                *where++ = '\0';
                r = attempt(line, where);
                (void) dprintf(STDERR_FILENO, "attempt: %s %s: %s\n", line, where,
                               r == 0 ? "reached" : strerror(r));
        }
        free(attempts);
        (void) dprintf(STDERR_FILENO, "attempts are over\n");
}

int sd_event_loop(sd_event *loop) {
        int (*real)(sd_event *) = (int (*)(sd_event *)) dlsym(RTLD_NEXT, "sd_event_loop");

        try_all();
        return real(loop);
}
