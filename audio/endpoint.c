/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/endpoint.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SAMPLES    160 /* 10 ms: one decision */
#define BLOCK_MS         10
#define BLOCKS_PER_FRAME (FRAME_SAMPLES / BLOCK_SAMPLES)
#define WINDOW           512 /* 32 ms: one spectrum */
#define HALF             (WINDOW / 2)
#define N_BANDS          20

/* The noise of a band is the smallest of so many sections of so many blocks: 1.6 s, longer than
 * speech keeps any band filled. */
#define N_SECTIONS     8
#define SECTION_BLOCKS 20

#define SMOOTHING     0.7f  /* of the energy whose minimum is sought, per block */
#define MINIMUM_BIAS  2.2f  /* 1.5 from that minimum to the mean; the rest for noise that swells */
#define PRIORI_MEMORY 0.9f  /* how much of the expected SNR comes from the block before */
#define POWER_FLOOR   1e-11f /* -110 dB per band; digital silence is no quieter than that */
#define START_POWER   1e-5f /* no room is louder than that before it was heard for a while */
#define LIKELY_ON     1.2f  /* of the mean log likelihood ratio: to begin, and to go on */
#define LIKELY_OFF    0.6f

/* A voice 24 dB below the loudest one of late is somebody else's, at a distance.  The loudest one
 * is forgotten by 2 dB a second and never counts as more than -20 dBFS, so that a slammed door
 * makes nobody unheard. */
#define DISTANT      0.004f
#define LOUDEST_MAX  0.01f
#define LOUDEST_FALL 0.9954f
#define LOUDEST_RISE 0.03f

#define ONSET_MS 120 /* the soft sounds before what is certain */

struct endpoint {
        struct endpoint_config config;
        float window[WINDOW], cosine[HALF], sine[HALF]; /* the turns by k / WINDOW */
        unsigned char reversed[HALF];
        unsigned short first_bin[N_BANDS + 1];

        float recent[WINDOW]; /* the newest samples, oldest first */
        float smoothed[N_BANDS], noise[N_BANDS], clean[N_BANDS];
        float section_minimum[N_SECTIONS][N_BANDS];
        unsigned n_blocks; /* in the section under way */
        unsigned section;

        float loudest;       /* mean square of the loudest speech of late */
        bool is_open;        /* within an utterance */
        unsigned speech_ms;  /* evidence for a beginning */
        unsigned since_ms;   /* since there is any */
        unsigned silence_ms; /* since the last block of speech */
        unsigned onset;
};

struct endpoint *endpoint_free(struct endpoint *e) {
        free(e);
        return NULL;
}

/* Bands as wide as the ear's (on the mel scale), from 100 Hz to 7 kHz, and none without a bin. */
static void place_bands(struct endpoint *e) {
        const double low = 2595 * log10(1 + 100 / 700.0), high = 2595 * log10(1 + 7000 / 700.0);
        unsigned short bin = 0;

        for (unsigned b = 0; b <= N_BANDS; b++) {
                double mel = low + (high - low) * b / N_BANDS;
                double hz = 700 * (pow(10, mel / 2595) - 1);
                unsigned short at = (unsigned short) (hz * WINDOW / FRAME_RATE + 0.5);

                bin = b > 0 && at <= bin ? (unsigned short) (bin + 1) : at;
                e->first_bin[b] = bin;
        }
}

/* The bits of i from the last to the first, as the transform wants its samples ordered. */
static unsigned char reversed(unsigned i) {
        unsigned r = 0;

        for (unsigned bit = 1; bit < HALF; bit *= 2)
                r = r * 2 + !!(i & bit);
        return (unsigned char) r;
}

