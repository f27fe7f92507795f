/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels_rows.h"

#include <stddef.h>
#include <sys/auxv.h>

#include <asm/hwcap.h>

static bool has_dot_product(void) {
        return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
}

static bool has_i8mm(void) {
        return has_dot_product() && getauxval(AT_HWCAP2) & HWCAP2_I8MM;
}

static bool always(void) {
        return true;
}

const struct kernels_row kernels_rows[] = {
        { &kernels_i8mm, has_i8mm },
        { &kernels_neon, has_dot_product },
        { &kernels_scalar, always },
        { NULL, NULL },
};
