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
 * once, nothing is summed across lanes, and what unpacking costs is shared by all n inputs.  Two
 * panels are multiplied together, so that every four inputs that are broadcast serve both, and two
 * pairs are unpacked together, so that a tile of inputs that is in the first-level cache serves both.
 * The inputs are cut into tiles of about the same size whose sums stay in registers: an odd input row
 * never costs a pass over the weights.  A single input meets the weights in registers and no panel
 * is written.
 *
 * Types that have no product of their own are put into the panel by kernels_panel_types.h and
 * multiplied as one of two: GGUF_Q2_K, weights of at most 5 bits with a scale and an offset for each
 * half of a block, and GGUF_IQ4_NL, weights of 8 bits that have QUANT_IQ4_ZERO too much.
 *
 * What Q4_0, Q6_K, Q8_0 and those of the second kind subtract from every weight is the same number for all of them, so it is
 * not subtracted: the integer sum of a block starts at minus that number times the sum of the inputs.
 *
 * Primitives (all static inline):
 *   vec_f, vec_i, vec_b          PANEL_ROWS floats, 32-bit integers, 4 * PANEL_ROWS bytes
 *   f_zero f_set1 f_load f_store f_mul f_fma(a, b, c) = a * b + c, f_from_i, f_sum(v)
 *   f_load_half(const uint16_t *), f_store_half(uint16_t *, v)
 *   f_gather_half(p, stride)     the half at p in every row
 *   f_low_half(b) f_high_half(b) the half in the lower or upper two bytes of every lane
 *   i_set1, i_shift_left(v, n), i_byte(b, 0..3): the signed byte of that place in every lane
 *   b_store b_and b_or b_xor b_set1
 *   b_shift_left1|2|4(b), b_shift_right(b, 1|2|4|6): within 16-bit pairs; the caller masks
 *   b_table(p): the 16 bytes at p in every 16 bytes; b_lookup(table, b): the byte of it that each says
 *   b_fifth_bits(b, j): of every lane bits 4 j .. 4 j + 3, each in bit 4 of a byte of its own
 *   b_load_rows(p, stride)       vector of 16-byte pieces: lane group g holds row 4 g + i of p's rows
 *   b_transpose(v[4]): 4x4 of 32 bits inside each group of 16 bytes, in place
 *   b_middle(a, b): of the eight bytes that a and b make in every lane, the middle four
 *   dot_u4, dot_u5, dot_u6, dot_q8 (ret, w, w_stride, n_groups, x, x_stride, n, n_vectors): adds
 *                                sums over 4 n_vectors columns of n input rows with the weights of
 *                                each of n_groups groups of rows, w_stride vectors apart, to
 *                                ret[group * n + input]; the weights have 4, 5, 6 and 8 bits
 *   PANEL_TILE                   input rows whose sums stay in registers together, with both panels
 *   PANEL_Q8_SIGNED              1 when dot_q8 takes signed bytes, 0 when it takes byte + 128 */

#include <stdbool.h>
#include <string.h>

#include "model/half.h"
#include "model/kernels.h"
#include "model/quant-grids.h"
#include "model/unroll.h"

#define PANEL_BLOCKS  8 /* of 32 columns: one super-block of the K formats */
#define PANEL_GROUPS  2 /* panels that are multiplied together */
#define PANELS        4 /* panels that are unpacked together */
#define LINE          64 /* of a cache, in bytes */
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct panel {
        uint8_t bytes[PANEL_BLOCKS][8][PANEL_ROWS][4];
        float scale[PANEL_BLOCKS][2][PANEL_ROWS];
        float offset[PANEL_BLOCKS][2][PANEL_ROWS];
};

_Static_assert(PANELS * sizeof(struct panel) <= KERNELS_PANEL_SIZE, "panels");
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

/* Whether the blocks of a type have an offset of their own. */
static ALWAYS_INLINE bool has_offset(enum gguf_type type) {
        return type == GGUF_Q4_K || type == GGUF_Q5_K || type == GGUF_Q4_1 || type == GGUF_Q2_K;
}

/* Whether the halves of a block have scales of their own. */
static ALWAYS_INLINE bool has_halves(enum gguf_type type) {
        return type == GGUF_Q6_K || type == GGUF_Q2_K || type == GGUF_IQ4_NL;
}

/* Where the integer sum of a block (of half of it, if those have scales) with an input begins: at
 * what the type subtracts from every weight, times the sum of the inputs.  activations.starts has 8
 * times that. */
