/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the engine: prefill by size of chunk, decode, small batches, decode behind many positions
 * and the time from the end of speech to the first token, beside the limits of the machine.  A table,
 * or with --json one object a line.  See bench/README.md. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "bench/context.h"
#include "bench/drafting.h"
#include "bench/limits.h"
#include "bench/neighbour.h"
#include "model/engine-internal.h"
#include "model/session.h"

DEFINE_CLEANUP(struct engine *, engine_close)
DEFINE_CLEANUP(struct session *, session_free)
DEFINE_CLEANUP(struct sampler *, sampler_free)
DEFINE_CLEANUP(struct context *, context_free)
DEFINE_CLEANUP(struct neighbour *, neighbour_stop)

#define MAX_REPEATS 100

enum part {
        PART_PREFILL = 1 << 0,
        PART_DECODE = 1 << 1,
        PART_SPEECH = 1 << 2,
        PART_NEIGHBOUR = 1 << 3,
        PART_CONTEXT = 1 << 4,
        PART_DRAFT = 1 << 5,
};

static const struct {
        const char *name;
        enum part part;
} part_names[] = {
        { "prefill", PART_PREFILL },     { "decode", PART_DECODE },   { "speech", PART_SPEECH },
        { "neighbour", PART_NEIGHBOUR }, { "context", PART_CONTEXT },
        { "draft", PART_DRAFT },
};

struct bench {
        struct engine *engine;
        struct session *session;
        struct sampler *sampler;
        unsigned n_repeats;
        unsigned context; /* positions behind which decode is measured, at most */
        const char *drafter, *texts; /* files; NULL: none */
        unsigned n_tokens;           /* that follow each text */
        bool json;
        unsigned parts; /* of enum part, one bit each */
        int32_t token;  /* an ordinary one, repeated as input */
        struct limits limits;
        double products; /* of 8-bit integers per position, in the layers */
        double bytes;    /* of weights per decoded token, the head included */
};

static int compare_doubles(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

/* What the median is of the machine's own limit, in percent; NAN where there is none to compare. */
static double share_of_limit(const struct bench *b, const char *what, unsigned n, double ms) {
        if (strcmp(what, "decode") == 0)
                return b->bytes * n / (ms / 1000) / b->limits.read * 100;
        if (strncmp(what, "prefill", 7) == 0 && n > 8 && b->limits.products > 0)
                return b->products * n / (ms / 1000) / b->limits.products * 100;
        return (double) NAN;
}

/* Prints a measurement and returns its median. */
static double report(const struct bench *b,
                     const char *what,
                     unsigned at,
                     unsigned n,
                     double *ms,
                     unsigned n_ms) {
        double median, share;

        qsort(ms, n_ms, sizeof(*ms), compare_doubles);
        median = ms[n_ms / 2];
        share = share_of_limit(b, what, n, median);
        if (b->json) {
                printf("{\"what\": \"%s\", \"at\": %u, \"n\": %u, \"ms_median\": %.3f, "
                       "\"ms_min\": %.3f, \"ms_max\": %.3f, \"per_second\": %.2f",
                       what, at, n, median, ms[0], ms[n_ms - 1], n / median * 1000);
                if (!isnan(share))
                        printf(", \"percent_of_limit\": %.1f", share);
                puts("}");
        } else {
                printf("%-26s %6u  %10.1f ms  (%.1f - %.1f)  %8.2f /s", what, at, median, ms[0],
                       ms[n_ms - 1], n / median * 1000);
                if (!isnan(share))
                        printf("  %5.1f %%", share);
                puts("");
        }
        fflush(stdout);
        return median;
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
        (void) report(b, what, n, n, ms, b->n_repeats);
        return 0;
}

static int measure_decode(struct bench *b, const char *what, unsigned before, unsigned n) {
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
        (void) report(b, what, before, n, ms, b->n_repeats);
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
        (void) report(b, "first token after speech", seconds, 1, ms, b->n_repeats);
        return 0;
}

/* Decode behind many positions, whose content is invented: what attention adds as a context grows.
 * The head is left out, which costs the same everywhere. */
static int measure_context(struct bench *b) {
        static const unsigned lengths[] = { 0, 1024, 4096, 8192, 32768 };
        _cleanup_(context_freep) struct context *c = NULL;
        double ms[MAX_REPEATS];
        int r;

        r = context_new(&c, b->engine, b->context + 1);
        if (r < 0)
                return r;

        context_pass(c, 0, 1, b->token);
        for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                if (lengths[i] > b->context)
                        continue;
                for (unsigned j = 0; j < b->n_repeats; j++) {
                        uint64_t began = clock_now_ns();

                        context_pass(c, lengths[i], 1, b->token);
                        ms[j] = clock_ms(clock_now_ns() - began);
                }
                (void) report(b, "one position behind", lengths[i], 1, ms, b->n_repeats);
        }
        return 0;
}

