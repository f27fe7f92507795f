/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_DELAY_H
#define AUDIO_DELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/spectrum.h"

/* How much later the microphone hears what the loudspeaker is given: the buffers of a sound server, its
 * devices and the air between them.  Of both the spectra in bands are followed, and where one comes and
 * goes as the other did so long before, the delay is that.  Counted in blocks of 10 ms.  Embedded by
 * value; owned by one thread; never allocates. */
#define DELAY_LAGS 80 /* it is looked for up to 0.8 s */

struct delay_ear {
        struct spectrum spectrum;
        float mean[SPECTRUM_BANDS]; /* of the bands in dB, of a second or so */
        bool has_begun;
};

struct delay {
        struct delay_ear speaker, microphone;
        float played[2 * DELAY_LAGS][SPECTRUM_BANDS]; /* block i of the loudspeaker at i % (2 * DELAY_LAGS) */
        uint64_t n_played;
        float likeness[DELAY_LAGS], played_power[DELAY_LAGS], heard_power;
        unsigned n_heard; /* blocks, until it is certain */
};

void delay_init(struct delay *d);

/* The next block of what the loudspeaker is given. */
void delay_play(struct delay *d, const float samples[SPECTRUM_BLOCK]);

/* The next block of what the microphone hears, at the time of the loudspeaker's block with that number,
 * counted from 0, which may be yet to come. */
void delay_hear(struct delay *d, const float samples[SPECTRUM_BLOCK], uint64_t block);

/* The delay in blocks, -1: it is not known (yet). */
int delay_blocks(const struct delay *d);

#endif
