/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_VECTOR_MATH_H
#define MODEL_VECTOR_MATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "model/half.h"
#include "model/kernels.h"

/* Element-wise formulas in branch-free C.  Every kernels_*.c includes them, so that its compiler
 * flags turn the loops into its own vectors; sums are kept in 16 lanes for the same reason (a
 * compiler may not reorder a single float sum). */

#define LANES 16

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, 2^n by exponent bits and e^r by its Taylor polynomial of
 * degree 7 (truncation 5e-9 relative).  Below -87 it is 0 in effect, above 88 it saturates. */
static inline float vector_exp(float x) {
        float clamped = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
        float biased = clamped * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: n in the low bits */
        float n = biased - 12582912.0f;
        float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
        float p = 1.0f / 5040;

        p = p * r + 1.0f / 720;
        p = p * r + 1.0f / 120;
        p = p * r + 1.0f / 24;
        p = p * r + 1.0f / 6;
        p = p * r + 0.5f;
        p = p * r + 1.0f;
        p = p * r + 1.0f;
        return p * float_from_bits((float_to_bits(biased) - 0x4b400000u + 127) << 23);
}

static inline float vector_tanh(float x) {
        return 1.0f - 2.0f / (vector_exp(2.0f * x) + 1.0f);
}

static inline void
vector_rms_norm(float *y, const float *x, const float *weight, size_t n, float eps) {
        float lanes[LANES] = { 0 };
        float sum = 0, scale;
        size_t i;

        for (i = 0; i + LANES <= n; i += LANES)
                for (unsigned j = 0; j < LANES; j++)
                        lanes[j] += x[i + j] * x[i + j];
        for (; i < n; i++)
                sum += x[i] * x[i];
        for (unsigned j = 0; j < LANES; j++)
                sum += lanes[j];

        scale = 1.0f / sqrtf(sum / (float) n + eps);
        if (weight) {
                for (i = 0; i < n; i++)
                        y[i] = x[i] * scale * weight[i];
        } else {
                for (i = 0; i < n; i++)
                        y[i] = x[i] * scale;
        }
}

static inline float vector_max(const float *x, size_t n) {
        float lanes[LANES];
        float max = -INFINITY;
        size_t i;

        for (unsigned j = 0; j < LANES; j++)
                lanes[j] = -INFINITY;
        for (i = 0; i + LANES <= n; i += LANES)
                for (unsigned j = 0; j < LANES; j++)
                        lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
        for (; i < n; i++)
                max = x[i] > max ? x[i] : max;
        for (unsigned j = 0; j < LANES; j++)
                max = lanes[j] > max ? lanes[j] : max;
        return max;
}

static inline float vector_exponentials(float *x, size_t n, float *ret_max) {
        float max = vector_max(x, n);
        float lanes[LANES] = { 0 };
        float sum = 0;
        size_t i;

        for (i = 0; i < n; i++) {
                /* exp saturates at e^-87: what was masked out must become exactly 0. */
                float e = vector_exp(x[i] - max);

                x[i] = x[i] == -INFINITY ? 0.0f : e;
        }
        for (i = 0; i + LANES <= n; i += LANES)
                for (unsigned j = 0; j < LANES; j++)
                        lanes[j] += x[i + j];
        for (; i < n; i++)
                sum += x[i];
        for (unsigned j = 0; j < LANES; j++)
                sum += lanes[j];
        *ret_max = max;
        return sum;
}

static inline void vector_blend(float *y, float a, const float *x, float b, size_t n) {
        for (size_t i = 0; i < n; i++)
                y[i] = a * y[i] + b * x[i];
}

/* gelu_tanh(z) = 0.5 z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))), written with the logistic
 * function: 0.5 (1 + tanh(a)) = 1 / (1 + e^(-2a)). */
static inline void vector_gelu_multiply(float *gate, const float *up, size_t n) {
        for (size_t i = 0; i < n; i++) {
                float z = gate[i];
                float a = 0.797884561f * (z + 0.044715f * z * z * z);

                gate[i] = z / (1.0f + vector_exp(-2.0f * a)) * up[i];
        }
}

