/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_RESAMPLE_H
#define AUDIO_RESAMPLE_H

#include <stddef.h>

#define RESAMPLE_RATE_MIN 1000u
#define RESAMPLE_RATE_MAX 384000u

/* Mono samples of any rate to FRAME_RATE, as a stream.  Output is aligned in time with the input;
 * libsamplerate's SINC_MEDIUM holds back 46 samples (2.9 ms) at the end of what it was fed, and the
 * exact rate passes through untouched.  After creation nothing allocates.  Owned by one thread. */
struct resample;

/* 0, -ENOMEM, or -ERANGE for a rate outside of the limits above. */
int resample_new(struct resample **ret, unsigned rate);
struct resample *resample_free(struct resample *s);

/* Takes input from the front of *in (both cursors are moved on) and writes at most out_size
 * samples.  *ret is how many; fewer than out_size means that all input was taken and there is no
 * more to come of it.  Call it until then.  0, or -EIO when libsamplerate refuses. */
int resample_feed(struct resample *s,
                  const float **in,
                  size_t *n_in,
                  float *out,
                  size_t out_size,
                  size_t *ret);

/* The end of the stream: writes what was held back, *ret as above.  The whole output then is
 * ceil(n_in * FRAME_RATE / rate) samples long, exactly. */
int resample_finish(struct resample *s, float *out, size_t out_size, size_t *ret);

/* Forgets the past: what comes next is a new stream (a gap, another file). */
void resample_reset(struct resample *s);

#endif
