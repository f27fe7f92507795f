/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/wipe.h"
#include "daemon/common/worker.h"

#define DAY_SECONDS 86400

/* How often it looks whether a day has begun or something is owed, which reads a few numbers. */
#define TEND_USEC     (10 * UINT64_C(1000000))
#define TEND_ACCURACY (5 * UINT64_C(1000000))

/* What may be asked for and not be done yet.  Oneway calls can be that many, and may not keep a turn from being
 * written: some places are for turns alone. */
#define MAX_JOBS  256
#define MAX_OTHER (MAX_JOBS - 16)

/* ... and so many bytes of turns, should the disk not answer. */
#define MAX_KEEPING_SIZE (4 << 20)

/* The store, and what its thread knows; all of it is that thread's. */
struct desk {
        struct store *store;    /* owned */
        struct errand *erasing; /* list of those that wait until nothing is owed */
        uint64_t day;           /* that was noted last */
        unsigned keep_days;     /* ... for which old turns were looked for */
        bool is_old_due;        /* old turns may be there: a day has begun, or it failed before */
        bool has_failed;        /* and that has been said */
        bool has_erase_failed;
        bool rests;          /* erasing has failed, and is to be tried again later */
        bool stays_old;      /* writing the file anew for its tables alone has failed, and waits for the next day */
        uint64_t old_ticket; /* of the forgetting of old turns; 0: none is being erased */
};

struct keeper {
        struct keeper_config config;
        sd_event_source *timer;      /* owned */
        struct worker *writer;       /* owned */
        struct worker *reading;      /* owned */
        struct store_reader *reader; /* owned; the other thread's */
        struct desk desk;            /* the writer's */
        struct job tend;
        bool is_tending;        /* it has been posted */
        bool has_forgotten_old; /* set by the writer in that job, read when it is done */
        unsigned n_keeping;     /* turns that are being written */
        size_t keeping_size;
        uint64_t keeping_since_ns; /* the first of them, or nothing was before */
        atomic_uint n_noting;      /* forgettings that have not been noted yet */
        atomic_uint keep_days;
        atomic_bool is_ending; /* nothing else is to be read */
        atomic_bool has_read;  /* nobody reads any more */

        pthread_mutex_t mutex;
        struct keeper_state state; /* under the mutex */
};

/* Something that was asked for, until it is told. */
struct errand {
        struct job job;
        int (*act)(struct keeper *k, struct errand *e); /* on the thread; what is told */
        struct keeper_waiter waiter;
        struct errand *next; /* of the list of those that wait */

        /* What it is about. */
        struct record *record; /* owned */
        size_t record_size;
        char *texts[2]; /* owned */
        size_t sizes[2];
        uint64_t number; /* a turn, or a time */
        struct store_span span;
        bool is_about_last;
        struct store_query query;
        struct store_visitor visitor;

        /* What became of it. */
        uint64_t ticket;
        uint64_t n;
        struct why why;
        int r;
};

static void errand_free(struct errand *e) {
        record_free(e->record, e->record_size);
        for (unsigned i = 0; i < 2; i++) {
                if (e->texts[i])
                        wipe(e->texts[i], e->sizes[i]);
                free(e->texts[i]);
        }
        free(e);
}

/* Of worker_post(). */
static int say_why_not(int r, struct why *why) {
        return because(why, r, "%s",
                       r == -ENOMEM      ? "out of memory"
                       : r == -ESHUTDOWN ? "gemmad is ending"
                                         : "too much is asked for at once");
}

/* ---- on the writer's thread ---- */

/* Whether anything of it is not as it was told last. */
static bool note_state(struct keeper *k) {
        const struct store *s = k->desk.store;
        struct keeper_state now = {
                .session = store_session(s),
                .n_waiting = store_n_waiting(s),
                .owes = store_owes(s),
        };
        bool is_other;

        if (now.n_waiting > 0)
                (void) because(&now.waiting_for, 0, "%s", store_waiting_for(s));
        (void) pthread_mutex_lock(&k->mutex);
        is_other = now.n_waiting != k->state.n_waiting || now.owes != k->state.owes;
        k->state = now;
        (void) pthread_mutex_unlock(&k->mutex);
        return is_other;
}

