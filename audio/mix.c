/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/mix.h"

#include <math.h>

/* What hums is below this, and does not count when sides are compared. */
#define HUM_HZ 200.0

#define SECTION_S  1.5   /* two of them is how long a floor is remembered */
#define MEMORY_S   1.0   /* of the loudest, and of what two sides have in common */
#define POWER_MIN  1e-10 /* -100 dB; nothing is quieter */
#define WORSE      0.2   /* a side is left out that rises by 7 dB less above its floor */
#define STEADY     4.0   /* ... than one that rises by more than 6 dB */
#define NOISIER    10.0  /* while none does, one is left out that is by 10 dB noisier than another */
#define NOISE_MIN  1e-8  /* ... which is no quieter than -80 dB */
#define OPPOSITE   (-0.5)
#define ALIKE      (-0.2)

void mix_init(struct mix *m, unsigned n_channels, unsigned rate) {
        *m = (struct mix){ .n_channels = n_channels, .rate = rate };
        for (unsigned c = 0; c < n_channels; c++) {
                m->channels[c].weight = 1.0f / (float) n_channels;
                m->channels[c].sign = 1;
        }
}

/* The power of each channel without what hums. */
static void measure(struct mix *m, const float *in, size_t n) {
        const float keep = (float) exp(-2 * M_PI * HUM_HZ / m->rate);

        for (unsigned c = 0; c < m->n_channels; c++) {
                struct mix_channel *channel = &m->channels[c];
                float x1 = m->has_begun ? channel->before[0] : in[c], y = channel->before[1];
                double sum = 0;

                for (size_t i = 0; i < n; i++) {
                        float x = in[i * m->n_channels + c];

                        y = keep * (y + x - x1);
                        x1 = x;
                        sum += (double) y * (double) y;
                }
                channel->before[0] = x1;
                channel->before[1] = y;
                channel->power = sum / (double) n + POWER_MIN;
        }
}

/* How far each channel rises above the smallest that it has lately been. */
static void follow(struct mix *m, double seconds) {
        double fade = exp(-seconds / MEMORY_S);

        m->window_s += seconds;
        for (unsigned c = 0; c < m->n_channels; c++) {
                struct mix_channel *channel = &m->channels[c];

                if (!m->has_begun)
                        channel->floor[0] = channel->floor[1] = channel->power;
                if (m->window_s > SECTION_S) {
                        channel->floor[1] = channel->floor[0];
                        channel->floor[0] = channel->power;
                }
                channel->floor[0] = fmin(channel->floor[0], channel->power);
                channel->loud = fmax(channel->loud * fade, channel->power);
        }
        if (m->window_s > SECTION_S)
                m->window_s = 0;
        m->has_begun = true;
}

static double floor_of(const struct mix_channel *channel) {
        return fmin(channel->floor[0], channel->floor[1]);
}

static double quality(const struct mix_channel *channel) {
        return channel->loud / floor_of(channel);
}

/* The best, but not another one for next to nothing. */
static unsigned choose_best(const struct mix *m) {
        unsigned best = m->best;

        for (unsigned c = 0; c < m->n_channels; c++)
                if (quality(&m->channels[c]) > 1.5 * quality(&m->channels[best]))
                        best = c;
        return best;
}

/* What each channel has in common with the best one. */
static void compare(struct mix *m, const float *in, size_t n, double seconds) {
        unsigned best = choose_best(m);
        double fade = best == m->best ? exp(-seconds / MEMORY_S) : 0;

        m->best = best;
        for (unsigned c = 0; c < m->n_channels; c++) {
                struct mix_channel *channel = &m->channels[c];
                double energy = 0, product = 0, mean = 0, mean_best = 0;

                for (size_t i = 0; i < n; i++) {
                        mean += (double) in[i * m->n_channels + c];
                        mean_best += (double) in[i * m->n_channels + best];
                }
                mean /= (double) n;
                mean_best /= (double) n;
                for (size_t i = 0; i < n; i++) {
                        double x = (double) in[i * m->n_channels + c] - mean;

                        energy += x * x;
                        product += x * ((double) in[i * m->n_channels + best] - mean_best);
                }
                channel->energy = channel->energy * fade + energy;
                channel->product = channel->product * fade + product;
        }
}

static double least_noise(const struct mix *m) {
        double least = floor_of(&m->channels[0]);

        for (unsigned c = 1; c < m->n_channels; c++)
                least = fmin(least, floor_of(&m->channels[c]));
        return fmax(least, NOISE_MIN);
}

static void decide(struct mix *m, float weight[], float sign[]) {
        double best = quality(&m->channels[m->best]), energy = m->channels[m->best].energy;
        double least = least_noise(m);
        unsigned n_used = 0;

        for (unsigned c = 0; c < m->n_channels; c++) {
                const struct mix_channel *channel = &m->channels[c];
                bool is_worse = best > STEADY ? quality(channel) < WORSE * best
                                              : floor_of(channel) > NOISIER * least;
                double alike = channel->product / (sqrt(channel->energy * energy) + 1e-12);

                weight[c] = is_worse ? 0 : 1;
                n_used += !is_worse;
                sign[c] = alike < OPPOSITE ? -1 : alike > ALIKE ? 1 : channel->sign;
        }
        for (unsigned c = 0; c < m->n_channels; c++)
                weight[c] /= (float) n_used;
}

static void add(const struct mix *m, unsigned c, const float *in, float *out, size_t n, float to) {
        float from = m->channels[c].weight * m->channels[c].sign;
        float step = (to - from) / (float) n;

        for (size_t i = 0; i < n; i++)
                out[i] += in[i * m->n_channels + c] *
                          (from == to ? to : from + step * (float) (i + 1));
}

void mix_apply(struct mix *m, const float *in, float *out, size_t n) {
        float weight[MIX_CHANNELS_MAX], sign[MIX_CHANNELS_MAX];
        double seconds = (double) n / m->rate;
        bool is_first = !m->has_begun;

        for (size_t i = 0; i < n; i++)
                out[i] = 0;
        if (n == 0)
                return;

        measure(m, in, n);
        follow(m, seconds);
        compare(m, in, n, seconds);
        decide(m, weight, sign);
        for (unsigned c = 0; c < m->n_channels; c++) {
                if (is_first) {
                        m->channels[c].weight = weight[c];
                        m->channels[c].sign = sign[c];
                }
                add(m, c, in, out, n, weight[c] * sign[c]);
                m->channels[c].weight = weight[c];
                m->channels[c].sign = sign[c];
        }
}
