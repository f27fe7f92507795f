/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/spectrum.h"

#include <math.h>
#include <string.h>

#define WINDOW  SPECTRUM_WINDOW
#define HALF    (WINDOW / 2)
#define N_BANDS SPECTRUM_BANDS

/* Above this there is little of a voice that repeats itself. */
#define VOICED_BINS 128

/* Bands as wide as the ear's (on the mel scale), from 100 Hz to 7 kHz, and none without a bin. */
static void place_bands(struct spectrum *s) {
        const double low = 2595 * log10(1 + 100 / 700.0), high = 2595 * log10(1 + 7000 / 700.0);
        unsigned short bin = 0;

        for (unsigned b = 0; b <= N_BANDS; b++) {
                double mel = low + (high - low) * b / N_BANDS;
                double hz = 700 * (pow(10, mel / 2595) - 1);
                unsigned short at = (unsigned short) (hz * WINDOW / FRAME_RATE + 0.5);

                bin = b > 0 && at <= bin ? (unsigned short) (bin + 1) : at;
                s->first_bin[b] = bin;
        }
}

/* The bits of i from the last to the first, as the transform wants its samples ordered. */
static unsigned char reversed(unsigned i) {
        unsigned r = 0;

        for (unsigned bit = 1; bit < HALF; bit *= 2)
                r = r * 2 + !!(i & bit);
        return (unsigned char) r;
}

static void place_lags(struct spectrum *s) {
        double whole = 0;

        for (unsigned lag = 0; lag <= SPECTRUM_LAG_MAX; lag++) {
                double sum = 0;

                for (unsigned i = lag; i < WINDOW; i++)
                        sum += (double) s->window[i] * (double) s->window[i - lag];
                if (lag == 0)
                        whole = sum;
                s->window_lags[lag] = (float) (sum / whole);
        }
}

void spectrum_init(struct spectrum *s) {
        memset(s, 0, sizeof(*s));
        for (unsigned i = 0; i < WINDOW; i++)
                s->window[i] = (float) (0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / WINDOW));
        for (unsigned i = 0; i < HALF; i++) {
                s->reversed[i] = reversed(i);
                s->cosine[i] = (float) cos(2 * M_PI * i / WINDOW);
                s->sine[i] = (float) -sin(2 * M_PI * i / WINDOW);
        }
        place_bands(s);
        place_lags(s);
}

/* The discrete Fourier transform of HALF complex numbers in the order of reversed(), in place. */
static void transform(const struct spectrum *s, float re[HALF], float im[HALF]) {
        for (unsigned width = 1; width < HALF; width *= 2)
                for (unsigned first = 0; first < HALF; first += 2 * width)
                        for (unsigned k = 0; k < width; k++) {
                                unsigned i = first + k, j = i + width, turn = k * (HALF / width);
                                float x = re[j] * s->cosine[turn] - im[j] * s->sine[turn];
                                float y = re[j] * s->sine[turn] + im[j] * s->cosine[turn];

                                re[j] = re[i] - x;
                                im[j] = im[i] - y;
                                re[i] += x;
                                im[i] += y;
                        }
}

/* Bin k (0 < k < HALF) of the spectrum of real samples, from the transform of the numbers (even sample)
 * + i (odd sample): a real signal needs one of half its length. */
static float real_part(const struct spectrum *s, const float re[HALF], const float im[HALF], unsigned k) {
        unsigned mirror = HALF - k;
        float even = re[k] + re[mirror], odd_re = im[k] + im[mirror], odd_im = re[mirror] - re[k];

        return (even + odd_re * s->cosine[k] - odd_im * s->sine[k]) / 2;
}

static float
imaginary_part(const struct spectrum *s, const float re[HALF], const float im[HALF], unsigned k) {
        unsigned mirror = HALF - k;
        float even = im[k] - im[mirror], odd_re = im[k] + im[mirror], odd_im = re[mirror] - re[k];

        return (even + odd_re * s->sine[k] + odd_im * s->cosine[k]) / 2;
}

void spectrum_push(struct spectrum *s,
                   const float samples[SPECTRUM_BLOCK],
                   float power[N_BANDS]) {
        const float scale = 2 / (0.375f * WINDOW * WINDOW);
        float re[HALF], im[HALF];

        memmove(s->recent, s->recent + SPECTRUM_BLOCK,
                (WINDOW - SPECTRUM_BLOCK) * sizeof(*s->recent));
        memcpy(s->recent + WINDOW - SPECTRUM_BLOCK, samples, SPECTRUM_BLOCK * sizeof(*samples));
        for (unsigned i = 0; i < HALF; i++) {
                unsigned at = s->reversed[i];

                re[at] = s->recent[2 * i] * s->window[2 * i];
                im[at] = s->recent[2 * i + 1] * s->window[2 * i + 1];
        }
        transform(s, re, im);

        for (unsigned b = 0; b < N_BANDS; b++) {
                float sum = 0;

                for (unsigned i = s->first_bin[b]; i < s->first_bin[b + 1]; i++) {
                        float x = real_part(s, re, im, i), y = imaginary_part(s, re, im, i);

                        s->bins[i] = x * x + y * y;
                        sum += s->bins[i];
                }
                power[b] = sum * scale + SPECTRUM_FLOOR;
        }
}

/* The transform of a power spectrum is how much the sound is like itself a little later. */
float spectrum_voicing(const struct spectrum *s) {
        float mirrored[WINDOW] = { 0 }, re[HALF], im[HALF], whole = 0, most = 0;

        for (unsigned i = s->first_bin[0]; i < VOICED_BINS; i++) {
                mirrored[i] = mirrored[WINDOW - i] = s->bins[i];
                whole += 2 * s->bins[i];
        }
        for (unsigned i = 0; i < HALF; i++) {
                re[s->reversed[i]] = mirrored[2 * i];
                im[s->reversed[i]] = mirrored[2 * i + 1];
        }
        transform(s, re, im);

        whole += 1e-12f * WINDOW;
        for (unsigned lag = SPECTRUM_LAG_MIN; lag <= SPECTRUM_LAG_MAX; lag++) {
                float alike = real_part(s, re, im, lag) / whole / s->window_lags[lag];

                most = alike > most ? alike : most;
        }
        return most < 1 ? most : 1;
}
