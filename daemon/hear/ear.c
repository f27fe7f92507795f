/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/ear.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parcel.h"
#include "base/wake.h"

struct ear {
        struct starter *starter; /* not owned */
        struct wall *wall;       /* owned, and so are the descriptors */
        int socket_fd;
        int up_fd, down_fd; /* bells: rung by the worker, and for it */
        int its_up_fd, its_down_fd; /* its ends, of which a copy stays, so that none hangs up here */
        int process_fd;     /* -1 before it is known */
        uint32_t tail;      /* frames taken, ever */
        bool is_here, is_ending, was_killed;
        uint32_t beat;
        uint64_t life_ns; /* when there last was a sign of it; when it was asked to end */
};

static int make_bells(struct ear *e) {
        int r;

        r = wall_make_bell(&e->up_fd, &e->its_up_fd);
        return r < 0 ? r : wall_make_bell(&e->its_down_fd, &e->down_fd);
}

/* All that a worker needs, of which what is its own goes away again here. */
static int start(struct ear *e, const struct wall_task *task, int file_fd, struct why *why) {
        _cleanup_(closep) int wall_fd = -1, other = -1;
        int pair[2], r;

        r = wall_make(&e->wall, &wall_fd);
        if (r >= 0)
                r = make_bells(e);
        if (r >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                r = -errno;
        if (r < 0)
                return because(why, r, "a process for the sound: %s", strerror(-r));
        e->socket_fd = pair[0];
        other = pair[1];

        r = parcel_send(e->socket_fd, task, sizeof(*task), &file_fd, file_fd >= 0);
        if (r < 0)
                return because(why, r, "a process for the sound: %s", strerror(-r));
        return starter_start(e->starter, (int[]){ other, wall_fd, e->its_up_fd, e->its_down_fd },
                             why);
}

int ear_start(struct ear **ret,
              struct starter *starter,
              const struct wall_task *task,
              int file_fd,
              uint64_t now_ns,
              struct why *why) {
        _cleanup_(ear_freep) struct ear *e = NULL;
        int r;

        if (!starter)
                return because(why, -ENOENT, "gemmad-sound could not be started");
        e = calloc(1, sizeof(*e));
        if (!e)
                return because(why, -ENOMEM, "out of memory");
        e->starter = starter;
        e->socket_fd = e->process_fd = -1;
        e->up_fd = e->down_fd = e->its_up_fd = e->its_down_fd = -1;
        e->life_ns = now_ns;
        r = start(e, task, file_fd, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(e);
        return 0;
}

static void kill_it(struct ear *e) {
        e->was_killed = true;
        if (e->process_fd >= 0)
                (void) syscall(SYS_pidfd_send_signal, e->process_fd, SIGKILL, NULL, 0);
        /* One that has not begun finds nobody there. */
        (void) shutdown(e->socket_fd, SHUT_RDWR);
}

struct ear *ear_free(struct ear *e) {
        if (!e)
                return NULL;

        if (e->socket_fd >= 0)
                kill_it(e);
        (void) wall_unmap(e->wall);
        closep(&e->socket_fd);
        closep(&e->up_fd);
        closep(&e->down_fd);
        closep(&e->its_up_fd);
        closep(&e->its_down_fd);
        closep(&e->process_fd);
        free(e);
        return NULL;
}

void ear_end(struct ear *e, uint64_t now_ns) {
        e->is_ending = true;
        e->life_ns = now_ns;
        (void) shutdown(e->socket_fd, SHUT_WR);
}

void ear_clear(struct ear *e) {
        wall_clear_bell(e->up_fd);
}

int ear_take(struct ear *e, struct wall_frame *ret) {
        bool is_low = wall_room(e->wall) < WALL_LOW;
        int r;

        r = wall_pop(e->wall, &e->tail, ret);
        if (r == 1 && is_low)
                wake_ring(e->down_fd);
        if (r == 1)
                ret->frame.framed_ns = clock_now_ns();
        return r;
}

int ear_hear(struct ear *e, struct wall_message *ret) {
        _cleanup_(closep) int process_fd = -1;
        int n;
        size_t n_fds = 1;

        n = parcel_receive(e->socket_fd, ret, sizeof(*ret), &process_fd, &n_fds);
        if (n == -EAGAIN)
                return 0;
        if (n <= 0)
                return -EPIPE;
        /* Only before it has seen anything of the sound may it say who it is. */
        if (n == sizeof(*ret) && ret->word == WALL_HERE && !e->is_here) {
                e->is_here = true;
                e->process_fd = TAKE_FD(process_fd);
                return ear_hear(e, ret);
        }
        return n == sizeof(*ret) && e->is_here && ret->word != WALL_HERE && wall_check(ret)
                       ? 1
                       : -EBADMSG;
}

static bool is_dead(const struct ear *e) {
        struct pollfd end = { .fd = e->process_fd, .events = POLLIN };

        return poll(&end, 1, 0) == 1;
}

/* Of a process that is known its end is; of any other one, that it has let go of the socket. */
bool ear_has_ended(struct ear *e, uint64_t now_ns) {
        struct wall_message last;
        int r = 1;

        ear_clear(e);
        /* One that goes on talking does not put off its own end. */
        for (unsigned n = 0; r == 1 && n < EAR_MAX_HEARD; n++)
                r = ear_hear(e, &last);
        if (e->process_fd >= 0 ? is_dead(e) : r < 0)
                return true;
        if (!e->was_killed && now_ns - e->life_ns > EAR_END_NS)
                kill_it(e);
        return false;
}

bool ear_hangs(struct ear *e, uint64_t now_ns) {
        uint32_t beat = atomic_load_explicit(&e->wall->beat, memory_order_relaxed);

        if (beat != e->beat) {
                e->beat = beat;
                e->life_ns = now_ns;
        }
        if (now_ns - e->life_ns <= (e->is_here ? EAR_HANGS_NS : EAR_START_NS))
                return false;
        if (!e->is_here)
                starter_give_up(e->starter);
        return true;
}

size_t ear_poll(const struct ear *e, struct pollfd fds[static EAR_MAX_POLLED]) {
        size_t n = 0;

        if (!e)
                return 0;
        /* At its end the socket would ring without end. */
        if (!e->is_ending)
                fds[n++] = (struct pollfd){ .fd = e->socket_fd, .events = POLLIN };
        else
                fds[n++] = (struct pollfd){ .fd = e->process_fd, .events = POLLIN };
        fds[n++] = (struct pollfd){ .fd = e->up_fd, .events = POLLIN };
        return n;
}
