/* SPDX-License-Identifier: Apache-2.0 */
#include "sound/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "audio/source.h"
#include "base/cleanup.h"
#include "base/parcel.h"
#include "base/wake.h"
#include "sound/live.h"
#include "sound/work.h"

/* gemmad wants to see a sign of life more often than that it waits for one. */
#define BEAT_MS 500

DEFINE_CLEANUP(struct source *, source_close)
DEFINE_CLEANUP(struct wall *, wall_unmap)

bool work_is_over(void *userdata) {
        struct work *w = userdata;
        struct pollfd end = { .fd = w->socket_fd, .events = POLLIN };

        work_beat(w);
        /* After the task nothing comes but the end. */
        return poll(&end, 1, 0) != 0;
}

void work_say(const struct work *w, const struct wall_message *message) {
        (void) parcel_send(w->socket_fd, message, sizeof(*message), NULL, 0);
        wake_ring(w->up_fd);
}

void work_fail(const struct work *w, int r, const struct why *why) {
        struct wall_message failed = { .word = WALL_FAILED, .r = r };

        if (why->text[0])
                failed.why = *why;
        else
                (void) because(&failed.why, r, "%s", strerror(-r));
        work_say(w, &failed);
}

/* Waits for room.  False: nobody wants it any more. */
static bool push(struct work *w, const struct wall_frame *frame) {
        struct pollfd waits[] = {
                { .fd = w->down_fd, .events = POLLIN },
                { .fd = w->socket_fd, .events = POLLIN },
        };

        while (!work_is_over(w)) {
                wall_clear_bell(w->down_fd);
                if (wall_push(w->wall, frame)) {
                        wake_ring(w->up_fd);
                        return true;
                }
                (void) poll(waits, 2, BEAT_MS);
        }
        return false;
}

static int read_file(struct work *w, int fd, struct why *why) {
        const struct source_config config = {
                .input = {
                        .stall_ms = w->task.stall_ms,
                        .total_ms = w->task.total_ms,
                        .is_over = work_is_over,
                        .bell_fd = w->socket_fd,
                        .userdata = w,
                },
                .max_spooled = w->task.max_spooled,
        };
        struct wall_message open = { .word = WALL_OPEN };
        _cleanup_(source_closep) struct source *source = NULL;
        struct wall_frame frame = {};
        int r;

        r = source_open(&source, fd, &config, why);
        if (r < 0)
                return r;
        open.open.is_live = source_is_live(source);
        work_say(w, &open);
        while ((r = source_read(source, &frame.frame, why)) == 1)
                if (!push(w, &frame))
                        return 0;
        return r;
}

static int list(struct work *w, struct why *why) {
        struct wall_message listed = { .word = WALL_LISTED };
        struct capture_device devices[WALL_MAX_LISTED];
        int n;

        n = capture_list(devices, WALL_MAX_LISTED, why);
        if (n < 0)
                return n;
        listed.r = n;
        for (int i = 0; i < n; i++) {
                struct wall_device *d = &listed.listed[i];

                *d = (struct wall_device){
                        .rate = devices[i].rate,
                        .n_channels = devices[i].n_channels,
                        .is_default = devices[i].is_default,
                        .is_bluetooth = devices[i].is_bluetooth,
                };
                memcpy(d->name, devices[i].name, sizeof(d->name));
        }
        work_say(w, &listed);
        return 0;
}

/* The task, and the file that belongs to it.  False: there is none. */
static bool receive_task(struct work *w, int *ret_fd) {
        struct pollfd wait = { .fd = w->socket_fd, .events = POLLIN };
        size_t n_fds;
        int n;

        do {
                (void) poll(&wait, 1, -1);
                n_fds = 1;
                n = parcel_receive(w->socket_fd, &w->task, sizeof(w->task), ret_fd, &n_fds);
        } while (n == -EAGAIN);
        w->task.device[sizeof(w->task.device) - 1] = '\0';
        return n == sizeof(w->task) && w->task.version == WALL_VERSION;
}

static int do_task(struct work *w, int fd, struct why *why) {
        switch (w->task.kind) {
        case WALL_MICROPHONE:
                return live_run(w, why);
        case WALL_FILE:
                return read_file(w, fd, why);
        case WALL_LIST:
                return list(w, why);
        }
        return because(why, -EINVAL, "no such task");
}

static void begin(const struct worker *worker, struct work *w) {
        const struct wall_message here = { .word = WALL_HERE };
        _cleanup_(closep) int fd = -1;
        struct why why = {};
        int r = 0;

        (void) parcel_send(w->socket_fd, &here, sizeof(here), &worker->self_fd, worker->self_fd >= 0);
        wake_ring(w->up_fd);
        if (!receive_task(w, &fd))
                return;
        if (worker->confine)
                r = worker->confine(&w->task, &why);
        if (r >= 0)
                r = do_task(w, fd, &why);
        if (r < 0 && r != -ECANCELED)
                work_fail(w, r, &why);
}

void worker_run(const struct worker *worker) {
        _cleanup_(wall_unmapp) struct wall *wall = NULL;
        struct work w = {
                .socket_fd = worker->socket_fd,
                .up_fd = worker->up_fd,
                .down_fd = worker->down_fd,
        };

        if (wall_map(&wall, worker->wall_fd) >= 0) {
                w.wall = wall;
                begin(worker, &w);
        }
        (void) close(worker->wall_fd);
        (void) close(worker->down_fd);
        /* gemmad is to find the end of it, and nothing behind that. */
        (void) close(worker->socket_fd);
        wake_ring(worker->up_fd);
        (void) close(worker->up_fd);
        if (worker->self_fd >= 0)
                (void) close(worker->self_fd);
}
