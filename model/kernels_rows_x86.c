/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels_rows.h"

#include <cpuid.h>
#include <stddef.h>

static bool has_avx512(void) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni");
}

/* Every processor with AVX2 and FMA has F16C too, which the built-in has no name for. */
static bool has_avx2(void) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* The compilers of Debian 12 have no common name for it: leaf 7, second part. */
static bool has_avxvnni(void) {
        unsigned a, b, c, d;

        return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & 1u << 4;
}

static bool always(void) {
        return true;
}

const struct kernels_row kernels_rows[] = {
        { &kernels_avx512, has_avx512 },
        { &kernels_avxvnni, has_avxvnni },
        { &kernels_avx2, has_avx2 },
        { &kernels_scalar, always },
        { NULL, NULL },
};