/* Before what is done is told: who hears of that finds it there. */
static void publish(struct keeper *k) {
        if (note_state(k))
                worker_ring(k->writer);
}

static bool run_errand(struct job *job, void *userdata) {
        struct errand *e = (struct errand *) job;
        struct keeper *k = userdata;

        e->r = e->act(k, e);
        publish(k);
        return true;
}

static int act_keep(struct keeper *k, struct errand *e) {
        e->n = e->record->id;
        return store_keep(k->desk.store, e->record, &e->why);
}

static int act_set_heard(struct keeper *k, struct errand *e) {
        return store_set_heard(k->desk.store, e->number, e->texts[0], e->sizes[0], &e->why);
}

static int act_set_answered(struct keeper *k, struct errand *e) {
        return store_set_answered(k->desk.store, e->number, e->texts[0], e->sizes[0], &e->why);
}

static int act_begin_session(struct keeper *k, struct errand *e) {
        return store_begin_session(k->desk.store, e->number, e->texts[0], e->texts[1], &e->why);
}

static int act_forget(struct keeper *k, struct errand *e) {
        struct store *s = k->desk.store;
        int r;

        r = e->is_about_last ? store_forget_last(s, &e->ticket, &e->why)
                             : store_forget(s, &e->span, &e->ticket, &e->why);
        if (r < 0)
                log_warning("What was to be forgotten is still in the history: %s", e->why.text);
        return r;
}

/* Waits until nothing is owed. */
static bool run_forget(struct job *job, void *userdata) {
        struct errand *e = (struct errand *) job;
        struct keeper *k = userdata;
        bool is_done = run_errand(job, userdata);

        (void) atomic_fetch_sub(&k->n_noting, 1);
        if (e->r < 0 || e->ticket == 0)
                return is_done;
        e->next = k->desk.erasing;
        k->desk.erasing = e;
        k->desk.rests = false;
        return false;
}

static void tell_erased(struct keeper *k, int r, const struct why *why) {
        struct errand *list = TAKE_PTR(k->desk.erasing);

        publish(k);
        while (list) {
                struct errand *e = list;

                list = e->next;
                e->r = r;
                e->why = *why;
                e->n = r < 0 ? 0 : store_n_forgotten(k->desk.store, e->ticket);
                worker_done(k->writer, &e->job);
        }
}

static void erase_failed(struct keeper *k, int r, const struct why *why) {
        if (!k->desk.has_erase_failed)
                log_warning("What was forgotten may still be on the disk (%s), trying again",
                            why->text);
        k->desk.has_erase_failed = true;
        k->desk.rests = true;
        tell_erased(k, r, why);
}

static bool is_due(const struct desk *d) {
        return !d->rests && (d->erasing || store_owes(d->store) || (store_is_due(d->store) && !d->stays_old));
}

/* It is searched more slowly, and that is all. */
static void renewing_failed(struct desk *d, const struct why *why) {
        log_info("The history can not be written anew for its index (%s), trying again tomorrow", why->text);
        d->stays_old = true;
}

/* The next slice, when there is nothing else to do. */
static int on_idle(void *userdata) {
        struct keeper *k = userdata;
        struct desk *d = &k->desk;
        struct why why = {};
        int r;

        if (!is_due(d))
                return 0;
        r = store_erase(d->store, &why);
        if (r > 0)
                return 1;
        if (r < 0 && store_owes(d->store)) {
                erase_failed(k, r, &why);
                return 0;
        }
        if (r < 0 && store_is_due(d->store))
                renewing_failed(d, &why);
        if (r == 0 && d->has_erase_failed)
                log_notice("What was left of a forgetting is gone now");
        if (r == 0 && d->old_ticket != 0)
                log_info("Forgot %llu old turns",
                         (unsigned long long) store_n_forgotten(d->store, d->old_ticket));
        d->old_ticket = 0;
        d->has_erase_failed = false;
        tell_erased(k, r, &why);
        return 0;
}

static void note_day(struct desk *d) {
        uint64_t day = (uint64_t) time(NULL) / DAY_SECONDS;
        struct why why = {};

        if (day == d->day)
                return;
        if (store_note_day(d->store, day, &why) < 0) {
                log_debug("The day can not be noted: %s", why.text);
                return;
        }
        d->day = day;
        d->is_old_due = true;
        d->stays_old = false;
}