static ALWAYS_INLINE vec_i start_of(enum gguf_type type,
                                    const int32_t *starts,
                                    const int32_t *half_starts) {
        if (type == GGUF_Q4_0)
                return i_set1(*starts);
        if (type == GGUF_Q6_K)
                return i_shift_left(i_set1(*half_starts), 2);
        if (type == GGUF_IQ4_NL && !PANEL_Q8_SIGNED)
                return i_shift_left(i_set1(*half_starts), 4);
        if (type == GGUF_Q8_0 && !PANEL_Q8_SIGNED)
                return i_shift_left(i_set1(*starts), 4);
        return i_set1(0);
}

/* products[g * n + i] += n_vectors vectors of weights of group g times the columns of input i. */
static ALWAYS_INLINE void dot_type(enum gguf_type type,
                                   vec_i *products,
                                   const vec_b *w,
                                   size_t w_stride,
                                   const unsigned n_groups,
                                   const int8_t *x,
                                   size_t x_stride,
                                   const unsigned n) {
        if (type == GGUF_Q6_K)
                dot_u6(products, w, w_stride, n_groups, x, x_stride, n, 4);
        else if (type == GGUF_Q2_K)
                dot_u5(products, w, w_stride, n_groups, x, x_stride, n, 4);
        else if (type == GGUF_IQ4_NL)
                dot_q8(products, w, w_stride, n_groups, x, x_stride, n, 4);
        else if (type == GGUF_Q5_K)
                dot_u5(products, w, w_stride, n_groups, x, x_stride, n, 8);
        else if (type == GGUF_Q8_0)
                dot_q8(products, w, w_stride, n_groups, x, x_stride, n, 8);
        else
                dot_u4(products, w, w_stride, n_groups, x, x_stride, n, 8);
}

/* Adds the products of one block (of half of it, if those have scales) with one input to the sums. */
static ALWAYS_INLINE vec_f add_block(vec_f sums,
                                     enum gguf_type type,
                                     const struct panel *p,
                                     unsigned block,
                                     unsigned half,
                                     vec_i products,
                                     const float *x_scale,
                                     const float *x_sum) {
        vec_f scale = f_mul(f_load(p->scale[block][half]), f_set1(*x_scale));

        sums = f_fma(f_from_i(products), scale, sums);
        if (!has_offset(type))
                return sums;
        return f_fma(f_load(p->offset[block][half]), f_set1(*x_sum), sums);
}

/* Weights that will be wanted soon: a piece of so many bytes of each of n_rows rows.  Rows are short
 * and many are read at once, which the processor's own prefetching does not follow; asked for all at
 * once they would hold up what is computed meanwhile. */
struct ahead {
        const unsigned char *at;
        size_t stride;
        unsigned size;
        unsigned n_rows;   /* not yet asked for */
        unsigned per_step; /* rows to ask for in one go */
};

static ALWAYS_INLINE void ask_ahead(struct ahead *a) {
        unsigned n = a->n_rows < a->per_step ? a->n_rows : a->per_step;

        a->n_rows -= n;
        for (; n > 0; n--, a->at += a->stride)
                for (unsigned i = 0; i < a->size; i += LINE)
                        __builtin_prefetch(a->at + i, 0, 3);
}

/* Where unpacked weights go: into the panel, or, when there is a single input, into its sums,
 * because then nothing would read the panel twice. Scales always go through the panel. */
struct sink {
        struct panel *panel;
        const struct activations *x; /* the single input, NULL: fill the panel */
        size_t first_block;          /* that block 0 of the panel is in the row */
        vec_f sums;
        struct ahead *ahead; /* a step with every block */
};

/* Takes all columns of a block, in the order of the blocks. */
static ALWAYS_INLINE void
put_block(struct sink *s, enum gguf_type type, unsigned block, const vec_b w[8]) {
        size_t at = s->first_block + block;
        vec_i products;

        ask_ahead(s->ahead);
        if (!s->x) {
                UNROLL
                for (unsigned j = 0; j < 8; j++)
                        b_store(s->panel->bytes[block][j], w[j]);
                return;
        }
        products = start_of(type, s->x->starts + at, NULL);
        dot_type(type, &products, w, 0, 1, s->x->q + at * QUANT_BLOCK, 0, 1);
        s->sums = add_block(s->sums, type, s->panel, block, 0, products, s->x->scale + at,
                            s->x->sum + at);
}

