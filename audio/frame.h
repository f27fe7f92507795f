/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_FRAME_H
#define AUDIO_FRAME_H

#include <stdint.h>

#define FRAME_RATE    16000
#define FRAME_SAMPLES 640 /* 40 ms */

#define FRAMES_PER_SECOND (FRAME_RATE / FRAME_SAMPLES)

/* Nobody knows how long a gap was: the microphone was closed meanwhile. */
#define FRAME_GAP_UNKNOWN UINT16_MAX

/* What the audio side hands to the model: 40 ms of mono sound in [-1, 1] at 16 kHz.  Travels by
 * value and owns nothing. */
struct frame {
        float samples[FRAME_SAMPLES];
        uint64_t captured_ns; /* monotonic time at which its last sample was there */
        uint64_t framed_ns;   /* ... and at which it was handed on as a frame */
        uint32_t sequence;    /* counts up from 0 in one stream */
        uint16_t n_valid;     /* less than FRAME_SAMPLES in the padded last frame */
        uint8_t is_last;      /* the stream ended with this frame */
        uint8_t has_gap;      /* samples were lost before this frame, */
        uint16_t gap_ms;      /* ... so many ms of them, as far as it is known */
};

#endif
