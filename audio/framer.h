/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_FRAMER_H
#define AUDIO_FRAMER_H

#include <stddef.h>
#include <stdint.h>

#include "audio/frame.h"

/* Cuts a stream of 16 kHz samples into frames.  However the stream is chopped up on its way here,
 * the frames are the same.  Embedded by value; owned by one thread. */
struct framer {
        struct frame partial; /* n_valid says how much of it is there */
};

/* A new stream: the next frame has sequence 0. */
void framer_init(struct framer *f);

/* Takes samples from the front of *samples (both cursors are moved on) until a frame is complete:
 * 1 and *ret, 0 when all were taken and the frame is not full yet.  Call it until it returns 0.
 * captured_ns is the time at which the last of *n_samples was there; a frame that ends earlier
 * in the block gets an accordingly earlier time.  0 when the stream has no clock: stays 0. */
int framer_feed(struct framer *f,
                const float **samples,
                size_t *n_samples,
                uint64_t captured_ns,
                struct frame *ret);

/* The end of the stream: 1 and the rest, padded with silence and marked is_last; 0 when there is
 * no rest, then the frame before was the last one. */
int framer_finish(struct framer *f, uint64_t captured_ns, struct frame *ret);

/* Samples were lost: what is held of the frame before the gap is dropped (a frame with a splice in
 * it would be a click), and the next frame is marked has_gap, with what was lost and what is dropped as
 * its gap_ms.  lost_ms: FRAME_GAP_UNKNOWN or more, if nobody knows. */
void framer_gap(struct framer *f, uint64_t lost_ms);

#endif
