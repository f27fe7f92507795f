/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_MIX_H
#define AUDIO_MIX_H

#include <stdbool.h>
#include <stddef.h>

#define MIX_CHANNELS_MAX 64

/* Several channels to one.  As a rule that is their mean; but the sides are compared first: one that
 * is the other upside down, as a balanced cable that was soldered wrongly makes it, is turned round,
 * because the mean of the two is silence; and one that is by far worse than the best, because it carries
 * a hum or nothing while somebody speaks into another, is left out.  How good one is shows in how far
 * it rises above its own steady noise.  Decisions are made block by block, before the block is mixed, and
 * fade in over its length.  Embedded by value; owned by one thread. */
struct mix {
        unsigned n_channels, rate;
        double window_s; /* so much of the sections below has been heard */
        struct mix_channel {
                float before[2];        /* input and output of the filter that takes the hum off */
                double power;           /* of the block under way, without hum */
                double floor[2], loud;  /* smallest power in this and the last section; of late */
                double energy, product; /* ... of late, and of the product with the best channel */
                float weight, sign;
        } channels[MIX_CHANNELS_MAX];
        unsigned best;
        bool has_begun;
};

/* 1 to MIX_CHANNELS_MAX channels. */
void mix_init(struct mix *m, unsigned n_channels, unsigned rate);

/* n interleaved samples of each channel, which have to be finite, to n of one; about 40 ms at a time. */
void mix_apply(struct mix *m, const float *in, float *out, size_t n);

#endif