static inline void vector_soft_cap(float *x, size_t n, float cap) {
        float inverse = 1.0f / cap;

        for (size_t i = 0; i < n; i++)
                x[i] = cap * vector_tanh(x[i] * inverse);
}

/* Sixteen lanes as the compiler's own vectors, of whatever width the processor has. */
typedef float lanes_f __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t lanes_i __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint32_t lanes_u __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef int8_t lanes_b __attribute__((vector_size(LANES)));

/* Lane i of v with lane i + n, for i < n; the rest does not matter. */
#define LANES_FROM(v, n)                                                                           \
        __builtin_shufflevector(v, v, (n), (n) + 1, ((n) + 2) % 16, ((n) + 3) % 16,                \
                                ((n) + 4) % 16, ((n) + 5) % 16, ((n) + 6) % 16, ((n) + 7) % 16, 8, \
                                9, 10, 11, 12, 13, 14, 15)

/* *a = max(*a, *b), where a NaN in *b does not count.  By reference: so wide a vector is no argument
 * of a function on every processor. */
static inline void lanes_larger(lanes_f *a, const lanes_f *b) {
        lanes_i b_is = *b > *a;

        *a = (lanes_f) (((lanes_i) *b & b_is) | ((lanes_i) *a & ~b_is));
}

static inline float lanes_largest(lanes_f *v) {
        lanes_f other = LANES_FROM(*v, 8);

        lanes_larger(v, &other);
        other = LANES_FROM(*v, 4);
        lanes_larger(v, &other);
        other = LANES_FROM(*v, 2);
        lanes_larger(v, &other);
        return (*v)[1] > (*v)[0] ? (*v)[1] : (*v)[0];
}

static inline int32_t lanes_total(lanes_i *v) {
        *v += LANES_FROM(*v, 8);
        *v += LANES_FROM(*v, 4);
        *v += LANES_FROM(*v, 2);
        return (*v)[0] + (*v)[1];
}

/* 32 values as integers of at most 127, whose scale is returned, and the totals of both halves. */
static inline float vector_quantise_block(const float *x, int8_t *q, int32_t total[2]) {
        lanes_f half[2], largest = { 0 };
        float max, inverse;

        memcpy(half, x, sizeof(half));
        for (unsigned i = 0; i < 2; i++) {
                lanes_f magnitude = (lanes_f) ((lanes_i) half[i] & 0x7fffffff);

                lanes_larger(&largest, &magnitude);
        }
        max = lanes_largest(&largest);
        inverse = max > 1e-30f ? 127.0f / max : 0.0f; /* 127 / max must be finite */

        for (unsigned i = 0; i < 2; i++) {
                /* Adding 1.5 * 2^23 rounds to nearest even in the low bits. */
                lanes_i wide = (lanes_i) ((lanes_u) (half[i] * inverse + 12582912.0f) - 0x4b400000u);
                lanes_b narrow = __builtin_convertvector(wide, lanes_b);

                memcpy(q + i * LANES, &narrow, sizeof(narrow));
                /* Of what is no number the low bits are kept, which can not overflow either. */
                wide = __builtin_convertvector(narrow, lanes_i);
                total[i] = lanes_total(&wide);
        }
        return max / 127.0f;
}

static inline void vector_quantise(const float *x, struct activations *ret, size_t row) {
        for (size_t block = 0; block < ret->n_cols / 32; block++, x += 32) {
                size_t b = activations_at(ret, row, block);
                int32_t total[2];
                float scale = vector_quantise_block(x, ret->q + 32 * b, total);

                ret->scale[b] = scale;
                for (unsigned i = 0; i < 2; i++) {
                        ret->half_sums[2 * b + i] = scale * (float) total[i];
                        ret->half_starts[2 * b + i] = -8 * total[i];
                }
                ret->sum[b] = scale * (float) (total[0] + total[1]);
                ret->starts[b] = -8 * (total[0] + total[1]);
        }
}

