/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/limits.h"

#include <immintrin.h>
#include <string.h>

/* So many chains of sums hide the latency of an instruction (five turns of two of them, at most).  The loops over them are unrolled, so that
 * they stay in registers. */
#define N_AVX2 4
#define N_VNNI 12

/* What 4-bit weights allow at best without a dot-product instruction: eight vectors of products are
 * summed in 16 bits, then widened once. */
__attribute__((target("avx2"))) static double run_avx2(unsigned n) {
        __m256i ones = _mm256_set1_epi16(1), a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2);
        __m256i wide[N_AVX2], narrow[N_AVX2];

#pragma GCC unroll 8
        for (unsigned i = 0; i < N_AVX2; i++)
                wide[i] = _mm256_setzero_si256();
        for (unsigned turn = 0; turn < n / 8; turn++) {
#pragma GCC unroll 8
                for (unsigned i = 0; i < N_AVX2; i++)
                        narrow[i] = _mm256_setzero_si256();
#pragma GCC unroll 8
                for (unsigned j = 0; j < 8; j++)
#pragma GCC unroll 8
                        for (unsigned i = 0; i < N_AVX2; i++) {
                                __asm__ volatile("" : "+x"(a));
                                narrow[i] = _mm256_add_epi16(narrow[i], _mm256_maddubs_epi16(a, b));
                                __asm__ volatile("" : "+x"(narrow[i]));
                        }
#pragma GCC unroll 8
                for (unsigned i = 0; i < N_AVX2; i++) {
                        wide[i] = _mm256_add_epi32(wide[i], _mm256_madd_epi16(narrow[i], ones));
                        __asm__ volatile("" : "+x"(wide[i]));
                }
        }
        return (double) (n / 8) * 8 * N_AVX2 * 32;
}

__attribute__((target("avx512f,avx512vnni"))) static double run_vnni(unsigned n) {
        __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
        __m512i sums[N_VNNI];

#pragma GCC unroll 12
        for (unsigned i = 0; i < N_VNNI; i++)
                sums[i] = _mm512_setzero_si512();
        for (unsigned turn = 0; turn < n; turn++)
#pragma GCC unroll 12
                for (unsigned i = 0; i < N_VNNI; i++) {
                        sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
                        __asm__ volatile("" : "+v"(sums[i]));
                }
        return (double) n * N_VNNI * 64;
}

/* The same in 256 bits. */
__attribute__((target("avx2,avxvnni"))) static double run_avxvnni(unsigned n) {
        __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2);
        __m256i sums[N_VNNI];

#pragma GCC unroll 12
        for (unsigned i = 0; i < N_VNNI; i++)
                sums[i] = _mm256_setzero_si256();
        for (unsigned turn = 0; turn < n; turn++)
#pragma GCC unroll 12
                for (unsigned i = 0; i < N_VNNI; i++) {
                        sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
                        __asm__ volatile("" : "+x"(sums[i]));
                }
        return (double) n * N_VNNI * 32;
}

double limits_run_products(const char *kernels, unsigned n) {
        if (strcmp(kernels, "avx512") == 0)
                return run_vnni(n);
        if (strcmp(kernels, "avxvnni") == 0)
                return run_avxvnni(n);
        if (strcmp(kernels, "avx2") == 0)
                return run_avx2(n);
        return 0;
}
