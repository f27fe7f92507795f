/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/delay.h"

#include <math.h>
#include <string.h>

#define SIZE (2 * DELAY_LAGS)

/* What is quieter than this in a band is no voice and no music, and does not come and go. */
#define QUIET_DB (-75.0f)

#define MEAN_PART     0.01f  /* of a block in the mean: a second */
#define LIKENESS_PART 0.997f /* what is kept of the likeness: a few seconds */
#define LARGEST       20.0f  /* dB, that one band counts at most */

/* Not certain before half a second in which something came and went. */
#define LEAST_BLOCKS   50
#define LEAST_LIKENESS 0.25f

void delay_init(struct delay *d) {
        memset(d, 0, sizeof(*d));
        spectrum_init(&d->speaker.spectrum);
        spectrum_init(&d->microphone.spectrum);
}

/* By how many dB each band is above or below its mean; all 0 in silence.  Whether there is a sound. */
static bool listen(struct delay_ear *e, const float *samples, float ret[SPECTRUM_BANDS]) {
        float power[SPECTRUM_BANDS];
        bool any = false;

        spectrum_push(&e->spectrum, samples, power);
        for (unsigned b = 0; b < SPECTRUM_BANDS; b++) {
                float db = 10 * log10f(power[b]);

                db = db > QUIET_DB ? db : QUIET_DB;
                any |= db > QUIET_DB;
                if (!e->has_begun)
                        e->mean[b] = db;
                ret[b] = fminf(fmaxf(db - e->mean[b], -LARGEST), LARGEST);
                e->mean[b] += MEAN_PART * (db - e->mean[b]);
        }
        e->has_begun = true;
        return any;
}

void delay_play(struct delay *d, const float samples[SPECTRUM_BLOCK]) {
        float *bands = d->played[d->n_played++ % SIZE];

        if (!listen(&d->speaker, samples, bands))
                memset(bands, 0, sizeof(d->played[0]));
}

static float product(const float *a, const float *b) {
        float sum = 0;

        for (unsigned i = 0; i < SPECTRUM_BANDS; i++)
                sum += a[i] * b[i];
        return sum;
}

void delay_hear(struct delay *d, const float samples[SPECTRUM_BLOCK], uint64_t block) {
        float heard[SPECTRUM_BANDS];
        bool any = false;

        if (!listen(&d->microphone, samples, heard))
                return;
        for (unsigned lag = 0; lag < DELAY_LAGS; lag++) {
                const float *played = d->played[(block - lag) % SIZE];

                if (block < lag || block - lag >= d->n_played ||
                    block - lag + SIZE < d->n_played)
                        continue;
                any |= product(played, played) > 0;
        }
        /* Of a time in which nothing was played there is nothing to learn. */
        if (!any)
                return;
        d->heard_power = d->heard_power * LIKENESS_PART + product(heard, heard);
        for (unsigned lag = 0; lag < DELAY_LAGS; lag++) {
                const float *played = d->played[(block - lag) % SIZE];
                bool is_known = block >= lag && block - lag < d->n_played &&
                                block - lag + SIZE >= d->n_played;

                d->likeness[lag] *= LIKENESS_PART;
                d->played_power[lag] *= LIKENESS_PART;
                if (!is_known)
                        continue;
                d->likeness[lag] += product(heard, played);
                d->played_power[lag] += product(played, played);
        }
        d->n_heard += d->n_heard < LEAST_BLOCKS;
}

int delay_blocks(const struct delay *d) {
        float most = 0;
        int best = -1;

        if (d->n_heard < LEAST_BLOCKS)
                return -1;
        for (int lag = 0; lag < DELAY_LAGS; lag++) {
                float power = sqrtf(d->heard_power * d->played_power[lag]);

                if (power > 0 && d->likeness[lag] / power > most) {
                        most = d->likeness[lag] / power;
                        best = lag;
                }
        }
        return most >= LEAST_LIKENESS ? best : -1;
}
