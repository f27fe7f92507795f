/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/aside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/wake.h"

/* The thread's until it rings, and then the loop's. */
struct aside {
        void (*run)(void *userdata), (*done)(void *userdata);
        void *userdata;
        int bell_fd;           /* owned */
        sd_event_source *rung; /* owned */
        pthread_t thread;
};

static struct aside *aside_free(struct aside *a) {
        if (!a)
                return NULL;
        sd_event_source_disable_unref(a->rung);
        closep(&a->bell_fd);
        free(a);
        return NULL;
}
DEFINE_CLEANUP(struct aside *, aside_free)

static void *run(void *userdata) {
        struct aside *a = userdata;

        a->run(a->userdata);
        wake_ring(a->bell_fd);
        return NULL;
}

static int on_rung(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct aside *a = userdata;

        (void) source, (void) fd, (void) revents;
        (void) pthread_join(a->thread, NULL);
        a->done(a->userdata);
        aside_free(a);
        return 0;
}

int aside_run(sd_event *loop, void (*run_it)(void *userdata), void (*done)(void *userdata), void *userdata) {
        _cleanup_(aside_freep) struct aside *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (struct aside){ .run = run_it, .done = done, .userdata = userdata };
        a->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (a->bell_fd < 0)
                return -errno;
        r = sd_event_add_io(loop, &a->rung, a->bell_fd, EPOLLIN, on_rung, a);
        if (r < 0)
                return r;
        r = pthread_create(&a->thread, NULL, run, a);
        if (r != 0)
                return -r;
        TAKE_PTR(a);
        return 0;
}
