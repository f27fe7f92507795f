/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quant.h"

#include <assert.h>
#include <string.h>

#include "model/half.h"

static void read_q4_0(struct quant_block *ret, const unsigned char *b) {
        float d = load_half(b);

        for (unsigned i = 0; i < 16; i++) {
                ret->q[i] = b[Q4_0_QUANTS + i] & 15;
                ret->q[i + 16] = b[Q4_0_QUANTS + i] >> 4;
        }
        ret->scale[0] = ret->scale[1] = d;
        ret->offset[0] = ret->offset[1] = 8 * d;
}

static void read_q8_0(struct quant_block *ret, const unsigned char *b) {
        float d = load_half(b);

        for (unsigned i = 0; i < QUANT_BLOCK; i++)
                ret->q[i] = b[Q8_0_QUANTS + i] ^ 0x80;
        ret->scale[0] = ret->scale[1] = d;
        ret->offset[0] = ret->offset[1] = 128 * d;
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
        case GGUF_Q8_0:
                read_q8_0(ret, row + block * Q8_0_SIZE);
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
