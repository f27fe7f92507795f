/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/resample.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <samplerate.h>

#include "audio/frame.h"
#include "base/cleanup.h"

struct resample {
        SRC_STATE *state; /* owned; NULL when the rate needs no conversion */
        unsigned rate;
        uint64_t n_in, n_out;
};

struct resample *resample_free(struct resample *s) {
        if (!s)
                return NULL;

        if (s->state)
                (void) src_delete(s->state);
        free(s);
        return NULL;
}

DEFINE_CLEANUP(struct resample *, resample_free)

int resample_new(struct resample **ret, unsigned rate) {
        _cleanup_(resample_freep) struct resample *s = NULL;
        int error;

        if (rate < RESAMPLE_RATE_MIN || rate > RESAMPLE_RATE_MAX)
                return -ERANGE;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->rate = rate;

        if (rate != FRAME_RATE) {
                s->state = src_new(SRC_SINC_MEDIUM_QUALITY, 1, &error);
                if (!s->state)
                        return -ENOMEM;
        }

        *ret = TAKE_PTR(s);
        return 0;
}

/* libsamplerate counts in long. */
static size_t at_most_long(size_t n) {
        return n < LONG_MAX ? n : LONG_MAX;
}

static int convert(struct resample *s,
                   const float **in,
                   size_t *n_in,
                   float *out,
                   size_t out_size,
                   bool is_end,
                   size_t *ret) {
        SRC_DATA data = {
                .data_in = *in,
                .data_out = out,
                .input_frames = (long) at_most_long(*n_in),
                .output_frames = (long) at_most_long(out_size),
                .end_of_input = is_end,
                .src_ratio = (double) FRAME_RATE / s->rate,
        };

        if (src_process(s->state, &data) != 0)
                return -EIO;

        *in += data.input_frames_used;
        *n_in -= (size_t) data.input_frames_used;
        s->n_in += (uint64_t) data.input_frames_used;
        *ret = (size_t) data.output_frames_gen;
        return 0;
}

int resample_feed(struct resample *s,
                  const float **in,
                  size_t *n_in,
                  float *out,
                  size_t out_size,
                  size_t *ret) {
        size_t n;
        int r;

        if (s->state) {
                r = convert(s, in, n_in, out, out_size, /* is_end= */ false, &n);
                if (r < 0)
                        return r;
        } else {
                n = *n_in < out_size ? *n_in : out_size;
                if (n > 0) {
                        memcpy(out, *in, n * sizeof(*out));
                        *in += n;
                        *n_in -= n;
                        s->n_in += n;
                }
        }

        s->n_out += n;
        *ret = n;
        return 0;
}

int resample_finish(struct resample *s, float *out, size_t out_size, size_t *ret) {
        uint64_t total = (s->n_in * FRAME_RATE + s->rate - 1) / s->rate;
        uint64_t missing = total > s->n_out ? total - s->n_out : 0;
        const float none[1] = { 0 }, *in = none; /* the library refuses in == out */
        size_t n = 0, n_in = 0;
        int r;

        if (missing < out_size)
                out_size = (size_t) missing;

        if (s->state && out_size > 0) {
                r = convert(s, &in, &n_in, out, out_size, /* is_end= */ true, &n);
                if (r < 0)
                        return r;
        }

        /* The library may end a sample early; silence makes the length exact. */
        memset(out + n, 0, (out_size - n) * sizeof(*out));

        s->n_out += out_size;
        *ret = out_size;
        return 0;
}

void resample_reset(struct resample *s) {
        if (s->state)
                (void) src_reset(s->state);
        s->n_in = 0;
        s->n_out = 0;
}
