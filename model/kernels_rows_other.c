/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels_rows.h"

#include <stddef.h>

static bool always(void) {
        return true;
}

const struct kernels_row kernels_rows[] = {
        { &kernels_scalar, always },
        { NULL, NULL },
};
