/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_ROWS_H
#define MODEL_KERNELS_ROWS_H

#include <stdbool.h>

#include "model/kernels.h"

/* The rows of this architecture, best first, ended by NULL: kernels_rows_x86.c, kernels_rows_arm.c
 * or kernels_rows_other.c, as configure finds. */
struct kernels_row {
        const struct kernels *kernels;
        bool (*usable)(void);
};

extern const struct kernels_row kernels_rows[];

#endif
