/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/fake-starter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "daemon/hear/starter.h"
#include "sound/worker.h"

struct starter {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned n_running;
};

struct job {
        struct starter *starter;
        struct worker worker;
};

static atomic_int refusal, is_stalled, last_fd, n_running;
static int stalled_fd = -1; /* what a worker that does nothing holds */

void fake_starter_refuse(int r) {
        atomic_store(&refusal, r);
}

void fake_starter_stall(int stalled) {
        atomic_store(&is_stalled, stalled);
        closep(&stalled_fd);
        stalled_fd = -1;
}

int fake_starter_stalled(void) {
        return stalled_fd;
}

void fake_starter_crash(void) {
        (void) shutdown(atomic_load(&last_fd), SHUT_RDWR);
}

void fake_starter_wait(void) {
        while (atomic_load(&n_running) > 0)
                (void) poll(NULL, 0, 1);
}

int starter_new(struct starter **ret, struct why *why) {
        struct starter *s = calloc(1, sizeof(*s));

        (void) signal(SIGPIPE, SIG_IGN); /* as in gemmad-sound */
        (void) why;
        (void) pthread_mutex_init(&s->lock, NULL);
        (void) pthread_cond_init(&s->changed, NULL);
        *ret = s;
        return 0;
}

struct starter *starter_free(struct starter *s) {
        if (!s)
                return NULL;
        (void) pthread_mutex_lock(&s->lock);
        while (s->n_running > 0)
                (void) pthread_cond_wait(&s->changed, &s->lock);
        (void) pthread_mutex_unlock(&s->lock);
        (void) pthread_cond_destroy(&s->changed);
        (void) pthread_mutex_destroy(&s->lock);
        free(s);
        return NULL;
}

static void *run(void *userdata) {
        struct job *job = userdata;
        struct starter *s = job->starter;

        if (fake_starter_begins)
                fake_starter_begins();
        worker_run(&job->worker);
        atomic_fetch_sub(&n_running, 1);
        free(job);
        (void) pthread_mutex_lock(&s->lock);
        s->n_running--;
        (void) pthread_cond_broadcast(&s->changed);
        (void) pthread_mutex_unlock(&s->lock);
        return NULL;
}

static int copy(int fd) {
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int starter_start(struct starter *s, const int fds[static WALL_MAX_FDS], struct why *why) {
        pthread_attr_t attributes;
        struct job *job;
        pthread_t id;
        int r = atomic_load(&refusal);

        if (r < 0)
                return because(why, r, "the sound process ended, and can not be started again");
        if (atomic_load(&is_stalled)) {
                stalled_fd = copy(fds[0]);
                return 0;
        }
        job = calloc(1, sizeof(*job));
        if (!job)
                return because(why, -ENOMEM, "out of memory");
        job->starter = s;
        job->worker = (struct worker){
                .socket_fd = copy(fds[0]),
                .wall_fd = copy(fds[1]),
                .up_fd = copy(fds[2]),
                .down_fd = copy(fds[3]),
                .self_fd = -1,
        };
        /* What a worker does to its end makes nobody wait at the other one. */
        (void) fcntl(job->worker.up_fd, F_SETFL, 0);
        /* Its own, and so only to be shut down while it runs. */
        atomic_store(&last_fd, job->worker.socket_fd);
        (void) pthread_mutex_lock(&s->lock);
        s->n_running++;
        (void) pthread_mutex_unlock(&s->lock);
        atomic_fetch_add(&n_running, 1);
        (void) pthread_attr_init(&attributes);
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        r = pthread_create(&id, &attributes, run, job);
        (void) pthread_attr_destroy(&attributes);
        return -r;
}

void starter_give_up(struct starter *s) {
        (void) s;
}
