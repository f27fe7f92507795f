/* SPDX-License-Identifier: Apache-2.0 */
#include "model/matmul.h"

#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <stdlib.h>

#include "model/half.h"

#define MAX_PRODUCTS 4

/* Input rows that are quantised in one item of work. */
#define QUANTISE_ROWS 4

int inputs_init(struct inputs *in, unsigned max_rows, unsigned max_cols) {
        size_t n = max_rows * activations_blocks(max_cols) * QUANT_BLOCK;

        *in = (struct inputs) {
                .q = {
                        .q = malloc(n),
                        .scale = malloc(n / 32 * sizeof(float)),
                        .sum = malloc(n / 32 * sizeof(float)),
                        .half_sums = malloc(n / 16 * sizeof(float)),
                        .starts = malloc(n / 32 * sizeof(int32_t)),
                        .half_starts = malloc(n / 16 * sizeof(int32_t)),
                },
        };
        if (in->q.q && in->q.scale && in->q.sum && in->q.half_sums && in->q.starts &&
            in->q.half_starts)
                return 0;

        inputs_done(in);
        return -ENOMEM;
}

void inputs_done(struct inputs *in) {
        free(in->q.q);
        free(in->q.scale);
        free(in->q.sum);
        free(in->q.half_sums);
        free(in->q.starts);
        free(in->q.half_starts);
        *in = (struct inputs){ 0 };
}

int matmul_init(struct matmul *m,
                const struct kernels *kernels,
                struct pool *pool,
                unsigned max_cols) {
        size_t size = KERNELS_PANEL_SIZE + (size_t) MATMUL_BLOCK * max_cols * sizeof(float);

        size = (size + 63) / 64 * 64;
        *m = (struct matmul){
                .kernels = kernels,
                .pool = pool,
                .memory = aligned_alloc(64, size * pool_n_threads(pool)),
                .memory_size = size,
        };
        return m->memory ? 0 : -ENOMEM;
}

void matmul_done(struct matmul *m) {
        free(m->memory);
        m->memory = NULL;
}

struct quantise_job {
        const struct kernels *kernels;
        struct inputs *in;
};

static void quantise_item(void *userdata, unsigned item, unsigned worker) {
        const struct quantise_job *job = userdata;
        struct activations *q = &job->in->q;
        unsigned end =
                (item + 1) * QUANTISE_ROWS < q->n_rows ? (item + 1) * QUANTISE_ROWS : q->n_rows;

        (void) worker;
        for (size_t i = (size_t) item * QUANTISE_ROWS; i < end; i++)
                job->kernels->quantise(job->in->x + i * q->n_cols, q, i);
}

void matmul_set_inputs(
        struct matmul *m, struct inputs *in, const float *x, unsigned n_rows, unsigned n_cols) {
        struct quantise_job job = { m->kernels, in };

        in->x = x;
        in->q.n_rows = n_rows;
        in->q.n_cols = n_cols;

        /* Only block formats want them, and those have rows of whole blocks. */
        if (n_cols % QUANT_BLOCK == 0)
                pool_run(m->pool, (n_rows + QUANTISE_ROWS - 1) / QUANTISE_ROWS, quantise_item,
                         &job);
}

/* Rows first .. end - 1 of W as floats: in place when they are, else converted into block. */
static const float *float_rows(const struct kernels *k,
                               const struct matrix *w,
                               unsigned first,
                               unsigned end,
                               float *block) {
        const void *rows = matrix_row(w, first);
        size_t n = (size_t) (end - first) * w->n_cols;

        if (w->type == GGUF_F32)
                return rows;
        if (w->type == GGUF_F16)
                k->from_half(block, rows, n);
        else
                k->from_bf16(block, rows, n);
        return block;
}

