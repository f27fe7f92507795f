/* SPDX-License-Identifier: Apache-2.0 */
/* The same for the kernels of ARM. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>

#include <string.h>

/* a and b are two rows of eight, ret two by two sums of their products. */
#ifndef vmmlaq_s32 /* a newer SIMDe has it */
static inline int32x4_t vmmlaq_s32(int32x4_t sums, int8x16_t a, int8x16_t b) {
        int32_t all[4];
        int8_t in[2][16];

        memcpy(all, &sums, sizeof(all));
        memcpy(in[0], &a, sizeof(in[0]));
        memcpy(in[1], &b, sizeof(in[1]));
        for (unsigned i = 0; i < 4; i++)
                for (unsigned j = 0; j < 8; j++)
                        all[i] += in[0][i / 2 * 8 + j] * in[1][i % 2 * 8 + j];
        return vld1q_s32(all);
}
#endif