int endpoint_new(struct endpoint **ret, const struct endpoint_config *config) {
        struct endpoint *e;

        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;

        e->config = *config;
        for (unsigned i = 0; i < WINDOW; i++)
                e->window[i] = (float) (0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / WINDOW));
        for (unsigned i = 0; i < HALF; i++) {
                e->reversed[i] = reversed(i);
                e->cosine[i] = (float) cos(2 * M_PI * i / WINDOW);
                e->sine[i] = (float) -sin(2 * M_PI * i / WINDOW);
        }
        place_bands(e);

        for (unsigned b = 0; b < N_BANDS; b++) {
                e->noise[b] = START_POWER;
                e->smoothed[b] = START_POWER;
                for (unsigned s = 0; s < N_SECTIONS; s++)
                        e->section_minimum[s][b] = START_POWER;
        }

        *ret = e;
        return 0;
}

/* The discrete Fourier transform of HALF complex numbers in the order of reversed(), in place. */
static void transform(const struct endpoint *e, float re[HALF], float im[HALF]) {
        for (unsigned width = 1; width < HALF; width *= 2)
                for (unsigned first = 0; first < HALF; first += 2 * width)
                        for (unsigned k = 0; k < width; k++) {
                                unsigned i = first + k, j = i + width, turn = k * (HALF / width);
                                float x = re[j] * e->cosine[turn] - im[j] * e->sine[turn];
                                float y = re[j] * e->sine[turn] + im[j] * e->cosine[turn];

                                re[j] = re[i] - x;
                                im[j] = im[i] - y;
                                re[i] += x;
                                im[i] += y;
                        }
}

/* The square of bin k (0 < k < HALF) of the recent samples' spectrum, from the transform of the
 * numbers (even sample) + i (odd sample): a real signal needs one of half its length. */
static float bin_power(const struct endpoint *e, const float re[HALF], const float im[HALF], unsigned k) {
        unsigned mirror = HALF - k;
        float even_re = re[k] + re[mirror], even_im = im[k] - im[mirror];
        float odd_re = im[k] + im[mirror], odd_im = re[mirror] - re[k];
        float x = even_re + odd_re * e->cosine[k] - odd_im * e->sine[k];
        float y = even_im + odd_re * e->sine[k] + odd_im * e->cosine[k];

        return (x * x + y * y) / 4;
}

/* The power of each band, scaled so that all bands together make the mean square of the signal. */
static void measure(const struct endpoint *e, float power[N_BANDS]) {
        const float scale = 2 / (0.375f * WINDOW * WINDOW);
        float re[HALF], im[HALF];

        for (unsigned i = 0; i < HALF; i++) {
                unsigned at = e->reversed[i];

                re[at] = e->recent[2 * i] * e->window[2 * i];
                im[at] = e->recent[2 * i + 1] * e->window[2 * i + 1];
        }
        transform(e, re, im);

        for (unsigned b = 0; b < N_BANDS; b++) {
                float sum = 0;

                for (unsigned i = e->first_bin[b]; i < e->first_bin[b + 1]; i++)
                        sum += bin_power(e, re, im, i);
                power[b] = sum * scale + POWER_FLOOR;
        }
}

/* The mean over the bands of the log likelihood ratio "speech and noise" to "noise alone", each
 * band's energy taken as exponentially distributed; the SNR to be expected is learnt from the
 * block before. */
static float likelihood(struct endpoint *e, const float power[N_BANDS]) {
        float sum = 0;

        for (unsigned b = 0; b < N_BANDS; b++) {
                float posteriori = power[b] / e->noise[b];
                float now = posteriori > 1 ? posteriori - 1 : 0;
                float priori =
                        PRIORI_MEMORY * e->clean[b] / e->noise[b] + (1 - PRIORI_MEMORY) * now;
                float gain = priori / (1 + priori);

                sum += posteriori * gain - logf(1 + priori);
                e->clean[b] = gain * gain * power[b];
        }
        return sum / N_BANDS;
}

