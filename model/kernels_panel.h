/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_PANEL_H
#define MODEL_KERNELS_PANEL_H

/* The product of a quantised matrix with n rows of inputs, written once for every instruction set.
 * A kernels_*.c defines the vector primitives named below and then includes this file.
 *
 * PANEL_ROWS weight rows at a time (8 with AVX2, 16 with AVX-512, 4 with NEON: the 32-bit lanes of
 * a vector) are unpacked, 256 columns at a time, into a panel that stays in the first-level cache:
 *
 *     bytes[block][j][lane][4]   j = 0..7: column 4 j .. 4 j + 3 of the block, lane = weight row
 *     scale[block][half][lane], offset[block][half][lane]
 *
 * so that one integer product-and-add of a vector with four inputs, broadcast, advances all rows at
 * once, nothing is summed across lanes, and what unpacking costs is shared by all n inputs.  An odd
 * input row at the end meets the same panel: it never costs a pass over the weights.
 *
 * Primitives (all static inline):
 *   vec_f, vec_i, vec_b          PANEL_ROWS floats, 32-bit integers, 4 * PANEL_ROWS bytes
 *   f_zero f_set1 f_load f_store f_mul f_fma(a, b, c) = a * b + c, f_from_i, f_sum(v)
 *   f_load_half(const uint16_t *), f_store_half(uint16_t *, v)
 *   f_gather_half(p, stride)     the half at p in every row
 *   i_load i_store i_add, i_byte(b, 0..3): the signed byte of that place in every lane
 *   b_store b_and b_or b_xor b_set1
 *   b_shift_left4(b), b_shift_right(b, 1|2|4): within 16-bit pairs; the caller masks
 *   b_load_rows(p, stride)       vector of 16-byte pieces: lane group g holds row 4 g + i of p's rows
 *   b_transpose(v[4]): 4x4 of 32 bits inside each group of 16 bytes, in place
 *   dot_u4, dot_u5, dot_u6, dot_q8 (ret, w, w_stride, n_groups, x, x_stride, n, n_vectors): sums
 *                                over 4 n_vectors columns of n input rows with the weights of each
 *                                of n_groups groups of rows, w_stride vectors apart, into
 *                                ret[group * n + input]; the weights have 4, 5, 6 and 8 bits
 *   PANEL_GROUPS                 panels that are multiplied together, 1 or 2: with two, every four
 *                                inputs that are broadcast serve two vectors of weights
 *   PANEL_Q8_SIGNED              1 when dot_q8 takes signed bytes, 0 when it takes byte + 128 */

#include <string.h>

#include "model/half.h"
#include "model/kernels.h"

#define PANEL_BLOCKS  8 /* of 32 columns: one super-block of the K formats */
#define PANEL_TILE    4 /* input rows whose sums stay in registers together */
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct panel {
        uint8_t bytes[PANEL_BLOCKS][8][PANEL_ROWS][4];
        float scale[PANEL_BLOCKS][2][PANEL_ROWS];
        float offset[PANEL_BLOCKS][2][PANEL_ROWS];
        int32_t products[PANEL_BLOCKS][2][PANEL_ROWS]; /* with a single input, instead of bytes */
};

_Static_assert(PANEL_GROUPS * sizeof(struct panel) <= KERNELS_PANEL_SIZE, "panels");
_Static_assert(sizeof(struct panel) % (4 * PANEL_ROWS) == 0, "a panel is whole vectors");

/* Sixteen bytes of each row from p on, as four vectors: vector j holds bytes 4 j .. 4 j + 3 of every
 * row. */
static ALWAYS_INLINE void load_columns(vec_b ret[4], const unsigned char *p, size_t stride) {
        for (unsigned i = 0; i < 4; i++)
                ret[i] = b_load_rows(p + i * stride, stride);
        b_transpose(ret);
}

static ALWAYS_INLINE vec_b low_nibbles(vec_b v) {
        return b_and(v, b_set1(0x0f));
}

static ALWAYS_INLINE vec_b high_nibbles(vec_b v) {
        return b_and(b_shift_right(v, 4), b_set1(0x0f));
}

/* Where unpacked weights go: into the panel, or, when there is a single input, straight into their
 * products with it, because then nothing would read the panel twice. */
struct sink {
        struct panel *panel;
        const int8_t *x; /* the single input's columns of this panel, NULL: fill the panel */
};

