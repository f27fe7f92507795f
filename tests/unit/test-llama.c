/* SPDX-License-Identifier: Apache-2.0 */
/* The engine beside llama.cpp, whose logits tests/golden/llama-logits.c has written to a file.  Without
 * arguments: the committed pair of files; with them, any: test-llama MODEL LOGITS. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "model/session.h"
#include "tests/tap.h"

#define LEAST_COSINE 0.9999

/* Two choices of llama.cpp this close, relative to the spread of its logits, are a tie. */
#define TIE 0.01

DEFINE_CLEANUP(struct engine *, engine_close)
DEFINE_CLEANUP(struct session *, session_free)

struct golden {
        uint32_t n, n_vocab, n_random;
        int32_t *ids;  /* owned, [n] */
        float *logits; /* owned, [n][n_vocab] */
};

struct result {
        double least_cosine;
        unsigned n_equal, n_ties, n_different; /* likeliest tokens */
};

static const char *model_path, *golden_path;

static bool read_golden(struct golden *g) {
        FILE *f = fopen(golden_path, "rb");
        uint32_t header[3];
        bool ok = f && fread(header, sizeof(header), 1, f) == 1;

        if (ok) {
                *g = (struct golden){ header[0], header[1], header[2], NULL, NULL };
                g->ids = calloc(g->n, sizeof(*g->ids));
                g->logits = calloc((size_t) g->n * g->n_vocab, sizeof(*g->logits));
                ok = g->ids && g->logits && fread(g->ids, sizeof(*g->ids), g->n, f) == g->n &&
                     fread(g->logits, sizeof(*g->logits) * g->n_vocab, g->n, f) == g->n;
        }
        if (f)
                (void) fclose(f);
        return ok;
}

/* Ids that the engine never generates have no logit there. */
static double cosine(const float *a, const float *b, uint32_t n) {
        double ab = 0, aa = 0, bb = 0;

        for (uint32_t i = 0; i < n; i++) {
                double x = (double) a[i], y = (double) b[i];

                if (isinf(x))
                        continue;
                ab += x * y;
                aa += x * x;
                bb += y * y;
        }
        return ab / sqrt(aa * bb);
}

/* The likeliest of those that ours allows. */
static uint32_t likeliest(const float *logits, const float *ours, uint32_t n) {
        uint32_t best = 0;

        for (uint32_t i = 0; i < n; i++)
                if (!isinf(ours[i]) && (isinf(ours[best]) || logits[i] > logits[best]))
                        best = i;
        return best;
}

static double spread(const float *values, uint32_t n) {
        double sum = 0, squares = 0;

        for (uint32_t i = 0; i < n; i++) {
                double x = (double) values[i];

                sum += x;
                squares += x * x;
        }
        return sqrt(squares / n - sum / n * (sum / n));
}

static void
compare_position(struct result *ret, const float *ours, const float *theirs, uint32_t n) {
        uint32_t our_best = likeliest(ours, ours, n), their_best = likeliest(theirs, ours, n);
        double similarity = cosine(ours, theirs, n);

        if (!(similarity >= ret->least_cosine))
                ret->least_cosine = similarity;
        if (our_best == their_best)
                ret->n_equal++;
        else if ((double) (theirs[their_best] - theirs[our_best]) < TIE * spread(theirs, n))
                ret->n_ties++;
        else
                ret->n_different++;
}

static void compare(const struct golden *g, struct result *ret) {
        _cleanup_(engine_closep) struct engine *e = NULL;
        _cleanup_(session_freep) struct session *s = NULL;
        const struct engine_config config = { .model_path = model_path, .n_threads = 2 };
        const struct session_config sc = { .max_positions = g->n, .f32_cache = true };
        struct why why = { 0 };

        *ret = (struct result){ .least_cosine = 1 };
        if (engine_open(&e, &config, &why) < 0 || session_new(&s, e, &sc, &why) < 0) {
                printf("# %s\n", why.text);
                ret->least_cosine = -1;
                return;
        }
        expect(tokenizer_n_tokens(engine_tokenizer(e)) == g->n_vocab);
        for (uint32_t i = 0; i < g->n; i++) {
                expect(session_append_tokens(s, &g->ids[i], 1) == 0);
                compare_position(ret, session_logits(s), g->logits + (size_t) i * g->n_vocab,
                                 g->n_vocab);
        }
}

static void agrees_with_llama(void) {
        struct golden g = { 0 };
        struct result r = { 0 };

        expect(read_golden(&g));
        if (g.logits) {
                compare(&g, &r);
                printf("# %u positions, %u of them llama.cpp's greedy continuation: least cosine "
                       "%.7f, likeliest tokens: %u equal, %u ties, %u different\n",
                       g.n, g.n - g.n_random, r.least_cosine, r.n_equal, r.n_ties, r.n_different);
                expect(r.least_cosine >= LEAST_COSINE);
                expect(r.n_different == 0);
        }
        free(g.ids);
        free(g.logits);
}

int main(int argc, char **argv) {
        const char *dir = getenv("GOLDEN_DIR");
        char paths[2][512];

        (void) snprintf(paths[0], sizeof(paths[0]), "%s/model-b.gguf", dir ? dir : ".");
        (void) snprintf(paths[1], sizeof(paths[1]), "%s/llama-b.bin", dir ? dir : ".");
        model_path = argc == 3 ? argv[1] : paths[0];
        golden_path = argc == 3 ? argv[2] : paths[1];
        rule("logits and the likeliest token are llama.cpp's at every position", agrees_with_llama);
        return tap_done();
}
