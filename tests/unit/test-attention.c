/* SPDX-License-Identifier: Apache-2.0 */
#include "model/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/half.h"
#include "tests/tap.h"
#include "tests/unit/random.h"

/* A global layer, whose queries share one head of keys, and a sliding one. */
enum {
        HEADS = 6,
        SIZE = 32,
        GLOBAL = 0,
        SLIDING = 1,
        WINDOW = 300,
        MOST = 3 * ATTENTION_CHUNK,
        ROWS = 40
};

static struct random rng = { 7 };

struct scene {
        struct params params;
        struct kvcache cache;
        struct pool *pool;
        struct attention attention;
        bool is_f32;
};

static float element(const struct scene *s, const void *all, size_t at) {
        return s->is_f32 ? ((const float *) all)[at] : half_to_float(((const uint16_t *) all)[at]);
}

static void fill(const struct scene *s, void *all, size_t n) {
        for (size_t i = 0; i < n; i++) {
                float x = random_normal(&rng);

                if (s->is_f32)
                        ((float *) all)[i] = x;
                else
                        ((uint16_t *) all)[i] = half_from_float(x);
        }
}

static void
scene_init(struct scene *s, const struct kernels *kernels, unsigned n_threads, bool is_f32) {
        rng = (struct random){ 7 };
        *s = (struct scene){
                .params = {
                        .n_layers = 2,
                        .n_heads = HEADS,
                        .window = WINDOW,
                        .layers = { { false, 1, SIZE }, { true, 2, SIZE } },
                },
                .is_f32 = is_f32,
        };
        expect(kvcache_init(&s->cache, &s->params, MOST, ROWS, is_f32) == 0);
        expect(pool_new(&s->pool, n_threads) == 0);
        expect(attention_init(&s->attention, kernels, s->pool, &s->params, &s->cache) == 0);
        for (unsigned i = 0; i < 2; i++) {
                size_t n = (size_t) s->params.layers[i].n_kv_heads * s->cache.layers[i].capacity *
                           SIZE;

                fill(s, s->cache.layers[i].keys, n);
                fill(s, s->cache.layers[i].values, n);
        }
}

static void scene_done(struct scene *s) {
        attention_done(&s->attention);
        pool_free(s->pool);
        kvcache_done(&s->cache);
}

/* One head of one position by the formula, in double precision. */
static void by_formula(const struct scene *s,
                       unsigned layer,
                       unsigned head,
                       unsigned position,
                       unsigned block_end,
                       const float *q,
                       double ret[SIZE]) {
        const struct layer_params *lp = &s->params.layers[layer];
        const struct layer_cache *l = &s->cache.layers[layer];
        unsigned kv = head / (HEADS / lp->n_kv_heads);
        unsigned oldest = layer == SLIDING && position >= WINDOW ? position - WINDOW + 1 : 0;
        unsigned newest = layer == SLIDING && position < block_end ? block_end - 1 : position;
        double total = 0;

        memset(ret, 0, SIZE * sizeof(*ret));
        for (unsigned p = oldest; p <= newest; p++) {
                size_t at = layer_cache_at(l, kv, p);
                double score = 0, weight;

                for (unsigned d = 0; d < SIZE; d++)
                        score += (double) q[d] * (double) element(s, l->keys, at + d);
                weight = exp(score);
                total += weight;
                for (unsigned d = 0; d < SIZE; d++)
                        ret[d] += weight * (double) element(s, l->values, at + d);
        }
        for (unsigned d = 0; d < SIZE; d++)
                ret[d] /= total;
}

static void check_formula(
        const struct scene *s, unsigned layer, unsigned first, unsigned n, unsigned block_end) {
        static float out[ROWS * HEADS * SIZE];
        float *q = random_floats(&rng, (size_t) ROWS * HEADS * SIZE);
        double wanted[SIZE];

        attention_run((struct attention *) &s->attention, layer, q, first, n, block_end, out);
        for (unsigned i = 0; i < n * HEADS; i++) {
                by_formula(s, layer, i % HEADS, first + i / HEADS, block_end, q + i * SIZE, wanted);
                for (unsigned d = 0; d < SIZE; d++)
                        expect(fabs((double) out[i * SIZE + d] - wanted[d]) < 1e-4);
        }
        free(q);
}

