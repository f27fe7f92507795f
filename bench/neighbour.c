/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/neighbour.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define TURN_NS 5000000

struct neighbour {
        pthread_t thread;
        atomic_bool stop;
};

static void *work(void *userdata) {
        struct neighbour *n = userdata;
        const struct timespec rest = { .tv_nsec = TURN_NS };

        while (!atomic_load(&n->stop)) {
                uint64_t began = clock_now_ns();

                while (clock_now_ns() - began < TURN_NS)
                        continue;
                (void) nanosleep(&rest, NULL);
        }
        return NULL;
}

static int bind_to_first(pthread_attr_t *attr) {
        cpu_set_t usable, first;

        if (sched_getaffinity(0, sizeof(usable), &usable) < 0)
                return -errno;
        CPU_ZERO(&first);
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
                if (CPU_ISSET(cpu, &usable)) {
                        CPU_SET(cpu, &first);
                        break;
                }
        return -pthread_attr_setaffinity_np(attr, sizeof(first), &first);
}

int neighbour_start(struct neighbour **ret) {
        _cleanup_(freep) struct neighbour *n = calloc(1, sizeof(*n));
        pthread_attr_t attr;
        int r;

        if (!n)
                return -ENOMEM;
        r = -pthread_attr_init(&attr);
        if (r < 0)
                return r;
        r = bind_to_first(&attr);
        if (r == 0)
                r = -pthread_create(&n->thread, &attr, work, n);
        (void) pthread_attr_destroy(&attr);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(n);
        return 0;
}

struct neighbour *neighbour_stop(struct neighbour *n) {
        if (!n)
                return NULL;

        atomic_store(&n->stop, true);
        (void) pthread_join(n->thread, NULL);
        free(n);
        return NULL;
}
