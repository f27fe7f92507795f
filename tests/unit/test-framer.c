/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/framer.h"

#include <string.h>

#include "tests/tap.h"

#define N_FRAMES  8
#define N_SAMPLES ((N_FRAMES - 1) * FRAME_SAMPLES + 123)

static uint32_t random_next(uint32_t *state) {
        *state = *state * 1664525u + 1013904223u;
        return *state >> 16;
}

static float ramp(size_t i) {
        return (float) i / N_SAMPLES;
}

/* The frames of the ramp when it comes in blocks of random size; returns how many. */
static unsigned cut(struct frame *frames, uint32_t seed, size_t block_max) {
        float samples[N_SAMPLES];
        struct framer framer;
        unsigned n_frames = 0;
        size_t at = 0;

        for (size_t i = 0; i < N_SAMPLES; i++)
                samples[i] = ramp(i);

        framer_init(&framer);
        while (at < N_SAMPLES) {
                size_t n = random_next(&seed) % (block_max + 1);
                const float *next = samples + at;

                if (n > N_SAMPLES - at)
                        n = N_SAMPLES - at;
                at += n;
                while (framer_feed(&framer, &next, &n, 0, &frames[n_frames]) == 1)
                        n_frames++;
                expect(n == 0 && next == samples + at);
        }
        n_frames += (unsigned) framer_finish(&framer, 0, &frames[n_frames]);
        return n_frames;
}

static bool same(const struct frame *a, const struct frame *b) {
        return memcmp(a->samples, b->samples, sizeof(a->samples)) == 0 &&
               a->captured_ns == b->captured_ns && a->sequence == b->sequence &&
               a->n_valid == b->n_valid && a->is_last == b->is_last && a->has_gap == b->has_gap;
}

static void any_chunking(void) {
        struct frame whole[N_FRAMES + 1], pieces[N_FRAMES + 1];

        expect(cut(whole, 1, N_SAMPLES * 2) == N_FRAMES);
        for (uint32_t seed = 0; seed < 300; seed++) {
                expect(cut(pieces, seed, 1 + seed * 7 % 1500) == N_FRAMES);
                for (unsigned i = 0; i < N_FRAMES; i++)
                        expect(same(&whole[i], &pieces[i]));
        }
}

static void content_and_order(void) {
        struct frame frames[N_FRAMES + 1];

        expect(cut(frames, 7, 500) == N_FRAMES);
        for (unsigned i = 0; i < N_FRAMES; i++) {
                bool is_last = i == N_FRAMES - 1;

                expect(frames[i].sequence == i);
                expect(frames[i].is_last == is_last);
                expect(!frames[i].has_gap);
                expect(frames[i].n_valid == (is_last ? 123 : FRAME_SAMPLES));
                for (size_t k = 0; k < FRAME_SAMPLES; k++) {
                        size_t at = i * (size_t) FRAME_SAMPLES + k;
                        float want = at < N_SAMPLES ? ramp(at) : 0;

                        expect(frames[i].samples[k] <= want && frames[i].samples[k] >= want);
                }
        }
}

static void nothing_left(void) {
        float samples[FRAME_SAMPLES] = { 0 };
        const float *next = samples;
        size_t n = FRAME_SAMPLES;
        struct framer framer;
        struct frame frame;

        framer_init(&framer);
        expect(framer_finish(&framer, 0, &frame) == 0);
        expect(framer_feed(&framer, &next, &n, 0, &frame) == 1);
        expect(framer_feed(&framer, &next, &n, 0, &frame) == 0);
        expect(framer_finish(&framer, 0, &frame) == 0);
}

static void times(void) {
        float samples[3 * FRAME_SAMPLES] = { 0 };
        const float *next = samples;
        struct framer framer;
        struct frame frame;
        size_t n = 160;

        framer_init(&framer);
        expect(framer_feed(&framer, &next, &n, 1000000000, &frame) == 0);

        /* 1280 more samples end at 2 s: the first frame ends 800 samples (50 ms) before that. */
        n = 1280;
        expect(framer_feed(&framer, &next, &n, 2000000000, &frame) == 1);
        expect(frame.captured_ns == 1950000000);
        expect(framer_feed(&framer, &next, &n, 2000000000, &frame) == 1);
        expect(frame.captured_ns == 1990000000);
        expect(framer_feed(&framer, &next, &n, 2000000000, &frame) == 0);
        expect(framer_finish(&framer, 2000000000, &frame) == 1);
        expect(frame.captured_ns == 2000000000);
        expect(frame.n_valid == 160);
}

static void gap(void) {
        float samples[FRAME_SAMPLES];
        struct framer framer;
        struct frame frame;
        const float *next;
        size_t n;

        for (size_t i = 0; i < FRAME_SAMPLES; i++)
                samples[i] = 1;
        framer_init(&framer);

        next = samples;
        n = 100;
        expect(framer_feed(&framer, &next, &n, 0, &frame) == 0);
        framer_gap(&framer, 20);

        for (size_t i = 0; i < FRAME_SAMPLES; i++)
                samples[i] = 0.5f;
        for (unsigned i = 0; i < 2; i++) {
                next = samples;
                n = FRAME_SAMPLES;
                expect(framer_feed(&framer, &next, &n, 0, &frame) == 1);
                expect(frame.sequence == i);
                expect(frame.has_gap == (i == 0));
                expect(frame.gap_ms == (i == 0 ? 26 : 0));
                for (size_t k = 0; k < FRAME_SAMPLES; k++)
                        expect(frame.samples[k] < 0.6f);
        }
}

int main(void) {
        rule("any chunking of the input gives the same frames", any_chunking);
        rule("frames hold every sample once, counted from 0, the last one padded",
             content_and_order);
        rule("an end at a frame's edge gives no empty frame", nothing_left);
        rule("a frame's time is that of its own last sample", times);
        rule("a gap drops the partial frame and marks the next one", gap);
        return tap_done();
}