/* Within a chunk, across two, behind many, where the window begins in the middle of one, and where the
 * ring of a sliding layer begins anew. */
static void formula(void) {
        static const unsigned firsts[] = { 0,
                                           1,
                                           ATTENTION_CHUNK - 3,
                                           ATTENTION_CHUNK,
                                           WINDOW - 2,
                                           WINDOW + ROWS,
                                           2 * ATTENTION_CHUNK + 100 };

        for (unsigned is_f32 = 0; is_f32 < 2; is_f32++) {
                struct scene s;

                scene_init(&s, kernels_find(NULL), 2, is_f32);
                for (unsigned i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
                        for (unsigned layer = 0; layer < 2; layer++) {
                                check_formula(&s, layer, firsts[i], 1, 0);
                                check_formula(&s, layer, firsts[i], 5, 0);
                                check_formula(&s, layer, firsts[i], ROWS, 0);
                                check_formula(&s, layer, firsts[i], 5, firsts[i] + 20);
                        }
                scene_done(&s);
        }
}

/* How many threads there are and how a pass is cut changes no bit. */
static void same_bits(void) {
        static const unsigned firsts[] = { 0, ATTENTION_CHUNK - 3, WINDOW + ROWS,
                                           2 * ATTENTION_CHUNK + 100 };
        static float wanted[ROWS * HEADS * SIZE], got[ROWS * HEADS * SIZE];
        float *q = random_floats(&rng, (size_t) ROWS * HEADS * SIZE);

        for (const struct kernels *const *k = kernels_usable(); *k; k++)
                for (unsigned at = 0; at < 4 * 2; at++) {
                        unsigned first = firsts[at / 2], layer = at % 2;

                        for (unsigned n_threads = 1; n_threads <= 5; n_threads += 2) {
                                struct scene s;

                                scene_init(&s, *k, n_threads, false);
                                if (n_threads == 1)
                                        attention_run(&s.attention, layer, q, first, ROWS, 0,
                                                      wanted);
                                for (unsigned step = 1; step <= ROWS; step *= 2) {
                                        memset(got, 0, sizeof(got));
                                        for (unsigned i = 0, n; i < ROWS; i += n) {
                                                n = ROWS - i < step ? ROWS - i : step;
                                                attention_run(&s.attention, layer,
                                                              q + (size_t) i * HEADS * SIZE,
                                                              first + i, n, 0,
                                                              got + (size_t) i * HEADS * SIZE);
                                        }
                                        expect(memcmp(got, wanted, sizeof(got)) == 0);
                                }
                                scene_done(&s);
                        }
                }
        free(q);
}

/* Scores far apart: the largest comes in the last chunk, or in the first, or all are the same. */
static void far_apart(void) {
        static float out[HEADS * SIZE], q[HEADS * SIZE];
        struct scene s;
        struct layer_cache *l;
        float *keys, *values;

        scene_init(&s, kernels_find(NULL), 2, true);
        l = &s.cache.layers[GLOBAL];
        keys = l->keys;
        values = l->values;
        for (unsigned head = 0; head < HEADS; head++)
                q[head * SIZE] = head % 2 ? 100 : -100;
        for (unsigned p = 0; p < MOST; p++) {
                memset(keys + (size_t) p * SIZE, 0, SIZE * sizeof(float));
                keys[(size_t) p * SIZE] = (float) p / 10;
                values[(size_t) p * SIZE] = (float) p;
        }
        attention_run(&s.attention, GLOBAL, q, MOST - 1, 1, 0, out);
        for (unsigned head = 0; head < HEADS; head++)
                expect(fabsf(out[head * SIZE] - (head % 2 ? MOST - 1 : 0)) < 1e-3f * MOST);

        memset(q, 0, sizeof(q));
        attention_run(&s.attention, GLOBAL, q, MOST - 1, 1, 0, out);
        for (unsigned head = 0; head < HEADS; head++)
                expect(fabsf(out[head * SIZE] - (MOST - 1) / 2.0f) < 1e-3f);
        scene_done(&s);
}

int main(void) {
        rule("every row is the softmax of what it sees", formula);
        rule("neither threads nor how a pass is cut change a bit", same_bits);
        rule("scores that are far apart, and equal ones", far_apart);
        return tap_done();
}
