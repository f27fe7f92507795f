/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_256_H
#define MODEL_KERNELS_256_H

/* What the rows with 256-bit vectors share: 8 weight rows in the 32-bit lanes of a vector, with AVX2,
 * FMA and F16C.  The primitives are listed in kernels_panel.h. */

#include <immintrin.h>

#include "model/half.h"

#define PANEL_ROWS 8
#define CACHE_SUMS 8

typedef __m256 vec_f;
typedef __m256i vec_i;
typedef __m256i vec_b;

#define INLINE static inline __attribute__((always_inline))

INLINE vec_f f_zero(void) {
        return _mm256_setzero_ps();
}

INLINE vec_f f_set1(float x) {
        return _mm256_set1_ps(x);
}

INLINE vec_f f_load(const float *p) {
        return _mm256_loadu_ps(p);
}

INLINE void f_store(float *p, vec_f v) {
        _mm256_storeu_ps(p, v);
}

INLINE vec_f f_mul(vec_f a, vec_f b) {
        return _mm256_mul_ps(a, b);
}

INLINE vec_f f_fma(vec_f a, vec_f b, vec_f c) {
        return _mm256_fmadd_ps(a, b, c);
}

INLINE vec_f f_from_i(vec_i v) {
        return _mm256_cvtepi32_ps(v);
}

INLINE vec_f f_load_half(const uint16_t *p) {
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) p));
}

INLINE void f_store_half(uint16_t *p, vec_f v) {
        _mm_storeu_si128((__m128i *) p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

INLINE vec_f f_gather_half(const unsigned char *p, size_t stride) {
        __m128i halves = _mm_cvtsi32_si128(load_u16(p));

        halves = _mm_insert_epi16(halves, load_u16(p + stride), 1);
        halves = _mm_insert_epi16(halves, load_u16(p + 2 * stride), 2);
        halves = _mm_insert_epi16(halves, load_u16(p + 3 * stride), 3);
        halves = _mm_insert_epi16(halves, load_u16(p + 4 * stride), 4);
        halves = _mm_insert_epi16(halves, load_u16(p + 5 * stride), 5);
        halves = _mm_insert_epi16(halves, load_u16(p + 6 * stride), 6);
        halves = _mm_insert_epi16(halves, load_u16(p + 7 * stride), 7);
        return _mm256_cvtph_ps(halves);
}

/* Of 32-bit lanes, each below 2^16. */
INLINE vec_f f_from_halves(vec_b v) {
        v = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08);
        return _mm256_cvtph_ps(_mm256_castsi256_si128(v));
}

INLINE vec_f f_low_half(vec_b v) {
        return f_from_halves(_mm256_and_si256(v, _mm256_set1_epi32(0xffff)));
}

INLINE vec_f f_high_half(vec_b v) {
        return f_from_halves(_mm256_srli_epi32(v, 16));
}

INLINE float f_sum(vec_f v) {
        __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

        x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

/* Two vectors become one, whose halves belong to either; two of those one again, of four pairs. */
INLINE void f_sum4(float ret[4], const vec_f v[4]) {
        __m256 a = _mm256_add_ps(_mm256_permute2f128_ps(v[0], v[1], 0x20),
                                 _mm256_permute2f128_ps(v[0], v[1], 0x31));
        __m256 b = _mm256_add_ps(_mm256_permute2f128_ps(v[2], v[3], 0x20),
                                 _mm256_permute2f128_ps(v[2], v[3], 0x31));
        __m256 x = _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
        __m128 low = _mm256_castps256_ps128(x), high = _mm256_extractf128_ps(x, 1);
        __m128 sums = _mm_add_ps(_mm_shuffle_ps(low, high, 0x88), _mm_shuffle_ps(low, high, 0xdd));

        _mm_storeu_ps(ret, _mm_shuffle_ps(sums, sums, 0xd8));
}

INLINE vec_i i_set1(int32_t x) {
        return _mm256_set1_epi32(x);
}

INLINE vec_i i_shift_left(vec_i v, int n) {
        return _mm256_slli_epi32(v, n);
}

INLINE vec_i i_byte(vec_b v, int n) {
        return _mm256_srai_epi32(_mm256_slli_epi32(v, 24 - 8 * n), 24);
}

INLINE void b_store(void *p, vec_b v) {
        _mm256_storeu_si256(p, v);
}

INLINE vec_b b_set1(int x) {
        return _mm256_set1_epi8((char) x);
}

INLINE vec_b b_and(vec_b a, vec_b b) {
        return _mm256_and_si256(a, b);
}

INLINE vec_b b_or(vec_b a, vec_b b) {
        return _mm256_or_si256(a, b);
}

INLINE vec_b b_xor(vec_b a, vec_b b) {
        return _mm256_xor_si256(a, b);
}

INLINE vec_b b_shift_right(vec_b v, int n) {
        return _mm256_srli_epi16(v, n);
}

INLINE vec_b b_shift_left4(vec_b v) {
        return _mm256_slli_epi16(v, 4);
}

INLINE vec_b b_shift_left1(vec_b v) {
        return _mm256_slli_epi16(v, 1);
}

INLINE vec_b b_shift_left2(vec_b v) {
        return _mm256_slli_epi16(v, 2);
}

INLINE vec_b b_table(const uint8_t *p) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) p));
}

INLINE vec_b b_lookup(vec_b table, vec_b v) {
        return _mm256_shuffle_epi8(table, v);
}

INLINE vec_b b_fifth_bits(vec_b v, unsigned j) {
        vec_b places = _mm256_broadcastsi128_si256(_mm_set_epi32(
                (int) (0x0c0c0c0c + j / 2 * 0x01010101), (int) (0x08080808 + j / 2 * 0x01010101),
                (int) (0x04040404 + j / 2 * 0x01010101), (int) (j / 2 * 0x01010101)));
        vec_b bits = _mm256_set1_epi32(j % 2 ? (int) 0x80402010u : 0x08040201);

        v = _mm256_and_si256(_mm256_shuffle_epi8(v, places), bits);
        return b_shift_left4(_mm256_min_epu8(v, _mm256_set1_epi8(1)));
}

INLINE vec_b b_load_rows(const unsigned char *p, size_t stride) {
        __m128i row0 = _mm_loadu_si128((const __m128i *) p);
        __m128i row4 = _mm_loadu_si128((const __m128i *) (p + 4 * stride));

        return _mm256_inserti128_si256(_mm256_castsi128_si256(row0), row4, 1);
}

INLINE void b_transpose(vec_b v[4]) {
        vec_b a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
        vec_b c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);

        v[0] = _mm256_unpacklo_epi64(a, c);
        v[1] = _mm256_unpackhi_epi64(a, c);
        v[2] = _mm256_unpacklo_epi64(b, d);
        v[3] = _mm256_unpackhi_epi64(b, d);
}

INLINE vec_b b_middle(vec_b a, vec_b b) {
        return _mm256_blend_epi16(_mm256_srli_epi32(a, 16), _mm256_slli_epi32(b, 16), 0xaa);
}

/* Four inputs in every lane. */
INLINE vec_b broadcast4(const int8_t *x) {
        int32_t four;

        memcpy(&four, x, sizeof(four));
        return _mm256_set1_epi32(four);
}

#endif
