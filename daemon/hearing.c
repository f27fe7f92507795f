/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hearing.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FRAME_MS 40

/* Room for the backlog and for what may have to be looked back on. */
#define CAPACITY 1024
static_assert(HEARING_BACKLOG + HEARING_MAX_PREROLL_MS / FRAME_MS + ENDPOINT_ONSET_MAX < CAPACITY,
              "the ring is too small");

struct hearing {
        struct hearing_config config;
        struct endpoint *endpoint; /* owned */
        struct frame *ring;        /* owned, CAPACITY of them; frame i is at i % CAPACITY */

        /* Counts of frames, ever: first <= next <= ready <= head. */
        uint64_t first; /* the oldest that still is of use */
        uint64_t next;  /* to be taken */
        uint64_t ready; /* may be taken up to this one */
        uint64_t head;

        bool is_listening, is_held, has_begun, has_ended, is_speaking;
        unsigned n_listened; /* frames pushed in this turn */
        unsigned n_spoken;   /* ... since it has begun */
        unsigned max_frames;
        unsigned long n_cut;
};

static unsigned frames_of(unsigned ms) {
        return (ms + FRAME_MS - 1) / FRAME_MS;
}

int hearing_new(struct hearing **ret, const struct hearing_config *config) {
        _cleanup_(hearing_freep) struct hearing *h = NULL;
        struct endpoint_config endpoint = ENDPOINT_DEFAULTS;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->config = *config;
        h->ring = calloc(CAPACITY, sizeof(*h->ring));
        if (!h->ring)
                return -ENOMEM;

        endpoint.end_ms = config->end_ms;
        if (endpoint.pause_ms > config->end_ms)
                endpoint.pause_ms = config->end_ms;
        r = endpoint_new(&h->endpoint, &endpoint);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(h);
        return 0;
}

struct hearing *hearing_free(struct hearing *h) {
        if (!h)
                return NULL;

        endpoint_free(h->endpoint);
        free(h->ring);
        free(h);
        return NULL;
}

/* So many frames before the given one, as far as they are there. */
static uint64_t back(const struct hearing *h, uint64_t from, unsigned n) {
        return from - h->first > n ? from - n : h->first;
}

void hearing_begin(struct hearing *h, bool is_held, unsigned max_frames) {
        h->is_listening = true;
        h->is_held = is_held;
        h->has_begun = is_held;
        h->has_ended = false;
        h->n_listened = 0;
        h->n_spoken = 0;
        h->max_frames = max_frames;
        h->next = h->ready = h->head;
        if (is_held) {
                h->next = back(h, h->head, frames_of(h->config.preroll_ms));
                h->n_spoken = (unsigned) (h->head - h->next);
        }
        endpoint_abandon(h->endpoint);
}

static void end(struct hearing *h) {
        h->has_ended = true;
        h->is_speaking = false;
        endpoint_abandon(h->endpoint);
}

/* The first word: the turn reaches back to before it. */
static void begin_speech(struct hearing *h) {
        unsigned onset = endpoint_onset(h->endpoint), preroll = frames_of(h->config.preroll_ms);

        h->has_begun = true;
        h->next = back(h, h->head - 1, onset > preroll ? onset : preroll);
        h->ready = h->head;
        h->n_spoken = (unsigned) (h->head - h->next);
}

/* Too long, for the model's ear or for its speed. */
static bool is_full(struct hearing *h, enum endpoint_verdict verdict) {
        if (h->head - h->next >= HEARING_BACKLOG) {
                h->n_cut++;
                return true;
        }
        if (verdict == ENDPOINT_PAUSE && h->n_spoken >= h->max_frames / 5 * 4)
                return true;
        return h->n_spoken >= h->max_frames;
}

static void weigh(struct hearing *h, enum endpoint_verdict verdict) {
        h->n_listened++;
        if (h->has_begun)
                h->n_spoken++;
        if (h->is_held)
                h->ready = h->head;
        else if (verdict == ENDPOINT_START && !h->has_begun)
                begin_speech(h);
        else if (verdict == ENDPOINT_SPEECH && h->has_begun)
                h->ready = h->head;

        if (h->has_begun ? is_full(h, h->is_held ? ENDPOINT_SPEECH : verdict)
                         : h->n_listened >= frames_of(h->config.patience_ms))
                end(h);
        else if (!h->is_held && verdict == ENDPOINT_END)
                end(h);
}

void hearing_push(struct hearing *h, const struct frame *frame) {
        enum endpoint_verdict verdict = endpoint_push(h->endpoint, frame);
        bool is_within = h->is_listening && !h->has_ended;

        h->is_speaking = verdict != ENDPOINT_SILENCE && verdict != ENDPOINT_END;

        /* What a turn that has ended left to be taken is worth more than a pre-roll. */
        if (h->head - h->next >= CAPACITY && h->next < h->ready) {
                h->first = h->head;
                return;
        }
        if (frame->has_gap && !is_within)
                h->first = h->head;
        h->ring[h->head % CAPACITY] = *frame;
        h->head++;
        if (h->head - h->first > CAPACITY)
                h->first = h->head - CAPACITY;
        if (is_within)
                weigh(h, verdict);
}

void hearing_finish(struct hearing *h) {
        if (!h->is_listening || h->has_ended)
                return;

        /* Also what was kept back as a pause, because a word may just have begun in it. */
        if (h->has_begun)
                h->ready = h->head;
        end(h);
}

void hearing_abandon(struct hearing *h) {
        h->is_listening = false;
        h->next = h->ready = h->head;
        end(h);
}

bool hearing_take(struct hearing *h, struct frame *ret) {
        if (h->next == h->ready)
                return false;

        *ret = h->ring[h->next % CAPACITY];
        h->next++;
        return true;
}

size_t hearing_n_ready(const struct hearing *h) {
        return (size_t) (h->ready - h->next);
}

bool hearing_has_ended(const struct hearing *h) {
        return h->has_ended;
}

bool hearing_is_speaking(const struct hearing *h) {
        return h->is_speaking;
}

float hearing_noise_db(const struct hearing *h) {
        return endpoint_noise_db(h->endpoint);
}

unsigned long hearing_n_cut(const struct hearing *h) {
        return h->n_cut;
}
