/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_WORKER_H
#define DAEMON_COMMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

/* A thread that does one job after the other, in the order in which they come, for the main thread, which is
 * told of each when it is done.  Everything here belongs to the main thread but for what is said to be
 * the worker's. */
struct worker;

/* Embedded in what the job is about, which stays where it is until the job is done. */
struct job {
        /* On the worker's thread.  False: it is not done yet, and worker_done() follows. */
        bool (*run)(struct job *job, void *userdata);
        /* On the main thread, in its loop or in worker_stop(): the job is its owner's again. */
        void (*done)(struct job *job, void *userdata);
};

struct worker_config {
        sd_event *loop;   /* not owned */
        const char *name; /* at most 15 bytes; not owned */
        unsigned max_jobs;

        /* On the worker's thread, and may be NULL.  When no job is left to run: 1, to be called again if none
         * comes, or 0.  When it ends: for all jobs that are not done, worker_done() is to be called. */
        int (*idle)(void *userdata);
        void (*ending)(void *userdata);

        /* On the main thread, after jobs that are done, and after worker_ring(); may be NULL. */
        void (*told)(void *userdata);
        void *userdata; /* also of the jobs */
};

int worker_new(struct worker **ret, const struct worker_config *config);

/* -ENOBUFS: max_jobs are not done yet; -ESHUTDOWN: it has been stopped, and jobs are told to be done. */
int worker_post(struct worker *w, struct job *job);

/* Posted and not told to be done yet. */
unsigned worker_n_jobs(const struct worker *w);

/* Runs what was posted, ends the thread and tells what is done; until the time of the monotonic clock.
 * False: the thread still runs, and w, userdata and the jobs that are not done are left to it.  True: w is freed.  NULL is ended. */
bool worker_stop(struct worker *w, uint64_t until_ns);

/* On the worker's thread: a job whose run() returned false is done. */
void worker_done(struct worker *w, struct job *job);

/* On the worker's thread: something else has changed. */
void worker_ring(struct worker *w);

#endif
