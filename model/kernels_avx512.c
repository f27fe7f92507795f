/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include <immintrin.h>

#include "model/unroll.h"
#include "model/vector_math.h"

/* AVX-512 (F, BW, VL, DQ) with VNNI: 16 weight rows in the 32-bit lanes of a 512-bit vector.
 * vpdpbusd adds four products of unsigned weights and signed inputs to each lane without
 * intermediate rounding, so all widths of weights take the same path. */

#define PANEL_ROWS      16
#define PANEL_TILE      7
#define PANEL_Q8_SIGNED 0
#define CACHE_SUMS      16

typedef __m512 vec_f;
typedef __m512i vec_i;
typedef __m512i vec_b;

#define INLINE static inline __attribute__((always_inline))

INLINE vec_f f_zero(void) {
        return _mm512_setzero_ps();
}

INLINE vec_f f_set1(float x) {
        return _mm512_set1_ps(x);
}

INLINE vec_f f_load(const float *p) {
        return _mm512_loadu_ps(p);
}

INLINE void f_store(float *p, vec_f v) {
        _mm512_storeu_ps(p, v);
}

INLINE vec_f f_mul(vec_f a, vec_f b) {
        return _mm512_mul_ps(a, b);
}

INLINE vec_f f_fma(vec_f a, vec_f b, vec_f c) {
        return _mm512_fmadd_ps(a, b, c);
}

INLINE vec_f f_from_i(vec_i v) {
        return _mm512_cvtepi32_ps(v);
}

INLINE vec_f f_load_half(const uint16_t *p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) p));
}

INLINE void f_store_half(uint16_t *p, vec_f v) {
        _mm256_storeu_si256((__m256i *) p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

INLINE vec_f f_gather_half(const unsigned char *p, size_t stride) {
        __m256i halves = _mm256_castsi128_si256(_mm_cvtsi32_si128(load_u16(p)));

        halves = _mm256_insert_epi16(halves, (short) load_u16(p + stride), 1);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 2 * stride), 2);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 3 * stride), 3);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 4 * stride), 4);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 5 * stride), 5);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 6 * stride), 6);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 7 * stride), 7);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 8 * stride), 8);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 9 * stride), 9);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 10 * stride), 10);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 11 * stride), 11);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 12 * stride), 12);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 13 * stride), 13);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 14 * stride), 14);
        halves = _mm256_insert_epi16(halves, (short) load_u16(p + 15 * stride), 15);
        return _mm512_cvtph_ps(halves);
}

INLINE vec_f f_low_half(vec_b v) {
        return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

INLINE vec_f f_high_half(vec_b v) {
        return f_low_half(_mm512_srli_epi32(v, 16));
}

INLINE float f_sum(vec_f v) {
        __m512 x = _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, 0xee));
        __m128 y = _mm512_castps512_ps128(_mm512_add_ps(x, _mm512_shuffle_f32x4(x, x, 0x55)));

        y = _mm_add_ps(y, _mm_movehl_ps(y, y));
        return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

/* Two vectors become one, and two of those one again, whose quarters belong to v[0] .. v[3]. */
INLINE void f_sum4(float ret[4], const vec_f v[4]) {
        __m512 a = _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x44),
                                 _mm512_shuffle_f32x4(v[0], v[1], 0xee));
        __m512 b = _mm512_add_ps(_mm512_shuffle_f32x4(v[2], v[3], 0x44),
                                 _mm512_shuffle_f32x4(v[2], v[3], 0xee));
        __m512 x =
                _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));

        x = _mm512_add_ps(x, _mm512_shuffle_ps(x, x, 0xee));
        x = _mm512_add_ps(x, _mm512_shuffle_ps(x, x, 0x55));
        x = _mm512_permutexvar_ps(_mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0),
                                  x);
        _mm_storeu_ps(ret, _mm512_castps512_ps128(x));
}

INLINE vec_i i_set1(int32_t x) {
        return _mm512_set1_epi32(x);
}

INLINE vec_i i_shift_left(vec_i v, unsigned n) {
        return _mm512_slli_epi32(v, n);
}

