/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/device.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "base/wake.h"
#include "daemon/common/thread.h"

/* Whose the result is; each side hands it to the other. */
enum holder {
        HOLDER_NOBODY, /* the user's thread may begin a task */
        HOLDER_DEVICE,
        HOLDER_USER, /* there is a result to take */
};

struct device {
        struct capture_config config;
        int bell_fd; /* owned */
        _Atomic enum holder holder;
        atomic_bool is_ending;
        struct capture *left; /* owned by the device's thread once is_ending is set */
        struct device_result result;
        struct thread thread;
};

static void run_task(struct device *d) {
        struct device_result *result = &d->result;

        switch (result->task) {
        case DEVICE_OPEN:
                result->r = capture_open(&result->capture, &d->config, &result->why);
                break;
        case DEVICE_CLOSE:
                result->capture = capture_close(result->capture);
                break;
        case DEVICE_LIST:
                result->r = capture_list(result->listed, DEVICE_MAX_LISTED, &result->why);
                break;
        }
}

static void device_run(void *userdata) {
        struct device *d = userdata;
        struct pollfd bell = { .fd = d->bell_fd, .events = POLLIN };

        for (;;) {
                if (atomic_load_explicit(&d->holder, memory_order_acquire) == HOLDER_DEVICE) {
                        run_task(d);
                        atomic_store_explicit(&d->holder, HOLDER_USER, memory_order_release);
                        wake_ring(d->config.wake_fd);
                }
                if (atomic_load_explicit(&d->is_ending, memory_order_acquire))
                        break;
                if (poll(&bell, 1, -1) > 0)
                        wake_clear(d->bell_fd);
        }

        /* A task that was not run, or a result that was not taken, may hold one as well. */
        (void) capture_close(d->left);
        if (atomic_load_explicit(&d->holder, memory_order_acquire) != HOLDER_NOBODY)
                (void) capture_close(d->result.capture);
}

int device_new(struct device **ret, const struct capture_config *config) {
        struct device *d;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->config = *config;
        d->bell_fd = wake_open();
        if (d->bell_fd < 0) {
                int r = d->bell_fd;

                free(d);
                return r;
        }

        *ret = d;
        return 0;
}

struct device *device_free(struct device *d) {
        if (!d)
                return NULL;

        closep(&d->bell_fd);
        free(d);
        return NULL;
}

int device_start(struct device *d) {
        return thread_start(&d->thread, "gemmad-device", device_run, d);
}

bool device_join(struct device *d, uint64_t until_ns) {
        return thread_join(&d->thread, until_ns);
}

bool device_begin(struct device *d, enum device_task task, struct capture *capture) {
        if (atomic_load_explicit(&d->holder, memory_order_acquire) != HOLDER_NOBODY)
                return false;

        d->result.task = task;
        d->result.capture = capture;
        d->result.r = 0;
        d->result.why = (struct why){};
        atomic_store_explicit(&d->holder, HOLDER_DEVICE, memory_order_release);
        wake_ring(d->bell_fd);
        return true;
}

const struct device_result *device_take(struct device *d) {
        if (atomic_load_explicit(&d->holder, memory_order_acquire) != HOLDER_USER)
                return NULL;

        atomic_store_explicit(&d->holder, HOLDER_NOBODY, memory_order_relaxed);
        return &d->result;
}

void device_end(struct device *d, struct capture *capture) {
        d->left = capture;
        atomic_store_explicit(&d->is_ending, true, memory_order_release);
        wake_ring(d->bell_fd);
}
