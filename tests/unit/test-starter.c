/* SPDX-License-Identifier: Apache-2.0 */
/* The process that makes those of the sound, where no process can be made. */
#include "base/parcel.h"
#include "sound/starter.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sound/wall.h"
#include "tests/tap.h"

static atomic_uint n_forks;

pid_t __wrap_fork(void);
pid_t __wrap_fork(void) {
        atomic_fetch_add(&n_forks, 1);
        errno = EAGAIN;
        return -1;
}

static void *starter(void *userdata) {
        const int *socket_fd = userdata;

        (void) starter_run(*socket_fd);
        return NULL;
}

/* The next message, 0 when nobody is there any more. */
static int hear(int fd, struct wall_message *ret) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        size_t n_fds = 0;
        int n;

        do {
                (void) poll(&wait, 1, 60000);
                n = parcel_receive(fd, ret, sizeof(*ret), NULL, &n_fds);
        } while (n == -EAGAIN);
        return n;
}

static void ask_for_worker(int starter_fd) {
        const uint32_t request = WALL_START_WORKER;
        struct wall_message message;
        int pair[2], up[2], down[2], fds[WALL_MAX_FDS];

        expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        expect(wall_make_bell(&up[0], &up[1]) == 0 && wall_make_bell(&down[0], &down[1]) == 0);
        fds[0] = pair[1];
        fds[1] = fds[3] = down[0];
        fds[2] = up[1];
        expect(parcel_send(starter_fd, &request, sizeof(request), fds, WALL_MAX_FDS) == 0);
        closep(&pair[1]);
        expect(hear(pair[0], &message) == sizeof(message) && message.word == WALL_HERE);
        expect(hear(pair[0], &message) == sizeof(message) && message.word == WALL_FAILED);
        expect(wall_check(&message) && message.r == -EAGAIN);
        expect(strstr(message.why.text, "no process for the sound: Resource temporarily unavailable"));
        expect(hear(pair[0], &message) == 0);
        closep(&pair[0]);
        for (unsigned i = 0; i < 2; i++) {
                closep(&up[i]);
                closep(&down[i]);
        }
}

/* Each time: what there was no process for once may be had the next time. */
static void a_process_that_can_not_be_made_is_told(void) {
        int pair[2];
        pthread_t thread;

        expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        expect(pthread_create(&thread, NULL, starter, &pair[1]) == 0);
        for (unsigned i = 1; i <= 3; i++) {
                ask_for_worker(pair[0]);
                expect(atomic_load(&n_forks) == i);
        }
        closep(&pair[0]);
        expect(pthread_join(thread, NULL) == 0);
        closep(&pair[1]);
}

int main(void) {
        rule("a process that can not be made is told, and asked for again", a_process_that_can_not_be_made_is_told);
        return tap_done();
}