static ALWAYS_INLINE void
put_scale(struct sink *s, unsigned block, unsigned half, vec_f scale, vec_f offset) {
        f_store(s->panel->scale[block][half], scale);
        f_store(s->panel->offset[block][half], offset);
}

static ALWAYS_INLINE void
put_q4_0(struct sink *s, unsigned block, vec_f scale, const vec_b v[4]) {
        vec_b w[8];

        UNROLL
        for (unsigned j = 0; j < 4; j++) {
                w[j] = low_nibbles(v[j]);
                w[4 + j] = high_nibbles(v[j]);
        }
        f_store(s->panel->scale[block][0], scale);
        put_block(s, GGUF_Q4_0, block, w);
}

static ALWAYS_INLINE void
put_q8_0(struct sink *s, unsigned block, vec_f scale, const vec_b v[8]) {
        vec_b w[8], flip = b_set1(PANEL_Q8_SIGNED ? 0 : 0x80);

        UNROLL
        for (unsigned j = 0; j < 8; j++)
                w[j] = b_xor(v[j], flip);
        f_store(s->panel->scale[block][0], scale);
        put_block(s, GGUF_Q8_0, block, w);
}

/* Two blocks of Q4_0 or Q8_0 are a half, n * 4 bytes, a half, n * 4 bytes: of the d[2 n + 1] that they
 * are in fours, the first block's integers lie across. */
static ALWAYS_INLINE void
put_pair(struct sink *s, enum gguf_type type, unsigned block, const vec_b *d, const unsigned n) {
        vec_b v[8];

        UNROLL
        for (unsigned j = 0; j < n; j++)
                v[j] = b_middle(d[j], d[j + 1]);
        if (type == GGUF_Q4_0) {
                put_q4_0(s, block, f_low_half(d[0]), v);
                put_q4_0(s, block + 1, f_high_half(d[n]), d + n + 1);
        } else {
                put_q8_0(s, block, f_low_half(d[0]), v);
                put_q8_0(s, block + 1, f_high_half(d[n]), d + n + 1);
        }
}

/* Eight blocks of Q4_0 or Q8_0 are whole sixteens of bytes: nothing of a row is loaded twice, and no
 * scale by itself. */
static ALWAYS_INLINE void unpack_eight(struct sink *s,
                                       enum gguf_type type,
                                       const unsigned char *at,
                                       size_t stride) {
        const unsigned n = type == GGUF_Q4_0 ? 4 : 8, in_pair = 2 * n + 1;
        vec_b d[4 * (2 * 8 + 1)];
        unsigned loaded = 0;

        UNROLL
        for (unsigned pair = 0; pair < 4; pair++) {
                UNROLL
                for (; 4 * loaded < (pair + 1) * in_pair; loaded++)
                        load_columns(d + 4 * loaded, at + 16 * loaded, stride);
                put_pair(s, type, 2 * pair, d + pair * in_pair, n);
        }
}

/* The blocks after the last eight of a row. */
static ALWAYS_INLINE void unpack_few(struct sink *s,
                                     enum gguf_type type,
                                     const unsigned char *at,
                                     size_t stride,
                                     unsigned n_blocks) {
        vec_b v[8];

        for (unsigned b = 0; b < n_blocks; b++) {
                load_columns(v, at + Q4_0_QUANTS, stride);
                if (type == GGUF_Q4_0) {
                        put_q4_0(s, b, f_gather_half(at, stride), v);
                        at += Q4_0_SIZE;
                } else {
                        load_columns(v + 4, at + Q8_0_QUANTS + 16, stride);
                        put_q8_0(s, b, f_gather_half(at, stride), v);
                        at += Q8_0_SIZE;
                }
        }
}

/* Q4_1: what Q4_0 is, and a smallest value in every block. */
static ALWAYS_INLINE void
unpack_q4_1(struct sink *s, const unsigned char *at, size_t stride, unsigned n_blocks) {
        vec_b v[4], w[8];

        for (unsigned b = 0; b < n_blocks; b++, at += Q4_1_SIZE) {
                load_columns(v, at + Q4_1_QUANTS, stride);
                UNROLL
                for (unsigned j = 0; j < 4; j++) {
                        w[j] = low_nibbles(v[j]);
                        w[4 + j] = high_nibbles(v[j]);
                }
                put_scale(s, b, 0, f_gather_half(at, stride), f_gather_half(at + 2, stride));
                put_block(s, GGUF_Q4_1, b, w);
        }
}

