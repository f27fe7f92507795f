/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rope.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int rope_init(struct rope *r, unsigned size, float base, const float *factors, unsigned max_rows) {
        size_t half = size / 2;

        *r = (struct rope){
                .frequencies = calloc(half, sizeof(float)),
                .cosines = calloc(max_rows * half, sizeof(float)),
                .sines = calloc(max_rows * half, sizeof(float)),
                .size = size,
        };
        if (!r->frequencies || !r->cosines || !r->sines) {
                rope_done(r);
                return -ENOMEM;
        }
        for (size_t i = 0; i < half; i++) {
                double frequency = pow((double) base, -2.0 * (double) i / size);

                r->frequencies[i] = (float) (factors ? frequency / (double) factors[i] : frequency);
        }
        return 0;
}

void rope_done(struct rope *r) {
        free(r->frequencies);
        free(r->cosines);
        free(r->sines);
        *r = (struct rope){ 0 };
}

/* Angles are rounded to float before the sine, as the reference implementation does. */
void rope_set_positions(struct rope *r, unsigned first, unsigned n) {
        size_t half = r->size / 2;

        for (unsigned row = 0; row < n; row++)
                for (size_t i = 0; i < half; i++) {
                        float angle = (float) (first + row) * r->frequencies[i];

                        r->cosines[row * half + i] = cosf(angle);
                        r->sines[row * half + i] = sinf(angle);
                }
}

void rope_turn(const struct rope *r, unsigned i, float *x) {
        size_t half = r->size / 2;
        const float *c = r->cosines + i * half, *s = r->sines + i * half;

        for (size_t d = 0; d < half; d++) {
                float a = x[d], b = x[d + half];

                x[d] = a * c[d] - b * s[d];
                x[d + half] = b * c[d] + a * s[d];
        }
}