static void forget_old(struct keeper *k) {
        struct desk *d = &k->desk;
        unsigned keep_days = atomic_load(&k->keep_days);
        struct why why = {};
        uint64_t ticket = 0;
        int r;

        d->is_old_due = d->is_old_due || keep_days != d->keep_days;
        d->keep_days = keep_days;
        if (!d->is_old_due || keep_days == 0)
                return;
        r = store_forget_old(d->store, keep_days, &ticket, &why);
        d->is_old_due = r < 0;
        if (r < 0 && !d->has_failed)
                log_warning("Old turns can not be forgotten (%s), trying again", why.text);
        d->has_failed = r < 0;
        k->has_forgotten_old = ticket != 0;
        if (ticket != 0)
                d->old_ticket = ticket;
}

static void write_waiting(struct desk *d) {
        unsigned n = store_n_waiting(d->store);
        struct why why = {};

        if (n > 0 && store_write_waiting(d->store, &why) >= 0)
                log_notice("%u turns that waited are in the history now", n);
}

static bool run_tend(struct job *job, void *userdata) {
        struct keeper *k = userdata;

        (void) job;
        note_day(&k->desk);
        forget_old(k);
        write_waiting(&k->desk);
        k->desk.rests = false;
        publish(k);
        return true;
}

static void on_ending(void *userdata) {
        struct keeper *k = userdata;
        struct why why = {};

        (void) because(&why, -ECANCELED, "gemmad is ending");
        tell_erased(k, -ECANCELED, &why);
        if (atomic_load(&k->has_read))
                k->reader = store_reader_free(k->reader);
        k->desk.store = store_close(k->desk.store);
}

/* ---- on the reader's ---- */

static bool run_reading(struct job *job, void *userdata) {
        struct errand *e = (struct errand *) job;
        struct keeper *k = userdata;

        e->r = atomic_load(&k->is_ending) ? say_why_not(-ESHUTDOWN, &e->why)
                                          : store_read(k->reader, &e->query, &e->visitor, &e->why);
        return true;
}

/* ---- on the main thread ---- */

static void on_told(void *userdata) {
        struct keeper *k = userdata;

        if (k->config.changed)
                k->config.changed(k->config.userdata);
}

static void forgotten(struct keeper *k) {
        if (k->config.forgotten)
                k->config.forgotten(k->config.userdata);
}

static void tell(struct errand *e) {
        if (e->waiter.done)
                e->waiter.done(e->r, e->n, &e->why, e->waiter.userdata);
        errand_free(e);
}

static void on_done(struct job *job, void *userdata) {
        (void) userdata;
        tell((struct errand *) job);
}

static void on_kept(struct job *job, void *userdata) {
        struct errand *e = (struct errand *) job;
        struct keeper *k = userdata;

        k->n_keeping--;
        k->keeping_size -= e->record_size;
        k->keeping_since_ns = clock_now_ns();
        tell(e);
}

static void on_tended(struct job *job, void *userdata) {
        struct keeper *k = userdata;

        (void) job;
        k->is_tending = false;
        if (k->has_forgotten_old)
                forgotten(k);
        k->has_forgotten_old = false;
}

