/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

/* What the machine itself can do, measured in the run whose figures are set beside it. */
struct limits {
        double read;     /* bytes per second, read from memory by all threads */
        double products; /* 8-bit products summed per second by all threads, 0: not measured */
};

/* Takes about a second and 512 MiB, given back at once.  `kernels` is the name of a row of kernels that
 * this processor can run, whose instructions are to be measured.  0 or -errno. */
int limits_measure(struct limits *ret, const char *kernels, unsigned n_threads);

/* Of one thread: runs the instructions of a product of 8-bit integers in registers, those of a row of
 * kernels, for n turns and returns the products summed; 0 when they are not known.  limits_x86.c or
 * limits_other.c, as configure finds. */
double limits_run_products(const char *kernels, unsigned n);

#endif
