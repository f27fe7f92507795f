/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels_rows.h"

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

static bool always(void) {
        return true;
}

const struct kernels_row kernels_rows[] = {
        { &kernels_avx512, has_avx512 },
        { &kernels_avx2, has_avx2 },
        { &kernels_scalar, always },
        { NULL, NULL },
};
