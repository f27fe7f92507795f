/* SPDX-License-Identifier: Apache-2.0 */
#include "model/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/tap.h"

enum { N = 6, DRAWS = 20000 };

static const float logits[N] = { 1.0f, 3.0f, -INFINITY, 3.0f, 2.0f, 0.0f };

static void draw(const struct sampler_config *config, unsigned counts[N]) {
        struct sampler *s;

        expect(sampler_new(&s, config, N) == 0);
        for (unsigned i = 0; i < N; i++)
                counts[i] = 0;
        for (unsigned i = 0; i < DRAWS; i++)
                counts[sampler_choose(s, logits)]++;
        sampler_free(s);
}

static void greedy(void) {
        unsigned counts[N];

        draw(&(struct sampler_config){ .temperature = 0 }, counts);
        expect(counts[1] == DRAWS);
}

/* Shares of exp(logit / temperature), within 3 %. */
static void shares(void) {
        const float temperatures[] = { 0.5f, 1.0f, 2.0f };
        unsigned counts[N];

        for (unsigned t = 0; t < 3; t++) {
                double sum = 0;

                draw(&(struct sampler_config){ .temperature = temperatures[t],
                                               .top_p = 1,
                                               .seed = 5 },
                     counts);
                for (unsigned i = 0; i < N; i++)
                        sum += exp((double) logits[i] / (double) temperatures[t]);
                for (unsigned i = 0; i < N; i++) {
                        double share = exp((double) logits[i] / (double) temperatures[t]) / sum;

                        expect(fabs(counts[i] / (double) DRAWS - share) < 0.03);
                }
                expect(counts[2] == 0);
        }
}

static void top_k(void) {
        unsigned counts[N];

        draw(&(struct sampler_config){ .temperature = 1, .top_k = 3, .top_p = 1, .seed = 1 },
             counts);
        expect(counts[0] == 0 && counts[2] == 0 && counts[5] == 0);
        expect(counts[1] > 0 && counts[3] > 0 && counts[4] > 0);

        /* Of two equals at the edge, the lower id stays. */
        draw(&(struct sampler_config){ .temperature = 1, .top_k = 1, .top_p = 1, .seed = 1 },
             counts);
        expect(counts[1] == DRAWS);
}

static void top_p(void) {
        unsigned counts[N];

        /* The two likeliest have 0.38 each, the third 0.14. */
        draw(&(struct sampler_config){ .temperature = 1, .top_p = 0.7f, .seed = 1 }, counts);
        expect(counts[1] > 0 && counts[3] > 0 && counts[4] == 0 && counts[0] == 0);
        draw(&(struct sampler_config){ .temperature = 1, .top_p = 0.8f, .seed = 1 }, counts);
        expect(counts[4] > 0 && counts[0] == 0);
}

static void seeds(void) {
        const struct sampler_config one = { .temperature = 1, .top_p = 1, .seed = 42 };
        const struct sampler_config two = { .temperature = 1, .top_p = 1, .seed = 43 };
        struct sampler *a, *b, *c;
        unsigned n_other = 0;

        expect(sampler_new(&a, &one, N) == 0 && sampler_new(&b, &one, N) == 0 &&
               sampler_new(&c, &two, N) == 0);
        for (unsigned i = 0; i < 100; i++) {
                int32_t id = sampler_choose(a, logits);

                expect(sampler_choose(b, logits) == id);
                n_other += sampler_choose(c, logits) != id;
        }
        expect(n_other > 10);
        sampler_free(a);
        sampler_free(b);
        sampler_free(c);
}

static void not_numbers(void) {
        const float bad[N] = { NAN, 1, NAN, 5, NAN, NAN };
        const struct sampler_config configs[] = { { .temperature = 0 },
                                                  { .temperature = 1, .top_k = 2, .top_p = 0.5f } };

        for (unsigned i = 0; i < 2; i++) {
                struct sampler *s;

                expect(sampler_new(&s, &configs[i], N) == 0);
                expect(sampler_choose(s, bad) == 3);
                sampler_free(s);
        }
}

/* Of the next calls nothing is changed, and of logits somewhat askew the same mostly comes. */
static void guesses(void) {
        const struct sampler_config config = {
                .temperature = 2, .top_k = 5, .top_p = 0.99f, .seed = 8
        };
        float askew[N];
        struct sampler *s;
        unsigned n_same = 0;

        expect(sampler_new(&s, &config, N) == 0);
        for (unsigned i = 0; i < N; i++)
                askew[i] = logits[i] + (i % 2 ? 0.3f : -0.3f);
        for (unsigned i = 0; i < DRAWS; i += 2) {
                int32_t first = sampler_guess(s, logits, 0), second = sampler_guess(s, logits, 1),
                        perhaps = sampler_guess(s, askew, 1);

                expect(sampler_choose(s, logits) == first);
                expect(sampler_choose(s, logits) == second);
                n_same += perhaps == second;
        }
        printf("# of %u guesses %u were right\n", DRAWS / 2, n_same);
        expect(n_same > 0.8 * DRAWS / 2 && n_same < DRAWS / 2);
        sampler_free(s);
}

int main(void) {
        rule("temperature 0 takes the first of the likeliest", greedy);
        rule("temperature divides the logits; what is suppressed is never drawn", shares);
        rule("top-k keeps the k likeliest", top_k);
        rule("top-p keeps the fewest that reach it", top_p);
        rule("what will be drawn can be guessed", guesses);
        rule("a seed repeats, another differs", seeds);
        rule("what is not a number is never chosen", not_numbers);
        return tap_done();
}
