/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/tap.h"

enum { MOST = 1000 };

static atomic_uint runs[MOST];
static atomic_uint by_worker[8];

static void count(void *userdata, unsigned item, unsigned worker) {
        atomic_fetch_add((atomic_uint *) userdata + item, 1);
        atomic_fetch_add(&by_worker[worker], 1);
}

static void every_item_once(void) {
        static const unsigned sizes[] = { 0, 1, 2, 3, 7, 64, MOST };

        for (unsigned n_threads = 1; n_threads <= 8; n_threads++) {
                struct pool *p;

                expect(pool_new(&p, n_threads) == 0);
                expect(pool_n_threads(p) == n_threads);
                for (unsigned round = 0; round < 200; round++) {
                        unsigned n = sizes[round % 7];

                        memset(runs, 0, sizeof(runs));
                        pool_run(p, n, count, runs);
                        for (unsigned i = 0; i < MOST; i++)
                                expect(runs[i] == (i < n));
                }
                pool_free(p);
        }
}

/* Workers that fell asleep between jobs come back for the next one. */
static void asleep(void) {
        const struct timespec nap = { .tv_nsec = 3000000 };
        struct pool *p;

        expect(pool_new(&p, 3) == 0);
        for (unsigned round = 0; round < 20; round++) {
                (void) nanosleep(&nap, NULL);
                memset(runs, 0, sizeof(runs));
                pool_run(p, 100, count, runs);
                for (unsigned i = 0; i < 100; i++)
                        expect(runs[i] == 1);
        }
        pool_free(p);
}

static atomic_bool released;

static void item_that_waits(void *userdata, unsigned item, unsigned worker) {
        (void) userdata;
        (void) worker;
        /* Item 0 goes on only when item 1 has run: true only if two threads work at once. */
        if (item == 0)
                while (!atomic_load(&released))
                        ;
        else
                atomic_store(&released, true);
}

static void really_parallel(void) {
        struct pool *p;

        expect(pool_new(&p, 2) == 0);
        for (unsigned round = 0; round < 20; round++) {
                atomic_store(&released, false);
                pool_run(p, 2, item_that_waits, NULL);
                expect(atomic_load(&released));
        }
        pool_free(p);
}

static void defaults(void) {
        struct pool *p;

        expect(pool_default_threads() >= 1);
        expect(pool_new(&p, 0) == 0);
        expect(pool_n_threads(p) == 1);
        pool_free(p);
        expect(pool_free(NULL) == NULL);
}

int main(void) {
        rule("every item of every job runs once", every_item_once);
        rule("sleeping workers wake up for a job", asleep);
        rule("items run at the same time", really_parallel);
        rule("there is always one thread", defaults);
        return tap_done();
}
