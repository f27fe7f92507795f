/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/kernels.h"
#include "model/kvcache.h"
#include "model/params.h"
#include "model/pool.h"

/* Causal attention of n new positions over a layer's cache (which already holds them):
 *
 *     out_h = sum_p softmax_p(q_h . k_p) v_p        scores unscaled, query head h reads key-value
 *                                                   head h / (n_heads / n_kv_heads)
 *
 * over positions p <= t, and on sliding layers p > t - window; there the rows of a picture see all of
 * it, also what is ahead.  Queries that share a key-value head
 * are handled KERNELS_MAX_QUERIES at a time, so that a key is read once for all of them.
 *
 * Positions are taken in chunks of ATTENTION_CHUNK, which begin at multiples of it: each gives the
 * largest of its scores, the sum of its weights and its mixture of values, relative to that largest
 * one, and these are put together in the order of the chunks. Whether one thread does all chunks or
 * each does some, and how many rows a pass has, changes no bit. */
#define ATTENTION_CHUNK 256

struct share;

struct attention {
        const struct kernels *kernels;
        struct pool *pool;
        const struct params *params;
        const struct kvcache *cache;
        unsigned char *memory; /* owned: per thread, gathered queries, scores and outputs */
        size_t memory_size;    /* per thread */
        struct share *shares;  /* owned: what chunks say that are computed by themselves: */
        float *mixed;          /* owned: [tile][chunk][row], and of each row its values */
};

/* 0 or -ENOMEM. */
int attention_init(struct attention *a,
                   const struct kernels *kernels,
                   struct pool *pool,
                   const struct params *params,
                   const struct kvcache *cache);
void attention_done(struct attention *a);

/* q and out: [n][n_heads][head_size]; the first of the n positions is `first`. block_end: all n rows are of one picture,
 * which ends before this position and is in the cache as a whole; 0: of none. */
void attention_run(struct attention *a,
                   unsigned layer,
                   const float *q,
                   unsigned first,
                   unsigned n,
                   unsigned block_end,
                   float *out);

#endif
