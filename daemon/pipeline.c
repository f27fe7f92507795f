/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pipeline.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "audio/source.h"
#include "base/clock.h"
#include "base/wake.h"
#include "daemon/command.h"
#include "daemon/spool.h"
#include "daemon/thread.h"

#define PIPELINE_MAX_JOBS 4
#define PIPELINE_IDLE_NS  UINT64_C(1000000000)
#define PIPELINE_FRAME_NS UINT64_C(40000000)

/* What a pipe may bring for MaxSeconds of sound: 48 kHz, stereo, 32 bits, and never less than
 * this. */
#define PIPELINE_BYTES_PER_SECOND (48000 * 2 * 4)
#define PIPELINE_MIN_SPOOL        (64u * 1024 * 1024)

struct pipeline {
        const struct config *config; /* not owned */
        struct sound_queue *sounds;  /* not owned */
        struct spsc jobs;            /* of struct pipeline_job, main to pipeline */
        struct command command;
        struct thread thread;
        uint64_t turn; /* the thread's own */
};

static bool is_over(void *userdata) {
        struct pipeline *p = userdata;

        return command_ends(&p->command, p->turn);
}

/* Sleeps until the bell rings, but not beyond the given time. */
static void wait_bell(struct pipeline *p, uint64_t until_ns) {
        struct pollfd bell = { .fd = p->sounds->room_fd, .events = POLLIN };
        uint64_t now = clock_now_ns();
        struct timespec wait;
        uint64_t ns;

        if (now >= until_ns)
                return;
        ns = until_ns - now;
        if (ns > PIPELINE_IDLE_NS)
                ns = PIPELINE_IDLE_NS;

        wait = (struct timespec){ .tv_sec = (time_t) (ns / 1000000000),
                                  .tv_nsec = (long) (ns % 1000000000) };
        if (ppoll(&bell, 1, &wait, NULL) > 0)
                wake_clear(bell.fd);
}

/* -ECANCELED when the turn was over before there was room. */
static int push(struct pipeline *p, const struct sound *sound) {
        for (;;) {
                if (is_over(p))
                        return -ECANCELED;
                if (spsc_count(&p->sounds->queue) < SOUND_QUEUE_FRAMES) {
                        (void) spsc_push(&p->sounds->queue, sound, 1);
                        wake_ring(p->sounds->filled_fd);
                        return 0;
                }
                wait_bell(p, clock_now_ns() + PIPELINE_IDLE_NS);
        }
}

static int pace(struct pipeline *p, uint64_t due_ns) {
        while (clock_now_ns() < due_ns) {
                if (is_over(p))
                        return -ECANCELED;
                wait_bell(p, due_ns);
        }
        return 0;
}

/* Frame k of speech that begins now is complete (k + 1) * 40 ms from now. */
static int
play(struct pipeline *p, const struct pipeline_job *job, struct source *source, struct why *why) {
        uint64_t began = clock_now_ns();
        struct sound sound = { .kind = SOUND_FRAME, .turn = job->turn };
        int r;

        for (;;) {
                r = source_read(source, &sound.frame, why);
                if (r <= 0)
                        return r;

                if (job->realtime) {
                        r = pace(p, began + (sound.frame.sequence + 1) * PIPELINE_FRAME_NS);
                        if (r < 0)
                                return r;
                }
                sound.frame.captured_ns = clock_now_ns();
                r = push(p, &sound);
                if (r < 0)
                        return r;
        }
}

static int open_source(struct pipeline *p, int fd, struct source **ret, struct why *why) {
        size_t limit = (size_t) p->config->max_seconds * PIPELINE_BYTES_PER_SECOND;
        uint64_t max_ms = (uint64_t) p->config->max_seconds * 1000;
        uint64_t stall_ms = (uint64_t) p->config->stall_seconds * 1000;
        struct spool_config config = {
                .max_size = limit > PIPELINE_MIN_SPOOL ? limit : PIPELINE_MIN_SPOOL,
                .stall_ms = stall_ms,
                .total_ms = max_ms + stall_ms,
                .bell_fd = p->sounds->room_fd,
                .is_over = is_over,
                .userdata = p,
        };
        _cleanup_(closep) int own = -1;
        int r;

        r = spool_open(&own, fd, &config, why);
        if (r < 0)
                return r;
        r = source_open_fd(ret, own, max_ms, why);
        if (r < 0)
                return r;

        (void) TAKE_FD(own);
        return 0;
}

static void run_job(struct pipeline *p, const struct pipeline_job *job) {
        struct sound failure = { .kind = SOUND_FAILED, .turn = job->turn };
        struct source *source = NULL;
        int r;

        p->turn = job->turn;
        r = open_source(p, job->fd, &source, &failure.why);
        if (r >= 0)
                r = play(p, job, source, &failure.why);
        if (source)
                source_close(source);
        (void) close(job->fd);

        if (r >= 0 || r == -ECANCELED)
                return;
        if (!failure.why.text[0])
                (void) because(&failure.why, r, "%s", strerror(-r));
        (void) push(p, &failure);
}

static void pipeline_run(void *userdata) {
        struct pipeline *p = userdata;
        struct pipeline_job job;

        while (!command_stops(&p->command)) {
                if (spsc_pop(&p->jobs, &job, 1) == 1)
                        run_job(p, &job);
                else
                        wait_bell(p, clock_now_ns() + PIPELINE_IDLE_NS);
        }
}

int pipeline_new(struct pipeline **ret, const struct config *config, struct sound_queue *sounds) {
        _cleanup_(pipeline_freep) struct pipeline *p = NULL;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->config = config;
        p->sounds = sounds;

        r = spsc_init(&p->jobs, PIPELINE_MAX_JOBS, sizeof(struct pipeline_job));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

struct pipeline *pipeline_free(struct pipeline *p) {
        struct pipeline_job job;

        if (!p)
                return NULL;

        while (p->jobs.slots && spsc_pop(&p->jobs, &job, 1) == 1)
                (void) close(job.fd);
        spsc_done(&p->jobs);
        free(p);
        return NULL;
}

int pipeline_start(struct pipeline *p) {
        return thread_start(&p->thread, "gemmad-audio", pipeline_run, p);
}

void pipeline_stop(struct pipeline *p) {
        command_stop(&p->command);
        wake_ring(p->sounds->room_fd);
}

bool pipeline_join(struct pipeline *p, uint64_t until_ns) {
        return thread_join(&p->thread, until_ns);
}

int pipeline_play(struct pipeline *p, const struct pipeline_job *job) {
        if (spsc_push(&p->jobs, job, 1) != 1)
                return -EBUSY;

        wake_ring(p->sounds->room_fd);
        return 0;
}

void pipeline_end_turn(struct pipeline *p, uint64_t turn) {
        command_end_turn(&p->command, turn);
        wake_ring(p->sounds->room_fd);
}

unsigned long pipeline_beat(const struct pipeline *p) {
        return command_beat(&p->command);
}
