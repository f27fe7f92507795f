/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_ATTENTION_H
#define MODEL_KERNELS_ATTENTION_H

/* Attention over a cache of halves, for every instruction set: kernels_panel.h includes it after the
 * primitives that it lists. */

/* Queries and keys whose sums stay in registers together. */
#define SCORE_TILE 4
#define SCORE_KEYS 4

/* n_keys <= SCORE_KEYS keys with n <= SCORE_TILE queries: what is loaded of either serves all of the
 * other. Every sum is made alike, whatever is beside it. */
static ALWAYS_INLINE void score_tile(const float *q,
                                     const unsigned n,
                                     const uint16_t *k,
                                     const unsigned n_keys,
                                     unsigned size,
                                     float *scores,
                                     size_t stride) {
        vec_f acc[SCORE_TILE * SCORE_KEYS];

        UNROLL
        for (unsigned i = 0; i < n * n_keys; i++)
                acc[i] = f_zero();
        for (unsigned d = 0; d < size; d += PANEL_ROWS) {
                vec_f key[SCORE_KEYS];

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
        for (unsigned i = 0; i < n; i++)
                UNROLL
                for (unsigned j = 0; j < n_keys; j++)
                        scores[i * stride + j] = f_sum(acc[i * n_keys + j]);
}

/* n_keys keys with all queries. */
static ALWAYS_INLINE void score_keys(const float *q,
                                     unsigned n_queries,
                                     const uint16_t *k,
                                     const unsigned n_keys,
                                     unsigned size,
                                     float *scores,
                                     size_t stride) {
        unsigned i;

        for (i = 0; i + SCORE_TILE <= n_queries; i += SCORE_TILE)
                score_tile(q + i * size, SCORE_TILE, k, n_keys, size, scores + i * stride, stride);
        for (; i + 2 <= n_queries; i += 2)
                score_tile(q + i * size, 2, k, n_keys, size, scores + i * stride, stride);
        for (; i < n_queries; i++)
                score_tile(q + i * size, 1, k, n_keys, size, scores + i * stride, stride);
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
        for (j = 0; j + SCORE_KEYS <= n_keys; j += SCORE_KEYS)
                score_keys(q, n_queries, k + j * size, SCORE_KEYS, size, scores + j, stride);
        for (; j < n_keys; j++)
                score_keys(q, n_queries, k + j * size, 1, size, scores + j, stride);
}

/* Two vectors of the output of n queries stay in registers while all keys go by. */
static ALWAYS_INLINE void mix_queries(const float *weights,
                                      size_t stride,
                                      const unsigned n,
                                      const uint16_t *v,
                                      size_t n_keys,
                                      unsigned size,
                                      unsigned d,
                                      float *out) {
        vec_f acc[SCORE_TILE][2];

        for (unsigned i = 0; i < n; i++) {
                acc[i][0] = f_load(out + i * size + d);
                acc[i][1] = f_load(out + i * size + d + PANEL_ROWS);
        }
        for (size_t j = 0; j < n_keys; j++) {
                vec_f v0 = f_load_half(v + j * size + d);
                vec_f v1 = f_load_half(v + j * size + d + PANEL_ROWS);

                for (unsigned i = 0; i < n; i++) {
                        vec_f weight = f_set1(weights[i * stride + j]);

                        acc[i][0] = f_fma(weight, v0, acc[i][0]);
                        acc[i][1] = f_fma(weight, v1, acc[i][1]);
                }
        }
        for (unsigned i = 0; i < n; i++) {
                f_store(out + i * size + d, acc[i][0]);
                f_store(out + i * size + d + PANEL_ROWS, acc[i][1]);
        }
}

/* Values that all columns are taken from before the next: so many fit the first-level cache. */
#define MIX_SIZE 16384

/* The values of a few keys: columns, two vectors at a time. */
static ALWAYS_INLINE void mix_keys(const float *weights,
                                   size_t stride,
                                   unsigned n_queries,
                                   const uint16_t *v,
                                   size_t n_keys,
                                   unsigned size,
                                   float *out) {
        unsigned i;

        for (unsigned d = 0; d < size; d += 2 * PANEL_ROWS) {
                for (i = 0; i + SCORE_TILE <= n_queries; i += SCORE_TILE)
                        mix_queries(weights + i * stride, stride, SCORE_TILE, v, n_keys, size, d,
                                    out + i * size);
                for (; i + 2 <= n_queries; i += 2)
                        mix_queries(weights + i * stride, stride, 2, v, n_keys, size, d,
                                    out + i * size);
                for (; i < n_queries; i++)
                        mix_queries(weights + i * stride, stride, 1, v, n_keys, size, d,
                                    out + i * size);
        }
}

static void mix(const float *weights,
                size_t stride,
                unsigned n_queries,
                const uint16_t *v,
                size_t n_keys,
                unsigned size,
                float *out) {
        size_t step = MIX_SIZE / (size * sizeof(*v)) + 1;

        if (size % (2 * PANEL_ROWS)) {
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
