/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include "model/kernels_128.h"
#include "model/unroll.h"
#include "model/vector_math.h"

/* ARM with I8MM beside the dot-product instructions: smmla multiplies two weight rows with two inputs,
 * eight columns at a time, which is twice the products of sdot in one instruction. Of four lanes of
 * two vectors of weights it takes rows 0 and 1, then 2 and 3; its sums are zipped alike.  An input
 * that has no other to go with takes sdot. */

#define MOST_GROUPS 2 /* PANEL_GROUPS of kernels_panel.h */

/* The same as in kernels_neon.c, for one input. */
INLINE void dot_one(vec_i *ret,
                    const vec_b *w,
                    size_t w_stride,
                    const unsigned n_groups,
                    size_t ret_stride,
                    const int8_t *x,
                    const unsigned n_vectors) {
        UNROLL
        for (unsigned j = 0; j < n_vectors; j++) {
                int8x16_t four = broadcast4(x + 4 * j);

                UNROLL
                for (unsigned g = 0; g < n_groups; g++)
                        ret[g * ret_stride] =
                                vdotq_s32(ret[g * ret_stride],
                                          vreinterpretq_s8_u8(w[g * w_stride + j]), four);
        }
}

/* Eight columns of two rows of four, and of the other two. */
INLINE int8x16_t rows_01(vec_b a, vec_b b) {
        return vreinterpretq_s8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

INLINE int8x16_t rows_23(vec_b a, vec_b b) {
        return vreinterpretq_s8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

INLINE void dot(vec_i *ret,
                const vec_b *w,
                size_t w_stride,
                const unsigned n_groups,
                const int8_t *x,
                size_t x_stride,
                const unsigned n,
                const unsigned n_vectors) {
        const unsigned n_pairs = n / 2;
        vec_i low[MOST_GROUPS * PANEL_TILE / 2], high[MOST_GROUPS * PANEL_TILE / 2];

        UNROLL
        for (unsigned g = 0; g < n_groups; g++)
                UNROLL
                for (unsigned i = 0; i < n_pairs; i++) {
                        const vec_i *two = ret + g * n + 2 * i;

                        low[g * n_pairs + i] = vzip1q_s32(two[0], two[1]);
                        high[g * n_pairs + i] = vzip2q_s32(two[0], two[1]);
                }
        UNROLL
        for (unsigned j = 0; n_pairs > 0 && j < n_vectors; j += 2) {
                int8x16_t w01[MOST_GROUPS], w23[MOST_GROUPS];

                UNROLL
                for (unsigned g = 0; g < n_groups; g++) {
                        w01[g] = rows_01(w[g * w_stride + j], w[g * w_stride + j + 1]);
                        w23[g] = rows_23(w[g * w_stride + j], w[g * w_stride + j + 1]);
                }
                UNROLL
                for (unsigned i = 0; i < n_pairs; i++) {
                        const int8_t *at = x + 2 * i * x_stride + 4 * j;
                        int8x16_t both = vcombine_s8(vld1_s8(at), vld1_s8(at + x_stride));

                        UNROLL
                        for (unsigned g = 0; g < n_groups; g++) {
                                low[g * n_pairs + i] =
                                        vmmlaq_s32(low[g * n_pairs + i], w01[g], both);
                                high[g * n_pairs + i] =
                                        vmmlaq_s32(high[g * n_pairs + i], w23[g], both);
                        }
                }
        }
        UNROLL
        for (unsigned g = 0; g < n_groups; g++)
                UNROLL
                for (unsigned i = 0; i < n_pairs; i++) {
                        vec_i *two = ret + g * n + 2 * i;

                        two[0] = vuzp1q_s32(low[g * n_pairs + i], high[g * n_pairs + i]);
                        two[1] = vuzp2q_s32(low[g * n_pairs + i], high[g * n_pairs + i]);
                }
        if (n % 2)
                dot_one(ret + n - 1, w, w_stride, n_groups, n, x + (n - 1) * x_stride, n_vectors);
}

/* The instructions take weights of any width. */
#define dot_u4 dot
#define dot_u5 dot
#define dot_u6 dot
#define dot_q8 dot

#include "model/kernels_panel.h"

_Static_assert(PANEL_GROUPS <= MOST_GROUPS, "groups");

DEFINE_VECTOR_KERNELS

const struct kernels kernels_i8mm = {
        .name = "i8mm",
        .multiply = multiply,
        .score = score,
        .mix = mix,
        .to_half = to_half,
        .from_half = from_half,
        VECTOR_KERNELS,
};
