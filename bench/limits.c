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

#define READ_SIZE   ((size_t) 512 << 20) /* far beyond every cache */
#define READ_ITEMS  256
#define N_STREAMS   4
#define N_REPEATS   5
#define TURNS       2000000u
#define PAGE_STRIDE 4096

DEFINE_CLEANUP(struct pool *, pool_free)

struct reading {
        const unsigned char *memory;
        atomic_uint_fast64_t sum; /* keeps the compiler from leaving the reads out */
};

/* Four streams at once: what the processor's own prefetching follows best. */
static void read_item(void *userdata, unsigned item, unsigned worker) {
        struct reading *job = userdata;
        size_t size = READ_SIZE / READ_ITEMS / N_STREAMS;
        const unsigned char *at = job->memory + item * (READ_SIZE / READ_ITEMS);
        uint64_t sums[N_STREAMS][4] = { 0 };

        (void) worker;
        for (size_t i = 0; i < size; i += 64)
                for (unsigned s = 0; s < N_STREAMS; s++) {
                        uint64_t line[8];

                        __builtin_prefetch(at + s * size + i + 1024, 0, 3);
                        memcpy(line, at + s * size + i, sizeof(line));
                        for (unsigned j = 0; j < 8; j++)
                                sums[s][j % 4] += line[j];
                }
        for (unsigned s = 0; s < N_STREAMS; s++)
                for (unsigned j = 0; j < 4; j++)
                        atomic_fetch_add(&job->sum, sums[s][j]);
}

struct multiplying {
        double products[256]; /* by item */
};

static void multiply_item(void *userdata, unsigned item, unsigned worker) {
        struct multiplying *job = userdata;

        (void) worker;
        job->products[item] = limits_run_products(TURNS);
}

static double measure_products(struct pool *pool) {
        double best = 0;
        /* As many items as threads: a thread that is late finds none left, and another does two. */
        unsigned n = pool_n_threads(pool) < 256 ? pool_n_threads(pool) : 256;

        for (unsigned i = 0; i < N_REPEATS; i++) {
                struct multiplying job = { 0 };
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

int limits_measure(struct limits *ret, unsigned n_threads) {
        _cleanup_(pool_freep) struct pool *pool = NULL;
        _cleanup_(freep) unsigned char *memory = malloc(READ_SIZE + PAGE_STRIDE);
        struct reading job = { .memory = memory };
        double best = 0;
        int r;

        if (!memory)
                return -ENOMEM;
        memset(memory, 1, READ_SIZE + PAGE_STRIDE);

        r = pool_new(&pool, n_threads);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < N_REPEATS; i++) {
                uint64_t began = clock_now_ns();
                double rate;

                pool_run(pool, READ_ITEMS, read_item, &job);
                rate = (double) READ_SIZE / clock_ms(clock_now_ns() - began) * 1000;
                best = rate > best ? rate : best;
        }
        *ret = (struct limits){ best, measure_products(pool) };
        return 0;
}
