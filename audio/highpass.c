/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/highpass.h"

/* y = b0 x + b1 x' + b2 x'' - a1 y' - a2 y''.  A Butterworth high-pass and two notches, by the bilinear
 * transform. */
static const struct stage {
        double b0, b1, b2, a1, a2;
} stages[HIGHPASS_STAGES] = {
        { 0.9889542480671399, -1.9779084961342799, 0.9889542480671399, -1.9777864837767638,
          0.9780305084917961 },
        { 0.9976493397724663, -1.9949140667333267, 0.9976493397724663, -1.9949140667333267,
          0.9952986795449326 },
        { 0.9976493397724663, -1.9947448449254275, 0.9976493397724663, -1.9947448449254275,
          0.9952986795449326 },
};

/* The first stage's state after a constant that nothing came of. */
static void begin(struct highpass *h, double constant) {
        h->state[0][0] = -stages[0].b0 * constant;
        h->state[0][1] = stages[0].b2 * constant;
        h->has_begun = true;
}

void highpass_apply(struct highpass *h, float *samples, size_t n) {
        if (n > 0 && !h->has_begun)
                begin(h, (double) samples[0]);
        for (unsigned k = 0; k < HIGHPASS_STAGES; k++) {
                const struct stage *s = &stages[k];
                double z1 = h->state[k][0], z2 = h->state[k][1];

                for (size_t i = 0; i < n; i++) {
                        double x = (double) samples[i], y = s->b0 * x + z1;

                        z1 = s->b1 * x - s->a1 * y + z2;
                        z2 = s->b2 * x - s->a2 * y;
                        samples[i] = (float) y;
                }
                h->state[k][0] = z1;
                h->state[k][1] = z2;
        }
}
