/* SPDX-License-Identifier: Apache-2.0 */
#include "model/attention.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A row of scores begins at a position that is a multiple of this, and ends there, with nothing
 * visible in the margins: so the lanes of a sum are those of the position, whatever else is in the
 * pass. */
#define SCORE_ALIGN 16

/* Floats between two rows of scores: not a power of two, or all rows would fall on the same few
 * lines of the cache. */
#define SCORE_STRIDE (ATTENTION_CHUNK + SCORE_ALIGN)

/* With fewer tiles than this the chunks of each are handed out by themselves, so that all threads
 * have something to do behind a long context even if there is one position and one head of keys.
 * What is computed is the same either way. */
#define FEW_TILES 8

/* What some chunks say of a row: with m the largest score, the sum of e^(score - m), and the values
 * weighted so. A sum of 0: none of their positions is visible. */
struct share {
        float largest, sum;
};

_Static_assert(ATTENTION_CHUNK % SCORE_ALIGN == 0, "chunks");

static unsigned n_chunks(const struct kvcache *c) {
        return (c->max_positions + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK;
}

int attention_init(struct attention *a,
                   const struct kernels *kernels,
                   struct pool *pool,
                   const struct params *params,
                   const struct kvcache *cache) {
        size_t rows = (size_t) KERNELS_MAX_QUERIES * params_max_head_size(params);
        size_t size = (3 * rows + KERNELS_MAX_QUERIES * SCORE_STRIDE) * sizeof(float);
        size_t n_shares = (size_t) FEW_TILES * KERNELS_MAX_QUERIES * n_chunks(cache);

        size = (size + 63) / 64 * 64;
        /* calloc() of what is large hands out untouched pages: only long contexts ever use them. */
        *a = (struct attention){
                .kernels = kernels,
                .pool = pool,
                .params = params,
                .cache = cache,
                .memory = calloc(pool_n_threads(pool), size),
                .memory_size = size,
                .shares = calloc(n_shares, sizeof(*a->shares)),
                .mixed = calloc(n_shares, params_max_head_size(params) * sizeof(float)),
        };
        if (a->memory && a->shares && a->mixed)
                return 0;
        attention_done(a);
        return -ENOMEM;
}

void attention_done(struct attention *a) {
        free(a->memory);
        free(a->shares);
        free(a->mixed);
        a->memory = NULL;
        a->shares = NULL;
        a->mixed = NULL;
}

struct job {
        struct attention *a;
        const struct layer_cache *l;
        const float *q;
        float *out;
        unsigned first, n;
        unsigned group;       /* query heads that share a key-value head */
        unsigned n_tiles;     /* of queries, per key-value head */
        unsigned window;      /* UINT_MAX on global layers */
        unsigned block_end;   /* behind what all rows see, ahead or not; 0 on global layers */
        unsigned first_chunk; /* that any row sees something of */
        unsigned n_chunks;    /* from that one on */
};

/* One tile: rows (position, head in group), numbered together, that read one key-value head. */
struct tile {
        unsigned kv_head;
        unsigned first_row, n_rows;
        unsigned oldest, newest; /* positions that any of its rows sees */
};

/* Where a thread computes. */
struct desk {
        float *q;      /* [KERNELS_MAX_QUERIES][head_size] */
        float *out;    /* the same: what the chunks so far say */
        float *mixed;  /* the same: what one chunk says */
        float *scores; /* [KERNELS_MAX_QUERIES][SCORE_STRIDE], from the chunk's first position on */
};

static struct desk desk_of(const struct job *job, unsigned worker) {
        size_t rows = (size_t) KERNELS_MAX_QUERIES * params_max_head_size(job->a->params);
        float *at = (float *) (void *) (job->a->memory + worker * job->a->memory_size);

        return (struct desk){ at, at + rows, at + 2 * rows, at + 3 * rows };
}

/* Positions oldest .. newest of a chunk are scored; the kernel is called on the two pieces that a run
 * of positions may have in a ring. */
static void score_chunk(const struct job *job,
                        const struct tile *t,
                        unsigned oldest,
                        unsigned newest,
                        const float *q,
                        float *scores) {
        const struct kernels *k = job->a->kernels;
        const struct layer_cache *l = job->l;
        unsigned size = l->head_size;

        for (unsigned p = oldest, n; p <= newest; p += n) {
                unsigned to_wrap = l->capacity - p % l->capacity;
                size_t at = layer_cache_at(l, t->kv_head, p);
                float *out = scores + p % ATTENTION_CHUNK;

                n = newest - p + 1 < to_wrap ? newest - p + 1 : to_wrap;
                if (job->a->cache->is_f32)
                        k->score_f32(q, t->n_rows, (const float *) l->keys + at, n, size, out,
                                     SCORE_STRIDE);
                else
                        k->score(q, t->n_rows, (const uint16_t *) l->keys + at, n, size, out,
                                 SCORE_STRIDE);
        }
}

static void mix_chunk(const struct job *job,
                      const struct tile *t,
                      unsigned oldest,
                      unsigned newest,
                      const float *weights,
                      float *out) {
        const struct kernels *k = job->a->kernels;
        const struct layer_cache *l = job->l;
        unsigned size = l->head_size;

        for (unsigned p = oldest, n; p <= newest; p += n) {
                unsigned to_wrap = l->capacity - p % l->capacity;
                size_t at = layer_cache_at(l, t->kv_head, p);
                const float *w = weights + p % ATTENTION_CHUNK;

                n = newest - p + 1 < to_wrap ? newest - p + 1 : to_wrap;
                if (job->a->cache->is_f32)
                        k->mix_f32(w, SCORE_STRIDE, t->n_rows, (const float *) l->values + at, n,
                                   size, out);
                else
                        k->mix(w, SCORE_STRIDE, t->n_rows, (const uint16_t *) l->values + at, n,
                               size, out);
        }
}

static unsigned oldest_visible(const struct job *job, unsigned position) {
        return position >= job->window ? position - job->window + 1 : 0;
}

static unsigned newest_visible(const struct job *job, unsigned position) {
        return position < job->block_end ? job->block_end - 1 : position;
}

/* The scores of a row, of positions oldest .. newest of a chunk, become weights; what the row may not
 * see gets none. */
static struct share
weigh(const struct job *job, unsigned position, unsigned oldest, unsigned newest, float *scores) {
        unsigned from = oldest_visible(job, position), to = newest_visible(job, position);
        unsigned chunk = oldest / ATTENTION_CHUNK * ATTENTION_CHUNK;
        unsigned base = oldest / SCORE_ALIGN * SCORE_ALIGN,
                 end = (newest / SCORE_ALIGN + 1) * SCORE_ALIGN;
        struct share share = { -INFINITY, 0 };

        scores -= chunk;
        for (unsigned p = base; p < end; p++)
                if (p < from || p > to || p < oldest || p > newest)
                        scores[p] = -INFINITY;
        if (from <= newest && to >= oldest)
                share.sum =
                        job->a->kernels->exponentials(scores + base, end - base, &share.largest);
        return share;
}

/* What one chunk says of the rows of a tile, whose queries are on the desk: shares[i] of row i, and
 * mixed[i]. */
static void run_chunk(const struct job *job,
                      const struct tile *t,
                      unsigned chunk,
                      const struct desk *desk,
                      struct share *shares,
                      float *mixed) {
        unsigned oldest = chunk * ATTENTION_CHUNK, newest = oldest + ATTENTION_CHUNK - 1;

        oldest = oldest > t->oldest ? oldest : t->oldest;
        newest = newest < t->newest ? newest : t->newest;
        memset(mixed, 0, (size_t) t->n_rows * job->l->head_size * sizeof(float));
        for (unsigned i = 0; i < t->n_rows; i++)
                shares[i] = (struct share){ -INFINITY, 0 };
        if (oldest > newest)
                return;

        score_chunk(job, t, oldest, newest, desk->q, desk->scores);
        for (unsigned i = 0; i < t->n_rows; i++)
                shares[i] = weigh(job, job->first + (t->first_row + i) / job->group, oldest, newest,
                                  desk->scores + i * SCORE_STRIDE);
        mix_chunk(job, t, oldest, newest, desk->scores, mixed);
}

/* Adds what a further chunk says to what those before it said. Always chunk after chunk, so that it
 * does not matter who computed them. */
static void add_share(const struct job *job,
                      struct share *all,
                      float *out,
                      const struct share *share,
                      const float *mixed) {
        float largest = all->largest > share->largest ? all->largest : share->largest;
        float keep, take;

        if (share->sum <= 0)
                return;
        keep = all->sum > 0 ? expf(all->largest - largest) : 0;
        take = expf(share->largest - largest);
        job->a->kernels->blend(out, keep, mixed, take, job->l->head_size);
        *all = (struct share){ largest, keep * all->sum + take * share->sum };
}

/* Row r of a key-value head: position r / group, query head kv_head * group + r % group. */
static size_t row_at(const struct job *job, unsigned kv_head, unsigned row) {
        size_t position = row / job->group, head = kv_head * job->group + row % job->group;

        return (position * job->a->params->n_heads + head) * job->l->head_size;
}

static struct tile tile_of(const struct job *job, unsigned number) {
        unsigned n_rows = job->n * job->group;
        struct tile t = {
                .kv_head = number / job->n_tiles,
                .first_row = number % job->n_tiles * KERNELS_MAX_QUERIES,
        };

        t.n_rows = n_rows - t.first_row < KERNELS_MAX_QUERIES ? n_rows - t.first_row
                                                              : KERNELS_MAX_QUERIES;
        t.oldest = oldest_visible(job, job->first + t.first_row / job->group);
        t.newest = newest_visible(job, job->first + (t.first_row + t.n_rows - 1) / job->group);
        return t;
}

static void gather_queries(const struct job *job, const struct tile *t, float *q) {
        unsigned size = job->l->head_size;

        for (unsigned i = 0; i < t->n_rows; i++)
                memcpy(q + i * size, job->q + row_at(job, t->kv_head, t->first_row + i),
                       size * sizeof(float));
}

static void
put_row(const struct job *job, const struct tile *t, unsigned i, float sum, const float *out) {
        float *to = job->out + row_at(job, t->kv_head, t->first_row + i);
        float scale = 1 / sum;

        for (unsigned d = 0; d < job->l->head_size; d++)
                to[d] = out[d] * scale;
}

/* A tile with all of its chunks. */
static void run_tile(void *userdata, unsigned item, unsigned worker) {
        const struct job *job = userdata;
        struct tile t = tile_of(job, item);
        struct desk desk = desk_of(job, worker);
        struct share all[KERNELS_MAX_QUERIES] = { 0 }, shares[KERNELS_MAX_QUERIES];
        unsigned size = job->l->head_size;

        for (unsigned i = 0; i < t.n_rows; i++)
                all[i].largest = -INFINITY;
        gather_queries(job, &t, desk.q);
        memset(desk.out, 0, (size_t) t.n_rows * size * sizeof(float));
        for (unsigned c = t.oldest / ATTENTION_CHUNK; c <= t.newest / ATTENTION_CHUNK; c++) {
                run_chunk(job, &t, c, &desk, shares, desk.mixed);
                for (unsigned i = 0; i < t.n_rows; i++)
                        add_share(job, &all[i], desk.out + (size_t) i * size, &shares[i],
                                  desk.mixed + (size_t) i * size);
        }
        for (unsigned i = 0; i < t.n_rows; i++)
                put_row(job, &t, i, all[i].sum, desk.out + (size_t) i * size);
}

/* Chunk c of tile t, the tiles of a chunk one after the other: the second finds it in the cache. */
static void run_part(void *userdata, unsigned item, unsigned worker) {
        const struct job *job = userdata;
        unsigned n_tiles = job->n_tiles * (unsigned) (job->a->params->n_heads / job->group);
        unsigned tile = item % n_tiles, chunk = item / n_tiles;
        struct tile t = tile_of(job, tile);
        struct desk desk = desk_of(job, worker);
        size_t at = ((size_t) tile * job->n_chunks + chunk) * KERNELS_MAX_QUERIES;

        gather_queries(job, &t, desk.q);
        run_chunk(job, &t, job->first_chunk + chunk, &desk, job->a->shares + at,
                  job->a->mixed + at * job->l->head_size);
}

/* One row of one tile: its chunks put together. */
static void join_parts(void *userdata, unsigned item, unsigned worker) {
        const struct job *job = userdata;
        unsigned size = job->l->head_size, i = item % KERNELS_MAX_QUERIES;
        struct tile t = tile_of(job, item / KERNELS_MAX_QUERIES);
        float *out = desk_of(job, worker).out;
        struct share all = { -INFINITY, 0 };
        size_t at = (size_t) item / KERNELS_MAX_QUERIES * job->n_chunks * KERNELS_MAX_QUERIES + i;

        if (i >= t.n_rows)
                return;
        memset(out, 0, size * sizeof(float));
        for (unsigned c = 0; c < job->n_chunks; c++, at += KERNELS_MAX_QUERIES)
                add_share(job, &all, out, job->a->shares + at, job->a->mixed + at * size);
        put_row(job, &t, i, all.sum, out);
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
        unsigned n_tiles;

        job.n_tiles = (n * job.group + KERNELS_MAX_QUERIES - 1) / KERNELS_MAX_QUERIES;
        job.first_chunk = oldest_visible(&job, first) / ATTENTION_CHUNK;
        job.n_chunks = newest_visible(&job, first + n - 1) / ATTENTION_CHUNK + 1 - job.first_chunk;
        n_tiles = lp->n_kv_heads * job.n_tiles;
        if (n_tiles >= FEW_TILES || job.n_chunks == 1) {
                pool_run(a->pool, n_tiles, run_tile, &job);
                return;
        }
        pool_run(a->pool, n_tiles * job.n_chunks, run_part, &job);
        pool_run(a->pool, n_tiles * KERNELS_MAX_QUERIES, join_parts, &job);
}
