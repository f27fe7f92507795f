/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include "model/kernels_256.h"
#include "model/unroll.h"
#include "model/vector_math.h"

/* AVX2, FMA and F16C, without a dot product of bytes. */

#define PANEL_TILE      4
#define PANEL_Q8_SIGNED 1

/* Keeps a running sum in one register: gcc would otherwise make trees of the sums, which need more
 * registers than there are. */
INLINE vec_i in_order(vec_i v) {
        __asm__("" : "+x"(v));
        return v;
}

/* 16-bit sums of products of weights below 2^bits with inputs of |x| <= 127: a pair makes at most
 * 2 * 127 * (2^bits - 1), so 8 additions of 4-bit, 4 of 5-bit and 2 of 6-bit weights fit. */
INLINE void dot_narrow(vec_i *ret,
                       const vec_b *w,
                       size_t w_stride,
                       const unsigned n_groups,
                       const int8_t *x,
                       size_t x_stride,
                       const unsigned n,
                       const unsigned n_vectors,
                       const unsigned n_additions) {
        vec_i ones = _mm256_set1_epi16(1);
        const unsigned step = n_additions < n_vectors ? n_additions : n_vectors;

        UNROLL
        for (unsigned j0 = 0; j0 < n_vectors; j0 += step) {
                vec_i narrow[2 * 4];

                UNROLL
                for (unsigned j = j0; j < j0 + step; j++)
                        UNROLL
                        for (unsigned i = 0; i < n; i++) {
                                vec_b four = broadcast4(x + i * x_stride + 4 * j);

                                UNROLL
                                for (unsigned g = 0; g < n_groups; g++) {
                                        vec_i *sum = &narrow[g * n + i];
                                        vec_i pairs =
                                                _mm256_maddubs_epi16(w[g * w_stride + j], four);

                                        *sum = in_order(j == j0 ? pairs
                                                                : _mm256_add_epi16(*sum, pairs));
                                }
                        }
                UNROLL
                for (unsigned i = 0; i < n_groups * n; i++) {
                        vec_i wide = _mm256_madd_epi16(narrow[i], ones);

                        ret[i] = _mm256_add_epi32(ret[i], wide);
                }
        }
}

#define DEFINE_DOT(name, n_additions)                                                              \
        INLINE void name(vec_i *ret, const vec_b *w, size_t w_stride, const unsigned n_groups,     \
                         const int8_t *x, size_t x_stride, const unsigned n,                       \
                         const unsigned n_vectors) {                                               \
                dot_narrow(ret, w, w_stride, n_groups, x, x_stride, n, n_vectors, n_additions);    \
        }

DEFINE_DOT(dot_u4, 8)
DEFINE_DOT(dot_u5, 4)
DEFINE_DOT(dot_u6, 2)

/* Signed weights: |w| times x with the sign of w; a pair makes at most 2 * 128 * 127. */
INLINE void dot_q8(vec_i *ret,
                   const vec_b *w,
                   size_t w_stride,
                   const unsigned n_groups,
                   const int8_t *x,
                   size_t x_stride,
                   const unsigned n,
                   const unsigned n_vectors) {
        vec_i ones = _mm256_set1_epi16(1);

        UNROLL
        for (unsigned j = 0; j < n_vectors; j++) {
                vec_b magnitude[2];

                for (unsigned g = 0; g < n_groups; g++)
                        magnitude[g] = _mm256_abs_epi8(w[g * w_stride + j]);
                UNROLL
                for (unsigned i = 0; i < n; i++) {
                        vec_b four = broadcast4(x + i * x_stride + 4 * j);

                        UNROLL
                        for (unsigned g = 0; g < n_groups; g++) {
                                vec_b signed_x = _mm256_sign_epi8(four, w[g * w_stride + j]);
                                vec_i wide = _mm256_madd_epi16(
                                        _mm256_maddubs_epi16(magnitude[g], signed_x), ones);
                                vec_i *sum = &ret[g * n + i];

                                *sum = in_order(_mm256_add_epi32(*sum, wide));
                        }
                }
        }
}

#include "model/kernels_panel.h"

DEFINE_VECTOR_KERNELS

const struct kernels kernels_avx2 = {
        .name = "avx2",
        .multiply = multiply,
        .score = score,
        .mix = mix,
        .to_half = to_half,
        .from_half = from_half,
        VECTOR_KERNELS,
};
