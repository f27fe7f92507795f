/* SPDX-License-Identifier: Apache-2.0 */
#include "model/sampler.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct candidate {
        float logit;
        float probability;
        int32_t id;
};

struct sampler {
        struct sampler_config config;
        struct candidate *candidates; /* owned, [n_vocab]; NULL when greedy */
        size_t n_vocab;
        uint64_t random; /* SplitMix64 */
};

int sampler_new(struct sampler **ret, const struct sampler_config *config, size_t n_vocab) {
        struct sampler *s;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;

        s->config = *config;
        s->n_vocab = n_vocab;
        s->random = config->seed;
        if (config->temperature > 0) {
                s->candidates = calloc(n_vocab, sizeof(*s->candidates));
                if (!s->candidates) {
                        free(s);
                        return -ENOMEM;
                }
        }
        *ret = s;
        return 0;
}

struct sampler *sampler_free(struct sampler *s) {
        if (s)
                free(s->candidates);
        free(s);
        return NULL;
}

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).  In [0, 1). */
static double random_at(uint64_t state) {
        uint64_t z = state;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (double) ((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

static int32_t choose_greedy(const float *logits, size_t n) {
        float highest = -INFINITY;
        size_t best = 0;

        for (size_t i = 0; i < n; i++)
                if (logits[i] > highest) {
                        highest = logits[i];
                        best = i;
                }
        return (int32_t) best;
}

/* Likelier first; ties by id, so that the order is the same everywhere. */
static int compare_candidates(const void *a, const void *b) {
        const struct candidate *x = a, *y = b;

        if (x->logit != y->logit)
                return x->logit > y->logit ? -1 : 1;
        return x->id < y->id ? -1 : 1;
}

/* Keeps the k likeliest in a heap with the least likely of them on top: n log k, and a vocabulary
 * of 262,144 is not sorted for 64 of them. */
static void sift_down(struct candidate *heap, size_t n, size_t i) {
        for (;;) {
                size_t worst = i;

                for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
                        if (compare_candidates(&heap[child], &heap[worst]) > 0)
                                worst = child;
                if (worst == i)
                        return;
                struct candidate swap = heap[i];
                heap[i] = heap[worst];
                heap[worst] = swap;
                i = worst;
        }
}

static size_t collect(const struct sampler *s, const float *logits) {
        size_t k = s->config.top_k && s->config.top_k < s->n_vocab ? s->config.top_k : s->n_vocab;
        struct candidate *c = s->candidates;
        size_t n = 0;

        for (size_t i = 0; i < s->n_vocab; i++) {
                struct candidate candidate = { .logit = logits[i], .id = (int32_t) i };

                /* Neither -infinity nor what a damaged model makes of its scales: NaN has no
                 * place in an order. */
                if (!(logits[i] > -INFINITY))
                        continue;
                if (n < k) {
                        c[n++] = candidate;
                        if (n == k)
                                for (size_t j = k / 2; j-- > 0;)
                                        sift_down(c, k, j);
                } else if (compare_candidates(&candidate, &c[0]) < 0) {
                        c[0] = candidate;
                        sift_down(c, k, 0);
                }
        }
        qsort(c, n, sizeof(*c), compare_candidates);
        return n;
}

/* The shortest list of the likeliest whose probabilities reach top_p, renormalised by the draw. */
static size_t cut_top_p(const struct sampler *s, size_t n, float *mass) {
        float sum = 0, kept = 0;
        size_t i;

        for (i = 0; i < n; i++) {
                s->candidates[i].probability = expf(
                        (s->candidates[i].logit - s->candidates[0].logit) / s->config.temperature);
                sum += s->candidates[i].probability;
        }
        for (i = 0; i < n; i++) {
                kept += s->candidates[i].probability;
                if (kept >= s->config.top_p * sum)
                        break;
        }
        *mass = kept;
        return i < n ? i + 1 : n;
}

static int32_t choose(const struct sampler *s, const float *logits, uint64_t random) {
        float mass, point;
        size_t n;

        if (!s->candidates)
                return choose_greedy(logits, s->n_vocab);

        n = collect(s, logits);
        if (n == 0)
                return 0;
        n = cut_top_p(s, n, &mass);
        point = (float) random_at(random) * mass;
        for (size_t i = 0; i + 1 < n; i++) {
                point -= s->candidates[i].probability;
                if (point < 0)
                        return s->candidates[i].id;
        }
        return s->candidates[n - 1].id;
}

int32_t sampler_choose(struct sampler *s, const float *logits) {
        if (s->candidates)
                s->random += RANDOM_STEP;
        return choose(s, logits, s->random);
}

int32_t sampler_guess(const struct sampler *s, const float *logits, unsigned ahead) {
        return choose(s, logits, s->random + (ahead + 1) * RANDOM_STEP);
}
