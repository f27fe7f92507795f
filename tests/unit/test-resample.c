/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/resample.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frame.h"
#include "base/cleanup.h"
#include "tests/tap.h"

DEFINE_CLEANUP(struct resample *, resample_free)

static const unsigned rates[] = { 1000,  8000,  11025, 15999, 16000,  16001, 22050,
                                  32000, 44100, 48000, 96000, 192000, 384000 };

#define N_RATES (sizeof(rates) / sizeof(rates[0]))

static uint32_t random_next(uint32_t *state) {
        *state = *state * 1664525u + 1013904223u;
        return *state >> 16;
}

static size_t expected(size_t n, unsigned rate) {
        return (n * (size_t) FRAME_RATE + rate - 1) / rate;
}

static float *tone(size_t n, unsigned rate, double hz) {
        float *samples = calloc(n + 1, sizeof(*samples));

        for (size_t i = 0; samples && i < n; i++)
                samples[i] = (float) (0.5 * sin(2 * M_PI * hz * (double) i / rate));
        return samples;
}

/* Everything that comes out, with blocks of at most block_max in and out; seed 0: all at once.
 * Returns the count and *ret, which is the caller's. */
static size_t
run(struct resample *s, const float *in, size_t n_in, size_t room, uint32_t seed, float **ret) {
        const size_t block_max = seed ? 1 + seed * 37 % 900 : SIZE_MAX;
        float *out = calloc(room + 1, sizeof(*out));
        size_t n_out = 0, n;

        while (out && n_in > 0) {
                size_t block = seed ? random_next(&seed) % (block_max + 1) : n_in, taken;

                if (block > n_in)
                        block = n_in;
                taken = block;
                do {
                        size_t limit = seed ? 1 + random_next(&seed) % block_max : room;

                        if (limit > room - n_out)
                                limit = room - n_out;
                        expect(resample_feed(s, &in, &block, out + n_out, limit, &n) == 0);
                        n_out += n;
                        if (n < limit || limit == 0)
                                break;
                } while (n_out < room);
                expect(block == 0 || n_out == room);
                n_in -= taken;
        }

        do {
                size_t limit = seed ? 1 + random_next(&seed) % block_max : room;

                if (limit > room - n_out)
                        limit = room - n_out;
                expect(resample_finish(s, out + n_out, limit, &n) == 0);
                n_out += n;
        } while (n > 0);

        *ret = out;
        return n_out;
}

static void exact_length(void) {
        static const size_t counts[] = { 0, 1, 2, 3, 10, 439, 440, 441, 4095, 4096, 30011 };

        for (size_t i = 0; i < N_RATES; i++) {
                for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
                        size_t room = expected(counts[k], rates[i]) + 100;
                        _cleanup_(resample_freep) struct resample *s = NULL;
                        _cleanup_(freep) float *in = tone(counts[k], rates[i], 100);
                        _cleanup_(freep) float *out = NULL;

                        expect(resample_new(&s, rates[i]) == 0);
                        expect(run(s, in, counts[k], room, 0, &out) ==
                               expected(counts[k], rates[i]));
                }
        }
}

static void any_chunking(void) {
        const size_t n_in = 20000;

        for (size_t i = 0; i < N_RATES; i++) {
                size_t n = expected(n_in, rates[i]), room = n + 50;
                _cleanup_(freep) float *in = tone(n_in, rates[i], 440);
                _cleanup_(resample_freep) struct resample *s = NULL;
                _cleanup_(freep) float *whole = NULL;

                expect(resample_new(&s, rates[i]) == 0);
                expect(run(s, in, n_in, room, 0, &whole) == n);
                for (uint32_t seed = 1; seed < 8; seed++) {
                        _cleanup_(freep) float *pieces = NULL;

                        resample_reset(s);
                        expect(run(s, in, n_in, room, seed, &pieces) == n);
                        expect(memcmp(whole, pieces, n * sizeof(*whole)) == 0);
                }
        }
}

/* The largest difference from the ideal tone, the settling at both ends left out. */
static double tone_error(unsigned rate, double hz, double gain) {
        size_t n_in = rate, n = expected(n_in, rate);
        _cleanup_(resample_freep) struct resample *s = NULL;
        _cleanup_(freep) float *in = tone(n_in, rate, hz), *out = NULL;
        double worst = 0;

        expect(resample_new(&s, rate) == 0);
        expect(run(s, in, n_in, n + 50, 0, &out) == n);
        for (size_t i = 2000; i + 2000 < n; i++) {
                double want = gain * 0.5 * sin(2 * M_PI * hz * (double) i / FRAME_RATE);
                double error = fabs((double) out[i] - want);

                if (error > worst)
                        worst = error;
        }
        return worst;
}

static void tones_stay(void) {
        for (size_t i = 0; i < N_RATES; i++)
                expect(tone_error(rates[i], rates[i] < 4000 ? 200 : 1000, 1) < 1e-3);
        expect(tone_error(48000, 6500, 1) < 0.01);
        expect(tone_error(44100, 6500, 1) < 0.01);
}

static void no_alias(void) {
        expect(tone_error(44100, 9000, 0) < 1e-5);
        expect(tone_error(48000, 9000, 0) < 1e-5);
        expect(tone_error(96000, 20000, 0) < 1e-5);
}

static void pass_through(void) {
        _cleanup_(resample_freep) struct resample *s = NULL;
        _cleanup_(freep) float *in = tone(5000, FRAME_RATE, 3210), *out = NULL;

        expect(resample_new(&s, FRAME_RATE) == 0);
        expect(run(s, in, 5000, 5050, 3, &out) == 5000);
        expect(memcmp(in, out, 5000 * sizeof(*in)) == 0);
}

static void limits(void) {
        static const unsigned bad[] = { 0, 1, 999, 384001, 2147483647, 4294967295u };
        struct resample *s = NULL;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                expect(resample_new(&s, bad[i]) == -ERANGE);
        expect(!s);
        expect(!resample_free(NULL));
}

/* What the microphone's path costs in time: after n samples in, all but so many are out. */
static void held_back(void) {
        static const unsigned common[] = { 44100, 48000 };

        for (size_t i = 0; i < 2; i++) {
                size_t n_in = common[i] / 2, n, limit = expected(n_in, common[i]);
                _cleanup_(resample_freep) struct resample *s = NULL;
                _cleanup_(freep) float *in = tone(n_in, common[i], 440);
                _cleanup_(freep) float *out = calloc(limit, sizeof(*out));
                const float *next = in;

                expect(resample_new(&s, common[i]) == 0);
                expect(resample_feed(s, &next, &n_in, out, limit, &n) == 0);
                expect(n_in == 0);
                expect(limit - n <= 48); /* 3 ms */
        }
}

int main(void) {
        rule("the output has ceil(n * 16000 / rate) samples", exact_length);
        rule("any chunking of input and output gives the same samples", any_chunking);
        rule("a tone keeps its frequency, level and place", tones_stay);
        rule("what 16 kHz cannot hold is gone, not folded back", no_alias);
        rule("16 kHz passes through bit by bit", pass_through);
        rule("absurd rates are refused", limits);
        rule("at most 3 ms are held back", held_back);
        return tap_done();
}