static void multiply_floats(const struct matmul *m,
                            const struct matrix *w,
                            unsigned first,
                            unsigned end,
                            const struct inputs *in,
                            float *y,
                            size_t y_stride,
                            float *block) {
        const struct kernels *k = m->kernels;
        int n_out = (int) (end - first), n_cols = (int) w->n_cols, n = (int) in->q.n_rows;
        const float *rows;

        /* Few inputs are multiplied as queries with keys, each by itself: what a token is chosen by
         * must not depend on how many positions are computed together, and BLAS sums in another
         * order for another number of them. */
        if (n <= KERNELS_MAX_QUERIES && w->type == GGUF_F16) {
                k->score(in->x, (unsigned) n, (const void *) matrix_row(w, first), end - first,
                         w->n_cols, y + first, y_stride);
                return;
        }
        rows = float_rows(k, w, first, end, block);
        if (n <= KERNELS_MAX_QUERIES)
                k->score_f32(in->x, (unsigned) n, rows, end - first, w->n_cols, y + first,
                             y_stride);
        else
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n_out, n_cols, 1, in->x,
                            n_cols, rows, n_cols, 0, y + first, (int) y_stride);
}

static void multiply_rows(const struct matmul *m,
                          const struct inputs *in,
                          const struct product *p,
                          unsigned first,
                          unsigned end,
                          unsigned worker) {
        unsigned char *memory = m->memory + worker * m->memory_size;

        assert(p->w->n_cols == in->q.n_cols);
        if (matrix_is_quantised(p->w))
                m->kernels->multiply(p->w, first, end, &in->q, p->y, p->y_stride, memory);
        else
                multiply_floats(m, p->w, first, end, in, p->y, p->y_stride,
                                (float *) (void *) (memory + KERNELS_PANEL_SIZE));
}

static unsigned n_blocks(const struct matrix *w) {
        return (w->n_rows + MATMUL_BLOCK - 1) / MATMUL_BLOCK;
}

static unsigned block_end(const struct matrix *w, unsigned block) {
        unsigned end = (block + 1) * MATMUL_BLOCK;

        return end < w->n_rows ? end : w->n_rows;
}

struct product_job {
        const struct matmul *m;
        const struct inputs *in;
        const struct product *products;
};

static void product_item(void *userdata, unsigned item, unsigned worker) {
        const struct product_job *job = userdata;
        const struct product *p = job->products;

        for (; item >= n_blocks(p->w); p++)
                item -= n_blocks(p->w);
        multiply_rows(job->m, job->in, p, item * MATMUL_BLOCK, block_end(p->w, item), worker);
}

void matmul_run(struct matmul *m,
                const struct inputs *in,
                const struct product *products,
                unsigned n_products) {
        struct product_job job = { m, in, products };
        unsigned n_items = 0;

        assert(n_products <= MAX_PRODUCTS);
        for (unsigned i = 0; i < n_products; i++)
                n_items += n_blocks(products[i].w);
        pool_run(m->pool, n_items, product_item, &job);
}

struct gated_job {
        const struct matmul *m;
        const struct inputs *in;
        struct product gate, up;
};

static void gated_item(void *userdata, unsigned item, unsigned worker) {
        const struct gated_job *job = userdata;
        unsigned first = item * MATMUL_BLOCK, end = block_end(job->gate.w, item);

        multiply_rows(job->m, job->in, &job->gate, first, end, worker);
        multiply_rows(job->m, job->in, &job->up, first, end, worker);
        for (size_t i = 0; i < job->in->q.n_rows; i++)
                job->m->kernels->gelu_multiply(job->gate.y + i * job->gate.y_stride + first,
                                               job->up.y + i * job->up.y_stride + first,
                                               end - first);
}

void matmul_run_gated(struct matmul *m,
                      const struct inputs *in,
                      const struct matrix *gate,
                      const struct matrix *up,
                      float *y,
                      float *up_y,
                      size_t stride) {
        struct gated_job job = { m, in, { gate, y, stride }, { up, up_y, stride } };

        pool_run(m->pool, n_blocks(gate), gated_item, &job);
}