#include "model/kernels_panel_types.h"

/* Through the panel also when there is a single input. */
static ALWAYS_INLINE void unpack_any(struct sink *s,
                                     const struct matrix *w,
                                     enum gguf_type type,
                                     const unsigned char *at,
                                     unsigned n_blocks) {
        for (unsigned b = 0; b < n_blocks; b++)
                ask_ahead(s->ahead);
        fill_panel(s->panel, w, at, n_blocks);
        for (unsigned b = 0; s->x && b < n_blocks; b++) {
                size_t x_block = s->first_block + b;

                for (unsigned half = 0; half < 2; half++) {
                        const uint8_t (*bytes)[PANEL_ROWS][4] = &s->panel->bytes[b][4 * half];
                        vec_i products =
                                start_of(type, NULL, s->x->half_starts + 2 * x_block + half);

                        dot_type(type, &products, (const vec_b *) (const void *) bytes, 0, 1,
                                 s->x->q + x_block * QUANT_BLOCK + 16 * half, 0, 1);
                        s->sums = add_block(s->sums, type, s->panel, b, half, products,
                                            s->x->scale + x_block,
                                            s->x->half_sums + 2 * x_block + half);
                }
        }
}

/* Scales and minima of the eight blocks of a Q4_K or Q5_K super-block: quant_k_scale() for all rows
 * and four blocks at once. */
static ALWAYS_INLINE void
unpack_k_scales(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b six_bits = b_set1(0x3f), upper_two = b_set1(0x30);
        vec_b head[4], scales[2], minima[2];
        vec_f d, dmin;

        load_columns(head, super, stride); /* d and dmin, then 12 bytes of both */
        d = f_low_half(head[0]);
        dmin = f_mul(f_high_half(head[0]), f_set1(-1.0f));
        scales[0] = b_and(head[1], six_bits);
        minima[0] = b_and(head[2], six_bits);
        scales[1] = b_or(low_nibbles(head[3]), b_and(b_shift_right(head[1], 2), upper_two));
        minima[1] = b_or(high_nibbles(head[3]), b_and(b_shift_right(head[2], 2), upper_two));

        for (int j = 0; j < 8; j++)
                put_scale(s, (unsigned) j, 0, f_mul(d, f_from_i(i_byte(scales[j / 4], j % 4))),
                          f_mul(dmin, f_from_i(i_byte(minima[j / 4], j % 4))));
}

static ALWAYS_INLINE void unpack_q4_k(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b v[8], w[8];

        unpack_k_scales(s, super, stride);
        UNROLL
        for (unsigned pair = 0; pair < 4; pair++) {
                load_columns(v, super + Q4_K_QUANTS + 32 * pair, stride);
                load_columns(v + 4, super + Q4_K_QUANTS + 32 * pair + 16, stride);
                UNROLL
                for (unsigned j = 0; j < 8; j++)
                        w[j] = low_nibbles(v[j]);
                put_block(s, GGUF_Q4_K, 2 * pair, w);
                UNROLL
                for (unsigned j = 0; j < 8; j++)
                        w[j] = high_nibbles(v[j]);
                put_block(s, GGUF_Q4_K, 2 * pair + 1, w);
        }
}

/* The lowest bit of every byte, moved to bit 4. */
static ALWAYS_INLINE vec_b fifth_bit(vec_b v) {
        return b_shift_left4(b_and(v, b_set1(1)));
}

static ALWAYS_INLINE void unpack_q5_k(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b v[8], bits[8], w[8];

        unpack_k_scales(s, super, stride);
        load_columns(bits, super + Q5_K_HIGH, stride);
        load_columns(bits + 4, super + Q5_K_HIGH + 16, stride);
        UNROLL
        for (unsigned pair = 0; pair < 4; pair++) {
                load_columns(v, super + Q5_K_QUANTS + 32 * pair, stride);
                load_columns(v + 4, super + Q5_K_QUANTS + 32 * pair + 16, stride);
                UNROLL
                for (unsigned j = 0; j < 8; j++) {
                        w[j] = b_or(low_nibbles(v[j]), fifth_bit(bits[j]));
                        bits[j] = b_shift_right(bits[j], 1);
                }
                put_block(s, GGUF_Q5_K, 2 * pair, w);
                UNROLL
                for (unsigned j = 0; j < 8; j++) {
                        w[j] = b_or(high_nibbles(v[j]), fifth_bit(bits[j]));
                        bits[j] = b_shift_right(bits[j], 1);
                }
                put_block(s, GGUF_Q5_K, 2 * pair + 1, w);
        }
}

