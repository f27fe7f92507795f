/* SPDX-License-Identifier: Apache-2.0 */
#include "model/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/gguf.h"
#include "model/quant.h"
#include "tests/tap.h"
#include "tests/unit/golden.h"

/* The engine against the reference implementation: see tests/golden/README.md. */

#define BOUND    1e-3f
#define N_GREEDY 64

DEFINE_CLEANUP(struct gguf *, gguf_close)
DEFINE_CLEANUP(struct tokenizer *, tokenizer_free)

/* One sequence: its ids with a placeholder at audio rows, its frames, and what the reference
 * computed. */
struct golden_case {
        const int32_t *ids;
        unsigned n;
        const float *frames;
        const float *logits; /* [n][n_vocab] */
        const int32_t *greedy;
};

static struct golden_case read_case(const struct gguf *g, unsigned i) {
        const struct gguf_tensor *ids = golden_part(g, i, "ids"), *frames = golden_part(g, i, "frames");

        return (struct golden_case){
                .ids = ids->data,
                .n = (unsigned) ids->dims[0],
                .frames = frames ? frames->data : NULL,
                .logits = golden_part(g, i, "logits")->data,
                .greedy = golden_part(g, i, "greedy")->data,
        };
}

struct subject {
        struct engine *engine;
        struct session *session;
        unsigned n_vocab;
        int32_t frame_id;
};

static void subject_done(struct subject *t) {
        session_free(t->session);
        engine_close(t->engine);
}

static struct subject open_subject(const char *model, const char *projector) {
        _cleanup_(freep) char *model_path = golden_path(model);
        _cleanup_(freep) char *projector_path = projector ? golden_path(projector) : NULL;
        struct engine_config config = { .model_path = model_path,
                                        .projector_path = projector_path,
                                        .n_threads = 2 };
        struct session_config sc = { .max_positions = 200, .f32_cache = true };
        struct subject t = {};
        struct why why = { "" };

        if (engine_open(&t.engine, &config, &why) < 0 ||
            session_new(&t.session, t.engine, &sc, &why) < 0) {
                printf("Bail out! %s\n", why.text);
                exit(1);
        }
        t.n_vocab = (unsigned) tokenizer_n_tokens(engine_tokenizer(t.engine));
        t.frame_id = tokenizer_special(engine_tokenizer(t.engine))->audio_frame;
        return t;
}

/* Appends the run of tokens, or of frames, at position i, at most `most` of them; returns its
 * length. */
static unsigned append_run(struct subject *t,
                           const struct golden_case *c,
                           unsigned i,
                           unsigned most,
                           unsigned *n_frames) {
        bool sound = c->ids[i] == t->frame_id;
        unsigned n = 0;

        while (n < most && i + n < c->n && (c->ids[i + n] == t->frame_id) == sound)
                n++;
        if (sound) {
                expect(session_append_frames(
                               t->session, c->frames + *n_frames * SESSION_FRAME_SAMPLES, n) == 0);
                *n_frames += n;
        } else
                expect(session_append_tokens(t->session, c->ids + i, n) == 0);
        return n;
}

static float difference(const struct subject *t, const float *logits, const float *expected) {
        float largest = 0;

        for (unsigned v = 0; v < t->n_vocab; v++) {
                float d = fabsf(logits[v] - expected[v]);

                if (logits[v] != -INFINITY && !(d <= largest))
                        largest = d;
        }
        return largest;
}

/* Feeds a case in runs of at most `most` and compares the logits after every run. */
static float follow_case(struct subject *t, const struct golden_case *c, unsigned most) {
        unsigned n_frames = 0;
        float largest = 0;

        expect(session_rewind(t->session, 0) == 0);
        for (unsigned i = 0; i < c->n;) {
                float d;

                i += append_run(t, c, i, most, &n_frames);
                d = difference(t, session_logits(t->session),
                               c->logits + (size_t) (i - 1) * t->n_vocab);
                if (!(d <= largest))
                        largest = d;
        }
        return largest;
}

static int32_t best(const struct subject *t, const float *logits) {
        unsigned best = 0;

        for (unsigned v = 1; v < t->n_vocab; v++)
                if (logits[v] > logits[best])
                        best = v;
        return (int32_t) best;
}

static void
compare_model(const char *model, const char *projector, const char *golden, unsigned n_cases) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden(golden);
        _cleanup_(subject_done) struct subject t = open_subject(model, projector);
        static const unsigned pieces[] = { 1, 7, 1000 };
        unsigned n_same;

        for (unsigned i = 0; i < n_cases; i++) {
                struct golden_case c = read_case(g, i);

                for (unsigned j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
                        float d = follow_case(&t, &c, pieces[j]);

                        printf("# %s case %u, %u at once: logits differ by at most %.2e\n", model,
                               i, pieces[j], (double) d);
                        expect(d <= BOUND);
                }
                for (n_same = 0; n_same < N_GREEDY; n_same++) {
                        int32_t id = best(&t, session_logits(t.session));

                        if (id != c.greedy[n_same] || session_append_tokens(t.session, &id, 1) < 0)
                                break;
                }
                expect(n_same == N_GREEDY);
        }
}

