/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/limits.h"

double limits_run_products(const char *kernels, unsigned n) {
        (void) kernels;
        (void) n;
        return 0;
}
