/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/limits.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/pool.h"

#define READ_SIZE     ((size_t) 512 << 20) /* far beyond every cache */
#define READ_ITEMS    64
#define SOME_STREAMS  4
#define MOST_STREAMS  16
#define AHEAD         2048
#define N_REPEATS     5
#define TURNS         2000000u
#define ALWAYS_INLINE inline __attribute__((always_inline))

DEFINE_CLEANUP(struct pool *, pool_free)

struct reading {
        const unsigned char *memory;
        unsigned n_streams;
        atomic_uint_fast64_t sum; /* keeps the compiler from leaving the reads out */
};

/* A line of the cache as the compiler's own vectors. */
typedef uint64_t line __attribute__((vector_size(64), aligned(64)));

/* One stretch of an item's memory, or several at once: machines differ in what their own prefetching
 * follows best. */
static ALWAYS_INLINE void read_streams(struct reading *job, unsigned item, const unsigned n) {
        size_t size = READ_SIZE / READ_ITEMS / n;
        const unsigned char *at = job->memory + item * (READ_SIZE / READ_ITEMS);
        line sums[MOST_STREAMS] = { 0 };
        uint64_t total = 0;

        for (size_t i = 0; i < size; i += sizeof(line))
                for (unsigned s = 0; s < n; s++) {
                        const unsigned char *p = at + s * size + i;

                        __builtin_prefetch(p + AHEAD, 0, 3);
                        sums[s] += *(const line *) (const void *) p;
                }
        for (unsigned s = 0; s < n; s++)
                for (unsigned j = 0; j < 8; j++)
                        total += sums[s][j];
        atomic_fetch_add(&job->sum, total);
}

static void read_item(void *userdata, unsigned item, unsigned worker) {
        struct reading *job = userdata;

        (void) worker;
        if (job->n_streams == 1)
                read_streams(job, item, 1);
        else if (job->n_streams == SOME_STREAMS)
                read_streams(job, item, SOME_STREAMS);
        else
                read_streams(job, item, MOST_STREAMS);
}

static double measure_reading(struct pool *pool, const unsigned char *memory) {
        static const unsigned n_streams[] = { 1, SOME_STREAMS, MOST_STREAMS };
        double best = 0;

        for (unsigned i = 0; i < 3 * N_REPEATS; i++) {
                struct reading job = { .memory = memory, .n_streams = n_streams[i % 3] };
                uint64_t began = clock_now_ns();
                double rate;

                pool_run(pool, READ_ITEMS, read_item, &job);
                rate = (double) READ_SIZE / clock_ms(clock_now_ns() - began) * 1000;
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
        _cleanup_(freep) unsigned char *memory = aligned_alloc(4096, READ_SIZE + AHEAD * 2);
        int r;

        if (!memory)
                return -ENOMEM;
        memset(memory, 1, READ_SIZE + AHEAD * 2);

        r = pool_new(&pool, n_threads);
        if (r < 0)
                return r;

        *ret = (struct limits){ measure_reading(pool, memory), measure_products(pool, kernels) };
        return 0;
}
