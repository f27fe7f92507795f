/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include "model/kernels_128.h"
#include "model/unroll.h"
#include "model/vector_math.h"

/* ARMv8.2 with the dot-product instructions. sdot takes signed bytes on both sides; weights of 4 to 6
 * bits are the same signed or not. */

INLINE void dot(vec_i *ret,
                const vec_b *w,
                size_t w_stride,
                const unsigned n_groups,
                const int8_t *x,
                size_t x_stride,
                const unsigned n,
                const unsigned n_vectors) {
        UNROLL
        for (unsigned j = 0; j < n_vectors; j++)
                UNROLL
                for (unsigned i = 0; i < n; i++) {
                        int8x16_t four = broadcast4(x + i * x_stride + 4 * j);

                        UNROLL
                        for (unsigned g = 0; g < n_groups; g++)
                                ret[g * n + i] =
                                        vdotq_s32(ret[g * n + i],
                                                  vreinterpretq_s8_u8(w[g * w_stride + j]), four);
                }
}

/* The instruction takes weights of any width. */
#define dot_u4 dot
#define dot_u5 dot
#define dot_u6 dot
#define dot_q8 dot

#include "model/kernels_panel.h"

DEFINE_VECTOR_KERNELS

const struct kernels kernels_neon = {
        .name = "neon",
        .multiply = multiply,
        .score = score,
        .mix = mix,
        .to_half = to_half,
        .from_half = from_half,
        VECTOR_KERNELS,
};
