/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/limits.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/pool.h"

#define READ_SIZE  ((size_t) 512 << 20) /* far beyond every cache */
#define READ_ITEMS 64
#define ITEM_SIZE  (READ_SIZE / READ_ITEMS)
#define LINE       64 /* of the cache: what memory gives at once */
#define STAGGER    65 /* lines: streams a power of two apart push each other out of it */
#define HUGE_PAGE  ((size_t) 2 << 20)
#define N_REPEATS  5
#define TURNS      2000000u

DEFINE_CLEANUP(struct pool *, pool_free)

/* How an item's memory is read: so many stretches of it at once, asked for so many bytes before they are wanted,
 * or left to the processor's own prefetching.  Machines differ in what they follow best. */
struct way {
        unsigned n_streams, ahead;
};

static const struct way ways[] = { { 1, 0 },    { 1, 4096 }, { 2, 0 },  { 4, 0 },
                                   { 4, 2048 }, { 8, 0 },    { 16, 0 }, { 16, 1024 } };

#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

struct reading {
        const unsigned char *memory;
        unsigned way;
        atomic_uint_fast64_t n_bytes;
        atomic_uint_fast64_t sum; /* keeps the compiler from leaving the reads out */
};

/* One word of each line: a whole one comes from memory for it, and what is done with it takes no time. */
static void read_item(void *userdata, unsigned item, unsigned worker) {
        struct reading *job = userdata;
        const struct way way = ways[job->way];
        size_t size = (ITEM_SIZE / way.n_streams / LINE - STAGGER) * LINE;
        const unsigned char *at = job->memory + item * ITEM_SIZE;
        uint64_t total = 0;

        (void) worker;
        for (size_t i = 0; i < size; i += LINE)
                for (unsigned s = 0; s < way.n_streams; s++) {
                        const unsigned char *p = at + s * (size + STAGGER * LINE) + i;

                        if (way.ahead > 0)
                                __builtin_prefetch(p + way.ahead, 0, 3);
                        total += *(const uint64_t *) (const void *) p;
                }
        atomic_fetch_add(&job->n_bytes, size * way.n_streams);
        atomic_fetch_add(&job->sum, total);
}

static double measure_reading(struct pool *pool, const unsigned char *memory) {
        double best = 0;

        for (unsigned i = 0; i < N_WAYS * N_REPEATS; i++) {
                struct reading job = { .memory = memory, .way = i % N_WAYS };
                uint64_t began = clock_now_ns();
                double rate;

                pool_run(pool, READ_ITEMS, read_item, &job);
                rate = (double) job.n_bytes / clock_ms(clock_now_ns() - began) * 1000;
                best = rate > best ? rate : best;
        }
        return best;
}

struct multiplying {
        const char *kernels;
        double products[256]; /* by item */
};

static void multiply_item(void *userdata, unsigned item, unsigned worker) {
        struct multiplying *job = userdata;

        (void) worker;
        job->products[item] = limits_run_products(job->kernels, TURNS);
}

static double measure_products(struct pool *pool, const char *kernels) {
        double best = 0;
        /* As many items as threads: a thread that is late finds none left, and another does two. */
        unsigned n = pool_n_threads(pool) < 256 ? pool_n_threads(pool) : 256;

        for (unsigned i = 0; i < N_REPEATS; i++) {
                struct multiplying job = { .kernels = kernels };
                uint64_t began = clock_now_ns();
                double seconds, products = 0;

                pool_run(pool, n, multiply_item, &job);
                seconds = clock_ms(clock_now_ns() - began) / 1000;
                for (unsigned j = 0; j < n; j++)
                        products += job.products[j];
                if (products / seconds > best)
                        best = products / seconds;
        }
        return best;
}

int limits_measure(struct limits *ret, const char *kernels, unsigned n_threads) {
        _cleanup_(pool_freep) struct pool *pool = NULL;
        _cleanup_(freep) unsigned char *memory = aligned_alloc(HUGE_PAGE, READ_SIZE + HUGE_PAGE);
        int r;

        if (!memory)
                return -ENOMEM;
        /* Or looking up its pages would be measured, too. */
        (void) madvise(memory, READ_SIZE + HUGE_PAGE, MADV_HUGEPAGE);
        memset(memory, 1, READ_SIZE + HUGE_PAGE);

        r = pool_new(&pool, n_threads);
        if (r < 0)
                return r;

        *ret = (struct limits){ measure_reading(pool, memory), measure_products(pool, kernels) };
        return 0;
}