/* Takes columns 16 half .. 16 half + 15 of a block. */
static ALWAYS_INLINE void
put(struct sink *s, enum gguf_type type, unsigned block, unsigned half, const vec_b w[4]) {
        vec_i products;

        if (!s->x) {
                for (unsigned j = 0; j < 4; j++)
                        b_store(s->panel->bytes[block][4 * half + j], w[j]);
                return;
        }
        if (type == GGUF_Q8_0)
                dot_q8(&products, w, 0, 1, s->x + block * QUANT_BLOCK + 16 * half, 0, 1, 4);
        else if (type == GGUF_Q6_K)
                dot_u6(&products, w, 0, 1, s->x + block * QUANT_BLOCK + 16 * half, 0, 1, 4);
        else
                dot_u5(&products, w, 0, 1, s->x + block * QUANT_BLOCK + 16 * half, 0, 1, 4);
        i_store(s->panel->products[block][half], products);
}

/* Takes all columns of a block of 4 bits. */
static ALWAYS_INLINE void put_block(struct sink *s, unsigned block, const vec_b w[8]) {
        vec_i products;

        if (!s->x) {
                for (unsigned j = 0; j < 8; j++)
                        b_store(s->panel->bytes[block][j], w[j]);
                return;
        }
        dot_u4(&products, w, 0, 1, s->x + block * QUANT_BLOCK, 0, 1, 8);
        i_store(s->panel->products[block][0], products);
}

static ALWAYS_INLINE void
unpack_q4_0(struct sink *s, unsigned b, const unsigned char *at, size_t stride) {
        vec_b v[4], w[8];
        vec_f d = f_gather_half(at, stride);

        f_store(s->panel->scale[b][0], d);
        f_store(s->panel->offset[b][0], f_mul(d, f_set1(-8.0f)));
        load_columns(v, at + Q4_0_QUANTS, stride);
        for (unsigned j = 0; j < 4; j++) {
                w[j] = low_nibbles(v[j]);
                w[4 + j] = high_nibbles(v[j]);
        }
        put_block(s, b, w);
}

static ALWAYS_INLINE void
unpack_q8_0(struct sink *s, unsigned b, const unsigned char *at, size_t stride) {
        vec_b v[4], flip = b_set1(PANEL_Q8_SIGNED ? 0 : 0x80);
        vec_f d = f_gather_half(at, stride);

        f_store(s->panel->scale[b][0], d);
        f_store(s->panel->offset[b][0], f_mul(d, f_set1(PANEL_Q8_SIGNED ? 0.0f : -128.0f)));
        for (unsigned half = 0; half < 2; half++) {
                load_columns(v, at + Q8_0_QUANTS + 16 * half, stride);
                for (unsigned j = 0; j < 4; j++)
                        v[j] = b_xor(v[j], flip);
                put(s, GGUF_Q8_0, b, half, v);
        }
}

/* Scales and minima of the eight blocks of a Q4_K or Q5_K super-block: quant_k_scale() for all rows
 * and four blocks at once. */
static ALWAYS_INLINE void
unpack_k_scales(struct panel *p, const unsigned char *super, size_t stride) {
        vec_f d = f_gather_half(super, stride);
        vec_f dmin = f_mul(f_gather_half(super + 2, stride), f_set1(-1.0f));
        vec_b six_bits = b_set1(0x3f), upper_two = b_set1(0x30);
        vec_b packed[4], scales[2], minima[2];

        load_columns(packed, super + Q4_K_SCALES, stride);
        scales[0] = b_and(packed[0], six_bits);
        minima[0] = b_and(packed[1], six_bits);
        scales[1] = b_or(low_nibbles(packed[2]), b_and(b_shift_right(packed[0], 2), upper_two));
        minima[1] = b_or(high_nibbles(packed[2]), b_and(b_shift_right(packed[1], 2), upper_two));

        for (int j = 0; j < 8; j++) {
                f_store(p->scale[j][0], f_mul(d, f_from_i(i_byte(scales[j / 4], j % 4))));
                f_store(p->offset[j][0], f_mul(dmin, f_from_i(i_byte(minima[j / 4], j % 4))));
        }
}

