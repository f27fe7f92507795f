/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_POOL_H
#define MODEL_POOL_H

#include "base/why.h"

/* A fixed set of worker threads that share out numbered items of one job at a time.  Every thread,
 * the caller included, takes items one by one from a stretch of its own, and then from what others
 * have not come to.  Nobody waits for a worker that has taken none: one that is slow or lost its
 * processor delays a job by the item it holds at most.  Workers spin a short while between jobs and
 * then sleep in the kernel: an idle pool costs nothing.
 *
 * Which thread runs an item is left to chance, so an item must compute the same whoever runs
 * it. */
struct pool;

/* What runs an item.  worker is below pool_n_threads(): the index of private working memory. */
typedef void pool_item_fn(void *userdata, unsigned item, unsigned worker);

/* n_threads counts the caller: 1 makes no thread at all.  0 or -errno. */
int pool_new(struct pool **ret, unsigned n_threads);
struct pool *pool_free(struct pool *p);

unsigned pool_n_threads(const struct pool *p);

/* Runs fn for items 0 .. n_items - 1 and returns when all are done.  One caller at a
 * time; not from inside an item. */
void pool_run(struct pool *p, unsigned n_items, pool_item_fn *fn, void *userdata);

/* Physical cores that this process may run on, on a hybrid machine those of the fast kind; at least
 * 1. */
unsigned pool_default_threads(void);

/* Keeps the workers off cores that are much slower than others.  Best effort: without it, they get
 * less to do. */
void pool_keep_to_fast(struct pool *p);

#endif
