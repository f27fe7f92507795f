/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/look.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/wake.h"

/* One picture on its way.  The thread's until it rings, and then the loop's. */
struct look {
        char *path; /* owned */
        look_done *done;
        void *userdata;
        struct picture picture;
        int r;
        struct why why;
        int bell_fd;           /* owned */
        sd_event_source *rung; /* owned */
        pthread_t thread;
};

static struct look *look_free(struct look *l) {
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->rung);
        picture_done(&l->picture);
        closep(&l->bell_fd);
        free(l->path);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(struct look *, look_free)

static void *run(void *userdata) {
        struct look *l = userdata;
        _cleanup_(closep) int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                l->r = because(&l->why, -errno, "%s", strerror(errno));
        else
                l->r = picture_read(&l->picture, fd, l->path, &l->why);
        wake_ring(l->bell_fd);
        return NULL;
}

static int on_rung(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct look *l = userdata;

        (void) source, (void) fd, (void) revents;
        (void) pthread_join(l->thread, NULL);
        l->done(l->r < 0 ? NULL : &l->picture, l->why.text, l->userdata);
        look_free(l);
        return 0;
}

int look_at(sd_event *loop, const char *path, look_done *done, void *userdata) {
        _cleanup_(look_freep) struct look *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->picture.fd = l->bell_fd = -1;
        l->done = done;
        l->userdata = userdata;
        l->path = strdup(path);
        l->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (!l->path || l->bell_fd < 0)
                return -ENOMEM;
        r = sd_event_add_io(loop, &l->rung, l->bell_fd, EPOLLIN, on_rung, l);
        if (r < 0)
                return r;
        r = pthread_create(&l->thread, NULL, run, l);
        if (r != 0)
                return -r;
        TAKE_PTR(l);
        return 0;
}
