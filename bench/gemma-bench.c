/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the engine: prefill by size of chunk, decode, small batches, and the time from the end of
 * speech to the first token.  Machine-readable with --json.  See bench/README.md. */
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "model/session.h"

DEFINE_CLEANUP(struct engine *, engine_close)
DEFINE_CLEANUP(struct session *, session_free)
DEFINE_CLEANUP(struct sampler *, sampler_free)

#define MAX_REPEATS 100

struct bench {
        struct engine *engine;
        struct session *session;
        struct sampler *sampler;
        unsigned n_repeats;
        bool json;
        int32_t token; /* an ordinary one, repeated as input */
};

static int compare_doubles(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

static void
report(const struct bench *b, const char *what, unsigned n, double *ms, unsigned n_repeats) {
        double median;

        qsort(ms, n_repeats, sizeof(*ms), compare_doubles);
        median = ms[n_repeats / 2];
        if (b->json)
                printf("{\"what\": \"%s\", \"n\": %u, \"ms_median\": %.3f, \"ms_min\": %.3f, "
                       "\"ms_max\": %.3f, "
                       "\"per_second\": %.2f}\n",
                       what, n, median, ms[0], ms[n_repeats - 1], n / median * 1000);
        else
                printf("%-24s %5u  %10.1f ms  (%.1f - %.1f)  %8.2f /s\n", what, n, median, ms[0],
                       ms[n_repeats - 1], n / median * 1000);
        fflush(stdout);
}

static int append(struct bench *b, unsigned n) {
        int32_t ids[512];
        int r = 0;

        for (unsigned i = 0; i < 512; i++)
                ids[i] = b->token;
        for (unsigned done = 0; done < n && r == 0; done += 512)
                r = session_append_tokens(b->session, ids, n - done < 512 ? n - done : 512);
        return r;
}

/* One pass over n positions, from an empty cache or behind `before` positions. */
static int measure_prefill(struct bench *b, const char *what, unsigned before, unsigned n) {
        double ms[MAX_REPEATS];
        int r;

        for (unsigned i = 0; i < b->n_repeats; i++) {
                uint64_t began;

                r = session_rewind(b->session, 0);
                if (r == 0)
                        r = append(b, before);
                if (r < 0)
                        return r;
                began = clock_now_ns();
                r = append(b, n);
                if (r < 0)
                        return r;
                ms[i] = clock_ms(clock_now_ns() - began);
        }
        report(b, what, n, ms, b->n_repeats);
        return 0;
}

static int measure_decode(struct bench *b, unsigned before, unsigned n) {
        double ms[MAX_REPEATS];
        int r;

        for (unsigned i = 0; i < b->n_repeats; i++) {
                uint64_t began;

                r = session_rewind(b->session, 0);
                if (r == 0)
                        r = append(b, before);
                if (r < 0)
                        return r;
                (void) session_logits(b->session);
                began = clock_now_ns();
                for (unsigned j = 0; j < n; j++) {
                        /* The chosen token does not matter; an end of turn must not stop us. */
                        (void) sampler_choose(b->sampler, session_logits(b->session));
                        r = append(b, 1);
                        if (r < 0)
                                return r;
                }
                ms[i] = clock_ms(clock_now_ns() - began);
        }
        report(b, "decode", n, ms, b->n_repeats);
        return 0;
}

/* Speech of `seconds`, fed in chunks of 25 frames as if live; then the last chunk and a tail of 12
 * tokens are what remains between the end of speech and the first token. */
static int measure_first_token(struct bench *b, unsigned seconds) {
        _cleanup_(freep) float *chunk = calloc(25, SESSION_FRAME_SAMPLES * sizeof(float));
        double ms[MAX_REPEATS];
        int r;

        if (!chunk)
                return -1;
        for (unsigned i = 0; i < 25 * SESSION_FRAME_SAMPLES; i++)
                chunk[i] = 0.1f * sinf((float) i * 0.05f);

        for (unsigned i = 0; i < b->n_repeats; i++) {
                uint64_t began;

                r = session_rewind(b->session, 0);
                if (r == 0)
                        r = append(b, 8);
                for (unsigned s = 0; s + 1 < seconds && r == 0; s++)
                        r = session_append_frames(b->session, chunk, 25);
                if (r < 0)
                        return r;
                began = clock_now_ns();
                r = session_append_frames(b->session, chunk, 25);
                if (r == 0)
                        r = append(b, 12);
                if (r < 0)
                        return r;
                (void) sampler_choose(b->sampler, session_logits(b->session));
                ms[i] = clock_ms(clock_now_ns() - began);
        }
        report(b, "first token after speech", seconds, ms, b->n_repeats);
        return 0;
}

static int run(struct bench *b) {
        static const unsigned chunks[] = { 1, 2, 3, 4, 5, 8, 16, 25, 64, 128, 512 };
        static const unsigned speech[] = { 5, 10, 30 };
        struct rusage usage;
        int r;

        for (unsigned i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
                if (chunks[i] + 16 > session_max_positions(b->session))
                        continue;
                r = measure_prefill(b, "prefill", 0, chunks[i]);
                if (r < 0)
                        return r;
        }
        r = measure_decode(b, 16, 8);
        if (r < 0)
                return r;
        for (unsigned i = 0; engine_hears(b->engine) && i < sizeof(speech) / sizeof(speech[0]);
             i++) {
                if (speech[i] * 25 + 32 > session_max_positions(b->session))
                        continue;
                r = measure_first_token(b, speech[i]);
                if (r < 0)
                        return r;
        }
        (void) getrusage(RUSAGE_SELF, &usage);
        printf(b->json ? "{\"what\": \"peak resident\", \"MiB\": %.1f}\n"
                       : "peak resident memory %.1f MiB\n",
               (double) usage.ru_maxrss / 1024);
        return 0;
}

static int usage(FILE *f, int code) {
        fputs("usage: gemma-bench [--model FILE] [--projector FILE] [--threads N] [--kernels "
              "NAME]\n"
              "                   [--positions N] [--repeats N] [--json]\n",
              f);
        return code;
}

static const struct option options[] = {
        { "model", required_argument, NULL, 'm' },
        { "projector", required_argument, NULL, 'p' },
        { "threads", required_argument, NULL, 't' },
        { "kernels", required_argument, NULL, 'k' },
        { "positions", required_argument, NULL, 'n' },
        { "repeats", required_argument, NULL, 'r' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
};

int main(int argc, char **argv) {
        _cleanup_(engine_closep) struct engine *engine = NULL;
        _cleanup_(session_freep) struct session *session = NULL;
        _cleanup_(sampler_freep) struct sampler *sampler = NULL;
        struct engine_config config = { 0 };
        struct session_config sc = { .max_positions = 1024 };
        struct bench b = { .n_repeats = 3 };
        struct why why = { 0 };
        uint64_t began;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                int r = 0;

                switch (c) {
                case 'm':
                        config.model_path = optarg;
                        break;
                case 'p':
                        config.projector_path = optarg;
                        break;
                case 't':
                        r = parse_unsigned(optarg, &config.n_threads);
                        break;
                case 'k':
                        config.kernels = optarg;
                        break;
                case 'n':
                        r = parse_unsigned(optarg, &sc.max_positions);
                        break;
                case 'r':
                        r = parse_unsigned(optarg, &b.n_repeats);
                        break;
                case 'j':
                        b.json = true;
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, 2);
                }
                if (r < 0 || b.n_repeats == 0 || b.n_repeats > MAX_REPEATS) {
                        fprintf(stderr, "gemma-bench: '%s' is not a usable number\n", optarg);
                        return 2;
                }
        }
        if (optind < argc)
                return usage(stderr, 2);

        began = clock_now_ns();
        if (engine_open(&engine, &config, &why) < 0 ||
            session_new(&session, engine, &sc, &why) < 0) {
                fprintf(stderr, "gemma-bench: %s\n", why.text);
                return 1;
        }
        if (sampler_new(&sampler, &(struct sampler_config){ 0 },
                        tokenizer_n_tokens(engine_tokenizer(engine))) < 0)
                return 1;
        if (!b.json)
                printf("%s, %s kernels, %u threads, ready after %.1f ms\n", engine_name(engine),
                       engine_kernels(engine), engine_n_threads(engine),
                       clock_ms(clock_now_ns() - began));

        b.engine = engine;
        b.session = session;
        b.sampler = sampler;
        b.token = tokenizer_special(engine_tokenizer(engine))->bos;
        if (run(&b) < 0) {
                fputs("gemma-bench: the engine refused the input\n", stderr);
                return 1;
        }
        return 0;
}
