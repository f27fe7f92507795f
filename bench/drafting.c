/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/drafting.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "model/decoder.h"
#include "model/engine-internal.h"
#include "model/session.h"
#include "model/speculate.h"

DEFINE_CLEANUP(struct sampler *, sampler_free)
DEFINE_CLEANUP(FILE *, fclose)

#define MAX_REPEATS 100
#define BEHIND      16 /* positions before a pass */

static int compare_doubles(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

static double median(double *ms, unsigned n) {
        qsort(ms, n, sizeof(*ms), compare_doubles);
        return ms[n / 2];
}

/* The engine's parts without a session around them. */
struct bare {
        const struct drafting_config *config;
        struct kvcache cache;
        struct decoder decoder;
        struct draft draft; /* drafter is NULL without one */
        float *logits;      /* owned, [SPECULATE_MAX_ROWS][n_vocab] */
        int32_t ids[BEHIND];
};

static void bare_done(struct bare *b) {
        if (b->draft.drafter)
                draft_done(&b->draft);
        if (b->decoder.memory)
                decoder_done(&b->decoder);
        kvcache_done(&b->cache);
        free(b->logits);
}

static int bare_init(struct bare *b, const struct drafting_config *config) {
        const struct engine *e = config->engine;
        int r;

        *b = (struct bare){ .config = config };
        for (unsigned i = 0; i < BEHIND; i++)
                b->ids[i] = tokenizer_special(e->tokenizer)->bos;
        b->logits = calloc((size_t) SPECULATE_MAX_ROWS * e->params.n_vocab, sizeof(float));
        if (!b->logits)
                return -ENOMEM;
        r = kvcache_init(&b->cache, &e->params, 256, DECODER_MAX_ROWS, false);
        if (r == 0)
                r = decoder_init(&b->decoder, e->kernels, e->pool, &e->params, &e->weights,
                                 &b->cache, 0);
        if (r == 0 && e->drafter)
                r = draft_init(&b->draft, e->drafter, e->kernels, e->pool, &e->weights, &b->cache);
        return r;
}

static void bare_pass(struct bare *b, unsigned n) {
        decoder_embed_tokens(&b->decoder, b->ids, n);
        decoder_forward(&b->decoder, n, n > SPECULATE_MAX_ROWS ? 1 : n);
}

static double pass_ms(struct bare *b, unsigned n) {
        double ms[MAX_REPEATS];

        for (unsigned i = 0; i < b->config->n_repeats; i++) {
                uint64_t began;

                (void) kvcache_rewind(&b->cache, BEHIND);
                began = clock_now_ns();
                bare_pass(b, n);
                decoder_logits(&b->decoder, n, b->logits);
                ms[i] = clock_ms(clock_now_ns() - began);
        }
        return median(ms, b->config->n_repeats);
}

static double guess_ms(struct bare *b) {
        double ms[MAX_REPEATS];

        if (!b->draft.drafter)
                return 0;
        (void) kvcache_rewind(&b->cache, BEHIND);
        draft_begin(&b->draft, decoder_states(&b->decoder));
        for (unsigned i = 0; i < b->config->n_repeats; i++) {
                uint64_t began = clock_now_ns();

                draft_step(&b->draft, b->ids[0], b->logits);
                ms[i] = clock_ms(clock_now_ns() - began);
        }
        return median(ms, b->config->n_repeats);
}

/* Tokens of a pass with n guesses, of which each holds with this chance once those before it have. */
static double tokens(unsigned n, double chance) {
        double sum = 1, all = 1;

        for (unsigned i = 0; i < n; i++)
                sum += all *= chance;
        return sum;
}

/* The chance from which on n guesses bring more tokens than passes of that price; above 1: none does. */
static double break_even(unsigned n, double price) {
        double low = 0, high = 1;

        if (tokens(n, 1) < price)
                return 2;
        for (unsigned i = 0; i < 40; i++) {
                double middle = (low + high) / 2;

                if (tokens(n, middle) < price)
                        low = middle;
                else
                        high = middle;
        }
        return high;
}

static void report_price(bool json, unsigned n, double pass, double guess, double one) {
        double price = (pass + n * guess) / one, even = break_even(n, price);

        if (json) {
                printf("{\"what\": \"guesses\", \"n\": %u, \"pass_ms\": %.3f, \"guess_ms\": %.3f, "
                       "\"price\": %.3f, \"break_even\": %.3f}\n",
                       n, pass, guess, price, even);
                return;
        }
        printf("pass of %u and %u guesses   %8.2f ms, a guess %.2f ms: %5.2f times a pass of one",
               n + 1, n, pass, guess, price);
        if (even > 1)
                puts(", which never pays");
        else
                printf(", pays from %.0f %% right on\n", 100 * even);
}

static int measure_prices(const struct drafting_config *config) {
        _cleanup_(bare_done) struct bare b;
        double one, guess;
        int r;

        r = bare_init(&b, config);
        if (r < 0)
                return r;
        bare_pass(&b, BEHIND);
        (void) pass_ms(&b, 1);
        one = pass_ms(&b, 1);
        guess = guess_ms(&b);
        for (unsigned n = 1; n <= PACE_MAX_GUESSES; n++)
                report_price(config->json, n, pass_ms(&b, n + 1), guess, one);
        return 0;
}

/* One line as the text that it stands for, in place. */
static size_t unescape(char *line) {
        char *to = line;

        for (const char *from = line; *from && *from != '\n'; from++) {
                bool is_end = from[0] == '\\' && from[1] == 'n';

                *to++ = is_end ? '\n' : *from;
                from += is_end;
        }
        *to = '\0';
        return (size_t) (to - line);
}

/* What is measured: the same answers, with a drafter and without. */
struct runs {
        const struct drafting_config *config;
        const char *name;
        struct sampler_config sampler;
        struct session *sessions[2]; /* owned; without, with */
        double ms[2];
        uint64_t n_tokens;
        unsigned n_texts, n_different;
};

static int
run_one(struct runs *r, unsigned which, const int32_t *ids, size_t n_ids, int32_t *answer) {
        _cleanup_(sampler_freep) struct sampler *sampler = NULL;
        struct session *s = r->sessions[which];
        unsigned n = 0;
        uint64_t began;
        int more = 1;

        if (sampler_new(&sampler, &r->sampler, tokenizer_n_tokens(r->config->engine->tokenizer)) <
            0)
                return -ENOMEM;
        if (session_rewind(s, 0) < 0 || session_append_tokens(s, ids, n_ids) < 0)
                return -EINVAL;
        (void) session_logits(s);
        began = clock_now_ns();
        while (n < r->config->n_tokens && more == 1)
                more = session_next(s, sampler, &answer[n++]);
        r->ms[which] += clock_ms(clock_now_ns() - began);
        return more < 0 ? more : (int) n;
}

static int run_text(struct runs *r, const int32_t *ids, size_t n_ids) {
        _cleanup_(freep) int32_t *plain = calloc(r->config->n_tokens, sizeof(*plain));
        _cleanup_(freep) int32_t *drafted = calloc(r->config->n_tokens, sizeof(*drafted));
        int n, m;

        if (!plain || !drafted)
                return -ENOMEM;
        n = run_one(r, 0, ids, n_ids, plain);
        m = run_one(r, 1, ids, n_ids, drafted);
        if (n < 0 || m < 0)
                return n < 0 ? n : m;
        r->n_tokens += (uint64_t) n;
        r->n_texts++;
        r->n_different += n != m || memcmp(plain, drafted, (size_t) n * sizeof(*plain)) != 0;
        r->sampler.seed++;
        return 0;
}

static int run_texts(struct runs *r) {
        const struct tokenizer *t = r->config->engine->tokenizer;
        _cleanup_(fclosep) FILE *f = fopen(r->config->texts_path, "re");
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        int e = 0;

        if (!f) {
                fprintf(stderr, "%s: %s\n", r->config->texts_path, strerror(errno));
                return -errno;
        }
        while (e == 0 && getline(&line, &room, f) > 0) {
                _cleanup_(freep) int32_t *ids = malloc(sizeof(*ids));
                size_t n_ids = 1;

                if (!ids)
                        return -ENOMEM;
                ids[0] = tokenizer_special(t)->bos;
                e = tokenizer_encode(t, TOKENIZER_PLAIN, line, unescape(line), &ids, &n_ids);
                if (e == 0)
                        e = run_text(r, ids, n_ids);
        }
        return e;
}

static void report_runs(const struct runs *r) {
        double plain = (double) r->n_tokens / r->ms[0] * 1000,
               drafted = (double) r->n_tokens / r->ms[1] * 1000;
        struct session_drafting d;

        (void) session_drafting(r->sessions[1], &d);
        if (r->config->json)
                printf("{\"what\": \"drafting\", \"how\": \"%s\", \"texts\": %u, \"tokens\": %llu, "
                       "\"plain_per_s\": %.2f, \"drafted_per_s\": %.2f, \"gain\": %.3f, "
                       "\"right\": %llu, \"judged\": %llu, \"passes\": %llu, \"different\": %u}\n",
                       r->name, r->n_texts, (unsigned long long) r->n_tokens, plain, drafted,
                       drafted / plain, (unsigned long long) d.n_held,
                       (unsigned long long) d.n_judged, (unsigned long long) d.n_passes,
                       r->n_different);
        else
                printf("%s: %u texts, %llu tokens: %.1f /s without, %.1f /s with the drafter, %.2f "
                       "times; %llu of %llu guesses right, %llu passes, %u answers differ\n",
                       r->name, r->n_texts, (unsigned long long) r->n_tokens, plain, drafted,
                       drafted / plain, (unsigned long long) d.n_held,
                       (unsigned long long) d.n_judged, (unsigned long long) d.n_passes,
                       r->n_different);
}

static int measure_texts(const struct drafting_config *config,
                         const char *name,
                         const struct sampler_config *sampler) {
        struct runs r = { .config = config, .name = name, .sampler = *sampler };
        struct why why = { "" };
        int e = 0;

        for (unsigned i = 0; i < 2 && e == 0; i++) {
                struct session_config sc = { .max_positions = 1024, .without_drafter = i == 0 };

                e = session_new(&r.sessions[i], config->engine, &sc, &why);
        }
        if (e == 0)
                e = run_texts(&r);
        if (e == 0 && r.n_texts > 0)
                report_runs(&r);
        for (unsigned i = 0; i < 2; i++)
                if (r.sessions[i])
                        session_free(r.sessions[i]);
        return e;
}

int measure_drafting(const struct drafting_config *config) {
        const struct sampler_config greedy = { .top_p = 1 };
        const struct sampler_config sampled = {
                .temperature = 1, .top_k = 64, .top_p = 0.95f, .seed = 1
        };
        int r;

        r = measure_prices(config);
        if (r < 0 || !config->texts_path || !config->engine->drafter)
                return r;
        r = measure_texts(config, "greedy", &greedy);
        if (r == 0)
                r = measure_texts(config, "sampled", &sampled);
        return r;
}