static ALWAYS_INLINE void
unpack_q6_k_scales(struct sink *s, const unsigned char *super, size_t stride) {
        vec_b scales[4], end[4];
        vec_f d;

        load_columns(scales, super + Q6_K_SCALES, stride);
        load_columns(end, super + Q6_K_SIZE - 16, stride); /* the last two bytes are d */
        d = f_high_half(end[3]);
        for (int j = 0; j < 16; j++)
                f_store(s->panel->scale[j / 2][j % 2],
                        f_mul(d, f_from_i(i_byte(scales[j / 4], j % 4))));
}

/* Half `half` of the four blocks that share bytes: their 4 vectors each. */
static ALWAYS_INLINE void q6_k_halves(vec_b w[4][4],
                                      const unsigned char *low,
                                      const unsigned char *high,
                                      size_t stride) {
        vec_b two = b_set1(0x03), upper_two = b_set1(0x30);
        vec_b l0[4], l1[4], h[4];

        load_columns(l0, low, stride);
        load_columns(l1, low + 32, stride);
        load_columns(h, high, stride);
        UNROLL
        for (unsigned j = 0; j < 4; j++) {
                /* The two high bits of block i of the four are bits 2 i and 2 i + 1. */
                vec_b h0 = b_shift_left4(b_and(h[j], two));
                vec_b h1 = b_shift_left4(b_and(b_shift_right(h[j], 2), two));
                vec_b h2 = b_and(h[j], upper_two);
                vec_b h3 = b_and(b_shift_right(h[j], 2), upper_two);

                w[0][j] = b_or(low_nibbles(l0[j]), h0);
                w[1][j] = b_or(low_nibbles(l1[j]), h1);
                w[2][j] = b_or(high_nibbles(l0[j]), h2);
                w[3][j] = b_or(high_nibbles(l1[j]), h3);
        }
}

/* One half of a Q6_K block: stored, or multiplied. */
static ALWAYS_INLINE vec_i
put_q6_k_half(struct sink *s, unsigned block, unsigned half, const vec_b w[4]) {
        size_t at = s->first_block + block;
        vec_i products = i_set1(0);

        if (!s->x) {
                UNROLL
                for (unsigned j = 0; j < 4; j++)
                        b_store(s->panel->bytes[block][4 * half + j], w[j]);
                return products;
        }
        products = start_of(GGUF_Q6_K, NULL, s->x->half_starts + 2 * at + half);
        dot_type(GGUF_Q6_K, &products, w, 0, 1, s->x->q + at * QUANT_BLOCK + 16 * half, 0, 1);
        return products;
}

static ALWAYS_INLINE void unpack_q6_k(struct sink *s, const unsigned char *super, size_t stride) {
        unpack_q6_k_scales(s, super, stride);
        UNROLL
        for (unsigned b = 0; b < 8; b += 4) {
                vec_i products[4][2];

                UNROLL
                for (unsigned half = 0; half < 2; half++) {
                        vec_b w[4][4];

                        ask_ahead(s->ahead);
                        ask_ahead(s->ahead);
                        q6_k_halves(w, super + Q6_K_LOW + b * 16 + half * 16,
                                    super + Q6_K_HIGH + b * 8 + half * 16, stride);
                        for (unsigned i = 0; i < 4; i++)
                                products[i][half] = put_q6_k_half(s, b + i, half, w[i]);
                }
                /* A row's sums are made block after block, whoever makes them. */
                for (unsigned i = 0; s->x && i < 4; i++)
                        for (unsigned half = 0; half < 2; half++)
                                s->sums = add_block(s->sums, GGUF_Q6_K, s->panel, b + i, half,
                                                    products[i][half],
                                                    s->x->scale + s->first_block + b + i, NULL);
        }
}

/* Where the blocks from block b on of row `first` begin; in super-blocks, b is a whole number of
 * them. */
