/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MATMUL_H
#define MODEL_MATMUL_H

#include <stddef.h>

#include "model/kernels.h"
#include "model/matrix.h"
#include "model/pool.h"

/* Products of weight matrices with n rows of inputs, shared out over the pool in blocks of rows of
 * a fixed size, so that results do not depend on the number of threads. */

/* Rows of weights in one item of work: a multiple of every kernel's group of rows, small enough
 * that the last item to finish costs little. */
#define MATMUL_BLOCK 64

/* The inputs of a product, in both forms that matrices want: floats, and quantised blocks. */
struct inputs {
        const float *x;       /* [n_rows][n_cols], not owned */
        struct activations q; /* filled by inputs_set() when a quantised matrix will follow */
};

/* Room for max_rows rows of max_cols columns.  0 or -ENOMEM. */
int inputs_init(struct inputs *in, unsigned max_rows, unsigned max_cols);
void inputs_done(struct inputs *in);

struct matmul {
        const struct kernels *kernels;
        struct pool *pool;
        unsigned char *memory; /* owned: per thread a panel and a block of float weights */
        size_t memory_size;    /* per thread */
};

/* max_cols: the most columns that a matrix of 16-bit floats will have. */
int matmul_init(struct matmul *m,
                const struct kernels *kernels,
                struct pool *pool,
                unsigned max_cols);
void matmul_done(struct matmul *m);

/* Takes n_rows rows of n_cols floats (kept by reference) as the inputs of the next products. */
void matmul_set_inputs(
        struct matmul *m, struct inputs *in, const float *x, unsigned n_rows, unsigned n_cols);

/* One product of several that share their inputs: y[i * y_stride + r] for input row i and weight
 * row r. */
struct product {
        const struct matrix *w;
        float *y;
        size_t y_stride;
};

/* Computes n_products <= 4 products of the same inputs in one go over the pool. */
void matmul_run(struct matmul *m,
                const struct inputs *in,
                const struct product *products,
                unsigned n_products);

/* y = gelu(gate x) * (up x), both products and the activation in one go. */
void matmul_run_gated(struct matmul *m,
                      const struct inputs *in,
                      const struct matrix *gate,
                      const struct matrix *up,
                      float *y,
                      float *up_y,
                      size_t stride);

#endif
