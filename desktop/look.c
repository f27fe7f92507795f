/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "desktop/aside.h"

/* One picture on its way. */
struct look {
        char *path; /* owned */
        look_done *done;
        void *userdata;
        struct picture picture;
        int r;
        struct why why;
};

static struct look *look_free(struct look *l) {
        if (!l)
                return NULL;
        picture_done(&l->picture);
        free(l->path);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(struct look *, look_free)

static void run(void *userdata) {
        struct look *l = userdata;
        _cleanup_(closep) int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                l->r = because(&l->why, -errno, "%s", strerror(errno));
        else
                l->r = picture_read(&l->picture, fd, l->path, &l->why);
}

static void on_seen(void *userdata) {
        struct look *l = userdata;

        l->done(l->r < 0 ? NULL : &l->picture, l->why.text, l->userdata);
        look_free(l);
}

int look_at(sd_event *loop, const char *path, look_done *done, void *userdata) {
        _cleanup_(look_freep) struct look *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->picture.fd = -1;
        l->done = done;
        l->userdata = userdata;
        l->path = strdup(path);
        if (!l->path)
                return -ENOMEM;
        r = aside_run(loop, run, on_seen, l);
        if (r >= 0)
                TAKE_PTR(l);
        return r;
}