static ALWAYS_INLINE void unpack_q4_k(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b v[4], low[4], high[4];

        unpack_k_scales(s->panel, super, stride);
        for (unsigned pair = 0; pair < 4; pair++)
                for (unsigned half = 0; half < 2; half++) {
                        load_columns(v, super + Q4_K_QUANTS + 32 * pair + 16 * half, stride);
                        for (unsigned j = 0; j < 4; j++) {
                                low[j] = low_nibbles(v[j]);
                                high[j] = high_nibbles(v[j]);
                        }
                        put(s, GGUF_Q4_K, 2 * pair, half, low);
                        put(s, GGUF_Q4_K, 2 * pair + 1, half, high);
                }
}

/* The lowest bit of every byte, moved to bit 4. */
static ALWAYS_INLINE vec_b fifth_bit(vec_b v) {
        return b_shift_left4(b_and(v, b_set1(1)));
}

static ALWAYS_INLINE void unpack_q5_k(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b v[4], bits[4], low[4], high[4];

        unpack_k_scales(s->panel, super, stride);
        for (unsigned half = 0; half < 2; half++) {
                load_columns(bits, super + Q5_K_HIGH + 16 * half, stride);
                for (unsigned pair = 0; pair < 4; pair++) {
                        load_columns(v, super + Q5_K_QUANTS + 32 * pair + 16 * half, stride);
                        for (unsigned j = 0; j < 4; j++) {
                                low[j] = b_or(low_nibbles(v[j]), fifth_bit(bits[j]));
                                bits[j] = b_shift_right(bits[j], 1);
                                high[j] = b_or(high_nibbles(v[j]), fifth_bit(bits[j]));
                                bits[j] = b_shift_right(bits[j], 1);
                        }
                        put(s, GGUF_Q5_K, 2 * pair, half, low);
                        put(s, GGUF_Q5_K, 2 * pair + 1, half, high);
                }
        }
}

static ALWAYS_INLINE void
unpack_q6_k_scales(struct panel *p, const unsigned char *super, size_t stride) {
        vec_f d = f_gather_half(super + Q6_K_D, stride);
        vec_b scales[4];

        load_columns(scales, super + Q6_K_SCALES, stride);
        for (int j = 0; j < 16; j++) {
                vec_f scale = f_mul(d, f_from_i(i_byte(scales[j / 4], j % 4)));

                f_store(p->scale[j / 2][j % 2], scale);
                f_store(p->offset[j / 2][j % 2], f_mul(scale, f_set1(-32.0f)));
        }
}

static ALWAYS_INLINE void unpack_q6_k(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b two = b_set1(0x03), upper_two = b_set1(0x30);

        unpack_q6_k_scales(s->panel, super, stride);
        for (unsigned part = 0; part < 4;
             part++) { /* which 128 weights, and which 16 bytes of 32 */
                unsigned b = part / 2 * 4, half = part % 2;
                const unsigned char *low = super + Q6_K_LOW + part / 2 * 64 + half * 16;
                const unsigned char *high = super + Q6_K_HIGH + part / 2 * 32 + half * 16;
                vec_b l0[4], l1[4], h[4], w[4][4];

                load_columns(l0, low, stride);
                load_columns(l1, low + 32, stride);
                load_columns(h, high, stride);
                for (unsigned j = 0; j < 4; j++) {
                        /* The two high bits of block b + i are bits 2 i and 2 i + 1. */
                        vec_b h0 = b_shift_left4(b_and(h[j], two));
                        vec_b h1 = b_shift_left4(b_and(b_shift_right(h[j], 2), two));
                        vec_b h2 = b_and(h[j], upper_two);
                        vec_b h3 = b_and(b_shift_right(h[j], 2), upper_two);

                        w[0][j] = b_or(low_nibbles(l0[j]), h0);
                        w[1][j] = b_or(low_nibbles(l1[j]), h1);
                        w[2][j] = b_or(high_nibbles(l0[j]), h2);
                        w[3][j] = b_or(high_nibbles(l1[j]), h3);
                }
                for (unsigned i = 0; i < 4; i++)
                        put(s, GGUF_Q6_K, b + i, half, w[i]);
        }
}

