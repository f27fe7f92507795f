/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include "model/kernels_256.h"
#include "model/unroll.h"
#include "model/vector_math.h"

/* AVX2 with AVX-VNNI, as processors for laptops have it since Intel's 12th generation: vpdpbusd in
 * its 256-bit form adds four products of unsigned weights and signed inputs to each lane without
 * intermediate rounding, so all widths of weights take the same path. */

#define PANEL_TILE      3 /* with two panels: six sums, six products and three more of 16 registers */
#define PANEL_Q8_SIGNED 0

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
                        vec_b four = broadcast4(x + i * x_stride + 4 * j);

                        UNROLL
                        for (unsigned g = 0; g < n_groups; g++)
                                ret[g * n + i] = _mm256_dpbusd_avx_epi32(
                                        ret[g * n + i], w[g * w_stride + j], four);
                }
}

/* The instruction takes weights of any width. */
#define dot_u4 dot
#define dot_u5 dot
#define dot_u6 dot
#define dot_q8 dot

#include "model/kernels_panel.h"

DEFINE_VECTOR_KERNELS

const struct kernels kernels_avxvnni = {
        .name = "avxvnni",
        .multiply = multiply,
        .score = score,
        .mix = mix,
        .to_half = to_half,
        .from_half = from_half,
        VECTOR_KERNELS,
};
