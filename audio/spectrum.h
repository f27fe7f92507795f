/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SPECTRUM_H
#define AUDIO_SPECTRUM_H

#include "audio/frame.h"

#define SPECTRUM_BLOCK   160 /* samples, 10 ms: from one spectrum to the next */
#define SPECTRUM_WINDOW  512 /* 32 ms: one spectrum */
#define SPECTRUM_BANDS   20
#define SPECTRUM_LAG_MIN 40  /* a voice repeats itself after so many samples, 400 Hz, */
#define SPECTRUM_LAG_MAX 200 /* ... to so many, 80 Hz */

#define SPECTRUM_BLOCKS_PER_FRAME (FRAME_SAMPLES / SPECTRUM_BLOCK)

/* -110 dB per band; digital silence is no quieter than that. */
#define SPECTRUM_FLOOR 1e-11f

/* The short spectra of a stream, of which the endpointer and the detector tell speech.  Embedded by
 * value; owned by one thread; never allocates. */
struct spectrum {
        float window[SPECTRUM_WINDOW];
        float cosine[SPECTRUM_WINDOW / 2], sine[SPECTRUM_WINDOW / 2]; /* the turns by k / window */
        unsigned char reversed[SPECTRUM_WINDOW / 2];
        unsigned short first_bin[SPECTRUM_BANDS + 1];
        float window_lags[SPECTRUM_LAG_MAX + 1]; /* the window's own likeness to itself */
        float recent[SPECTRUM_WINDOW];           /* the newest samples, oldest first */
        float bins[SPECTRUM_WINDOW / 2];         /* power of the last spectrum */
};

void spectrum_init(struct spectrum *s);

/* The next block: the power of each band, as wide as the ear's (on the mel scale), from 100 Hz to 7 kHz,
 * scaled so that all bands together make the mean square of the signal.  What is no number comes out
 * as such, until it has left the window. */
void spectrum_push(struct spectrum *s,
                   const float samples[SPECTRUM_BLOCK],
                   float power[SPECTRUM_BANDS]);

/* How much of the last spectrum below 4 kHz repeats itself as a voice does: 0 to 1. */
float spectrum_voicing(const struct spectrum *s);

#endif