INLINE vec_i i_byte(vec_b v, int n) {
        return _mm512_srai_epi32(_mm512_slli_epi32(v, (unsigned) (24 - 8 * n)), 24);
}

INLINE void b_store(void *p, vec_b v) {
        _mm512_storeu_si512(p, v);
}

INLINE vec_b b_set1(int x) {
        return _mm512_set1_epi8((char) x);
}

INLINE vec_b b_and(vec_b a, vec_b b) {
        return _mm512_and_si512(a, b);
}

INLINE vec_b b_or(vec_b a, vec_b b) {
        return _mm512_or_si512(a, b);
}

INLINE vec_b b_xor(vec_b a, vec_b b) {
        return _mm512_xor_si512(a, b);
}

INLINE vec_b b_shift_right(vec_b v, unsigned n) {
        return _mm512_srli_epi16(v, n);
}

INLINE vec_b b_shift_left4(vec_b v) {
        return _mm512_slli_epi16(v, 4);
}

INLINE vec_b b_shift_left1(vec_b v) {
        return _mm512_slli_epi16(v, 1);
}

INLINE vec_b b_shift_left2(vec_b v) {
        return _mm512_slli_epi16(v, 2);
}

INLINE vec_b b_table(const uint8_t *p) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *) p));
}

INLINE vec_b b_lookup(vec_b table, vec_b v) {
        return _mm512_shuffle_epi8(table, v);
}

INLINE vec_b b_fifth_bits(vec_b v, unsigned j) {
        vec_b places = _mm512_broadcast_i32x4(_mm_set_epi32(
                (int) (0x0c0c0c0c + j / 2 * 0x01010101), (int) (0x08080808 + j / 2 * 0x01010101),
                (int) (0x04040404 + j / 2 * 0x01010101), (int) (j / 2 * 0x01010101)));
        vec_b bits = _mm512_set1_epi32(j % 2 ? (int) 0x80402010u : 0x08040201);

        v = _mm512_and_si512(_mm512_shuffle_epi8(v, places), bits);
        return b_shift_left4(_mm512_min_epu8(v, _mm512_set1_epi8(1)));
}

INLINE vec_b b_load_rows(const unsigned char *p, size_t stride) {
        __m128i row0 = _mm_loadu_si128((const __m128i *) p);
        __m128i row4 = _mm_loadu_si128((const __m128i *) (p + 4 * stride));
        __m128i row8 = _mm_loadu_si128((const __m128i *) (p + 8 * stride));
        __m128i row12 = _mm_loadu_si128((const __m128i *) (p + 12 * stride));
        __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(row0), row4, 1);
        __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(row8), row12, 1);

        return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE void b_transpose(vec_b v[4]) {
        vec_b a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
        vec_b c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);

        v[0] = _mm512_unpacklo_epi64(a, c);
        v[1] = _mm512_unpackhi_epi64(a, c);
        v[2] = _mm512_unpacklo_epi64(b, d);
        v[3] = _mm512_unpackhi_epi64(b, d);
}

INLINE vec_b b_middle(vec_b a, vec_b b) {
        return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_ror_epi32(a, 16), _mm512_ror_epi32(b, 16));
}

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
                        int32_t four;

                        memcpy(&four, x + i * x_stride + 4 * j, sizeof(four));
                        UNROLL
                        for (unsigned g = 0; g < n_groups; g++)
                                ret[g * n + i] = _mm512_dpbusd_epi32(
                                        ret[g * n + i], w[g * w_stride + j], _mm512_set1_epi32(four));
                }
}

/* The instruction takes weights of any width. */
#define dot_u4 dot
#define dot_u5 dot
#define dot_u6 dot
#define dot_q8 dot

#include "model/kernels_panel.h"

DEFINE_VECTOR_KERNELS

const struct kernels kernels_avx512 = {
        .name = "avx512",
        .multiply = multiply,
        .score = score,
        .mix = mix,
        .to_half = to_half,
        .from_half = from_half,
        VECTOR_KERNELS,
};
