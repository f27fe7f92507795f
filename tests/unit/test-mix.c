/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/mix.h"

#include <math.h>
#include <stdint.h>

#include "tests/tap.h"

#define RATE  16000
#define BLOCK 640

static struct mix m;
static uint32_t seed;
static unsigned n_blocks;

enum side { SIDE_SPEECH, SIDE_UPSIDE_DOWN, SIDE_HUM, SIDE_NOTHING, SIDE_NOISE, SIDE_HALF };

static float noise(void) {
        seed = seed * 1664525 + 1013904223;
        return ((float) (seed >> 16) - 32767.5f) / 32768;
}

/* A buzz that comes and goes three times a second. */
static float voice(size_t i) {
        float t = (float) i / RATE, s = 0;

        for (int k = 1; k <= 10; k++)
                s += sinf(2 * (float) M_PI * 150 * (float) k * t);
        return 0.03f * s * fmaxf(0, sinf(2 * (float) M_PI * 3 * t));
}

static float sample(enum side side, size_t i, float said) {
        switch (side) {
        case SIDE_SPEECH:
                return said + 0.0003f * noise();
        case SIDE_UPSIDE_DOWN:
                return -said + 0.0003f * noise();
        case SIDE_HALF:
                return said / 2 + 0.0003f * noise();
        case SIDE_HUM:
                return 0.3f * sinf(2 * (float) M_PI * 50 * (float) i / RATE) +
                       0.1f * sinf(2 * (float) M_PI * 150 * (float) i / RATE);
        case SIDE_NOISE:
                return 0.1f * noise();
        case SIDE_NOTHING:
                break;
        }
        return 0;
}

/* Speaks into two sides.  How much of what was said comes out, 1: all of it, and how much else, as a
 * part of what was said. */
static float mixed(enum side left, enum side right, unsigned n, float *ret_rest) {
        double said2 = 0, product = 0, out2 = 0, share;

        for (unsigned b = 0; b < n; b++, n_blocks++) {
                float in[2 * BLOCK], said[BLOCK], out[BLOCK];

                for (size_t i = 0; i < BLOCK; i++) {
                        size_t at = n_blocks * BLOCK + i;

                        said[i] = voice(at);
                        in[2 * i] = sample(left, at, said[i]);
                        in[2 * i + 1] = sample(right, at, said[i]);
                }
                mix_apply(&m, in, out, BLOCK);
                for (size_t i = 0; i < BLOCK; i++) {
                        said2 += (double) said[i] * (double) said[i];
                        product += (double) said[i] * (double) out[i];
                        out2 += (double) out[i] * (double) out[i];
                }
        }
        share = product / said2;
        *ret_rest = (float) sqrt(fmax(0, out2 / said2 - share * share));
        return (float) share;
}

static void open_world(void) {
        mix_init(&m, 2, RATE);
        seed = 1;
        n_blocks = 0;
}

static void check(enum side left, enum side right, float least, float most, float most_rest) {
        float share, rest;

        open_world();
        (void) mixed(left, right, 25, &rest);
        share = mixed(left, right, 75, &rest);
        printf("# %d and %d: %.3f, rest %.3f\n", left, right, (double) share, (double) rest);
        expect(share > least && share < most && rest < most_rest);
}

static void two_sides_are_their_mean(void) {
        check(SIDE_SPEECH, SIDE_SPEECH, 0.99f, 1.01f, 0.02f);
        check(SIDE_SPEECH, SIDE_HALF, 0.74f, 1.01f, 0.02f);
}

static void one_that_is_upside_down_is_turned(void) {
        float rest;

        check(SIDE_SPEECH, SIDE_UPSIDE_DOWN, 0.99f, 1.01f, 0.02f);
        /* From the first block on. */
        open_world();
        expect(fabsf(mixed(SIDE_SPEECH, SIDE_UPSIDE_DOWN, 3, &rest)) > 0.98f);
}

static void the_better_side_counts(void) {
        static const enum side worse[] = { SIDE_HUM, SIDE_NOTHING, SIDE_NOISE };

        for (unsigned i = 0; i < 3; i++) {
                check(SIDE_SPEECH, worse[i], 0.97f, 1.03f, 0.05f);
                check(worse[i], SIDE_SPEECH, 0.97f, 1.03f, 0.05f);
        }
}

static void it_may_change(void) {
        float rest;

        open_world();
        (void) mixed(SIDE_SPEECH, SIDE_NOTHING, 100, &rest);
        (void) mixed(SIDE_NOISE, SIDE_SPEECH, 120, &rest);
        expect(mixed(SIDE_NOISE, SIDE_SPEECH, 50, &rest) > 0.95f && rest < 0.1f);
}

static void one_channel_is_untouched(void) {
        float in[BLOCK], out[BLOCK];

        mix_init(&m, 1, RATE);
        for (unsigned b = 0; b < 20; b++) {
                for (size_t i = 0; i < BLOCK; i++)
                        in[i] = noise();
                mix_apply(&m, in, out, BLOCK);
                for (size_t i = 0; i < BLOCK; i++)
                        expect(in[i] == out[i]);
        }
}

int main(void) {
        rule("two good sides are their mean", two_sides_are_their_mean);
        rule("a side that is upside down is turned round", one_that_is_upside_down_is_turned);
        rule("of a good and a bad side the good one counts", the_better_side_counts);
        rule("which is the better side may change", it_may_change);
        rule("one channel is untouched", one_channel_is_untouched);
        return tap_done();
}