static ALWAYS_INLINE const unsigned char *
blocks_at(const struct matrix *w, enum gguf_type type, unsigned first, size_t b) {
        size_t size = type == GGUF_Q4_0   ? Q4_0_SIZE
                      : type == GGUF_Q4_1 ? Q4_1_SIZE
                      : type == GGUF_Q8_0 ? Q8_0_SIZE
                      : type == GGUF_Q4_K ? Q4_K_SIZE / PANEL_BLOCKS
                      : type == GGUF_Q5_K ? Q5_K_SIZE / PANEL_BLOCKS
                                          : 0;

        if (type == GGUF_Q6_K)
                return matrix_row(w, first) + b / PANEL_BLOCKS * Q6_K_SIZE;
        if (size == 0) /* of another type; a super-block's size need not be a multiple of 8 */
                return matrix_row(w, first) + w->row_size * b / (w->n_cols / QUANT_BLOCK);
        return matrix_row(w, first) + b * size;
}

/* n_blocks blocks of PANEL_ROWS rows, from block s->first_block of row `first` on. */
static ALWAYS_INLINE void unpack(struct sink *s,
                                 const struct matrix *w,
                                 enum gguf_type type,
                                 unsigned first,
                                 unsigned n_blocks) {
        const unsigned char *at = blocks_at(w, type, first, s->first_block);
        size_t stride = w->row_size;

        switch (type) {
        case GGUF_Q4_0:
        case GGUF_Q8_0:
                if (n_blocks == PANEL_BLOCKS)
                        unpack_eight(s, type, at, stride);
                else
                        unpack_few(s, type, at, stride, n_blocks);
                return;
        case GGUF_Q4_1:
                unpack_q4_1(s, at, stride, n_blocks);
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
        case GGUF_Q2_K:
        case GGUF_IQ4_NL:
                unpack_any(s, w, type, at, n_blocks);
                return;
        default: /* multiplied as one of the above */
                return;
        }
}

/* The sums of one input with the rows of every panel. */
typedef float panel_sums[PANELS][PANEL_ROWS];

/* sums[i] += panels times input rows row .. row + n - 1, over n_blocks blocks from first_block on. n
 * and the type are constants at every call, so that what is summed stays in registers. */
static ALWAYS_INLINE void multiply_tile(const struct panel *p,
                                        enum gguf_type type,
                                        const struct activations *x,
                                        size_t row,
                                        const unsigned n,
                                        size_t first_block,
                                        unsigned n_blocks,
                                        panel_sums *sums,
                                        unsigned group,
                                        struct ahead *ahead) {
        const size_t row_blocks = ACTIVATIONS_CHUNK;
        size_t first = activations_at(x, row, first_block);
        const size_t panel_stride = sizeof(*p) / sizeof(vec_b);
        const unsigned halves = has_halves(type) ? 2 : 1;
        vec_f acc[PANEL_GROUPS * PANEL_TILE];

        UNROLL
        for (unsigned i = 0; i < n; i++)
                UNROLL
                for (unsigned g = 0; g < PANEL_GROUPS; g++)
                        acc[g * n + i] = f_load(sums[i][group + g]);

        for (unsigned b = 0; b < n_blocks; b++, first++) {
                ask_ahead(ahead);
                UNROLL
                for (unsigned half = 0; half < halves; half++) {
                        const vec_b *w = (const vec_b *) (const void *) p->bytes[b][4 * half];
                        vec_i products[PANEL_GROUPS * PANEL_TILE];

                        UNROLL
                        for (unsigned i = 0; i < n; i++)
                                UNROLL
                                for (unsigned g = 0; g < PANEL_GROUPS; g++)
                                        products[g * n + i] = start_of(
                                                type, x->starts + first + i * row_blocks,
                                                x->half_starts + 2 * (first + i * row_blocks) +
                                                        half);
                        dot_type(type, products, w, panel_stride, PANEL_GROUPS,
                                 x->q + first * QUANT_BLOCK + 16 * half, QUANT_SUPER, n);
                        UNROLL
                        for (unsigned i = 0; i < n; i++)
                                UNROLL
                                for (unsigned g = 0; g < PANEL_GROUPS; g++)
                                        acc[g * n + i] = add_block(
                                                acc[g * n + i], type, p + g, b, half,
                                                products[g * n + i],
                                                x->scale + first + i * row_blocks,
                                                halves == 2 ? x->half_sums + half +
                                                                      2 * (first + i * row_blocks)
                                                            : x->sum + first + i * row_blocks);
                }
        }

        UNROLL
        for (unsigned i = 0; i < n; i++)
                UNROLL
                for (unsigned g = 0; g < PANEL_GROUPS; g++)
                        f_store(sums[i][group + g], acc[g * n + i]);
}

