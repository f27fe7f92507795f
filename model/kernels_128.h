/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_128_H
#define MODEL_KERNELS_128_H

/* What the rows of ARM share: 4 weight rows in the 32-bit lanes of a 128-bit vector, with the
 * dot-product instructions of ARMv8.2.  The primitives are listed in kernels_panel.h. */

#include <arm_neon.h>

#include "model/half.h"

#define PANEL_ROWS      4
#define PANEL_TILE      4 /* with two panels: eight sums and eight products of 32 registers */
#define PANEL_Q8_SIGNED 1
#define CACHE_SUMS      16

typedef float32x4_t vec_f;
typedef int32x4_t vec_i;
typedef uint8x16_t vec_b;

#define INLINE static inline __attribute__((always_inline))

INLINE vec_f f_zero(void) {
        return vdupq_n_f32(0);
}

INLINE vec_f f_set1(float x) {
        return vdupq_n_f32(x);
}

INLINE vec_f f_load(const float *p) {
        return vld1q_f32(p);
}

INLINE void f_store(float *p, vec_f v) {
        vst1q_f32(p, v);
}

INLINE vec_f f_mul(vec_f a, vec_f b) {
        return vmulq_f32(a, b);
}

INLINE vec_f f_fma(vec_f a, vec_f b, vec_f c) {
        return vfmaq_f32(c, a, b);
}

INLINE vec_f f_from_i(vec_i v) {
        return vcvtq_f32_s32(v);
}

INLINE vec_f f_load_half(const uint16_t *p) {
        return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

INLINE void f_store_half(uint16_t *p, vec_f v) {
        vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}

INLINE vec_f f_gather_half(const unsigned char *p, size_t stride) {
        uint16x4_t halves = vdup_n_u16(load_u16(p));

        halves = vset_lane_u16(load_u16(p + stride), halves, 1);
        halves = vset_lane_u16(load_u16(p + 2 * stride), halves, 2);
        halves = vset_lane_u16(load_u16(p + 3 * stride), halves, 3);
        return vcvt_f32_f16(vreinterpret_f16_u16(halves));
}

INLINE vec_f f_low_half(vec_b v) {
        return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(vreinterpretq_u32_u8(v))));
}

INLINE vec_f f_high_half(vec_b v) {
        return vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(vreinterpretq_u32_u8(v), 16)));
}

INLINE float f_sum(vec_f v) {
        v = vpaddq_f32(v, v);
        return vgetq_lane_f32(vpaddq_f32(v, v), 0);
}

INLINE void f_sum4(float ret[4], const vec_f v[4]) {
        vst1q_f32(ret, vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])));
}

INLINE vec_i i_set1(int32_t x) {
        return vdupq_n_s32(x);
}

INLINE vec_i i_shift_left(vec_i v, int n) {
        return vshlq_s32(v, vdupq_n_s32(n));
}

INLINE vec_i i_byte(vec_b v, int n) {
        return vshrq_n_s32(vshlq_s32(vreinterpretq_s32_u8(v), vdupq_n_s32(24 - 8 * n)), 24);
}

INLINE void b_store(void *p, vec_b v) {
        vst1q_u8(p, v);
}

INLINE vec_b b_set1(int x) {
        return vdupq_n_u8((uint8_t) x);
}

INLINE vec_b b_and(vec_b a, vec_b b) {
        return vandq_u8(a, b);
}

INLINE vec_b b_or(vec_b a, vec_b b) {
        return vorrq_u8(a, b);
}

INLINE vec_b b_xor(vec_b a, vec_b b) {
        return veorq_u8(a, b);
}

INLINE vec_b b_shift_right(vec_b v, int n) {
        return vshlq_u8(v, vdupq_n_s8((int8_t) -n));
}

INLINE vec_b b_shift_left4(vec_b v) {
        return vshlq_n_u8(v, 4);
}

INLINE vec_b b_shift_left1(vec_b v) {
        return vshlq_n_u8(v, 1);
}

INLINE vec_b b_shift_left2(vec_b v) {
        return vshlq_n_u8(v, 2);
}

INLINE vec_b b_table(const uint8_t *p) {
        return vld1q_u8(p);
}

INLINE vec_b b_lookup(vec_b table, vec_b v) {
        return vqtbl1q_u8(table, v);
}

INLINE vec_b b_fifth_bits(vec_b v, unsigned j) {
        uint32x4_t lanes = { 0, 0x04040404, 0x08080808, 0x0c0c0c0c };
        uint32x4_t places = vaddq_u32(lanes, vdupq_n_u32(j / 2 * 0x01010101));
        vec_b bits = vreinterpretq_u8_u32(vdupq_n_u32(j % 2 ? 0x80402010 : 0x08040201));

        v = vqtbl1q_u8(v, vreinterpretq_u8_u32(places));
        return vandq_u8(vtstq_u8(v, bits), vdupq_n_u8(0x10));
}

INLINE vec_b b_load_rows(const unsigned char *p, size_t stride) {
        (void) stride;
        return vld1q_u8(p);
}

INLINE void b_transpose(vec_b v[4]) {
        uint32x4_t r0 = vreinterpretq_u32_u8(v[0]), r1 = vreinterpretq_u32_u8(v[1]);
        uint32x4_t r2 = vreinterpretq_u32_u8(v[2]), r3 = vreinterpretq_u32_u8(v[3]);
        uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(r0, r1));
        uint64x2_t b = vreinterpretq_u64_u32(vtrn2q_u32(r0, r1));
        uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(r2, r3));
        uint64x2_t d = vreinterpretq_u64_u32(vtrn2q_u32(r2, r3));

        v[0] = vreinterpretq_u8_u64(vtrn1q_u64(a, c));
        v[1] = vreinterpretq_u8_u64(vtrn1q_u64(b, d));
        v[2] = vreinterpretq_u8_u64(vtrn2q_u64(a, c));
        v[3] = vreinterpretq_u8_u64(vtrn2q_u64(b, d));
}

INLINE vec_b b_middle(vec_b a, vec_b b) {
        return vreinterpretq_u8_u32(vorrq_u32(vshrq_n_u32(vreinterpretq_u32_u8(a), 16),
                                              vshlq_n_u32(vreinterpretq_u32_u8(b), 16)));
}

/* Four inputs in every lane. */
INLINE int8x16_t broadcast4(const int8_t *x) {
        int32_t four;

        memcpy(&four, x, sizeof(four));
        return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

#endif
