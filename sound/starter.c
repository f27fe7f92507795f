/* SPDX-License-Identifier: Apache-2.0 */
#include "sound/starter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parcel.h"
#include "base/wake.h"
#include "sound/confine.h"
#include "sound/wall.h"
#include "sound/worker.h"

/* In the copy.  What it leaves behind is the kernel's to take apart. */
static _Noreturn void work(const int fds[WALL_MAX_FDS], int socket_fd, pid_t parent) {
        struct worker worker = {
                .socket_fd = fds[0],
                .wall_fd = fds[1],
                .up_fd = fds[2],
                .down_fd = fds[3],
                .self_fd = (int) syscall(SYS_pidfd_open, getpid(), 0),
                .confine = confine_worker,
        };

        (void) close(socket_fd);
        (void) signal(SIGCHLD, SIG_DFL);
        /* A worker that hangs does not see that nobody needs it any more. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() == parent)
                worker_run(&worker);
        _exit(EXIT_SUCCESS);
}

/* In the place of a worker that there is no process for, which may be another time. */
static void refuse(const int fds[WALL_MAX_FDS], int r) {
        const struct wall_message here = { .word = WALL_HERE };
        struct wall_message failed = { .word = WALL_FAILED, .r = r };

        (void) because(&failed.why, r, "no process for the sound: %s", strerror(-r));
        (void) parcel_send(fds[0], &here, sizeof(here), NULL, 0);
        (void) parcel_send(fds[0], &failed, sizeof(failed), NULL, 0);
        wake_ring(fds[2]);
}

/* The socket to go on with: in the copy that is another starter, the other one. */
static int carry_out(int socket_fd, enum wall_request request, int *fds, size_t n_fds) {
        bool is_worker = request == WALL_START_WORKER && n_fds == WALL_MAX_FDS;
        bool is_starter = request == WALL_START_STARTER && n_fds == 1;
        pid_t parent = getpid(), pid = -1;

        if (is_worker || is_starter)
                pid = fork();
        if (pid == 0 && is_worker)
                work(fds, socket_fd, parent);
        if (pid < 0 && is_worker)
                refuse(fds, -errno);
        if (pid == 0) {
                (void) close(socket_fd);
                return fds[0];
        }
        while (n_fds > 0)
                (void) close(fds[--n_fds]);
        return socket_fd;
}

int starter_run(int socket_fd) {
        /* Who rings when gemmad has gone finds that out otherwise. */
        (void) signal(SIGPIPE, SIG_IGN);
        /* Nobody asks how they ended. */
        (void) signal(SIGCHLD, SIG_IGN);
        for (;;) {
                struct pollfd wait = { .fd = socket_fd, .events = POLLIN };
                int fds[WALL_MAX_FDS], n;
                size_t n_fds = WALL_MAX_FDS;
                uint32_t request;

                (void) poll(&wait, 1, -1);
                n = parcel_receive(socket_fd, &request, sizeof(request), fds, &n_fds);
                if (n == -EAGAIN)
                        continue;
                if (n <= 0)
                        return n;
                if (n == sizeof(request))
                        socket_fd = carry_out(socket_fd, request, fds, n_fds);
        }
}
