/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/room.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define RATE 16000

struct room {
        float *response; /* owned, [n]: what one sample of the loudspeaker becomes */
        size_t n;
        float *recent; /* owned, [n]: what was played last, at i % n */
        uint64_t at;
        float noise;
        uint64_t random;
};

/* -1 to 1. */
static float draw(struct room *r) {
        r->random ^= r->random << 13;
        r->random ^= r->random >> 7;
        r->random ^= r->random << 17;
        return (float) ((double) (r->random >> 11) / 4503599627370496.0 - 1);
}

/* The way that is straight, and a hundred others a second that come later and later and are weaker each: noise
 * that dies away. */
static void respond(struct room *r, const struct room_config *config) {
        size_t first = (size_t) config->delay_ms * RATE / 1000, n_echo = r->n - first;
        double power = 0;

        r->response[first] = 1;
        for (size_t i = 32; i < n_echo; i++)
                r->response[first + i] =
                        draw(r) * 0.12f * (float) pow(10, -3.0 * (double) i / (double) n_echo);
        for (size_t i = 0; i < n_echo; i++)
                power += (double) r->response[first + i] * (double) r->response[first + i];
        for (size_t i = 0; i < n_echo; i++)
                r->response[first + i] *= (float) (pow(10, config->gain_db / 20) / sqrt(power));
}

int room_new(struct room **ret, const struct room_config *config) {
        _cleanup_(room_freep) struct room *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->n = (size_t) (config->delay_ms + config->echo_ms) * RATE / 1000 + 1;
        r->response = calloc(r->n, sizeof(float));
        r->recent = calloc(r->n, sizeof(float));
        if (!r->response || !r->recent)
                return -ENOMEM;
        r->random = 0x9e3779b97f4a7c15u ^ config->seed;
        r->noise = (float) (pow(10, config->noise_db / 20) * sqrt(3));
        respond(r, config);
        *ret = TAKE_PTR(r);
        return 0;
}

struct room *room_free(struct room *r) {
        if (!r)
                return NULL;

        free(r->response);
        free(r->recent);
        free(r);
        return NULL;
}

static float echo(const struct room *r) {
        size_t newest = (size_t) (r->at % r->n);
        float sum = 0;

        for (size_t i = 0; i <= newest; i++)
                sum += r->response[i] * r->recent[newest - i];
        for (size_t i = newest + 1; i < r->n; i++)
                sum += r->response[i] * r->recent[r->n + newest - i];
        return sum;
}

void room_hear(struct room *r, const float *played, const float *said, size_t n, float *heard) {
        for (size_t i = 0; i < n; i++, r->at++) {
                r->recent[r->at % r->n] = played ? played[i] : 0;
                heard[i] = echo(r) + r->noise * draw(r) + (said ? said[i] : 0);
                heard[i] = fminf(fmaxf(heard[i], -1), 1);
        }
}