static int measure_prefills(struct bench *b) {
        static const unsigned chunks[] = { 1, 2, 3, 4, 5, 6, 7, 8, 16, 25, 64, 128, 512 };

        for (unsigned i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
                int r;

                if (chunks[i] + 16 > session_max_positions(b->session))
                        continue;
                r = measure_prefill(b, chunks[i] < 16 ? "one pass of" : "prefill of", 0, chunks[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int measure_speech(struct bench *b) {
        static const unsigned speech[] = { 5, 10, 30 };

        for (unsigned i = 0; engine_hears(b->engine) && i < sizeof(speech) / sizeof(speech[0]);
             i++) {
                int r;

                if (speech[i] * 25 + 32 > session_max_positions(b->session))
                        continue;
                r = measure_first_token(b, speech[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int measure_beside_neighbour(struct bench *b) {
        _cleanup_(neighbour_stopp) struct neighbour *n = NULL;
        int r;

        r = neighbour_start(&n);
        if (r == 0)
                r = measure_prefill(b, "beside a neighbour, prefill", 0, 25);
        if (r == 0)
                r = measure_decode(b, "beside a neighbour, decode", 16, 8);
        return r;
}

/* Resident memory by kind, in MiB: mapped files are the weights, the rest is ours.  Not the peak,
 * which is that of measuring the machine. */
static void report_memory(const struct bench *b) {
        FILE *f = fopen("/proc/self/status", "re");
        unsigned long anonymous = 0, file = 0;
        char line[128];

        while (f && fgets(line, sizeof(line), f)) {
                (void) sscanf(line, "RssAnon: %lu", &anonymous);
                (void) sscanf(line, "RssFile: %lu", &file);
        }
        if (f)
                (void) fclose(f);
        printf(b->json ? "{\"what\": \"resident\", \"own_MiB\": %.1f, \"mapped_MiB\": %.1f}\n"
                       : "resident memory: %.1f MiB of our own, %.1f MiB of mapped files\n",
               (double) anonymous / 1024, (double) file / 1024);
}

static int run(struct bench *b) {
        int r;

        /* Untimed: the first pass fetches the weights. */
        r = append(b, 1);
        if (r == 0 && b->parts & PART_PREFILL)
                r = measure_prefills(b);
        if (r == 0 && b->parts & PART_DECODE)
                r = measure_decode(b, "decode", 16, 8);
        if (r == 0 && b->parts & PART_SPEECH)
                r = measure_speech(b);
        if (r == 0)
                report_memory(b);
        if (r == 0 && b->parts & PART_NEIGHBOUR)
                r = measure_beside_neighbour(b);
        if (r == 0 && b->parts & PART_CONTEXT)
                r = measure_context(b);
        if (r == 0 && b->parts & PART_DRAFT)
                r = measure_drafting(&(struct drafting_config){
                        .engine = b->engine,
                        .texts_path = b->texts,
                        .n_tokens = b->n_tokens,
                        .n_repeats = b->n_repeats,
                        .json = b->json,
                });
        return r;
}

static void count_matrix(struct bench *b, const struct matrix *w) {
        if (!w->data)
                return;
        b->bytes += (double) w->row_size * w->n_rows;
        b->products += (double) w->n_cols * w->n_rows;
}

static void count_weights(struct bench *b) {
        const struct weights *w = &b->engine->weights;

        for (unsigned i = 0; i < b->engine->params.n_layers; i++) {
                const struct layer_weights *l = &w->layers[i];
                const struct matrix *all[] = { &l->q,    &l->k,  &l->v,   &l->o,
                                               &l->gate, &l->up, &l->down };

                for (unsigned j = 0; j < sizeof(all) / sizeof(all[0]); j++)
                        count_matrix(b, all[j]);
        }
        b->bytes += (double) w->embedding.row_size * w->embedding.n_rows;
}

/* The machine first: everything below is read against it. */
static int report_machine(struct bench *b, double ready_ms) {
        int r;

        r = limits_measure(&b->limits, engine_kernels(b->engine), engine_n_threads(b->engine));
        if (r < 0)
                return r;
        if (b->json) {
                printf("{\"what\": \"machine\", \"model\": \"%s\", \"kernels\": \"%s\", "
                       "\"threads\": %u, \"read_GB_per_s\": %.2f, \"products_G_per_s\": %.1f, "
                       "\"weights_GB\": %.3f, \"products_G_per_position\": %.3f, "
                       "\"ready_ms\": %.1f}\n",
                       engine_name(b->engine), engine_kernels(b->engine),
                       engine_n_threads(b->engine), b->limits.read / 1e9, b->limits.products / 1e9,
                       b->bytes / 1e9, b->products / 1e9, ready_ms);
                return 0;
        }
        printf("%s, %s kernels, %u threads, ready after %.1f ms\n", engine_name(b->engine),
               engine_kernels(b->engine), engine_n_threads(b->engine), ready_ms);
        printf("machine: reads %.1f GB/s, sums %.0f G 8-bit products/s; a decoded token reads %.2f "
               "GB, "
               "a position takes %.2f G products\n",
               b->limits.read / 1e9, b->limits.products / 1e9, b->bytes / 1e9, b->products / 1e9);
        return 0;
}

/* Names of parts, separated by commas.  0 or -EINVAL. */
static int parse_parts(const char *list, unsigned *ret) {
        unsigned parts = 0;

        while (*list) {
                size_t length = strcspn(list, ",");
                unsigned before = parts;

                for (unsigned i = 0; i < sizeof(part_names) / sizeof(part_names[0]); i++)
                        if (strlen(part_names[i].name) == length &&
                            strncmp(part_names[i].name, list, length) == 0)
                                parts |= part_names[i].part;
                if (parts == before)
                        return -EINVAL;
                list += length + (list[length] == ',');
        }
        *ret = parts;
        return parts ? 0 : -EINVAL;
}

static int usage(FILE *f, int code) {
        fputs("usage: gemma-bench [--model FILE] [--projector FILE] [--threads N] [--kernels "
              "NAME]\n"
              "                   [--positions N] [--repeats N] [--context N] "
              "[--json]\n"
              "                   [--parts prefill,decode,speech,neighbour,context,draft]\n"
              "                   [--drafter FILE] [--texts FILE] [--tokens N]\n",
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
        { "context", required_argument, NULL, 'c' },
        { "parts", required_argument, NULL, 'w' },
        { "drafter", required_argument, NULL, 'd' },
        { "texts", required_argument, NULL, 'x' },
        { "tokens", required_argument, NULL, 'o' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
};

/* 1: go on; 0: help was all that was wanted; 2: not usable, and that was said. */
static int read_options(int argc,
                        char **argv,
                        struct engine_config *config,
                        struct session_config *sc,
                        struct bench *b) {
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                int r = 0;

                switch (c) {
                case 'm':
                        config->model_path = optarg;
                        break;
                case 'p':
                        config->projector_path = optarg;
                        break;
                case 't':
                        r = parse_unsigned(optarg, &config->n_threads);
                        break;
                case 'k':
                        config->kernels = optarg;
                        break;
                case 'n':
                        r = parse_unsigned(optarg, &sc->max_positions);
                        break;
                case 'r':
                        r = parse_unsigned(optarg, &b->n_repeats);
                        break;
                case 'c':
                        r = parse_unsigned(optarg, &b->context);
                        break;
                case 'w':
                        r = parse_parts(optarg, &b->parts);
                        break;
                case 'd':
                        b->drafter = optarg;
                        break;
                case 'x':
                        b->texts = optarg;
                        break;
                case 'o':
                        r = parse_unsigned(optarg, &b->n_tokens);
                        break;
                case 'j':
                        b->json = true;
                        break;
                case 'h':
                        return usage(stdout, 0);
                default:
                        return usage(stderr, 2);
                }
                if (r < 0 || b->n_repeats == 0 || b->n_repeats > MAX_REPEATS) {
                        fprintf(stderr, "gemma-bench: '%s' is not usable here\n", optarg);
                        return 2;
                }
        }
        if (optind < argc)
                return usage(stderr, 2);
        return 1;
}

int main(int argc, char **argv) {
        _cleanup_(engine_closep) struct engine *engine = NULL;
        _cleanup_(session_freep) struct session *session = NULL;
        _cleanup_(sampler_freep) struct sampler *sampler = NULL;
        struct engine_config config = { 0 };
        struct session_config sc = { .max_positions = 1024 };
        struct bench b = {
                .n_repeats = 3,
                .context = 8192,
                .n_tokens = 200,
                .parts = PART_PREFILL | PART_DECODE | PART_SPEECH,
        };
        struct why why = { 0 };
        double ready_ms;
        uint64_t began;
        int r;

        r = read_options(argc, argv, &config, &sc, &b);
        if (r != 1)
                return r;

        began = clock_now_ns();
        if (engine_open(&engine, &config, &why) < 0 ||
            (b.drafter && engine_add_drafter(engine, b.drafter, &why) < 0) ||
            session_new(&session, engine, &sc, &why) < 0) {
                fprintf(stderr, "gemma-bench: %s\n", why.text);
                return 1;
        }
        if (sampler_new(&sampler, &(struct sampler_config){ 0 },
                        tokenizer_n_tokens(engine_tokenizer(engine))) < 0)
                return 1;
        ready_ms = clock_ms(clock_now_ns() - began);

        b.engine = engine;
        b.session = session;
        b.sampler = sampler;
        b.token = tokenizer_special(engine_tokenizer(engine))->bos;
        count_weights(&b);
        if (report_machine(&b, ready_ms) < 0 || run(&b) < 0) {
                fputs("gemma-bench: out of memory, or the engine refused the input\n", stderr);
                return 1;
        }
        return 0;
}
