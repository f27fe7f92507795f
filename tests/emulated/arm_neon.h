/* SPDX-License-Identifier: Apache-2.0 */
/* The same for kernels_neon.c. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>