static void model_a(void) {
        compare_model("model-a.gguf", NULL, "golden-a.gguf", 3);
}

static void model_b(void) {
        compare_model("model-b.gguf", "mmproj-b.gguf", "golden-b.gguf", 2);
}

static void dequantisation(void) {
        static const char *const names[] = { "F16",     "BF16",   "Q4_0",   "Q8_0",    "Q4_K",
                                             "Q5_K",    "Q6_K",   "Q4_1",   "Q5_0",    "Q5_1",
                                             "Q2_K",    "Q3_K",   "IQ4_NL", "IQ4_XS",  "MXFP4",
                                             "IQ2_XXS", "IQ2_XS", "IQ2_S",  "IQ3_XXS", "IQ3_S",
                                             "IQ1_S",   "IQ1_M" };
        _cleanup_(gguf_closep) struct gguf *g = open_golden("dequant.gguf");
        static float row[8192];

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char name[16];
                const struct gguf_tensor *q, *f;
                unsigned n_wrong = 0, n;

                (void) snprintf(name, sizeof(name), "q.%s", names[i]);
                q = gguf_find_tensor(g, name);
                name[0] = 'f';
                f = gguf_find_tensor(g, name);
                n = (unsigned) f->dims[0];
                expect(n >= 512 && n <= 8192 && q->dims[0] == n);
                for (unsigned r = 0; r < 2; r++) {
                        const float *expected = (const float *) f->data + (size_t) n * r;

                        quant_dequantize_row(row, q->type,
                                             (const unsigned char *) q->data + q->size / 2 * r, n);
                        for (unsigned j = 0; j < n; j++)
                                n_wrong += !(fabsf(row[j] - expected[j]) <=
                                             1e-6f * fabsf(expected[j]));
                }
                printf("# %s: %u of %u wrong\n", names[i], n_wrong, 2 * n);
                expect(n_wrong == 0);
        }
}

/* A file of cases: u32 size, text, u32 n, n ids of 16 bits. */
static void compare_tokens(const char *vocabulary,
                           const char *name,
                           enum tokenizer_mode mode,
                           unsigned n_least) {
        _cleanup_(freep) char *path = golden_path(name);
        _cleanup_(gguf_closep) struct gguf *g = open_golden(vocabulary);
        _cleanup_(tokenizer_freep) struct tokenizer *t = NULL;
        static char text[1 << 16];
        static uint16_t expected[1 << 16];
        unsigned n_cases = 0, n_wrong = 0;
        uint32_t size, n;
        FILE *f = fopen(path, "re");

        expect(f != NULL && tokenizer_new(&t, g, NULL) == 0);
        while (f && t && fread(&size, sizeof(size), 1, f) == 1) {
                _cleanup_(freep) int32_t *ids = NULL;
                size_t n_ids = 0;
                bool same;

                if (size > sizeof(text) || fread(text, 1, size, f) != size ||
                    fread(&n, sizeof(n), 1, f) != 1 || n > 1 << 16 || fread(expected, 2, n, f) != n)
                        break;
                expect(tokenizer_encode(t, mode, text, size, &ids, &n_ids) == 0);
                same = n_ids == n;
                for (size_t i = 0; same && i < n; i++)
                        same = ids[i] == expected[i];
                if (!same && ++n_wrong <= 5)
                        printf("# '%.*s' differs\n", (int) size, text);
                n_cases++;
        }
        if (f)
                (void) fclose(f);
        printf("# %u strings\n", n_cases);
        expect(n_cases >= n_least);
        expect(n_wrong == 0);
}

static void tokens(void) {
        compare_tokens("tokenizer.gguf", "tokenizer-cases.bin", TOKENIZER_PLAIN, 10000);
}

static void markers(void) {
        compare_tokens("tokenizer.gguf", "tokenizer-markers.bin", TOKENIZER_MARKERS, 100);
}

static void scores(void) {
        compare_tokens("tokenizer-scores.gguf", "tokenizer-scores.bin", TOKENIZER_PLAIN, 3000);
}

int main(void) {
        rule("logits and greedy tokens of model a are the reference's", model_a);
        rule("logits and greedy tokens of model b, in two files, are the reference's", model_b);
        rule("every quantised type reads as the reference reads it", dequantisation);
        rule("10,000 strings give the reference tokenizer's ids", tokens);
        rule("strings with markers give the reference tokenizer's ids", markers);
        rule("a vocabulary of scores alone gives SentencePiece's ids", scores);
        return tap_done();
}