/* Follows the smallest smoothed energy of each band. */
static void follow_noise(struct endpoint *e, const float power[N_BANDS]) {
        bool is_new_section = e->n_blocks == SECTION_BLOCKS;

        if (is_new_section) {
                e->section = (e->section + 1) % N_SECTIONS;
                e->n_blocks = 0;
        }
        e->n_blocks++;

        for (unsigned b = 0; b < N_BANDS; b++) {
                float *section = &e->section_minimum[e->section][b], smallest = FLT_MAX;

                e->smoothed[b] = SMOOTHING * e->smoothed[b] + (1 - SMOOTHING) * power[b];
                if (is_new_section || e->smoothed[b] < *section)
                        *section = e->smoothed[b];
                for (unsigned s = 0; s < N_SECTIONS; s++)
                        if (e->section_minimum[s][b] < smallest)
                                smallest = e->section_minimum[s][b];
                e->noise[b] = MINIMUM_BIAS * smallest;
        }
}

/* Whether the newest 10 ms are speech. */
static bool is_speech(struct endpoint *e, const float *samples) {
        float power[N_BANDS], sum = 0, l;

        memmove(e->recent, e->recent + BLOCK_SAMPLES,
                (WINDOW - BLOCK_SAMPLES) * sizeof(*e->recent));
        memcpy(e->recent + WINDOW - BLOCK_SAMPLES, samples, BLOCK_SAMPLES * sizeof(*samples));

        measure(e, power);
        for (unsigned b = 0; b < N_BANDS; b++)
                sum += power[b];
        if (!isfinite(sum))
                return false; /* one such block would spoil the averages for ever */

        follow_noise(e, power);
        l = likelihood(e, power);
        e->loudest *= LOUDEST_FALL;
        if (l < (e->is_open ? LIKELY_OFF : LIKELY_ON) || sum < DISTANT * e->loudest)
                return false;
        if (sum > e->loudest)
                e->loudest += LOUDEST_RISE * (fminf(sum, LOUDEST_MAX) - e->loudest);
        return true;
}

/* Evidence for a beginning comes and goes, so that a consonant may interrupt it. */
static void weigh(struct endpoint *e, bool is_speaking) {
        if (e->speech_ms == 0)
                e->since_ms = 0;
        e->since_ms += BLOCK_MS;

        if (is_speaking) {
                e->speech_ms += BLOCK_MS;
                e->silence_ms = 0;
                return;
        }
        e->silence_ms += BLOCK_MS;
        if (!e->is_open)
                e->speech_ms = e->speech_ms > BLOCK_MS ? e->speech_ms - BLOCK_MS : 0;
}

/* How many frames before the one just pushed belong to the beginning. */
static unsigned onset_of(const struct endpoint *e) {
        unsigned frame_ms = BLOCKS_PER_FRAME * BLOCK_MS;
        unsigned before_ms = e->since_ms + ONSET_MS - frame_ms;
        unsigned n = (before_ms + frame_ms - 1) / frame_ms;

        return n < ENDPOINT_ONSET_MAX ? n : ENDPOINT_ONSET_MAX;
}

static enum endpoint_verdict conclude(struct endpoint *e) {
        if (!e->is_open) {
                if (e->speech_ms < e->config.start_ms)
                        return ENDPOINT_SILENCE;
                e->is_open = true;
                e->onset = onset_of(e);
                return ENDPOINT_START;
        }

        if (e->silence_ms >= e->config.end_ms) {
                endpoint_abandon(e);
                return ENDPOINT_END;
        }
        return e->silence_ms >= e->config.pause_ms ? ENDPOINT_PAUSE : ENDPOINT_SPEECH;
}

enum endpoint_verdict endpoint_push(struct endpoint *e, const struct frame *frame) {
        for (unsigned i = 0; i < BLOCKS_PER_FRAME; i++)
                weigh(e, is_speech(e, frame->samples + (size_t) i * BLOCK_SAMPLES));
        return conclude(e);
}

unsigned endpoint_onset(const struct endpoint *e) {
        return e->onset;
}

void endpoint_abandon(struct endpoint *e) {
        e->is_open = false;
        e->speech_ms = 0;
        e->silence_ms = 0;
}

float endpoint_noise_db(const struct endpoint *e) {
        float sum = 0;

        for (unsigned b = 0; b < N_BANDS; b++)
                sum += e->noise[b];
        return 10 * log10f(sum);
}