static ALWAYS_INLINE void unpack(struct sink *s,
                                 enum gguf_type type,
                                 const unsigned char *at,
                                 size_t stride,
                                 unsigned n_blocks) {
        switch (type) {
        case GGUF_Q4_0:
                for (unsigned b = 0; b < n_blocks; b++)
                        unpack_q4_0(s, b, at + b * Q4_0_SIZE, stride);
                return;
        case GGUF_Q8_0:
                for (unsigned b = 0; b < n_blocks; b++)
                        unpack_q8_0(s, b, at + b * Q8_0_SIZE, stride);
                return;
        case GGUF_Q4_K:
                unpack_q4_k(s, at, stride);
                return;
        case GGUF_Q5_K:
                unpack_q5_k(s, at, stride);
                return;
        case GGUF_Q6_K:
                unpack_q6_k(s, at, stride);
                return;
        case GGUF_F32:
        case GGUF_F16:
        case GGUF_BF16:
        case GGUF_I32:
                return;
        }
}

/* Adds the products of one block (of half of it, in Q6_K) with one input to the sums. */
static ALWAYS_INLINE vec_f add_block(vec_f sums,
                                     enum gguf_type type,
                                     const struct panel *p,
                                     unsigned block,
                                     unsigned half,
                                     vec_i products,
                                     float x_scale,
                                     float x_sum) {
        vec_f scale = f_mul(f_load(p->scale[block][half]), f_set1(x_scale));

        sums = f_fma(f_from_i(products), scale, sums);
        if (type == GGUF_Q8_0 && PANEL_Q8_SIGNED)
                return sums;
        return f_fma(f_load(p->offset[block][half]), f_set1(x_sum), sums);
}

/* The sums of one input with the rows of every panel. */
typedef float panel_sums[PANEL_GROUPS][PANEL_ROWS];

/* sums[i] += panels times input rows row .. row + n - 1, over n_blocks blocks from first_block on. n,
 * n_groups and the type are constants at every call, so that what is summed stays in registers. */
static ALWAYS_INLINE void multiply_tile(const struct panel *p,
                                        const unsigned n_groups,
                                        enum gguf_type type,
                                        const struct activations *x,
                                        unsigned row,
                                        const unsigned n,
                                        size_t first_block,
                                        unsigned n_blocks,
                                        panel_sums *sums) {
        size_t row_blocks = x->n_cols / QUANT_BLOCK;
        const int8_t *q = x->q + (row * row_blocks + first_block) * QUANT_BLOCK;
        const float *scale = x->scale + row * row_blocks + first_block;
        const float *sum = x->sum + row * row_blocks + first_block;
        const float *half_sums = x->half_sums + 2 * (row * row_blocks + first_block);
        const size_t panel_stride = sizeof(*p) / sizeof(vec_b);
        vec_f acc[PANEL_GROUPS * PANEL_TILE];

        for (unsigned i = 0; i < n; i++)
                for (unsigned g = 0; g < n_groups; g++)
                        acc[g * n + i] = f_load(sums[i][g]);

        for (unsigned b = 0; b < n_blocks; b++)
                for (unsigned half = 0; half < (type == GGUF_Q6_K ? 2 : 1); half++) {
                        const vec_b *w = (const vec_b *) (const void *) p->bytes[b][4 * half];
                        const int8_t *at = q + b * QUANT_BLOCK + 16 * half;
                        vec_i products[PANEL_GROUPS * PANEL_TILE];

                        if (type == GGUF_Q6_K)
                                dot_u6(products, w, panel_stride, n_groups, at, x->n_cols, n, 4);
                        else if (type == GGUF_Q5_K)
                                dot_u5(products, w, panel_stride, n_groups, at, x->n_cols, n, 8);
                        else if (type == GGUF_Q8_0)
                                dot_q8(products, w, panel_stride, n_groups, at, x->n_cols, n, 8);
                        else
                                dot_u4(products, w, panel_stride, n_groups, at, x->n_cols, n, 8);

                        for (unsigned i = 0; i < n; i++) {
                                size_t at_block = i * row_blocks + b;

                                for (unsigned g = 0; g < n_groups; g++)
                                        acc[g * n + i] = add_block(
                                                acc[g * n + i], type, p + g, b, half,
                                                products[g * n + i], scale[at_block],
                                                type == GGUF_Q6_K ? half_sums[2 * at_block + half]
                                                                  : sum[at_block]);
                        }
                }

        for (unsigned i = 0; i < n; i++)
                for (unsigned g = 0; g < n_groups; g++)
                        f_store(sums[i][g], acc[g * n + i]);
}

/* Inputs whose sums are kept beside the panel; more of them take the panel's rows once more. */
#define PANEL_INPUTS 128