/* Inputs whose sums are kept beside the panel; more of them take the panel's rows once more. */
#define PANEL_INPUTS 128

/* How many chunks of columns before they are wanted weights are asked for: memory answers after some
 * 150 ns. */
#define AHEAD_OF_FEW  2
#define AHEAD_OF_MANY 1
#define FEW           12 /* inputs at most */
#define VERY_FEW      4  /* that leave so little to do between unpacking that it has to ask, too */

/* The piece of n_rows rows that comes n_chunks chunks after block b of the rows from `first` on; after
 * the end of a row comes the beginning of the rows that follow. */
static ALWAYS_INLINE struct ahead ahead_of(const struct matrix *w,
                                           enum gguf_type type,
                                           unsigned first,
                                           unsigned n_rows,
                                           size_t b,
                                           unsigned n_chunks) {
        size_t n_blocks = w->n_cols / QUANT_BLOCK, at = b + (size_t) n_chunks * PANEL_BLOCKS;
        size_t chunk = (size_t) (blocks_at(w, type, 0, PANEL_BLOCKS) - w->data);

        if (at >= n_blocks) {
                at -= activations_blocks(w->n_cols);
                first += n_rows;
        }
        return (struct ahead){
                .at = blocks_at(w, type, first, at < n_blocks ? at : 0),
                .stride = w->row_size,
                .size = (unsigned) chunk,
                .n_rows = n_rows,
        };
}

/* A single input is through with a chunk before memory answers: while it takes block b of a panel, as much is
 * asked for of the panel that follows, every line of it once, in the order in which they lie in memory. */
static ALWAYS_INLINE struct ahead
next_panel(const struct matrix *w, enum gguf_type type, unsigned first, size_t b) {
        size_t piece = (size_t) (blocks_at(w, type, 0, PANEL_BLOCKS) - w->data) * PANEL_ROWS;
        size_t at = b / PANEL_BLOCKS * piece, end = w->row_size * PANEL_ROWS;
        unsigned line, n_lines;

        end = at + piece < end ? at + piece : end;
        line = (unsigned) ((at + LINE - 1) / LINE);
        n_lines = (unsigned) ((end + LINE - 1) / LINE) - line;
        return (struct ahead){
                .at = blocks_at(w, type, first + PANEL_ROWS, 0) + (size_t) line * LINE,
                .stride = LINE,
                .size = LINE,
                .n_rows = n_lines,
                .per_step = (n_lines + PANEL_BLOCKS - 1) / PANEL_BLOCKS,
        };
}

/* Two panels are more than the first-level cache holds: what was asked for with next_panel() has to come from the
 * second, and its chunks do not lie as the processor would ask for them by itself. */
static ALWAYS_INLINE void
ask_next_chunk(const struct matrix *w, enum gguf_type type, unsigned first, size_t b) {
        struct ahead ahead = ahead_of(w, type, first, PANEL_ROWS, b, 1);

        ahead.per_step = PANEL_ROWS;
        ask_ahead(&ahead);
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
        struct ahead ahead;
        struct sink s = { p, x, 0, f_zero(), &ahead };

        for (size_t b = 0; b < n_blocks; b += PANEL_BLOCKS) {
                unsigned n = (unsigned) (n_blocks - b < PANEL_BLOCKS ? n_blocks - b : PANEL_BLOCKS);

                ahead = next_panel(w, type, first, b);
                ask_next_chunk(w, type, first, b);
                s.first_block = b;
                unpack(&s, w, type, first, n);
        }
        f_store(y, s.sums);
}

/* n_groups panels times `size` inputs. */
static ALWAYS_INLINE void multiply_tiles(const struct panel *p,
                                         unsigned n_groups,
                                         enum gguf_type type,
                                         const struct activations *x,
                                         size_t row,
                                         unsigned size,
                                         size_t b,
                                         unsigned n_blocks,
                                         panel_sums *sums,
                                         struct ahead *ahead) {
        for (unsigned g = 0; g < n_groups; g += PANEL_GROUPS)
                switch (size) {
#define TILE_OF(size)                                                                              \
        case size:                                                                                 \
                if (size <= PANEL_TILE)                                                            \
                        multiply_tile(p + g, type, x, row, size <= PANEL_TILE ? size : 1, b,       \
                                      n_blocks, sums, g, ahead);                                   \
                break;
                        TILE_OF(1)
                        TILE_OF(2)
                        TILE_OF(3)
                        TILE_OF(4)
                        TILE_OF(5)
                        TILE_OF(6)
                        TILE_OF(7)
#undef TILE_OF
                }
}

