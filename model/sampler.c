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
        uint64_t random; /* SplitMix64, one step a draw */
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

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014). */
#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

/* A number of the standard Gumbel distribution, one for each draw and token. */
static double noise_of(uint64_t draw, int32_t id) {
        uint64_t bits = mix(mix(draw) + ((uint64_t) id + 1) * RANDOM_STEP);

        return -log(-log(((double) (bits >> 11) + 0.5) * 0x1p-53));
}

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

/* The shortest list of the likeliest whose probabilities reach top_p. */
static size_t cut_top_p(const struct sampler *s, size_t n) {
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
        return i < n ? i + 1 : n;
}

/* The token whose logit is highest with noise added, which is a draw by the probabilities. (Gumbel,
 * "Statistical theory of extreme values", 1954.)  As each token has noise of its own, logits that are
 * nearly the same nearly always give the same token: so a drafter can guess what will be drawn. */
static int32_t choose(const struct sampler *s, const float *logits, uint64_t draw) {
        double highest = -HUGE_VAL;
        size_t n, best = 0;

        if (!s->candidates)
                return choose_greedy(logits, s->n_vocab);

        n = collect(s, logits);
        if (n == 0)
                return 0;
        n = cut_top_p(s, n);
        for (size_t i = 0; i < n; i++) {
                const struct candidate *c = &s->candidates[i];
                double score = (double) (c->logit - s->candidates[0].logit) /
                                       (double) s->config.temperature +
                               noise_of(draw, c->id);

                if (score > highest) {
                        highest = score;
                        best = i;
                }
        }
        return s->candidates[best].id;
}

int32_t sampler_choose(struct sampler *s, const float *logits) {
        if (s->candidates)
                s->random += RANDOM_STEP;
        return choose(s, logits, s->random);
}

int32_t sampler_guess(const struct sampler *s, const float *logits, unsigned ahead) {
        return choose(s, logits, s->random + (ahead + 1) * RANDOM_STEP);
}