/* Where the blocks from block b on of row `first` begin. */
static ALWAYS_INLINE const unsigned char *
blocks_at(const struct matrix *w, enum gguf_type type, unsigned first, size_t b) {
        size_t size = type == GGUF_Q4_0   ? Q4_0_SIZE
                      : type == GGUF_Q8_0 ? Q8_0_SIZE
                      : type == GGUF_Q4_K ? Q4_K_SIZE / PANEL_BLOCKS
                      : type == GGUF_Q5_K ? Q5_K_SIZE / PANEL_BLOCKS
                                          : 0;

        if (type == GGUF_Q6_K)
                return matrix_row(w, first) + b / PANEL_BLOCKS * Q6_K_SIZE;
        return matrix_row(w, first) + b * size;
}

/* Asks for what the next PANEL_ROWS rows hold in the place of blocks b .. b + n - 1 of these: rows are
 * short and many are read at once, which the processor's own prefetching does not follow. */
static ALWAYS_INLINE void
prefetch_next(const struct matrix *w, enum gguf_type type, unsigned first, size_t b, unsigned n) {
        const unsigned char *next = matrix_row(w, (size_t) first + PANEL_ROWS);
        size_t from = (size_t) (blocks_at(w, type, 0, b) - w->data) * PANEL_ROWS;
        size_t end = (size_t) (blocks_at(w, type, 0, b + n) - w->data) * PANEL_ROWS;

        for (size_t at = from; at < end; at += 64)
                __builtin_prefetch(next + at, 0, 3);
}

/* PANEL_ROWS rows times one input.  Every sum is made in the order of multiply_tile(), so that an
 * input alone gives the same bits as among others. */
static ALWAYS_INLINE void multiply_single(const struct matrix *w,
                                          enum gguf_type type,
                                          unsigned first,
                                          const struct activations *x,
                                          struct panel *p,
                                          float *y) {
        size_t n_blocks = w->n_cols / QUANT_BLOCK;
        vec_f sums = f_zero();

        for (size_t b = 0; b < n_blocks; b += PANEL_BLOCKS) {
                unsigned n = (unsigned) (n_blocks - b < PANEL_BLOCKS ? n_blocks - b : PANEL_BLOCKS);
                struct sink s = { p, x->q + b * QUANT_BLOCK };

                prefetch_next(w, type, first, b, n);
                unpack(&s, type, blocks_at(w, type, first, b), w->row_size, n);
                for (unsigned i = 0; i < n; i++) {
                        vec_i first_half = i_load(p->products[i][0]),
                              second_half = i_load(p->products[i][1]);
                        vec_i both =
                                type == GGUF_Q4_0 ? first_half : i_add(first_half, second_half);
                        const float *half_sums = x->half_sums + 2 * (b + i);

                        if (type == GGUF_Q6_K) {
                                sums = add_block(sums, type, p, i, 0, first_half, x->scale[b + i],
                                                 half_sums[0]);
                                sums = add_block(sums, type, p, i, 1, second_half, x->scale[b + i],
                                                 half_sums[1]);
                        } else
                                sums = add_block(sums, type, p, i, 0, both, x->scale[b + i],
                                                 x->sum[b + i]);
                }
        }
        f_store(y, sums);
}

/* n_groups times PANEL_ROWS rows times input rows row .. row + n_inputs - 1. */
static ALWAYS_INLINE void multiply_group(const struct matrix *w,
                                         enum gguf_type type,
                                         unsigned first,
                                         const unsigned n_groups,
                                         const struct activations *x,
                                         unsigned row,
                                         unsigned n_inputs,
                                         struct panel *p,
                                         panel_sums *sums) {
        size_t n_blocks = w->n_cols / QUANT_BLOCK;

        memset(sums, 0, n_inputs * sizeof(sums[0]));
        for (size_t b = 0; b < n_blocks; b += PANEL_BLOCKS) {
                unsigned n = (unsigned) (n_blocks - b < PANEL_BLOCKS ? n_blocks - b : PANEL_BLOCKS);
                unsigned i;

                for (unsigned g = 0; g < n_groups; g++) {
                        struct sink s = { p + g, NULL };
                        unsigned at = first + g * PANEL_ROWS;

                        prefetch_next(w, type, at + (n_groups - 1) * PANEL_ROWS, b, n);
                        unpack(&s, type, blocks_at(w, type, at, b), w->row_size, n);
                }
                for (i = 0; i + PANEL_TILE <= n_inputs; i += PANEL_TILE)
                        multiply_tile(p, n_groups, type, x, row + i, PANEL_TILE, b, n, sums + i);
                switch (n_inputs - i) {
                case 3:
                        multiply_tile(p, n_groups, type, x, row + i, 3, b, n, sums + i);
                        break;
                case 2:
                        multiply_tile(p, n_groups, type, x, row + i, 2, b, n, sums + i);
                        break;
                case 1:
                        multiply_tile(p, n_groups, type, x, row + i, 1, b, n, sums + i);
                        break;
                }
        }
}

