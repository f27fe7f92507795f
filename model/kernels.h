/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_H
#define MODEL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "model/matrix.h"
#include "model/quant.h"

/* The inner loops, one row of functions per instruction set.  kernels_scalar is plain C and defines
 * what the others compute; each of them has its own file and compiler flags and is tested against
 * it.  All are pure functions of their arguments: any thread. */

/* Inputs of a product, quantised: n_rows rows of n_cols values, per block of QUANT_BLOCK one scale
 * so that value = scale * q, |q| <= 127.  Columns come in chunks of QUANT_SUPER, and a chunk has all
 * rows one after the other, because that is how products read them: activations_at() says where a
 * block lies, and n_blocks is rounded up to whole chunks. */
struct activations {
        unsigned n_rows;
        unsigned n_cols;
        int8_t *q;    /* [n_blocks * n_rows][32] */
        float *scale; /* [n_blocks * n_rows] */
        float *sum;   /* [n_blocks * n_rows]: scale times the sum of q, which offsets multiply */
        float *half_sums;     /* [n_blocks * n_rows][2]: the same for each half block */
        int32_t *starts;      /* [n_blocks * n_rows]: -8 times the sum of q, which is what weights
                             stored as unsigned integers have too much */
        int32_t *half_starts; /* [n_blocks * n_rows][2]: the same for each half block */
};

#define ACTIVATIONS_CHUNK (QUANT_SUPER / QUANT_BLOCK)

/* Number of a block of a row in the arrays above.  The next seven follow it if it is the first of a
 * chunk, and the same block of the next row comes ACTIVATIONS_CHUNK blocks later. */
static inline size_t activations_at(const struct activations *x, size_t row, size_t block) {
        return (block / ACTIVATIONS_CHUNK * x->n_rows + row) * ACTIVATIONS_CHUNK +
               block % ACTIVATIONS_CHUNK;
}

/* Blocks that one row of n_cols columns takes in the arrays. */
static inline size_t activations_blocks(size_t n_cols) {
        return (n_cols + QUANT_SUPER - 1) / QUANT_SUPER * ACTIVATIONS_CHUNK;
}

/* Bytes of working memory that multiply() wants, aligned to 64. */
#define KERNELS_PANEL_SIZE 32768

/* Queries that attention handles at once. */
#define KERNELS_MAX_QUERIES 16

struct kernels {
        const char *name;

        /* Quantises n_cols values, a multiple of 32, as row `row` of ret. */
        void (*quantise)(const float *x, struct activations *ret, size_t row);

        /* y[i * y_stride + r] = (W x_i)_r for all rows i of x and first <= r < end.  W is
         * quantised. */
        void (*multiply)(const struct matrix *w,
                         unsigned first,
                         unsigned end,
                         const struct activations *x,
                         float *y,
                         size_t y_stride,
                         void *panel);

        /* scores[i * stride + j] = q_i . k_j for n_queries <= KERNELS_MAX_QUERIES rows of `size`
         * floats and n_keys rows of `size` halves. */
        void (*score)(const float *q,
                      unsigned n_queries,
                      const uint16_t *k,
                      size_t n_keys,
                      unsigned size,
                      float *scores,
                      size_t stride);

        /* out_i += sum_j weights[i * stride + j] v_j, of the same shapes. */
        void (*mix)(const float *weights,
                    size_t stride,
                    unsigned n_queries,
                    const uint16_t *v,
                    size_t n_keys,
                    unsigned size,
                    float *out);

        /* The same two over float caches. */
        void (*score_f32)(const float *q,
                          unsigned n_queries,
                          const float *k,
                          size_t n_keys,
                          unsigned size,
                          float *scores,
                          size_t stride);
        void (*mix_f32)(const float *weights,
                        size_t stride,
                        unsigned n_queries,
                        const float *v,
                        size_t n_keys,
                        unsigned size,
                        float *out);

        void (*to_half)(uint16_t *ret, const float *x, size_t n);
        void (*from_half)(float *ret, const uint16_t *x, size_t n);
        void (*from_bf16)(float *ret, const uint16_t *x, size_t n);

        /* y = x / sqrt(mean(x^2) + eps) * weight; weight NULL: 1.  y may be x. */
        void (*rms_norm)(float *y, const float *x, const float *weight, size_t n, float eps);

        /* x = exp(x - max(x)), where -infinity gives 0. Returns the sum of that, and the maximum. */
        float (*exponentials)(float *x, size_t n, float *ret_max);

        /* y = a y + b x. */
        void (*blend)(float *y, float a, const float *x, float b, size_t n);

        /* gate = gelu_tanh(gate) * up. */
        void (*gelu_multiply)(float *gate, const float *up, size_t n);

        /* x = cap * tanh(x / cap). */
        void (*soft_cap)(float *x, size_t n, float cap);
};

extern const struct kernels kernels_scalar;
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avxvnni;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_neon;
extern const struct kernels kernels_i8mm;

/* The row of that name if this processor can run it, NULL if it can not or there is none.  NULL
 * asks for the best row. */
const struct kernels *kernels_find(const char *name);

/* The rows that this processor can run, best first, NULL-terminated. */
const struct kernels *const *kernels_usable(void);

#endif
