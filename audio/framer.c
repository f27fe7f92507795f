/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/framer.h"

#include <string.h>

void framer_init(struct framer *f) {
        *f = (struct framer){ 0 };
}

/* Hands the partial frame out and begins the next one. */
static void emit(struct framer *f, uint64_t captured_ns, struct frame *ret) {
        *ret = f->partial;
        ret->captured_ns = captured_ns;

        f->partial.sequence++;
        f->partial.n_valid = 0;
        f->partial.has_gap = 0;
        f->partial.gap_ms = 0;
}

int framer_feed(struct framer *f,
                const float **samples,
                size_t *n_samples,
                uint64_t captured_ns,
                struct frame *ret) {
        size_t n = FRAME_SAMPLES - f->partial.n_valid;
        uint64_t later_ns;

        if (n > *n_samples)
                n = *n_samples;
        if (n > 0) {
                memcpy(f->partial.samples + f->partial.n_valid, *samples, n * sizeof(**samples));
                f->partial.n_valid += (uint16_t) n;
                *samples += n;
                *n_samples -= n;
        }
        if (f->partial.n_valid < FRAME_SAMPLES)
                return 0;

        later_ns = *n_samples * (uint64_t) (1000000000 / FRAME_RATE);
        emit(f, captured_ns > later_ns ? captured_ns - later_ns : 0, ret);
        return 1;
}

int framer_finish(struct framer *f, uint64_t captured_ns, struct frame *ret) {
        unsigned n = f->partial.n_valid;

        if (n == 0)
                return 0;

        memset(f->partial.samples + n, 0, (FRAME_SAMPLES - n) * sizeof(f->partial.samples[0]));
        emit(f, captured_ns, ret);
        ret->is_last = 1;
        return 1;
}

void framer_gap(struct framer *f, uint64_t lost_ms) {
        uint64_t ms = f->partial.gap_ms + f->partial.n_valid / (FRAME_RATE / 1000);

        ms = lost_ms < FRAME_GAP_UNKNOWN ? ms + lost_ms : FRAME_GAP_UNKNOWN;
        f->partial.n_valid = 0;
        f->partial.has_gap = 1;
        f->partial.gap_ms = ms < FRAME_GAP_UNKNOWN ? (uint16_t) ms : FRAME_GAP_UNKNOWN;
}
