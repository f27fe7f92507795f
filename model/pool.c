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
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* How many items the job has and which is next, in one word: a worker takes an item by one
 * compare-and-swap, and only then looks at the job, which can not end before that item is done. */
#define TICKET(n, next) (((uint64_t) (n) << 32) | (uint64_t) (next))
#define TICKET_N(t)     ((uint32_t) ((t) >> 32))
#define TICKET_NEXT(t)  ((uint32_t) (t))

/* Turns of a pause loop before a worker sleeps: some tens of microseconds, longer than the steps
 * between two jobs of one layer, shorter than anyone would notice. */
#define SPIN_TURNS 4000

struct worker {
        struct pool *pool;
        pthread_t thread;
        unsigned index;
};

struct pool {
        struct worker *workers; /* owned, n_threads - 1 */
        unsigned n_workers;     /* started */
        pool_item_fn *fn;       /* of the job at hand; stable while one of its items is held */
        void *userdata;
        char pad0[64];
        _Atomic uint64_t ticket;
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

/* Takes and runs items until none is left.  Returns whether there was any. */
static bool run_items(struct pool *p, unsigned worker) {
        uint64_t ticket = atomic_load(&p->ticket);
        bool any = false;

        while (TICKET_NEXT(ticket) < TICKET_N(ticket)) {
                if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket + 1))
                        continue;

                /* The item is ours and unfinished, so the job can not change under us. */
                p->fn(p->userdata, TICKET_NEXT(ticket), worker);
                atomic_fetch_add_explicit(&p->n_done, 1, memory_order_release);
                any = true;
                ticket = atomic_load(&p->ticket);
        }
        return any;
}

static void *work(void *userdata) {
        struct worker *w = userdata;
        struct pool *p = w->pool;
        unsigned idle = 0;

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
        char name[16];
        int r;

        p->workers[i] = (struct worker){ .pool = p, .index = i + 1 };
        r = pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]);
        if (r != 0)
                return -r;

        p->n_workers++;
        (void) snprintf(name, sizeof(name), "gemmad-pool-%u", (i + 1) % 1000);
        (void) pthread_setname_np(p->workers[i].thread, name);
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
        if (!p->workers)
                return -ENOMEM;

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
        atomic_store(&p->ticket, TICKET(n_items, 0));
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

/* Number of distinct cores among the processors that we may use; hyper-threads of one core share
 * its arithmetic, so a second one does not help. */
unsigned pool_default_threads(void) {
        cpu_set_t set;
        unsigned n = 0;

        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return 1;

        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                char path[96];
                unsigned first = cpu;
                FILE *f;

                if (!CPU_ISSET(cpu, &set))
                        continue;
                (void) snprintf(path, sizeof(path),
                                "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
                f = fopen(path, "re");
                if (f) {
                        if (fscanf(f, "%u", &first) != 1)
                                first = cpu;
                        (void) fclose(f);
                }
                if (first == cpu || first >= CPU_SETSIZE || !CPU_ISSET(first, &set))
                        n++;
        }
        return n ? n : 1;
}
