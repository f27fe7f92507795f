/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant.h"

#include <assert.h>
#include <string.h>

#include "model/half.h"
#include "model/quant-grids.h"

static void set_scale(struct quant_block *ret, float scale, float offset) {
        ret->scale[0] = ret->scale[1] = scale;
        ret->offset[0] = ret->offset[1] = offset;
}

/* 16 bytes of which the low nibbles are the first half of the block. */
static void read_nibbles(struct quant_block *ret, const unsigned char *quants) {
        for (unsigned i = 0; i < 16; i++) {
                ret->q[i] = quants[i] & 15;
                ret->q[i + 16] = quants[i] >> 4;
        }
}

static void read_fifth_bits(struct quant_block *ret, const unsigned char *bits) {
        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] |= (uint8_t) (((bits[i / 8] >> (i % 8)) & 1) << 4);
}

static void read_q4_0(struct quant_block *ret, const unsigned char *b) {
        float d = load_half(b);

        read_nibbles(ret, b + Q4_0_QUANTS);
        set_scale(ret, d, 8 * d);
}

static void read_q4_1(struct quant_block *ret, const unsigned char *b) {
        read_nibbles(ret, b + Q4_1_QUANTS);
        set_scale(ret, load_half(b), -load_half(b + 2));
}

static void read_q5_0(struct quant_block *ret, const unsigned char *b) {
        float d = load_half(b);

        read_nibbles(ret, b + Q5_0_QUANTS);
        read_fifth_bits(ret, b + Q5_0_HIGH);
        set_scale(ret, d, 16 * d);
}

static void read_q5_1(struct quant_block *ret, const unsigned char *b) {
        read_nibbles(ret, b + Q5_1_QUANTS);
        read_fifth_bits(ret, b + Q5_1_HIGH);
        set_scale(ret, load_half(b), -load_half(b + 2));
}

static void read_q8_0(struct quant_block *ret, const unsigned char *b) {
        float d = load_half(b);

        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] = b[Q8_0_QUANTS + i] ^ 0x80;
        set_scale(ret, d, 128 * d);
}

/* What Q2_K and Q3_K share: two bits of the weights of block j. */
static void read_two_bits(struct quant_block *ret, const unsigned char *quants, unsigned j) {
        const unsigned char *q = quants + (size_t) (j / 4) * QUANT_BLOCK;

        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] = (q[i] >> (2 * (j % 4))) & 3;
}

static void read_q2_k(struct quant_block *ret, const unsigned char *super, unsigned j) {
        read_two_bits(ret, super + Q2_K_QUANTS, j);
        for (unsigned i = 0; i < 2; i++) {
                unsigned both = super[2 * j + i];

                ret->scale[i] = load_half(super + Q2_K_D) * (float) (both & 15);
                ret->offset[i] = load_half(super + Q2_K_D + 2) * (float) (both >> 4);
        }
}

static void read_q3_k(struct quant_block *ret, const unsigned char *super, unsigned j) {
        const unsigned char *scales = super + Q3_K_SCALES;

        read_two_bits(ret, super + Q3_K_QUANTS, j);
        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] |= (uint8_t) (((super[Q3_K_HIGH + i] >> j) & 1) << 2);
        for (unsigned i = 0; i < 2; i++) {
                unsigned n = 2 * j + i;
                int low = (scales[n % 8] >> (n / 8 * 4)) & 15;
                int high = (scales[8 + n % 4] >> (n / 4 * 2)) & 3;

                ret->scale[i] = load_half(super + Q3_K_D) * (float) ((low | high << 4) - 32);
                ret->offset[i] = 4 * ret->scale[i];
        }
}

/* What Q4_K and Q5_K share: four bits of the weights, scale and minimum of block j. */
static void read_k(struct quant_block *ret,
                   const unsigned char *super,
                   const unsigned char *quants,
                   unsigned j) {
        unsigned scale, minimum, shift = j % 2 ? 4 : 0;
        const unsigned char *q = quants + (size_t) (j / 2) * QUANT_BLOCK;

        quant_k_scale(super + Q4_K_SCALES, j, &scale, &minimum);
        ret->scale[0] = ret->scale[1] = load_half(super) * (float) scale;
        ret->offset[0] = ret->offset[1] = load_half(super + 2) * (float) minimum;
        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] = (q[i] >> shift) & 15;
}

static void read_q5_k(struct quant_block *ret, const unsigned char *super, unsigned j) {
        read_k(ret, super, super + Q5_K_QUANTS, j);
        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] |= (uint8_t) (((super[Q5_K_HIGH + i] >> j) & 1) << 4);
}

static void read_q6_k(struct quant_block *ret, const unsigned char *super, unsigned j) {
        unsigned half = j / 4, quarter = j % 4;
        const unsigned char *low = super + Q6_K_LOW + half * 64 + (quarter % 2) * 32;
        const unsigned char *high = super + Q6_K_HIGH + half * 32;
        float d = load_half(super + Q6_K_D);

        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] = (uint8_t) (((low[i] >> (quarter / 2 * 4)) & 15) |
                                       (((high[i] >> (2 * quarter)) & 3) << 4));
        for (unsigned i = 0; i < 2; i++) {
                int8_t scale = (int8_t) super[Q6_K_SCALES + 2 * j + i];

                ret->scale[i] = d * (float) scale;
                ret->offset[i] = 32 * ret->scale[i];
        }
}

