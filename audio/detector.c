/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/detector.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST  32
#define SECOND 32
#define THIRD  24

/* Logarithms are brought to about one. */
#define ABOVE_MIN (-4.0f)
#define ABOVE_MAX 14.0f
#define SHAPE_MAX 8.0f
#define LOG_SCALE 0.25f

extern const unsigned char detector_begin[], detector_end[];

/* A gated recurrent unit: reset, update and new, one below the other. */
#define GRU(name, inputs, size)                                                                    \
        struct name {                                                                              \
                float in[3 * (size)][inputs], in_bias[3 * (size)];                                 \
                float own[3 * (size)][size], own_bias[3 * (size)];                                 \
        }

/* In the order of the file. */
struct weights {
        float first[FIRST][DETECTOR_INPUTS], first_bias[FIRST];
        GRU(second, FIRST, SECOND) second;
        GRU(third, SECOND, THIRD) third;
        float last[2][THIRD], last_bias[2];
};

struct detector {
        struct weights weights;
        float inputs[DETECTOR_INPUTS];
        float second[SECOND], third[THIRD]; /* what is remembered */
        unsigned n_blocks;                  /* of the frame under way */
};

/* How many numbers each tensor has. */
static const size_t sizes[] = {
        FIRST * DETECTOR_INPUTS, FIRST,
        3 * SECOND * FIRST,      3 * SECOND,
        3 * SECOND * SECOND,     3 * SECOND,
        3 * THIRD * SECOND,      3 * THIRD,
        3 * THIRD * THIRD,       3 * THIRD,
        2 * THIRD,               2,
};

/* The file has of each tensor a scale, float, and its numbers as multiples of that, int16, both with the
 * lower byte first. */
static int read_weights(struct weights *ret) {
        const unsigned char *from = detector_begin;
        float *to = (float *) (void *) ret;

        for (size_t t = 0; t < sizeof(sizes) / sizeof(sizes[0]); t++) {
                uint32_t bits;
                float scale;

                if ((size_t) (detector_end - from) < sizeof(scale) + 2 * sizes[t])
                        return -EBADMSG;
                bits = (uint32_t) from[0] | (uint32_t) from[1] << 8 | (uint32_t) from[2] << 16 |
                       (uint32_t) from[3] << 24;
                memcpy(&scale, &bits, sizeof(scale));
                from += sizeof(scale);
                for (size_t i = 0; i < sizes[t]; i++, from += 2)
                        *to++ = scale * (float) (int16_t) (uint16_t) (from[0] | from[1] << 8);
        }
        return from == detector_end && (char *) to == (char *) (ret + 1) ? 0 : -EBADMSG;
}

int detector_new(struct detector **ret) {
        struct detector *d;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        r = read_weights(&d->weights);
        if (r < 0) {
                free(d);
                return r;
        }

        *ret = d;
        return 0;
}

struct detector *detector_free(struct detector *d) {
        free(d);
        return NULL;
}

static float clamp(float x, float low, float high) {
        return x < low ? low : x > high ? high : x;
}

void detector_block(struct detector *d,
                    const float power[SPECTRUM_BANDS],
                    const float noise[SPECTRUM_BANDS],
                    float voicing) {
        float *above = d->inputs + d->n_blocks * SPECTRUM_BANDS;
        float *shape = d->inputs + SPECTRUM_BLOCKS_PER_FRAME * SPECTRUM_BANDS;
        float mean = 0;

        for (unsigned b = 0; b < SPECTRUM_BANDS; b++) {
                above[b] = LOG_SCALE * clamp(logf(power[b] / noise[b]), ABOVE_MIN, ABOVE_MAX);
                shape[b] = logf(noise[b]);
                mean += shape[b] / SPECTRUM_BANDS;
        }
        for (unsigned b = 0; b < SPECTRUM_BANDS; b++)
                shape[b] = LOG_SCALE * clamp(shape[b] - mean, -SHAPE_MAX, SHAPE_MAX);
        shape[SPECTRUM_BANDS + d->n_blocks] = voicing;
        d->n_blocks++;
}

static float dot(const float *a, const float *b, size_t n) {
        float sum[8] = { 0 };

        for (size_t i = 0; i < n; i += 8)
                for (size_t k = 0; k < 8; k++)
                        sum[k] += a[i + k] * b[i + k];
        return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static float sigmoid(float x) {
        return 1 / (1 + expf(-x));
}

/* [3 * size][n_in] and [3 * size][size]; n_in and size are multiples of 8. */
static void gru(const float *in_weights,
                const float *in_bias,
                const float *own_weights,
                const float *own_bias,
                const float *in,
                size_t n_in,
                float *state,
                size_t size) {
        float next[SECOND > THIRD ? SECOND : THIRD];

        for (size_t i = 0; i < size; i++) {
                float gate[3], own[3];

                for (size_t g = 0; g < 3; g++) {
                        size_t row = g * size + i;

                        gate[g] = in_bias[row] + dot(in_weights + row * n_in, in, n_in);
                        own[g] = own_bias[row] + dot(own_weights + row * size, state, size);
                }
                float reset = sigmoid(gate[0] + own[0]), update = sigmoid(gate[1] + own[1]);

                next[i] = (1 - update) * tanhf(gate[2] + reset * own[2]) + update * state[i];
        }
        memcpy(state, next, size * sizeof(*state));
}

struct detector_verdict detector_frame(struct detector *d) {
        const struct weights *w = &d->weights;
        float first[FIRST];

        _Static_assert(DETECTOR_INPUTS % 8 == 0 && FIRST % 8 == 0 && SECOND % 8 == 0 && THIRD % 8 == 0,
                       "dot() wants multiples of 8");
        d->n_blocks = 0;
        for (unsigned i = 0; i < FIRST; i++)
                first[i] = fmaxf(0, w->first_bias[i] + dot(w->first[i], d->inputs, DETECTOR_INPUTS));
        gru(w->second.in[0], w->second.in_bias, w->second.own[0], w->second.own_bias, first, FIRST,
            d->second, SECOND);
        gru(w->third.in[0], w->third.in_bias, w->third.own[0], w->third.own_bias, d->second, SECOND,
            d->third, THIRD);
        return (struct detector_verdict){
                .now = sigmoid(w->last_bias[0] + dot(w->last[0], d->third, THIRD)),
                .late = sigmoid(w->last_bias[1] + dot(w->last[1], d->third, THIRD)),
        };
}
