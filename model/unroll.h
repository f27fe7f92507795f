/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_UNROLL_H
#define MODEL_UNROLL_H

/* Before a loop whose count is a constant at most 16 after inlining: there will be no loop, so that what
 * it indexes can be registers.  Emulated kernels, where a vector is a loop itself, define it empty. */
#ifdef UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
