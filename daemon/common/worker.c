/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/spsc.h"
#include "base/wake.h"
#include "base/wipe.h"
#include "daemon/common/thread.h"

struct worker {
        struct worker_config config;
        struct thread thread;
        struct spsc posted, ended; /* of struct job *; each has room for all of them */
        int posted_fd, ended_fd;   /* owned; their bells */
        sd_event_source *source;   /* owned */
        unsigned n_jobs;           /* posted and not told to be done */
        atomic_bool is_stopping;
};

void worker_done(struct worker *w, struct job *job) {
        (void) spsc_push(&w->ended, &job, 1);
        wake_ring(w->ended_fd);
}

void worker_ring(struct worker *w) {
        wake_ring(w->ended_fd);
}

/* What a job was about may be to be forgotten. */
static void do_job(struct worker *w, struct job *job) {
        bool is_done = job->run(job, w->config.userdata);

        wipe_stack();
        if (is_done)
                worker_done(w, job);
}

static void run(void *userdata) {
        struct worker *w = userdata;
        struct pollfd bell = { .fd = w->posted_fd, .events = POLLIN };
        bool is_stopping;
        struct job *job;

        for (;;) {
                /* Nothing is posted after it was told to stop. */
                is_stopping = atomic_load(&w->is_stopping);
                wake_clear(w->posted_fd);
                if (spsc_pop(&w->posted, &job, 1) > 0)
                        do_job(w, job);
                else if (is_stopping)
                        break;
                else if (!w->config.idle || w->config.idle(w->config.userdata) == 0)
                        (void) poll(&bell, 1, -1);
        }
        if (w->config.ending)
                w->config.ending(w->config.userdata);
}

static void tell(struct worker *w) {
        struct job *job;

        wake_clear(w->ended_fd);
        while (spsc_pop(&w->ended, &job, 1) > 0) {
                w->n_jobs--;
                job->done(job, w->config.userdata);
        }
        if (w->config.told)
                w->config.told(w->config.userdata);
}

static int on_ended(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        (void) source, (void) fd, (void) events;
        tell(userdata);
        return 0;
}

static void worker_free(struct worker *w) {
        sd_event_source_disable_unref(w->source);
        spsc_done(&w->posted);
        spsc_done(&w->ended);
        closep(&w->posted_fd);
        closep(&w->ended_fd);
        free(w);
}

static int open_queues(struct worker *w) {
        int r;

        r = spsc_init(&w->posted, w->config.max_jobs, sizeof(struct job *));
        if (r >= 0)
                r = spsc_init(&w->ended, w->config.max_jobs, sizeof(struct job *));
        if (r < 0)
                return r;
        w->posted_fd = wake_open();
        w->ended_fd = wake_open();
        if (w->posted_fd < 0 || w->ended_fd < 0)
                return w->posted_fd < 0 ? w->posted_fd : w->ended_fd;
        return sd_event_add_io(w->config.loop, &w->source, w->ended_fd, EPOLLIN, on_ended, w);
}

int worker_new(struct worker **ret, const struct worker_config *config) {
        struct worker *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->config = *config;
        w->posted_fd = w->ended_fd = -1;
        r = open_queues(w);
        if (r >= 0)
                r = thread_start(&w->thread, config->name, run, w);
        if (r < 0) {
                worker_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int worker_post(struct worker *w, struct job *job) {
        if (atomic_load(&w->is_stopping))
                return -ESHUTDOWN;
        if (w->n_jobs == w->config.max_jobs)
                return -ENOBUFS;
        w->n_jobs++;
        (void) spsc_push(&w->posted, &job, 1);
        wake_ring(w->posted_fd);
        return 0;
}

unsigned worker_n_jobs(const struct worker *w) {
        return w->n_jobs;
}

bool worker_stop(struct worker *w, uint64_t until_ns) {
        if (!w)
                return true;
        atomic_store(&w->is_stopping, true);
        wake_ring(w->posted_fd);
        if (!thread_join(&w->thread, until_ns)) {
                tell(w);
                return false;
        }
        tell(w);
        worker_free(w);
        return true;
}