/* The panels of n_blocks blocks from block b on times n inputs, in tiles of about the same size. */
static ALWAYS_INLINE void multiply_panels(const struct panel *p,
                                          unsigned n_groups,
                                          enum gguf_type type,
                                          const struct activations *x,
                                          unsigned row,
                                          unsigned n,
                                          size_t b,
                                          unsigned n_blocks,
                                          panel_sums *sums,
                                          struct ahead *ahead) {
        unsigned n_tiles = (n + PANEL_TILE - 1) / PANEL_TILE;
        unsigned n_steps = n_tiles * ((n_groups + PANEL_GROUPS - 1) / PANEL_GROUPS) * n_blocks;

        ahead->per_step = (ahead->n_rows + n_steps - 1) / n_steps;
        for (; n_tiles > 0; n_tiles--) {
                unsigned size = (n + n_tiles - 1) / n_tiles;

                multiply_tiles(p, n_groups, type, x, row, size, b, n_blocks, sums, ahead);
                row += size;
                sums += size;
                n -= size;
        }
}

/* n_groups panels of rows, from row `first` on, times input rows row .. row + n_inputs - 1. */
static ALWAYS_INLINE void multiply_group(const struct matrix *w,
                                         enum gguf_type type,
                                         unsigned first,
                                         unsigned n_groups,
                                         const struct activations *x,
                                         unsigned row,
                                         unsigned n_inputs,
                                         struct panel *p,
                                         panel_sums *sums) {
        size_t n_blocks = w->n_cols / QUANT_BLOCK;

        memset(sums, 0, n_inputs * sizeof(sums[0]));
        for (size_t b = 0; b < n_blocks; b += PANEL_BLOCKS) {
                unsigned n = (unsigned) (n_blocks - b < PANEL_BLOCKS ? n_blocks - b : PANEL_BLOCKS);
                struct ahead ahead = ahead_of(w, type, first, n_groups * PANEL_ROWS, b,
                                              n_inputs <= FEW ? AHEAD_OF_FEW : AHEAD_OF_MANY);

                ahead.per_step = n_inputs <= VERY_FEW ? 1 : 0;
                for (unsigned g = 0; g < n_groups; g++) {
                        struct sink s = { p + g, NULL, b, f_zero(), &ahead };

                        unpack(&s, w, type, first + g * PANEL_ROWS, n);
                }
                multiply_panels(p, n_groups, type, x, row, n_inputs, b, n, sums, &ahead);
        }
}

/* The same rows times all inputs.  Where the last panel has no other to be multiplied with, that holds
 * what it held before, and its sums go nowhere. */
static ALWAYS_INLINE void multiply_inputs(const struct matrix *w,
                                          enum gguf_type type,
                                          unsigned first,
                                          unsigned n_groups,
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
        unsigned r = first;

        while (r + PANEL_ROWS <= end) {
                unsigned left = (end - r) / PANEL_ROWS, n_groups = left < PANELS ? left : PANELS;

                if (x->n_rows == 1) {
                        multiply_single(w, type, r, x, panel, y + r);
                        n_groups = 1;
                } else
                        multiply_inputs(w, type, r, n_groups, x, y, y_stride, panel);
                r += n_groups * PANEL_ROWS;
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
        case GGUF_Q4_1:
                multiply_type(w, GGUF_Q4_1, first, end, x, y, y_stride, panel);
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
        case GGUF_Q5_0:
        case GGUF_Q5_1:
        case GGUF_Q2_K:
        case GGUF_Q3_K:
        case GGUF_MXFP4:
                multiply_type(w, GGUF_Q2_K, first, end, x, y, y_stride, panel);
                return;
        case GGUF_IQ1_S:
        case GGUF_IQ1_M:
        case GGUF_IQ2_XXS:
        case GGUF_IQ2_XS:
        case GGUF_IQ2_S:
        case GGUF_IQ3_XXS:
        case GGUF_IQ3_S:
        case GGUF_IQ4_NL:
        case GGUF_IQ4_XS:
                multiply_type(w, GGUF_IQ4_NL, first, end, x, y, y_stride, panel);
                return;
        case GGUF_F32:
        case GGUF_F16:
        case GGUF_BF16:
        case GGUF_I32:
                return;
        }
}

#include "model/kernels_attention.h"

#endif