/* -127, -104, -83, ..., 113, plus QUANT_IQ4_ZERO. */
const uint8_t quant_iq4_values[16] = { 1,   24,  45,  63,  79,  93,  106, 118,
                                        129, 141, 153, 166, 181, 197, 217, 241 };

/* The halves that four bits make with a sign, an exponent of two and a fraction of one, times two, plus
 * 12. */
const uint8_t quant_mxfp4_values[16] = {
        12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0
};

static void
read_values(struct quant_block *ret, const unsigned char *quants, const uint8_t values[16]) {
        read_nibbles(ret, quants);
        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] = values[ret->q[i]];
}

static void read_iq4_nl(struct quant_block *ret, const unsigned char *b) {
        float d = load_half(b);

        read_values(ret, b + IQ4_NL_QUANTS, quant_iq4_values);
        set_scale(ret, d, QUANT_IQ4_ZERO * d);
}

static void read_iq4_xs(struct quant_block *ret, const unsigned char *super, unsigned j) {
        int low = (super[IQ4_XS_SCALES_LOW + j / 2] >> (j % 2 * 4)) & 15;
        int high = (load_u16(super + IQ4_XS_SCALES_HIGH) >> (2 * j)) & 3;
        float scale = load_half(super) * (float) ((low | high << 4) - 32);

        read_values(ret, super + IQ4_XS_QUANTS + (size_t) j * 16, quant_iq4_values);
        set_scale(ret, scale, QUANT_IQ4_ZERO * scale);
}

static void read_mxfp4(struct quant_block *ret, const unsigned char *b) {
        float scale = quant_mxfp4_scale(b[0]);

        read_values(ret, b + MXFP4_QUANTS, quant_mxfp4_values);
        set_scale(ret, scale, QUANT_MXFP4_ZERO * scale);
}

void quant_read_block(struct quant_block *ret,
                      enum gguf_type type,
                      const unsigned char *row,
                      size_t block) {
        size_t super = block / 8;
        unsigned j = (unsigned) (block % 8);

        switch (type) {
        case GGUF_Q4_0:
                read_q4_0(ret, row + block * Q4_0_SIZE);
                return;
        case GGUF_Q4_1:
                read_q4_1(ret, row + block * Q4_1_SIZE);
                return;
        case GGUF_Q5_0:
                read_q5_0(ret, row + block * Q5_0_SIZE);
                return;
        case GGUF_Q5_1:
                read_q5_1(ret, row + block * Q5_1_SIZE);
                return;
        case GGUF_Q8_0:
                read_q8_0(ret, row + block * Q8_0_SIZE);
                return;
        case GGUF_Q2_K:
                read_q2_k(ret, row + super * Q2_K_SIZE, j);
                return;
        case GGUF_Q3_K:
                read_q3_k(ret, row + super * Q3_K_SIZE, j);
                return;
        case GGUF_Q4_K:
                read_k(ret, row + super * Q4_K_SIZE, row + super * Q4_K_SIZE + Q4_K_QUANTS, j);
                return;
        case GGUF_Q5_K:
                read_q5_k(ret, row + super * Q5_K_SIZE, j);
                return;
        case GGUF_Q6_K:
                read_q6_k(ret, row + super * Q6_K_SIZE, j);
                return;
        case GGUF_IQ4_NL:
                read_iq4_nl(ret, row + block * IQ4_NL_SIZE);
                return;
        case GGUF_IQ4_XS:
                read_iq4_xs(ret, row + super * IQ4_XS_SIZE, j);
                return;
        case GGUF_MXFP4:
                read_mxfp4(ret, row + block * MXFP4_SIZE);
                return;
        case GGUF_IQ1_S:
        case GGUF_IQ1_M:
        case GGUF_IQ2_XXS:
        case GGUF_IQ2_XS:
        case GGUF_IQ2_S:
        case GGUF_IQ3_XXS:
        case GGUF_IQ3_S:
                quant_read_grid_block(ret, type, row, block);
                return;
        case GGUF_F32:
        case GGUF_F16:
        case GGUF_BF16:
        case GGUF_I32:
                break;
        }
        assert(!"not a quantised type");
}

void quant_dequantize_row(float *ret, enum gguf_type type, const unsigned char *row, size_t n) {
        struct quant_block b;

        if (type == GGUF_F32) {
                memcpy(ret, row, n * sizeof(float));
                return;
        }
        if (type == GGUF_F16 || type == GGUF_BF16) {
                for (size_t i = 0; i < n; i++)
                        ret[i] = type == GGUF_F16 ? load_half(row + 2 * i)
                                                  : bf16_to_float(load_u16(row + 2 * i));
                return;
        }
        for (size_t block = 0; block < n / QUANT_BLOCK; block++) {
                quant_read_block(&b, type, row, block);
                for (unsigned i = 0; i < QUANT_BLOCK; i++)
                        ret[block * QUANT_BLOCK + i] =
                                b.scale[i / 16] * (float) b.q[i] - b.offset[i / 16];
        }
}
