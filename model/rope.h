/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include <stddef.h>

/* Rotary position embedding in the rotate-half layout: dimensions i and i + size/2 of a head are
 * one pair, turned by position * frequency[i]:
 *
 *     x'[i]          = x[i] cos - x[i + size/2] sin
 *     x'[i + size/2] = x[i + size/2] cos + x[i] sin
 *
 * with frequency[i] = base^(-2i / size) / factor[i] (Gemma 4's "proportional" kind has factors of
 * 1e30, in effect a frequency of 0, for three quarters of the pairs of global layers). */
struct rope {
        float *frequencies; /* owned, [size / 2] */
        float *cosines;     /* owned, [max_rows][size / 2], of the pass at hand */
        float *sines;
        unsigned size;
};

/* factors may be NULL.  0 or -ENOMEM. */
int rope_init(struct rope *r, unsigned size, float base, const float *factors, unsigned max_rows);
void rope_done(struct rope *r);

/* Computes the angles of positions first .. first + n - 1. */
void rope_set_positions(struct rope *r, unsigned first, unsigned n);

/* Turns one head of `size` floats by the angles of row i. */
void rope_turn(const struct rope *r, unsigned i, float *x);

#endif
