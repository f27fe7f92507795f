/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/processors.h"

/* The items that one thread has before it, first .. end - 1, in one word: it takes one from the front,
 * and others, when they have none left, one from the end, by one compare-and-swap.  Only then do they
 * look at the job, which can not end before that item is done.  So neighbouring items are done by the
 * same thread, as long as all are equally fast: what one asks memory for ahead the next finds. */
#define STRETCH(first, end) (((uint64_t) (end) << 32) | (uint64_t) (first))
#define STRETCH_END(s)      ((uint32_t) ((s) >> 32))
#define STRETCH_FIRST(s)    ((uint32_t) (s))

/* Turns of a pause loop before a worker sleeps: some tens of microseconds, longer than the steps
 * between two jobs of one layer, shorter than anyone would notice. */
#define SPIN_TURNS 4000

struct worker {
        struct pool *pool;
        pthread_t thread;
        unsigned index;
};

/* In a line of the cache of its own. */
struct stretch {
        _Atomic uint64_t items;
        char pad[64 - sizeof(uint64_t)];
};

struct pool {
        struct worker *workers; /* owned, n_threads - 1 */
        unsigned n_workers;     /* started */
        pool_item_fn *fn;       /* of the job at hand; stable while one of its items is held */
        void *userdata;
        struct stretch *stretches; /* owned, one for every thread */
        unsigned n_stretches;
        char pad1[64];
        atomic_uint n_done;
        char pad2[64];
        atomic_uint bell; /* futex: changes with every job */
        atomic_uint n_sleepers;
        atomic_bool stop;
};

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void futex_wait(atomic_uint *word, unsigned value) {
        (void) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word) {
        (void) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Takes an item of a stretch, its first or its last.  Returns whether there was any. */
static bool take_item(struct stretch *s, bool first, unsigned *ret) {
        uint64_t items = atomic_load(&s->items);

        while (STRETCH_FIRST(items) < STRETCH_END(items)) {
                uint32_t from = STRETCH_FIRST(items), end = STRETCH_END(items);
                uint64_t rest = first ? STRETCH(from + 1, end) : STRETCH(from, end - 1);

                if (!atomic_compare_exchange_weak(&s->items, &items, rest))
                        continue;
                *ret = first ? from : end - 1;
                return true;
        }
        return false;
}

/* Takes and runs items until none is left, its own first.  Returns whether there was any. */
static bool run_items(struct pool *p, unsigned worker) {
        unsigned n = p->n_stretches, item;
        bool any = false;

        for (unsigned i = 0; i < n; i++)
                while (take_item(&p->stretches[(worker + i) % n], i == 0, &item)) {
                        /* The item is ours and unfinished, so the job can not change under us. */
                        p->fn(p->userdata, item, worker);
                        atomic_fetch_add_explicit(&p->n_done, 1, memory_order_release);
                        any = true;
                }
        return any;
}

/* By itself: to name another thread a file of /proc is written, which a confined program may not. */
static void take_name(const struct worker *w) {
        char name[16];

        (void) snprintf(name, sizeof(name), "gemmad-pool-%u", w->index % 1000);
        (void) pthread_setname_np(pthread_self(), name);
}

static void *work(void *userdata) {
        struct worker *w = userdata;
        struct pool *p = w->pool;
        unsigned idle = 0;

        take_name(w);
        for (;;) {
                unsigned bell = atomic_load(&p->bell);

                /* Only after the bell: who rang it to stop us has set this before, so that nobody
                 * sleeps on a bell that will not change any more. */
                if (atomic_load(&p->stop))
                        return NULL;
                if (run_items(p, w->index)) {
                        idle = 0;
                        continue;
                }
                if (++idle < SPIN_TURNS) {
                        pause_briefly();
                        continue;
                }
                /* The bell was read before the last look for items: a job that came since has
                 * changed it, and the kernel compares. */
                atomic_fetch_add(&p->n_sleepers, 1);
                futex_wait(&p->bell, bell);
                atomic_fetch_sub(&p->n_sleepers, 1);
                idle = 0;
        }
}

static int start_worker(struct pool *p, unsigned i) {
        int r;

        p->workers[i] = (struct worker){ .pool = p, .index = i + 1 };
        r = pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]);
        if (r != 0)
                return -r;

        p->n_workers++;
        return 0;
}

DEFINE_CLEANUP(struct pool *, pool_free)

int pool_new(struct pool **ret, unsigned n_threads) {
        _cleanup_(pool_freep) struct pool *p = NULL;
        sigset_t all, before;
        int r = 0;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->workers = calloc(n_threads ? n_threads : 1, sizeof(*p->workers));
        p->n_stretches = n_threads ? n_threads : 1;
        p->stretches = aligned_alloc(64, p->n_stretches * sizeof(*p->stretches));
        if (!p->workers || !p->stretches)
                return -ENOMEM;
        memset(p->stretches, 0, p->n_stretches * sizeof(*p->stretches));

        /* Signals belong to the main thread. */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        for (unsigned i = 0; i + 1 < n_threads && r == 0; i++)
                r = start_worker(p, i);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

struct pool *pool_free(struct pool *p) {
        if (!p)
                return NULL;

        atomic_store(&p->stop, true);
        atomic_fetch_add(&p->bell, 1);
        futex_wake_all(&p->bell);
        for (unsigned i = 0; i < p->n_workers; i++)
                (void) pthread_join(p->workers[i].thread, NULL);
        free(p->workers);
        free(p->stretches);
        free(p);
        return NULL;
}

unsigned pool_n_threads(const struct pool *p) {
        return p->n_workers + 1;
}

void pool_run(struct pool *p, unsigned n_items, pool_item_fn *fn, void *userdata) {
        if (p->n_workers == 0 || n_items == 1) {
                for (unsigned i = 0; i < n_items; i++)
                        fn(userdata, i, 0);
                return;
        }

        p->fn = fn;
        p->userdata = userdata;
        atomic_store(&p->n_done, 0);
        for (uint64_t i = 0, n = p->n_stretches; i < n; i++)
                atomic_store(&p->stretches[i].items,
                             STRETCH(n_items * i / n, n_items * (i + 1) / n));
        atomic_fetch_add(&p->bell, 1);
        if (atomic_load(&p->n_sleepers) > 0)
                futex_wake_all(&p->bell);

        (void) run_items(p, 0);
        for (unsigned turns = 0; atomic_load_explicit(&p->n_done, memory_order_acquire) < n_items;
             turns++)
                if (turns < SPIN_TURNS)
                        pause_briefly();
                else
                        (void) sched_yield();
}

unsigned pool_default_threads(void) {
        cpu_set_t allowed, fast;
        unsigned n;

        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                return 1;
        n = processors_fast(&fast, &allowed, "/sys");
        return n ? n : 1;
}

void pool_keep_to_fast(struct pool *p) {
        cpu_set_t allowed, fast;

        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                return;
        (void) processors_fast(&fast, &allowed, "/sys");
        if (CPU_EQUAL(&fast, &allowed))
                return;
        for (unsigned i = 0; i < p->n_workers; i++)
                (void) pthread_setaffinity_np(p->workers[i].thread, sizeof(fast), &fast);
}