/* The same rows times all inputs. */
static ALWAYS_INLINE void multiply_inputs(const struct matrix *w,
                                          enum gguf_type type,
                                          unsigned first,
                                          const unsigned n_groups,
                                          const struct activations *x,
                                          float *y,
                                          size_t y_stride,
                                          struct panel *panel) {
        panel_sums sums[PANEL_INPUTS];

        for (unsigned row = 0; row < x->n_rows; row += PANEL_INPUTS) {
                unsigned n = x->n_rows - row < PANEL_INPUTS ? x->n_rows - row : PANEL_INPUTS;

                multiply_group(w, type, first, n_groups, x, row, n, panel, sums);
                for (unsigned i = 0; i < n; i++)
                        for (unsigned g = 0; g < n_groups; g++)
                                f_store(y + (row + i) * y_stride + first + g * PANEL_ROWS,
                                        f_load(sums[i][g]));
        }
}

static ALWAYS_INLINE void multiply_type(const struct matrix *w,
                                        enum gguf_type type,
                                        unsigned first,
                                        unsigned end,
                                        const struct activations *x,
                                        float *y,
                                        size_t y_stride,
                                        struct panel *panel) {
        const unsigned together = PANEL_GROUPS * PANEL_ROWS;
        unsigned r = first;

        if (x->n_rows == 1) {
                for (; r + PANEL_ROWS <= end; r += PANEL_ROWS)
                        multiply_single(w, type, r, x, panel, y + r);
        } else {
                for (; r + together <= end; r += together)
                        multiply_inputs(w, type, r, PANEL_GROUPS, x, y, y_stride, panel);
                if (PANEL_GROUPS > 1 && r + PANEL_ROWS <= end) {
                        multiply_inputs(w, type, r, 1, x, y, y_stride, panel);
                        r += PANEL_ROWS;
                }
        }
        if (r < end)
                kernels_scalar.multiply(w, r, end, x, y, y_stride, NULL);
}

static void multiply(const struct matrix *w,
                     unsigned first,
                     unsigned end,
                     const struct activations *x,
                     float *y,
                     size_t y_stride,
                     void *panel) {
        switch (w->type) {
        case GGUF_Q4_0:
                multiply_type(w, GGUF_Q4_0, first, end, x, y, y_stride, panel);
                return;
        case GGUF_Q8_0:
                multiply_type(w, GGUF_Q8_0, first, end, x, y, y_stride, panel);
                return;
        case GGUF_Q4_K:
                multiply_type(w, GGUF_Q4_K, first, end, x, y, y_stride, panel);
                return;
        case GGUF_Q5_K:
                multiply_type(w, GGUF_Q5_K, first, end, x, y, y_stride, panel);
                return;
        case GGUF_Q6_K:
                multiply_type(w, GGUF_Q6_K, first, end, x, y, y_stride, panel);
                return;
        case GGUF_F32:
        case GGUF_F16:
        case GGUF_BF16:
        case GGUF_I32:
                return;
        }
}

/* ---- attention over a cache of halves ---- */

static ALWAYS_INLINE void score_queries(const float *q,
                                        const unsigned n,
                                        const uint16_t *k,
                                        unsigned size,
                                        float *scores,
                                        size_t stride) {
        vec_f acc[PANEL_TILE];

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
                for (i = 0; i + PANEL_TILE <= n_queries; i += PANEL_TILE)
                        score_queries(q + i * size, PANEL_TILE, k, size, scores + i * stride,
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
        vec_f acc[PANEL_TILE][2];

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
                for (i = 0; i + PANEL_TILE <= n_queries; i += PANEL_TILE)
                        mix_queries(weights + i * stride, stride, PANEL_TILE, v, n_keys, size, d,
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
