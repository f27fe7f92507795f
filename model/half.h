/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_HALF_H
#define MODEL_HALF_H

#include <stdint.h>
#include <string.h>

/* Sixteen-bit floating point in plain C, for processors and compilers without it.  Any thread. */

static inline float float_from_bits(uint32_t bits) {
        float f;

        memcpy(&f, &bits, sizeof(f));
        return f;
}

static inline uint32_t float_to_bits(float f) {
        uint32_t bits;

        memcpy(&bits, &f, sizeof(bits));
        return bits;
}

/* IEEE 754 binary16 -> binary32, exact. */
static inline float half_to_float(uint16_t half) {
        uint32_t sign = (uint32_t) (half & 0x8000) << 16;
        uint32_t rest = (uint32_t) (half & 0x7fff) << 13;

        if ((half & 0x7c00) == 0x7c00)
                return float_from_bits(sign | 0x7f800000 | (rest & 0x7fffff));

        /* Normal or subnormal: the exponent is re-biased by a multiplication with 2^112, which
         * also normalises subnormals. */
        return float_from_bits(sign | float_to_bits(float_from_bits(rest) * 0x1p112f));
}

/* binary32 -> binary16, to nearest, ties to even; too large becomes infinity. */
static inline uint16_t half_from_float(float f) {
        uint32_t bits = float_to_bits(f);
        uint32_t sign = (bits >> 16) & 0x8000;
        uint32_t magnitude = bits & 0x7fffffff;

        if (magnitude > 0x7f800000)
                return (uint16_t) (sign | 0x7e00);
        if (magnitude >= 0x477ff000)
                return (uint16_t) (sign | 0x7c00);
        if (magnitude < 0x38800000) {
                /* Below the smallest normal half: adding 0.5 lines the last kept bit up with the
                 * last bit of the float's mantissa, so the hardware rounds. */
                float lined_up = float_from_bits(magnitude) + 0.5f;

                return (uint16_t) (sign | (float_to_bits(lined_up) - 0x3f000000));
        }
        return (uint16_t) (sign |
                           ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

static inline float bf16_to_float(uint16_t bf16) {
        return float_from_bits((uint32_t) bf16 << 16);
}

/* Little-endian halves inside packed blocks, at any alignment. */
static inline uint16_t load_u16(const void *p) {
        uint16_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

static inline float load_half(const void *p) {
        return half_to_float(load_u16(p));
}

#endif
