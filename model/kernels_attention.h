/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_ATTENTION_H
#define MODEL_KERNELS_ATTENTION_H

/* Attention over a cache of halves, for every instruction set: kernels_panel.h includes it after the
 * primitives that it lists. */

/* Queries whose sums stay in registers together. */
#define SCORE_TILE 4

static ALWAYS_INLINE void score_queries(const float *q,
                                        const unsigned n,
                                        const uint16_t *k,
                                        unsigned size,
                                        float *scores,
                                        size_t stride) {
        vec_f acc[SCORE_TILE];

        for (unsigned i = 0; i < n; i++)
                acc[i] = f_zero();
        for (unsigned d = 0; d < size; d += PANEL_ROWS) {
                vec_f key = f_load_half(k + d);

                for (unsigned i = 0; i < n; i++)
                        acc[i] = f_fma(f_load(q + i * size + d), key, acc[i]);
        }
        for (unsigned i = 0; i < n; i++)
                scores[i * stride] = f_sum(acc[i]);
}

static void score(const float *q,
                  unsigned n_queries,
                  const uint16_t *k,
                  size_t n_keys,
                  unsigned size,
                  float *scores,
                  size_t stride) {
        unsigned i;

        if (size % PANEL_ROWS) {
                kernels_scalar.score(q, n_queries, k, n_keys, size, scores, stride);
                return;
        }
        for (size_t j = 0; j < n_keys; j++, k += size, scores++) {
                for (i = 0; i + SCORE_TILE <= n_queries; i += SCORE_TILE)
                        score_queries(q + i * size, SCORE_TILE, k, size, scores + i * stride,
                                      stride);
                for (; i + 2 <= n_queries; i += 2)
                        score_queries(q + i * size, 2, k, size, scores + i * stride, stride);
                for (; i < n_queries; i++)
                        score_queries(q + i * size, 1, k, size, scores + i * stride, stride);
        }
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
