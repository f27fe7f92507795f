/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels_rows.h"

#include <stddef.h>
#include <sys/auxv.h>

#include <asm/hwcap.h>

static bool has_dot_product(void) {
        return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
}

static bool always(void) {
        return true;
}

const struct kernels_row kernels_rows[] = {
        { &kernels_neon, has_dot_product },
        { &kernels_scalar, always },
        { NULL, NULL },
};
