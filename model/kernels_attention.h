/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_ATTENTION_H
#define MODEL_KERNELS_ATTENTION_H

/* Attention over a cache of halves, for every instruction set: kernels_panel.h includes it after the
 * primitives that it lists, and:
 *
 *   f_sum4(float ret[4], v)      the sums of v[0] .. v[3], each made as f_sum() makes it
 *   CACHE_SUMS                   sums that stay in registers together, 16 or 8
 *
 * The inner functions are called with constants for the number of queries, so that their loops
 * unroll. */

/* Queries that a key or value is loaded for, and keys, or vectors of a value, that stay in registers
 * with n queries. */
#define CACHE_QUERIES 4
#define CACHE_KEYS    8
#define KEYS_WITH(n)  (CACHE_SUMS / (n) < CACHE_KEYS ? CACHE_SUMS / (n) : CACHE_KEYS)

/* Bytes that keys and values are asked for before they are wanted. Rows follow one another, so what
 * comes after the last wanted one is asked for too, which does no harm. */
#define CACHE_AHEAD 16384

static ALWAYS_INLINE void ask_for(const unsigned char *at, unsigned n_bytes) {
        UNROLL
        for (unsigned i = 0; i < n_bytes; i += 64)
                __builtin_prefetch(at + CACHE_AHEAD + i, 0, 3);
}

/* n_keys keys with n queries: what is loaded of either serves all of the other. Every sum is made
 * alike, whatever is beside it. */
static ALWAYS_INLINE void score_tile(const float *q,
                                     const unsigned n,
                                     const uint16_t *k,
                                     const unsigned n_keys,
                                     unsigned size,
                                     float *scores,
                                     size_t stride,
                                     const bool asks) {
        const unsigned char *ahead = (const unsigned char *) k;
        const unsigned n_sums = n * n_keys;
        vec_f acc[CACHE_SUMS];
        float sums[CACHE_SUMS];

        UNROLL
        for (unsigned i = 0; i < n_sums; i++)
                acc[i] = f_zero();
        for (unsigned d = 0; d < size; d += PANEL_ROWS) {
                vec_f key[CACHE_KEYS];

                if (asks)
                        ask_for(ahead, n_keys * PANEL_ROWS * (unsigned) sizeof(*k));
                ahead += n_keys * PANEL_ROWS * sizeof(*k);
                UNROLL
                for (unsigned j = 0; j < n_keys; j++)
                        key[j] = f_load_half(k + j * size + d);
                UNROLL
                for (unsigned i = 0; i < n; i++) {
                        vec_f query = f_load(q + i * size + d);

                        UNROLL
                        for (unsigned j = 0; j < n_keys; j++)
                                acc[i * n_keys + j] = f_fma(query, key[j], acc[i * n_keys + j]);
                }
        }
        UNROLL
        for (unsigned i = 0; i + 4 <= n_sums; i += 4)
                f_sum4(sums + i, acc + i);
        UNROLL
        for (unsigned i = n_sums / 4 * 4; i < n_sums; i++)
                sums[i] = f_sum(acc[i]);
        UNROLL
        for (unsigned i = 0; i < n; i++)
                UNROLL
        for (unsigned j = 0; j < n_keys; j++)
                scores[i * stride + j] = sums[i * n_keys + j];
}

/* CACHE_KEYS keys with n queries. */
static ALWAYS_INLINE void score_queries(const float *q,
                                        const unsigned n,
                                        const uint16_t *k,
                                        unsigned size,
                                        float *scores,
                                        size_t stride,
                                        const bool asks) {
        for (unsigned j = 0; j < CACHE_KEYS; j += KEYS_WITH(n))
                score_tile(q, n, k + j * size, KEYS_WITH(n), size, scores + j, stride, asks);
}

/* CACHE_KEYS keys with all queries, of which the first ask for what comes next. */
static ALWAYS_INLINE void score_keys(const float *q,
                                     unsigned n_queries,
                                     const uint16_t *k,
                                     unsigned size,
                                     float *scores,
                                     size_t stride) {
        unsigned i = 0;

        if (n_queries >= CACHE_QUERIES) {
                score_queries(q, CACHE_QUERIES, k, size, scores, stride, true);
                i = CACHE_QUERIES;
        }
        for (; i + CACHE_QUERIES <= n_queries; i += CACHE_QUERIES)
                score_queries(q + i * size, CACHE_QUERIES, k, size, scores + i * stride, stride,
                              false);
        for (; i + 2 <= n_queries; i += 2)
                score_queries(q + i * size, 2, k, size, scores + i * stride, stride, true);
        for (; i < n_queries; i++)
                score_queries(q + i * size, 1, k, size, scores + i * stride, stride, true);
}

static void score(const float *q,
                  unsigned n_queries,
                  const uint16_t *k,
                  size_t n_keys,
                  unsigned size,
                  float *scores,
                  size_t stride) {
        size_t j;

        if (size % PANEL_ROWS) {
                kernels_scalar.score(q, n_queries, k, n_keys, size, scores, stride);
                return;
        }
        for (j = 0; j + CACHE_KEYS <= n_keys; j += CACHE_KEYS)
                score_keys(q, n_queries, k + j * size, size, scores + j, stride);
        for (; j < n_keys; j++)
                for (unsigned i = 0; i < n_queries; i++)
                        score_tile(q + i * size, 1, k + j * size, 1, size, scores + i * stride + j,
                                   stride, false);
}

