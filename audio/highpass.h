/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_HIGHPASS_H
#define AUDIO_HIGHPASS_H

#include <stdbool.h>
#include <stddef.h>

/* Takes out of 16 kHz samples what is below any voice: everything under 40 Hz (12 dB per octave), which
 * is the offset of a cheap microphone, handling and wind; and the hum of the mains, at 50 and at 60 Hz
 * (notches 12 Hz wide).  A stream begins as if its first sample had been there for ever, so that an
 * offset makes no click.  Embedded by value; owned by one thread. */
#define HIGHPASS_STAGES 3

struct highpass {
        double state[HIGHPASS_STAGES][2];
        bool has_begun;
};

/* A new stream. */
static inline void highpass_reset(struct highpass *h) {
        *h = (struct highpass){ 0 };
}

/* In place; no sample may be infinite or NaN. */
void highpass_apply(struct highpass *h, float *samples, size_t n);

#endif
