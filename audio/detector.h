/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_DETECTOR_H
#define AUDIO_DETECTOR_H

#include "audio/spectrum.h"

/* Tells speech from everything else that is not steady: dishes, steps, keys, doors, tones.  A small
 * recurrent net (15,000 weights, some 10 us a frame) over what the endpointer measures anyway: how far
 * each band is above the room's noise, the shape of that noise, and whether the sound repeats itself as
 * a voice does.  It has learnt that from people and synthesizers in made and recorded noise
 * (training/detector.py), and travels inside of the program (audio/detector.bin).  What it is given does
 * not depend on how loud the sound is.  Owned by one thread; never allocates after detector_new(). */
struct detector;

#define DETECTOR_INPUTS                                                                            \
        (SPECTRUM_BLOCKS_PER_FRAME * SPECTRUM_BANDS + SPECTRUM_BANDS + SPECTRUM_BLOCKS_PER_FRAME)

/* By so many frames the second, better look at a frame comes later. */
#define DETECTOR_LATE 3

/* Probabilities that somebody speaks. */
struct detector_verdict {
        float now;  /* in this frame, of which the end has not been heard */
        float late; /* in the frame DETECTOR_LATE before it */
};

/* 0 or -ENOMEM; -EBADMSG: what was built in is no detector. */
int detector_new(struct detector **ret);
struct detector *detector_free(struct detector *d);

/* One block of the frame under way: the power of each band, the room's noise in it, and the voicing.
 * Numbers have to be finite. */
void detector_block(struct detector *d,
                    const float power[SPECTRUM_BANDS],
                    const float noise[SPECTRUM_BANDS],
                    float voicing);

/* After SPECTRUM_BLOCKS_PER_FRAME of them. */
struct detector_verdict detector_frame(struct detector *d);

#endif
