/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include "model/vector_math.h"

DEFINE_VECTOR_KERNELS

/* One block of one row times one row of inputs. */
static float
block_product(const struct quant_block *b, const struct activations *x, size_t row, size_t block) {
        size_t at = activations_at(x, row, block);
        const int8_t *q = x->q + at * QUANT_BLOCK;
        float scale = x->scale[at];
        const float *half_sums = x->half_sums + 2 * at;
        float product = 0;

        for (unsigned half = 0; half < 2; half++) {
                int sum = 0;

                for (unsigned i = 16 * half; i < 16 * half + 16; i++)
                        sum += b->q[i] * q[i];
                product += (float) sum * scale * b->scale[half] - b->offset[half] * half_sums[half];
        }
        return product;
}

static void multiply(const struct matrix *w,
                     unsigned first,
                     unsigned end,
                     const struct activations *x,
                     float *y,
                     size_t y_stride,
                     void *panel) {
        struct quant_block b;

        (void) panel;
        for (unsigned r = first; r < end; r++) {
                for (unsigned i = 0; i < x->n_rows; i++)
                        y[i * y_stride + r] = 0;
                for (size_t block = 0; block < w->n_cols / QUANT_BLOCK; block++) {
                        quant_read_block(&b, w->type, matrix_row(w, r), block);
                        for (unsigned i = 0; i < x->n_rows; i++)
                                y[i * y_stride + r] += block_product(&b, x, i, block);
                }
        }
}

static void score(const float *q,
                  unsigned n_queries,
                  const uint16_t *k,
                  size_t n_keys,
                  unsigned size,
                  float *scores,
                  size_t stride) {
        for (size_t j = 0; j < n_keys; j++)
                for (unsigned i = 0; i < n_queries; i++) {
                        float sum = 0;

                        for (unsigned d = 0; d < size; d++)
                                sum += q[i * size + d] * half_to_float(k[j * size + d]);
                        scores[i * stride + j] = sum;
                }
}

static void mix(const float *weights,
                size_t stride,
                unsigned n_queries,
                const uint16_t *v,
                size_t n_keys,
                unsigned size,
                float *out) {
        for (size_t j = 0; j < n_keys; j++)
                for (unsigned i = 0; i < n_queries; i++)
                        for (unsigned d = 0; d < size; d++)
                                out[i * size + d] +=
                                        weights[i * stride + j] * half_to_float(v[j * size + d]);
}

static void to_half(uint16_t *ret, const float *x, size_t n) {
        for (size_t i = 0; i < n; i++)
                ret[i] = half_from_float(x[i]);
}

static void from_half(float *ret, const uint16_t *x, size_t n) {
        for (size_t i = 0; i < n; i++)
                ret[i] = half_to_float(x[i]);
}

const struct kernels kernels_scalar = {
        .name = "scalar",
        .multiply = multiply,
        .score = score,
        .mix = mix,
        .to_half = to_half,
        .from_half = from_half,
        VECTOR_KERNELS,
};
