/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the compiler's header when a test builds kernels of x86 for any processor: SIMDe
 * computes the intrinsics in portable C.  What Debian 12's SIMDe lacks is added below, element by
 * element. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>

#include "model/half.h"

#ifndef _mm512_cvtepi32_ps /* a newer SIMDe has it */
static inline __m512 _mm512_cvtepi32_ps(__m512i v) {
        int32_t in[16];
        float out[16];

        memcpy(in, &v, sizeof(in));
        for (unsigned i = 0; i < 16; i++)
                out[i] = (float) in[i];
        return _mm512_loadu_ps(out);
}
#endif

#ifndef _mm512_cvtph_ps /* a newer SIMDe has it */
static inline __m512 _mm512_cvtph_ps(__m256i v) {
        uint16_t in[16];
        float out[16];

        memcpy(in, &v, sizeof(in));
        for (unsigned i = 0; i < 16; i++)
                out[i] = half_to_float(in[i]);
        return _mm512_loadu_ps(out);
}
#endif

static inline __m256i _mm512_cvtps_ph(__m512 v, int rounding) {
        float in[16];
        uint16_t out[16];

        (void) rounding;
        memcpy(in, &v, sizeof(in));
        for (unsigned i = 0; i < 16; i++)
                out[i] = half_from_float(in[i]);
        return _mm256_loadu_si256((const __m256i *) out);
}

/* Quarters of a, twice, then of b, twice; two bits of `which` each. */
#ifndef _mm512_shuffle_f32x4 /* a newer SIMDe has it */
static inline __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, unsigned which) {
        float in[2][16], out[16];

        memcpy(in[0], &a, sizeof(in[0]));
        memcpy(in[1], &b, sizeof(in[1]));
        for (unsigned i = 0; i < 16; i++)
                out[i] = in[i / 8][(which >> i / 4 * 2 & 3) * 4 + i % 4];
        return _mm512_loadu_ps(out);
}
#endif

#ifndef _mm512_srai_epi32 /* a newer SIMDe has it */
static inline __m512i _mm512_srai_epi32(__m512i v, unsigned n) {
        int32_t lanes[16];

        memcpy(lanes, &v, sizeof(lanes));
        for (unsigned i = 0; i < 16; i++)
                lanes[i] >>= n;
        return _mm512_loadu_si512(lanes);
}
#endif

static inline __m512i emulated_ror_epi32(__m512i v, unsigned n) {
        uint32_t lanes[16];

        memcpy(lanes, &v, sizeof(lanes));
        for (unsigned i = 0; i < 16; i++)
                lanes[i] = lanes[i] >> n | lanes[i] << (32 - n);
        return _mm512_loadu_si512(lanes);
}
#undef _mm512_ror_epi32
#define _mm512_ror_epi32 emulated_ror_epi32

static inline __m256i emulated_cvtepi32_epi16(__m512i v) {
        uint32_t lanes[16];
        uint16_t low[16];

        memcpy(lanes, &v, sizeof(lanes));
        for (unsigned i = 0; i < 16; i++)
                low[i] = (uint16_t) lanes[i];
        return _mm256_loadu_si256((const __m256i *) low);
}
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16

static inline __m256i emulated_dpbusd_avx_epi32(__m256i sums, __m256i a, __m256i b) {
        int32_t lanes[8];
        uint8_t weights[32];
        int8_t inputs[32];

        memcpy(lanes, &sums, sizeof(lanes));
        memcpy(weights, &a, sizeof(weights));
        memcpy(inputs, &b, sizeof(inputs));
        for (unsigned i = 0; i < 32; i++)
                lanes[i / 4] += weights[i] * inputs[i];
        return _mm256_loadu_si256((const __m256i *) lanes);
}
#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32 emulated_dpbusd_avx_epi32
