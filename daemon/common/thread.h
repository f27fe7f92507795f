/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_THREAD_H
#define DAEMON_COMMON_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A thread whose end can be waited for with a limit.  Owned by the main thread. */
struct thread {
        pthread_t id;
        int ended_fd; /* owned; rung as the last thing that the thread does */
        bool is_running;
        const char *name; /* at most 15 bytes; not owned */
        void (*run)(void *userdata);
        void *userdata;
};

/* The struct has to stay where it is while the thread runs. */
int thread_start(struct thread *t, const char *name, void (*run)(void *userdata), void *userdata);

/* Waits until the thread has ended, at most until the time of the monotonic clock.  False when it
 * still runs; true also when it never did. */
bool thread_join(struct thread *t, uint64_t until_ns);

#endif
