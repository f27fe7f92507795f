/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/thread.h"

#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/wake.h"

static void *thread_run(void *userdata) {
        struct thread *t = userdata;

        (void) pthread_setname_np(pthread_self(), t->name);
        t->run(t->userdata);
        wake_ring(t->ended_fd);
        return NULL;
}

int thread_start(struct thread *t, const char *name, void (*run)(void *userdata), void *userdata) {
        int fd, r;

        fd = wake_open();
        if (fd < 0)
                return fd;
        *t = (struct thread){
                .ended_fd = fd,
                .name = name,
                .run = run,
                .userdata = userdata,
        };
        r = pthread_create(&t->id, NULL, thread_run, t);
        if (r != 0) {
                closep(&t->ended_fd);
                return -r;
        }

        t->is_running = true;
        return 0;
}

bool thread_join(struct thread *t, uint64_t until_ns) {
        struct pollfd ended = { .fd = t->ended_fd, .events = POLLIN };

        if (!t->is_running)
                return true;

        for (;;) {
                uint64_t now = clock_now_ns();
                int n;

                /* Rounded up, so that it does not spin through the last millisecond. */
                n = poll(&ended, 1, now < until_ns ? (int) ((until_ns - now) / 1000000 + 1) : 0);
                if (n > 0)
                        break;
                if (n == 0 && now >= until_ns)
                        return false;
        }
        (void) pthread_join(t->id, NULL);
        closep(&t->ended_fd);
        t->is_running = false;
        return true;
}
