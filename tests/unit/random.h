/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

/* Repeatable random numbers and random weights for tests of the engine. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/half.h"
#include "model/quant.h"

struct random {
        uint64_t state; /* not 0 */
};

static inline uint64_t random_bits(struct random *r) {
        r->state ^= r->state << 13;
        r->state ^= r->state >> 7;
        r->state ^= r->state << 17;
        return r->state * 0x2545f4914f6cdd1dull;
}

static inline float random_uniform(struct random *r) {
        return (float) (random_bits(r) >> 40) / 16777216.0f;
}

/* About normal: twelve uniform numbers have variance 1. */
static inline float random_normal(struct random *r) {
        float sum = -6;

        for (unsigned i = 0; i < 12; i++)
                sum += random_uniform(r);
        return sum;
}

static inline float *random_floats(struct random *r, size_t n) {
        float *x = malloc(n * sizeof(float));

        for (size_t i = 0; i < n; i++)
                x[i] = random_normal(r);
        return x;
}

static inline void store_half(unsigned char *p, float f) {
        uint16_t half = half_from_float(f);

        memcpy(p, &half, sizeof(half));
}

/* Four bits of it on top of each of four numbers, as IQ1_M has it. */
static inline void store_spread_half(unsigned char *p, float f) {
        unsigned half = half_from_float(f);

        for (unsigned i = 0; i < 4; i++)
                p[2 * i + 1] = (unsigned char) ((p[2 * i + 1] & 15) | (half >> (4 * i) & 15) << 4);
}

/* The scales of one block, for quants that are any bits. */
static inline void random_scales(struct random *r, unsigned char *p, enum gguf_type type, float d) {
        switch (type) {
        case GGUF_F32:
                d = random_normal(r) / 16;
                memcpy(p, &d, sizeof(d));
                break;
        case GGUF_F16:
                store_half(p, random_normal(r) / 16);
                break;
        case GGUF_BF16: {
                uint16_t high = (uint16_t) (float_to_bits(random_normal(r) / 16) >> 16);

                memcpy(p, &high, sizeof(high));
                break;
        }
        case GGUF_Q4_0:
                store_half(p, d / 4.6f);
                break;
        case GGUF_Q4_1:
                store_half(p, d / 4.6f);
                store_half(p + 2, -d / 4.6f * 7.5f);
                break;
        case GGUF_Q5_0:
                store_half(p, d / 9.2f);
                break;
        case GGUF_Q5_1:
                store_half(p, d / 9.2f);
                store_half(p + 2, -d / 9.2f * 15.5f);
                break;
        case GGUF_Q8_0:
                store_half(p, d / 73);
                break;
        case GGUF_Q2_K:
                store_half(p + Q2_K_D, d / 1.1f / 8);
                store_half(p + Q2_K_D + 2, d / 1.1f / 8 * 1.5f);
                break;
        case GGUF_Q3_K:
                store_half(p + Q3_K_D, d / 2.3f / 18);
                break;
        case GGUF_Q4_K:
                store_half(p, d / 4.6f / 32);
                store_half(p + 2, d / 4.6f / 32 * 7.5f);
                break;
        case GGUF_Q5_K:
                store_half(p, d / 9.2f / 32);
                store_half(p + 2, d / 9.2f / 32 * 15.5f);
                break;
        case GGUF_Q6_K:
                store_half(p + Q6_K_D, d / 18.5f / 74);
                break;
        case GGUF_IQ4_NL:
                store_half(p, d / 70);
                break;
        case GGUF_IQ4_XS:
                store_half(p, d / 70 / 18);
                break;
        case GGUF_IQ2_XXS:
        case GGUF_IQ2_XS:
        case GGUF_IQ2_S:
                store_half(p, d / 20 / 2);
                break;
        case GGUF_IQ3_XXS:
                store_half(p, d / 30 / 4);
                break;
        case GGUF_IQ3_S:
                store_half(p, d / 8 / 16);
                break;
        case GGUF_IQ1_S:
                store_half(p, d / 0.8f / 8);
                break;
        case GGUF_IQ1_M:
                store_spread_half(p + IQ1_M_SCALES, d / 0.8f / 8);
                break;
        case GGUF_MXFP4:
                *p = (unsigned char) (121 + random_bits(r) % 3);
                break;
        case GGUF_I32:
                break;
        }
}

/* Random bits in every quant, scales so that the weights have a standard deviation of about 1 /
 * sqrt(256). */
static inline void
random_weights(struct random *r, unsigned char *p, enum gguf_type type, size_t n) {
        size_t size = gguf_type_block_size(type);

        for (size_t b = 0; b < n / gguf_type_block(type); b++, p += size) {
                float sign = random_bits(r) % 2 ? 1.0f : -1.0f;
                float d = sign * (0.5f + random_uniform(r)) / 16;

                for (size_t i = 0; i < size; i++)
                        p[i] = (unsigned char) (random_bits(r) >> 32);
                random_scales(r, p, type, d);
        }
}

/* All quants at their largest (or smallest), all scales 1. */
static inline void
random_extreme_weights(unsigned char *p, enum gguf_type type, size_t n, int largest) {
        size_t size = gguf_type_block_size(type);

        for (size_t b = 0; b < n / gguf_type_block(type); b++, p += size) {
                memset(p, largest ? 0xff : 0x00, size);
                switch (type) {
                case GGUF_Q8_0:
                        memset(p, largest ? 0x7f : 0x80, size);
                        store_half(p, 1);
                        break;
                case GGUF_Q4_0:
                case GGUF_Q5_0:
                case GGUF_IQ4_NL:
                case GGUF_IQ4_XS:
                case GGUF_IQ2_XXS:
                case GGUF_IQ2_XS:
                case GGUF_IQ2_S:
                case GGUF_IQ3_XXS:
                case GGUF_IQ3_S:
                case GGUF_IQ1_S:
                        store_half(p, 1);
                        break;
                case GGUF_IQ1_M:
                        store_spread_half(p + IQ1_M_SCALES, 1);
                        break;
                case GGUF_Q4_1:
                case GGUF_Q5_1:
                        store_half(p, 1);
                        store_half(p + 2, largest ? 1 : -1);
                        break;
                case GGUF_Q2_K:
                        memset(p, largest ? 0x0f : 0xff, Q2_K_QUANTS);
                        store_half(p + Q2_K_D, 1);
                        store_half(p + Q2_K_D + 2, 1);
                        break;
                case GGUF_Q3_K:
                        store_half(p + Q3_K_D, 1);
                        break;
                case GGUF_MXFP4:
                        memset(p, largest ? 0x77 : 0xff, size);
                        *p = 128;
                        break;
                case GGUF_Q4_K:
                case GGUF_Q5_K:
                        memset(p + Q4_K_SCALES, 0xff, 12);
                        store_half(p, 1);
                        store_half(p + 2, 1);
                        break;
                case GGUF_Q6_K:
                        memset(p + Q6_K_SCALES, 127, 16);
                        store_half(p + Q6_K_D, 1);
                        break;
                case GGUF_F32:
                case GGUF_F16:
                case GGUF_BF16:
                case GGUF_I32:
                        break;
                }
        }
}

#endif
