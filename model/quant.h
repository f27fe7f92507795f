/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_QUANT_H
#define MODEL_QUANT_H

#include <stddef.h>
#include <stdint.h>

#include "model/gguf.h"
#include "model/half.h"

/* The block formats of quantised weights, as GGUF files hold them, and their plain reading.  In all
 * of them the value of weight i is
 *
 *     scale * q[i] - offset
 *
 * with a scale and an offset per QUANT_BLOCK weights (per half of that in Q2_K, Q3_K, Q6_K and some IQ types) and q
 * an unsigned integer of 2 to 8 bits.  Formats: Q4_0, Q5_0 and Q8_0 are one half-precision scale and
 * 32 integers, Q4_1 and Q5_1 have a smallest value besides; the K formats are super-blocks of 256 with
 * scales that are quantised themselves.  In IQ4_NL, IQ4_XS (a super-block) and MXFP4, whose scale is a
 * power of two, the 4 bits stored say which of 16 fixed values a weight has: q is that value plus what
 * makes all of them positive.  So it is in the IQ types of fewer bits, whose weights are rows of a
 * grid: see quant-grids.h. */

#define QUANT_BLOCK 32
#define QUANT_SUPER 256

/* What the IQ types subtract from every q: the offset is this times the scale. */
#define QUANT_IQ4_ZERO 128

/* The values of the 16 numbers in IQ4_NL and IQ4_XS, plus QUANT_IQ4_ZERO, and in MXFP4, twice them plus
 * QUANT_MXFP4_ZERO. */
#define QUANT_MXFP4_ZERO 12
extern const uint8_t quant_iq4_values[16];
extern const uint8_t quant_mxfp4_values[16];

/* Half of the power of two that the exponent of an MXFP4 block stands for, since the values are
 * doubled: the two smallest have no normal float. */
static inline float quant_mxfp4_scale(unsigned exponent) {
        return float_from_bits(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
}

/* One block of one row, taken apart.  Sub-block j holds weights 16 j to 16 j + 15. */
struct quant_block {
        uint8_t q[QUANT_BLOCK];
        float scale[2];
        float offset[2];
};

/* Takes block number `block` (of QUANT_BLOCK weights) of a row apart.  The type is a
 * handled one other than F32, F16, BF16 and I32. */
void quant_read_block(struct quant_block *ret,
                      enum gguf_type type,
                      const unsigned char *row,
                      size_t block);

/* A whole row of n weights of any handled type (the above and F32, F16, BF16) as floats. n is a
 * multiple of the type's block. */
void quant_dequantize_row(float *ret, enum gguf_type type, const unsigned char *row, size_t n);

/* Sixteen 6-bit values, 8 scales and 8 minima, are packed into the 12 bytes `packed` of a Q4_K or
 * Q5_K super-block.  Reads pair j. */
static inline void
quant_k_scale(const unsigned char *packed, unsigned j, unsigned *scale, unsigned *minimum) {
        if (j < 4) {
                *scale = packed[j] & 63;
                *minimum = packed[j + 4] & 63;
        } else {
                *scale = (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
                *minimum = (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4);
        }
}

/* Byte offsets inside the blocks. */
enum {
        Q4_0_SIZE = 18,
        Q4_0_QUANTS = 2, /* 16 bytes: low nibbles are weights 0..15, high nibbles 16..31 */
        Q4_1_SIZE = 20,  /* scale, smallest value, */
        Q4_1_QUANTS = 4,
        Q5_0_SIZE = 22,
        Q5_0_HIGH = 2, /* 32 bits, the fifth of every weight */
        Q5_0_QUANTS = 6,
        Q5_1_SIZE = 24, /* scale, smallest value, */
        Q5_1_HIGH = 4,
        Q5_1_QUANTS = 8,
        Q8_0_SIZE = 34,
        Q8_0_QUANTS = 2,  /* 32 signed bytes */
        Q2_K_SIZE = 84,   /* 16 bytes, scale in the low and minimum in the high nibble, */
        Q2_K_QUANTS = 16, /* 2 times 32 bytes, two bits for each of 4 weights 32 apart */
        Q2_K_D = 80,      /* d, dmin */
        Q3_K_SIZE = 110,
        Q3_K_HIGH = 0, /* 32 bytes, bit j of byte i is the third bit of weight 32 j + i */
        Q3_K_QUANTS = 32,
        Q3_K_SCALES = 96, /* 16 times 4 bits in 8 bytes, then 16 times 2 bits in 4 */
        Q3_K_D = 108,
        Q4_K_SIZE = 144, /* d, dmin, */
        Q4_K_SCALES = 4,
        Q4_K_QUANTS = 16, /* 4 times 32 bytes: low nibbles block 2i, high nibbles block 2i + 1 */
        Q5_K_SIZE = 176,
        Q5_K_SCALES = 4,
        Q5_K_HIGH = 16, /* 32 bytes, bit j of byte i is the fifth bit of weight 32 j + i */
        Q5_K_QUANTS = 48,
        Q6_K_SIZE = 210,
        Q6_K_LOW = 0,      /* 2 times 64 bytes of low nibbles, each for 128 weights */
        Q6_K_HIGH = 128,   /* 2 times 32 bytes, two bits for each of 4 weights 32 apart */
        Q6_K_SCALES = 192, /* 16 signed bytes */
        Q6_K_D = 208,
        IQ2_XXS_SIZE = 66,
        IQ2_XXS_PLACES = 2, /* 8 times 4 bytes, and 4 bytes of 4 times 7 signs and a scale */
        IQ2_XS_SIZE = 74,
        IQ2_XS_PLACES = 2,  /* 32 times 9 bits with 7 signs */
        IQ2_XS_SCALES = 66, /* 16 times 4 bits */
        IQ2_S_SIZE = 82,
        IQ2_S_PLACES = 2, /* 32 bytes, their high bits are those of IQ2_S_HIGH */
        IQ2_S_SIGNS = 34,
        IQ2_S_HIGH = 66,
        IQ2_S_SCALES = 74,
        IQ3_XXS_SIZE = 98,
        IQ3_XXS_PLACES = 2, /* 64 bytes */
        IQ3_XXS_SIGNS = 66, /* as in IQ2_XXS */
        IQ3_S_SIZE = 110,
        IQ3_S_PLACES = 2, /* 64 bytes */
        IQ3_S_HIGH = 66,
        IQ3_S_SIGNS = 74,
        IQ3_S_SCALES = 106,
        IQ1_S_SIZE = 50,
        IQ1_S_PLACES = 2, /* 32 bytes */
        IQ1_S_HIGH = 34,  /* 8 times 4 times 3 bits, a scale of 3, the sign of what is added */
        IQ1_M_SIZE = 56,
        IQ1_M_PLACES = 0,
        IQ1_M_HIGH = 32, /* 32 times 3 bits and the sign of what is added */
        IQ1_M_SCALES = 48,
        IQ4_NL_SIZE = 18,
        IQ4_NL_QUANTS = 2,
        IQ4_XS_SIZE = 136,
        IQ4_XS_SCALES_HIGH = 2, /* 8 times 2 bits */
        IQ4_XS_SCALES_LOW = 4,  /* 8 times 4 bits */
        IQ4_XS_QUANTS = 8,      /* 8 times 16 bytes, each as in IQ4_NL */
        MXFP4_SIZE = 17,        /* an exponent, */
        MXFP4_QUANTS = 1,
};

#endif
