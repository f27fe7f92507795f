/* SPDX-License-Identifier: Apache-2.0 */
#include "model/attention.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A row of scores begins at a position that is a multiple of this, and ends there, with nothing
 * visible in the margins: so the lanes of the softmax's sum are those of the position, whatever
 * else is in the pass, and input may be cut anywhere without a bit of difference. */
#define SCORE_ALIGN 16

int attention_init(struct attention *a,
                   const struct kernels *kernels,
                   struct pool *pool,
                   const struct params *params,
                   const struct kvcache *cache) {
        size_t rows = (size_t) KERNELS_MAX_QUERIES * params_max_head_size(params);
        size_t stride = (size_t) cache->max_positions + 2 * SCORE_ALIGN;
        size_t size = (2 * rows + KERNELS_MAX_QUERIES * stride) * sizeof(float);

        size = (size + 63) / 64 * 64;
        *a = (struct attention){
                .kernels = kernels,
                .pool = pool,
                .params = params,
                .cache = cache,
                .memory = calloc(pool_n_threads(pool), size),
                .memory_size = size,
                .score_stride = stride,
        };
        return a->memory ? 0 : -ENOMEM;
}

void attention_done(struct attention *a) {
        free(a->memory);
        a->memory = NULL;
}

struct job {
        struct attention *a;
        const struct layer_cache *l;
        const float *q;
        float *out;
        unsigned first, n;
        unsigned group;     /* query heads that share a key-value head */
        unsigned n_tiles;   /* of queries, per key-value head */
        unsigned window;    /* UINT_MAX on global layers */
        unsigned block_end; /* behind what all rows see, ahead or not; 0 on global layers */
};

/* One tile: rows (position, head in group), numbered together, that read one key-value head. */
struct tile {
        unsigned kv_head;
        unsigned first_row, n_rows;
        unsigned oldest, newest; /* positions that any of its rows sees */
        unsigned base, end;      /* the same, aligned: what a row of scores holds */
};

/* Calls the kernels on the two pieces that a run of positions may have in a ring. */
static void score_tile(const struct job *job, const struct tile *t, const float *q, float *scores) {
        const struct kernels *k = job->a->kernels;
        const struct layer_cache *l = job->l;
        unsigned size = l->head_size;

        for (unsigned p = t->oldest, n; p <= t->newest; p += n) {
                unsigned to_wrap = l->capacity - p % l->capacity;
                size_t at = layer_cache_at(l, t->kv_head, p);
                float *out = scores + (p - t->base);

                n = t->newest - p + 1 < to_wrap ? t->newest - p + 1 : to_wrap;
                if (job->a->cache->is_f32)
                        k->score_f32(q, t->n_rows, (const float *) l->keys + at, n, size, out,
                                     job->a->score_stride);
                else
                        k->score(q, t->n_rows, (const uint16_t *) l->keys + at, n, size, out,
                                 job->a->score_stride);
        }
}

static void
mix_tile(const struct job *job, const struct tile *t, const float *weights, float *out) {
        const struct kernels *k = job->a->kernels;
        const struct layer_cache *l = job->l;
        unsigned size = l->head_size;

        for (unsigned p = t->oldest, n; p <= t->newest; p += n) {
                unsigned to_wrap = l->capacity - p % l->capacity;
                size_t at = layer_cache_at(l, t->kv_head, p);
                const float *w = weights + (p - t->base);

                n = t->newest - p + 1 < to_wrap ? t->newest - p + 1 : to_wrap;
                if (job->a->cache->is_f32)
                        k->mix_f32(w, job->a->score_stride, t->n_rows,
                                   (const float *) l->values + at, n, size, out);
                else
                        k->mix(w, job->a->score_stride, t->n_rows,
                               (const uint16_t *) l->values + at, n, size, out);
        }
}

static unsigned oldest_visible(const struct job *job, unsigned position) {
        return position >= job->window ? position - job->window + 1 : 0;
}

static unsigned newest_visible(const struct job *job, unsigned position) {
        return position < job->block_end ? job->block_end - 1 : position;
}

/* What a row may not see gets no weight; then each row's weights sum to one. */
static void mask_and_normalise(const struct job *job, const struct tile *t, float *scores) {
        for (unsigned i = 0; i < t->n_rows; i++) {
                float *row = scores + i * job->a->score_stride;
                unsigned position = job->first + (t->first_row + i) / job->group;
                unsigned oldest = oldest_visible(job, position);

                for (unsigned p = t->base; p < oldest; p++)
                        row[p - t->base] = -INFINITY;
                for (unsigned p = newest_visible(job, position) + 1; p < t->end; p++)
                        row[p - t->base] = -INFINITY;
                job->a->kernels->softmax(row, t->end - t->base);
        }
}

/* Row r of a key-value head: position r / group, query head kv_head * group + r % group. */
static size_t row_at(const struct job *job, unsigned kv_head, unsigned row) {
        size_t position = row / job->group, head = kv_head * job->group + row % job->group;

        return (position * job->a->params->n_heads + head) * job->l->head_size;
}

static void run_tile(void *userdata, unsigned item, unsigned worker) {
        const struct job *job = userdata;
        unsigned size = job->l->head_size, n_rows = job->n * job->group;
        float *q = (float *) (void *) (job->a->memory + worker * job->a->memory_size);
        float *out = q + KERNELS_MAX_QUERIES * size, *scores = out + KERNELS_MAX_QUERIES * size;
        struct tile t = {
                .kv_head = item / job->n_tiles,
                .first_row = item % job->n_tiles * KERNELS_MAX_QUERIES,
        };

        t.n_rows = n_rows - t.first_row < KERNELS_MAX_QUERIES ? n_rows - t.first_row
                                                              : KERNELS_MAX_QUERIES;
        t.oldest = oldest_visible(job, job->first + t.first_row / job->group);
        t.newest = newest_visible(job, job->first + (t.first_row + t.n_rows - 1) / job->group);
        t.base = t.oldest / SCORE_ALIGN * SCORE_ALIGN;
        t.end = (t.newest / SCORE_ALIGN + 1) * SCORE_ALIGN;

        for (unsigned i = 0; i < t.n_rows; i++)
                memcpy(q + i * size, job->q + row_at(job, t.kv_head, t.first_row + i),
                       size * sizeof(float));
        memset(out, 0, t.n_rows * size * sizeof(float));

        score_tile(job, &t, q, scores);
        mask_and_normalise(job, &t, scores);
        mix_tile(job, &t, scores, out);

        for (unsigned i = 0; i < t.n_rows; i++)
                memcpy(job->out + row_at(job, t.kv_head, t.first_row + i), out + i * size,
                       size * sizeof(float));
}

void attention_run(struct attention *a,
                   unsigned layer,
                   const float *q,
                   unsigned first,
                   unsigned n,
                   unsigned block_end,
                   float *out) {
        const struct layer_params *lp = &a->params->layers[layer];
        struct job job = {
                .a = a,
                .l = &a->cache->layers[layer],
                .q = q,
                .out = out,
                .first = first,
                .n = n,
                .group = a->params->n_heads / lp->n_kv_heads,
                .window = lp->is_sliding ? a->params->window : UINT32_MAX,
                .block_end = lp->is_sliding ? block_end : 0,
        };

        job.n_tiles = (n * job.group + KERNELS_MAX_QUERIES - 1) / KERNELS_MAX_QUERIES;
        pool_run(a->pool, lp->n_kv_heads * job.n_tiles, run_tile, &job);
}