static void tend(struct keeper *k) {
        if (k->is_tending)
                return;
        k->tend = (struct job){ run_tend, on_tended };
        k->is_tending = worker_post(k->writer, &k->tend) >= 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) usec;
        tend(userdata);
        (void) sd_event_source_set_time_relative(source, TEND_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static struct errand *errand_new(int (*act)(struct keeper *k, struct errand *e),
                                 const struct keeper_waiter *waiter) {
        struct errand *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        e->job = (struct job){ run_errand, on_done };
        e->act = act;
        if (waiter)
                e->waiter = *waiter;
        return e;
}

static bool set_text(struct errand *e, unsigned i, const char *text, size_t size) {
        e->texts[i] = malloc(size + 1);
        if (!e->texts[i])
                return false;
        memcpy(e->texts[i], text, size);
        e->texts[i][size] = '\0';
        e->sizes[i] = size;
        return true;
}

/* e may be NULL, or not complete: there was no memory. */
static int post(struct worker *w, struct errand *e, bool is_complete, struct why *why) {
        int r = e && is_complete ? 0 : -ENOMEM;

        if (r >= 0 && e->act != act_keep && worker_n_jobs(w) >= MAX_OTHER)
                r = -ENOBUFS;
        if (r >= 0)
                r = worker_post(w, &e->job);
        if (r >= 0)
                return 0;
        if (e)
                errand_free(e);
        return say_why_not(r, why);
}

int keeper_keep(struct keeper *k,
                const struct record *turn,
                const struct keeper_waiter *waiter,
                struct why *why) {
        struct errand *e = errand_new(act_keep, waiter);
        size_t size;
        int r;

        if (e)
                e->record = record_copy(turn, &e->record_size);
        if (e && k->n_keeping > 0 && k->keeping_size + e->record_size > MAX_KEEPING_SIZE) {
                errand_free(e);
                return say_why_not(-ENOBUFS, why);
        }
        size = e ? e->record_size : 0;
        if (e)
                e->job.done = on_kept;
        r = post(k->writer, e, e && e->record, why);
        if (r < 0)
                return r;
        if (k->n_keeping++ == 0)
                k->keeping_since_ns = clock_now_ns();
        k->keeping_size += size;
        return 0;
}

static int post_text(struct keeper *k,
                     struct errand *e,
                     uint64_t id,
                     const char *text,
                     size_t size,
                     struct why *why) {
        if (e)
                e->number = id;
        return post(k->writer, e, e && set_text(e, 0, text, size), why);
}

int keeper_set_heard(struct keeper *k,
                     uint64_t id,
                     const char *text,
                     size_t size,
                     const struct keeper_waiter *waiter,
                     struct why *why) {
        return post_text(k, errand_new(act_set_heard, waiter), id, text, size, why);
}

int keeper_set_answered(struct keeper *k,
                        uint64_t id,
                        const char *text,
                        size_t size,
                        const struct keeper_waiter *waiter,
                        struct why *why) {
        return post_text(k, errand_new(act_set_answered, waiter), id, text, size, why);
}

int keeper_begin_session(struct keeper *k,
                         uint64_t began_us,
                         const char *version,
                         const char *model,
                         const struct keeper_waiter *waiter,
                         struct why *why) {
        struct errand *e = errand_new(act_begin_session, waiter);

        if (e)
                e->number = began_us;
        return post(k->writer, e,
                    e && set_text(e, 0, version, strlen(version)) &&
                            set_text(e, 1, model, strlen(model)),
                    why);
}

int keeper_forget(struct keeper *k,
                  const struct store_span *span,
                  const struct keeper_waiter *waiter,
                  struct why *why) {
        struct errand *e = errand_new(act_forget, waiter);
        int r;

        if (e) {
                e->job.run = run_forget;
                e->is_about_last = !span;
                e->span = span ? *span : STORE_SPAN_ALL;
        }
        (void) atomic_fetch_add(&k->n_noting, 1);
        r = post(k->writer, e, e, why);
        if (r < 0)
                (void) atomic_fetch_sub(&k->n_noting, 1);
        else
                forgotten(k);
        return r;
}

static bool run_nothing(struct job *job, void *userdata) {
        (void) job, (void) userdata;
        return true;
}

static void read_now(struct job *job, void *userdata) {
        struct errand *e = (struct errand *) job;
        struct keeper *k = userdata;
        int r;

        e->job = (struct job){ run_reading, on_done };
        r = k->reading ? worker_post(k->reading, &e->job) : -ESHUTDOWN;
        if (r >= 0)
                return;
        e->r = say_why_not(r, &e->why);
        tell(e);
}

int keeper_read(struct keeper *k,
                const struct store_query *query,
                const struct store_visitor *visitor,
                const struct keeper_waiter *waiter,
                struct why *why) {
        struct errand *e = errand_new(NULL, waiter);
        bool is_noting = atomic_load(&k->n_noting) > 0;
        bool is_complete = e;

        /* What was to be forgotten before is not shown. */
        if (e) {
                e->job = is_noting ? (struct job){ run_nothing, read_now } : (struct job){ run_reading, on_done };
                e->query = *query;
                e->visitor = *visitor;
        }
        if (e && query->words) {
                is_complete = set_text(e, 0, query->words, strlen(query->words));
                e->query.words = e->texts[0];
        }
        return post(is_noting ? k->writer : k->reading, e, is_complete, why);
}

struct keeper_state keeper_state(struct keeper *k) {
        struct keeper_state state;

        (void) pthread_mutex_lock(&k->mutex);
        state = k->state;
        (void) pthread_mutex_unlock(&k->mutex);
        if (k->n_keeping == 0 || clock_now_ns() - k->keeping_since_ns < KEEPER_PATIENCE_NS)
                return state;
        state.n_waiting += k->n_keeping;
        (void) because(&state.waiting_for, 0, "the disk does not answer");
        return state;
}

void keeper_set_keep_days(struct keeper *k, unsigned keep_days) {
        atomic_store(&k->keep_days, keep_days);
        tend(k);
}

static int start_threads(struct keeper *k) {
        const struct worker_config reading = {
                .loop = k->config.loop,
                .name = "gemmad-read",
                .max_jobs = MAX_JOBS,
                .userdata = k,
        };
        const struct worker_config writer = {
                .loop = k->config.loop,
                .name = "gemmad-history",
                .max_jobs = MAX_JOBS,
                .idle = on_idle,
                .ending = on_ending,
                .told = on_told,
                .userdata = k,
        };
        int r;

        r = worker_new(&k->reading, &reading);
        return r >= 0 ? worker_new(&k->writer, &writer) : r;
}

static int start(struct keeper *k, struct why *why) {
        int r;

        r = store_reader_new(&k->reader, k->desk.store, why);
        if (r < 0)
                return r;
        (void) note_state(k);
        r = sd_event_add_time_relative(k->config.loop, &k->timer, CLOCK_BOOTTIME, TEND_USEC,
                                       TEND_ACCURACY, on_timer, k);
        if (r >= 0)
                r = start_threads(k);
        return r < 0 ? because(why, r, "a thread for it: %s", strerror(-r)) : 0;
}

static void keeper_free(struct keeper *k) {
        sd_event_source_disable_unref(k->timer);
        store_reader_free(k->reader);
        (void) pthread_mutex_destroy(&k->mutex);
        free(k);
}

int keeper_new(struct keeper **ret, const struct keeper_config *config, struct why *why) {
        struct keeper *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return because(why, -ENOMEM, "out of memory");
        k->config = *config;
        k->desk.store = config->store;
        k->desk.keep_days = config->keep_days;
        atomic_store(&k->keep_days, config->keep_days);
        (void) pthread_mutex_init(&k->mutex, NULL);
        r = start(k, why);
        if (r < 0) {
                /* It has nothing to do yet. */
                (void) worker_stop(k->reading, UINT64_MAX);
                keeper_free(k);
                return r;
        }
        tend(k);
        *ret = k;
        return 0;
}

static void say_what_is_lost(struct keeper *k) {
        unsigned n;

        (void) pthread_mutex_lock(&k->mutex);
        n = k->state.n_waiting + k->n_keeping;
        (void) pthread_mutex_unlock(&k->mutex);
        if (n > 0)
                log_warning("The disk of the history does not answer: %u turns may be lost to it", n);
}

bool keeper_stop(struct keeper *k, uint64_t until_ns) {
        uint64_t now_ns = clock_now_ns();
        bool has_read;

        if (!k)
                return true;
        k->timer = sd_event_source_disable_unref(k->timer);
        atomic_store(&k->is_ending, true);
        /* However long it takes, there is time left for what is to be written. */
        has_read = worker_stop(k->reading, until_ns > now_ns ? now_ns + (until_ns - now_ns) / 2 : until_ns);
        if (has_read)
                k->reading = NULL;
        atomic_store(&k->has_read, has_read);
        if (!worker_stop(k->writer, until_ns)) {
                say_what_is_lost(k);
                return false;
        }
        k->writer = NULL;
        if (!has_read)
                return false;
        keeper_free(k);
        return true;
}