/* n_vectors vectors of the output of n queries stay in registers while all keys go by. Meanwhile the
 * values from `ahead` on are asked for, as many bytes as are read, one line after the other. */
static ALWAYS_INLINE void mix_columns(const float *weights,
                                      size_t stride,
                                      const unsigned n,
                                      const uint16_t *v,
                                      size_t n_keys,
                                      unsigned size,
                                      const unsigned n_vectors,
                                      float *out,
                                      const unsigned char *ahead,
                                      const bool asks) {
        vec_f acc[CACHE_SUMS];

        UNROLL
        for (unsigned i = 0; i < n; i++)
                UNROLL
        for (unsigned d = 0; d < n_vectors; d++)
                acc[i * n_vectors + d] = f_load(out + i * size + d * PANEL_ROWS);
        for (size_t j = 0; j < n_keys; j++) {
                vec_f value[CACHE_KEYS];

                if (asks)
                        ask_for(ahead, n_vectors * PANEL_ROWS * (unsigned) sizeof(*v));
                ahead += n_vectors * PANEL_ROWS * sizeof(*v);
                UNROLL
                for (unsigned d = 0; d < n_vectors; d++)
                        value[d] = f_load_half(v + j * size + d * PANEL_ROWS);
                UNROLL
                for (unsigned i = 0; i < n; i++) {
                        vec_f weight = f_set1(weights[i * stride + j]);

                        UNROLL
                        for (unsigned d = 0; d < n_vectors; d++)
                                acc[i * n_vectors + d] =
                                        f_fma(weight, value[d], acc[i * n_vectors + d]);
                }
        }
        UNROLL
        for (unsigned i = 0; i < n; i++)
                UNROLL
        for (unsigned d = 0; d < n_vectors; d++)
                f_store(out + i * size + d * PANEL_ROWS, acc[i * n_vectors + d]);
}

/* All columns of a few keys' values for n queries. */
static ALWAYS_INLINE void mix_queries(const float *weights,
                                      size_t stride,
                                      const unsigned n,
                                      const uint16_t *v,
                                      size_t n_keys,
                                      unsigned size,
                                      float *out,
                                      const bool asks) {
        const unsigned n_vectors = KEYS_WITH(n), wide = n_vectors * PANEL_ROWS;
        const unsigned char *ahead = (const unsigned char *) (v + n_keys * size) - CACHE_AHEAD;
        unsigned d;

        for (d = 0; d + wide <= size; d += wide) {
                mix_columns(weights, stride, n, v + d, n_keys, size, n_vectors, out + d, ahead,
                            asks);
                ahead += n_keys * wide * sizeof(*v);
        }
        for (; d < size; d += PANEL_ROWS)
                mix_columns(weights, stride, n, v + d, n_keys, size, 1, out + d, ahead, false);
}

/* Values that all columns are taken from before the next: so many fit the first-level cache. */
#define MIX_SIZE 16384

/* The values of a few keys for all queries, of which the first ask for what comes next. */
static ALWAYS_INLINE void mix_keys(const float *weights,
                                   size_t stride,
                                   unsigned n_queries,
                                   const uint16_t *v,
                                   size_t n_keys,
                                   unsigned size,
                                   float *out) {
        unsigned i = 0;

        if (n_queries >= CACHE_QUERIES) {
                mix_queries(weights, stride, CACHE_QUERIES, v, n_keys, size, out, true);
                i = CACHE_QUERIES;
        }
        for (; i + CACHE_QUERIES <= n_queries; i += CACHE_QUERIES)
                mix_queries(weights + i * stride, stride, CACHE_QUERIES, v, n_keys, size,
                            out + i * size, false);
        for (; i + 2 <= n_queries; i += 2)
                mix_queries(weights + i * stride, stride, 2, v, n_keys, size, out + i * size, true);
        for (; i < n_queries; i++)
                mix_queries(weights + i * stride, stride, 1, v, n_keys, size, out + i * size, true);
}

static void mix(const float *weights,
                size_t stride,
                unsigned n_queries,
                const uint16_t *v,
                size_t n_keys,
                unsigned size,
                float *out) {
        size_t step = MIX_SIZE / (size * sizeof(*v)) + 1;

        if (size % PANEL_ROWS) {
                kernels_scalar.mix(weights, stride, n_queries, v, n_keys, size, out);
                return;
        }
        for (size_t j = 0; j < n_keys; j += step)
                mix_keys(weights + j, stride, n_queries, v + j * size,
                         n_keys - j < step ? n_keys - j : step, size, out);
}

static void from_half(float *ret, const uint16_t *x, size_t n) {
        size_t i;

        for (i = 0; i + PANEL_ROWS <= n; i += PANEL_ROWS)
                f_store(ret + i, f_load_half(x + i));
        for (; i < n; i++)
                ret[i] = half_to_float(x[i]);
}

static void to_half(uint16_t *ret, const float *x, size_t n) {
        size_t i;

        for (i = 0; i + PANEL_ROWS <= n; i += PANEL_ROWS)
                f_store_half(ret + i, f_load(x + i));
        for (; i < n; i++)
                ret[i] = half_from_float(x[i]);
}

#endif