static inline void vector_from_bf16(float *ret, const uint16_t *x, size_t n) {
        for (size_t i = 0; i < n; i++)
                ret[i] = bf16_to_float(x[i]);
}

static inline float vector_dot(const float *a, const float *b, size_t n) {
        float lanes[LANES] = { 0 };
        float sum = 0;
        size_t i;

        for (i = 0; i + LANES <= n; i += LANES)
                for (unsigned j = 0; j < LANES; j++)
                        lanes[j] += a[i + j] * b[i + j];
        for (; i < n; i++)
                sum += a[i] * b[i];
        for (unsigned j = 0; j < LANES; j++)
                sum += lanes[j];
        return sum;
}

static inline void vector_score_f32(const float *q,
                                    unsigned n_queries,
                                    const float *k,
                                    size_t n_keys,
                                    unsigned size,
                                    float *scores,
                                    size_t stride) {
        for (size_t j = 0; j < n_keys; j++)
                for (unsigned i = 0; i < n_queries; i++)
                        scores[i * stride + j] = vector_dot(q + i * size, k + j * size, size);
}

static inline void vector_mix_f32(const float *weights,
                                  size_t stride,
                                  unsigned n_queries,
                                  const float *v,
                                  size_t n_keys,
                                  unsigned size,
                                  float *out) {
        for (unsigned i = 0; i < n_queries; i++)
                for (size_t j = 0; j < n_keys; j++)
                        for (unsigned d = 0; d < size; d++)
                                out[i * size + d] += weights[i * stride + j] * v[j * size + d];
}

/* clang-format off */
/* The members of struct kernels that are the same C in every file.  A file that includes this
 * header instantiates them with its own flags. */
#define DEFINE_VECTOR_KERNELS                                                                     \
        static void quantise(const float *x, struct activations *ret, size_t row) {               \
                vector_quantise(x, ret, row);                                                     \
        }                                                                                         \
        static void score_f32(const float *q, unsigned n_queries, const float *k, size_t n_keys,  \
                              unsigned size, float *scores, size_t stride) {                      \
                vector_score_f32(q, n_queries, k, n_keys, size, scores, stride);                  \
        }                                                                                         \
        static void mix_f32(const float *weights, size_t stride, unsigned n_queries,              \
                            const float *v, size_t n_keys, unsigned size, float *out) {           \
                vector_mix_f32(weights, stride, n_queries, v, n_keys, size, out);                 \
        }                                                                                         \
        static void from_bf16(float *ret, const uint16_t *x, size_t n) {                          \
                vector_from_bf16(ret, x, n);                                                      \
        }                                                                                         \
        static void rms_norm(float *y, const float *x, const float *weight, size_t n, float eps) { \
                vector_rms_norm(y, x, weight, n, eps);                                            \
        }                                                                                         \
        static float exponentials(float *x, size_t n, float *ret_max) {                           \
                return vector_exponentials(x, n, ret_max);                                        \
        }                                                                                         \
        static void blend(float *y, float a, const float *x, float b, size_t n) {                 \
                vector_blend(y, a, x, b, n);                                                      \
        }                                                                                         \
        static void gelu_multiply(float *gate, const float *up, size_t n) {                       \
                vector_gelu_multiply(gate, up, n);                                                \
        }                                                                                         \
        static void soft_cap(float *x, size_t n, float cap) {                                     \
                vector_soft_cap(x, n, cap);                                                       \
        }

#define VECTOR_KERNELS                                                                      \
        .quantise = quantise, .score_f32 = score_f32, .mix_f32 = mix_f32,                    \
        .from_bf16 = from_bf16, .rms_norm = rms_norm, .exponentials = exponentials,          \
        .blend = blend, .gelu_multiply = gelu_multiply, .soft_cap = soft_cap

/* clang-format on */

#endif
