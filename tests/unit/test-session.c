/* SPDX-License-Identifier: Apache-2.0 */
#include "model/session.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "model/kernels.h"
#include "tests/tap.h"
#include "tests/unit/random-model.h"

/* The engine on small random models: what is true of any model. */

enum { N_TEXT = 40, N_FRAMES = 50, N_ALL = N_TEXT + N_FRAMES };

static struct random rng = { 7 };
static int32_t ids[N_TEXT];
static float frames[N_FRAMES * SESSION_FRAME_SAMPLES];

/* Counted by the linker's --wrap: see the rule about allocation. */
static _Thread_local unsigned n_allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size) {
        n_allocations++;
        return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
        n_allocations++;
        return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
        n_allocations++;
        return __real_realloc(p, size);
}

struct subject {
        struct engine *engine;
        struct session *session;
        unsigned n_vocab;
};

static void open_subject(struct subject *t,
                         enum gguf_type type,
                         bool as_floats,
                         unsigned n_threads,
                         const char *kernels,
                         unsigned max_positions) {
        struct engine_config config = { .n_threads = n_threads, .kernels = kernels };
        struct session_config sc = { .max_positions = max_positions,
                                     .f32_cache = true,
                                     .rewind_slack = 1 };
        struct why why = { "" };

        config.model_path = random_model(type, as_floats, 99);
        if (engine_open(&t->engine, &config, &why) < 0 ||
            session_new(&t->session, t->engine, &sc, &why) < 0) {
                printf("Bail out! %s\n", why.text);
                exit(1);
        }
        (void) unlink(config.model_path);
        t->n_vocab = (unsigned) tokenizer_n_tokens(engine_tokenizer(t->engine));
}

static void close_subject(struct subject *t) {
        session_free(t->session);
        engine_close(t->engine);
}

/* Half the text, the sound, the rest of the text, in pieces of `chunk`. */
static void append_all(struct session *s, unsigned chunk) {
        for (unsigned i = 0, n; i < N_TEXT / 2; i += n) {
                n = N_TEXT / 2 - i < chunk ? N_TEXT / 2 - i : chunk;
                expect(session_append_tokens(s, ids + i, n) == 0);
        }
        for (unsigned i = 0, n; i < N_FRAMES; i += n) {
                n = N_FRAMES - i < chunk ? N_FRAMES - i : chunk;
                expect(session_append_frames(s, frames + i * SESSION_FRAME_SAMPLES, n) == 0);
        }
        for (unsigned i = N_TEXT / 2, n; i < N_TEXT; i += n) {
                n = N_TEXT - i < chunk ? N_TEXT - i : chunk;
                expect(session_append_tokens(s, ids + i, n) == 0);
        }
}

static float difference(const struct subject *t, const float *a, const float *b) {
        float largest = 0;

        for (unsigned i = 0; i < t->n_vocab; i++)
                if (a[i] != b[i]) {
                        float d = fabsf(a[i] - b[i]);

                        if (!(d <= largest))
                                largest = d;
                }
        return largest;
}

static float *copy_logits(const struct subject *t) {
        float *copy = malloc(t->n_vocab * sizeof(float));
        const float *logits = session_logits(t->session);

        expect(logits != NULL);
        memcpy(copy, logits, t->n_vocab * sizeof(float));
        return copy;
}

/* The logits after everything, from a fresh session. */
static float *logits_of(enum gguf_type type,
                        bool as_floats,
                        unsigned n_threads,
                        const char *kernels,
                        unsigned chunk) {
        struct subject t;
        float *logits;

        open_subject(&t, type, as_floats, n_threads, kernels, 256);
        append_all(t.session, chunk);
        logits = copy_logits(&t);
        close_subject(&t);
        return logits;
}

/* With integer products not a bit may differ, or rounding to 8 bits would make it a step; of floats
 * only few rows, as for more BLAS sums in another order. */
static void chunking(void) {
        static const unsigned chunks[] = { 1, 2, 3, 7, 25 };

        for (int quantised = 0; quantised < 2; quantised++) {
                struct subject t;
                float *whole;

                open_subject(&t, quantised ? GGUF_Q4_0 : GGUF_F32, false, 2, NULL, 256);
                append_all(t.session, 1000);
                whole = copy_logits(&t);
                expect(whole[ids[0]] != 0 && isfinite(whole[ids[0]]));
                for (unsigned i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
                        expect(session_rewind(t.session, 0) == 0);
                        append_all(t.session, chunks[i]);
                        expect(session_position(t.session) == N_ALL);
                        expect(difference(&t, whole, session_logits(t.session)) <=
                               (quantised ? 0 : 1e-4f));
                }
                free(whole);
                close_subject(&t);
        }
}

static void few_rows(void) {
        static const enum gguf_type types[] = { GGUF_F32, GGUF_F16, GGUF_BF16, GGUF_Q6_K };

        for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                float *one = logits_of(types[i], false, 2, NULL, 1);

                for (unsigned chunk = 2; chunk <= 8; chunk++) {
                        float *other = logits_of(types[i], false, 2, NULL, chunk);

                        expect(memcmp(one, other, sizeof(float) * 300) == 0);
                        free(other);
                }
                free(one);
        }
}

static void threads(void) {
        struct subject t = { .n_vocab = 0 };
        float *one = logits_of(GGUF_Q4_K, false, 1, NULL, 9), *other;

        for (unsigned n = 2; n <= 5; n++) {
                other = logits_of(GGUF_Q4_K, false, n, NULL, 9);
                open_subject(&t, GGUF_Q4_K, false, 1, NULL, 16);
                expect(memcmp(one, other, t.n_vocab * sizeof(float)) == 0);
                close_subject(&t);
                free(other);
        }
        free(one);
}

/* Rounding inputs to 8 bits costs about 1/250 of a product's size in each of the 21 products; on
 * these models the logits, of standard deviation near 5, were seen to move by up to 0.25. */
static void quantised(void) {
        static const enum gguf_type types[] = {
                GGUF_F16,     GGUF_BF16,   GGUF_Q4_0,  GGUF_Q8_0,    GGUF_Q4_K,   GGUF_Q5_K,
                GGUF_Q6_K,    GGUF_Q4_1,   GGUF_Q5_0,  GGUF_Q5_1,    GGUF_Q2_K,   GGUF_Q3_K,
                GGUF_IQ4_NL,  GGUF_IQ4_XS, GGUF_MXFP4, GGUF_IQ2_XXS, GGUF_IQ2_XS, GGUF_IQ2_S,
                GGUF_IQ3_XXS, GGUF_IQ3_S,  GGUF_IQ1_S, GGUF_IQ1_M
        };
        struct subject t;

        open_subject(&t, GGUF_F32, false, 1, NULL, 16);
        for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                float *integers = logits_of(types[i], false, 2, NULL, 25);
                float *floats = logits_of(types[i], true, 2, NULL, 25);
                float bound = types[i] == GGUF_F16 || types[i] == GGUF_BF16 ? 1e-4f : 0.5f;
                float d = difference(&t, integers, floats);

                printf("# %s: logits differ by at most %.4f\n", gguf_type_name(types[i]),
                       (double) d);
                expect(d <= bound);
                free(integers);
                free(floats);
        }
        close_subject(&t);
}

static void rows_agree(void) {
        struct subject t;
        float *scalar = logits_of(GGUF_Q4_0, false, 2, "scalar", 25);

        open_subject(&t, GGUF_Q4_0, false, 1, NULL, 16);
        for (unsigned i = 0; kernels_usable()[i]; i++) {
                float *other = logits_of(GGUF_Q4_0, false, 2, kernels_usable()[i]->name, 25);

                /* A last bit that differs before rounding to 8 bits may move an input by a step. */
                expect(difference(&t, scalar, other) <= 0.05f);
                free(other);
        }
        close_subject(&t);
        free(scalar);
}

static void rewinding(void) {
        struct subject t;
        float *straight, *again;

        open_subject(&t, GGUF_F32, false, 2, NULL, 256);
        expect(session_append_tokens(t.session, ids, N_TEXT) == 0);
        straight = copy_logits(&t);

        /* Something else in between, then the same positions once more. */
        expect(session_rewind(t.session, 25) == 0);
        expect(session_position(t.session) == 25);
        expect(session_append_frames(t.session, frames, 10) == 0);
        expect(session_rewind(t.session, 25) == 0);
        expect(session_logits(t.session) == NULL);
        expect(session_append_tokens(t.session, ids + 25, N_TEXT - 25) == 0);
        again = copy_logits(&t);
        expect(difference(&t, straight, again) <= 1e-5f);

        expect(session_rewind(t.session, N_TEXT + 1) == -ERANGE);
        free(straight);
        free(again);
        close_subject(&t);
}

/* The ring of this session holds 24 + 128 positions: after 200, the oldest 48 are gone. */
static void ring(void) {
        struct subject t;
        float *before, *after;
        unsigned oldest;

        open_subject(&t, GGUF_F32, false, 2, NULL, 1000);
        for (unsigned i = 0; i < 5; i++)
                expect(session_append_tokens(t.session, ids, N_TEXT) == 0);
        oldest = session_oldest_rewind(t.session);
        expect(oldest == 200 - (RANDOM_WINDOW + 128) + RANDOM_WINDOW - 1);
        expect(session_rewind(t.session, oldest - 1) == -ERANGE);
        expect(session_position(t.session) == 200);
        expect(session_append_tokens(t.session, ids, 3) == 0);
        before = copy_logits(&t);

        oldest = session_oldest_rewind(t.session);
        expect(session_rewind(t.session, oldest) == 0);
        /* Positions oldest .. 202 once more, as they were. */
        for (unsigned p = oldest; p < 203; p++)
                expect(session_append_tokens(t.session, &ids[p % N_TEXT], 1) == 0);
        after = copy_logits(&t);
        expect(difference(&t, before, after) <= 1e-4f);

        expect(session_rewind(t.session, 0) == 0);
        expect(session_oldest_rewind(t.session) == 0);
        free(before);
        free(after);
        close_subject(&t);
}

static int unnamed_file(void) {
        FILE *f = tmpfile();
        int fd;

        expect(f != NULL);
        fd = dup(fileno(f));
        (void) fclose(f);
        expect(fd >= 0);
        return fd;
}

static struct session *open_session(struct subject *t, unsigned max_positions, bool as_floats) {
        const struct session_config config = { .max_positions = max_positions,
                                               .rewind_slack = 1,
                                               .f32_cache = as_floats };
        struct session *s;
        struct why why = {};

        expect(session_new(&s, t->engine, &config, &why) == 0);
        return s;
}

/* Tokens, and the logits behind the last one. */
static float *logits_behind(struct subject *t, struct session *s, unsigned n) {
        float *copy = malloc(t->n_vocab * sizeof(float));

        expect(session_append_tokens(s, ids, n) == 0);
        memcpy(copy, session_logits(s), t->n_vocab * sizeof(float));
        return copy;
}

/* A session of `total` positions keeps the first `kept` of them; another that reads them goes on as the first does that
 * goes back there. */
static void keep_and_recall(struct subject *t, bool as_floats, unsigned total, unsigned kept) {
        struct session *s = open_session(t, 1000, as_floats), *other = open_session(t, 1000, as_floats);
        float *straight, *recalled;
        unsigned oldest;
        int fd = unnamed_file();

        for (unsigned i = 0; i < total; i++)
                expect(session_append_tokens(s, &ids[i * 7 % N_TEXT], 1) == 0);
        expect(session_save(s, kept, fd) == 0 && session_position(s) == total);
        expect(session_rewind(s, kept) == 0);
        oldest = session_oldest_rewind(s);
        expect(session_load(other, fd) == 0 && session_position(other) == kept);
        expect(session_logits(other) == NULL && session_oldest_rewind(other) == oldest);

        straight = logits_behind(t, s, N_TEXT);
        recalled = logits_behind(t, other, N_TEXT);
        expect(difference(t, straight, recalled) == 0);
        free(straight);
        free(recalled);

        /* As far back as both can go. */
        oldest = session_oldest_rewind(s);
        expect(session_oldest_rewind(other) == oldest);
        expect(session_rewind(s, oldest) == 0 && session_rewind(other, oldest) == 0);
        straight = logits_behind(t, s, 3);
        recalled = logits_behind(t, other, 3);
        expect(difference(t, straight, recalled) == 0);
        free(straight);
        free(recalled);
        (void) close(fd);
        session_free(s);
        session_free(other);
}

/* Within the window of 24; within the ring, of 24 + 128; where the ring has wrapped, and where a part of what is kept is
 * no longer in it. */
static void keeping(void) {
        static const struct {
                unsigned total, kept;
        } cases[] = { { 20, 20 }, { 60, 7 }, { 150, 60 }, { 152, 152 }, { 200, 200 }, { 230, 190 } };
        struct subject t;

        open_subject(&t, GGUF_Q4_0, false, 2, NULL, 10);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                keep_and_recall(&t, true, cases[i].total, cases[i].kept);
                keep_and_recall(&t, false, cases[i].total, cases[i].kept);
        }
        close_subject(&t);
}

/* What can not be kept, and files that are no such thing: the session is as before, and goes on. */
static void keeping_fails(void) {
        struct subject t;
        struct session *s, *other;
        float *straight, *again;
        int fd = unnamed_file();
        struct stat st;

        open_subject(&t, GGUF_Q4_0, false, 1, NULL, 10);
        s = open_session(&t, 1000, false);
        for (unsigned i = 0; i < 5; i++)
                expect(session_append_tokens(s, ids, N_TEXT) == 0);
        expect(session_save(s, 0, fd) == -ERANGE && session_save(s, 201, fd) == -ERANGE);
        expect(session_save(s, session_oldest_rewind(s) - 1, fd) == -ERANGE);
        expect(session_save(s, 200, -1) == -EBADF);
        expect(session_save(s, 200, fd) == 0 && session_load(s, fd) == -EINVAL);
        expect(session_position(s) == 200);

        other = open_session(&t, 1000, true);
        expect(session_load(other, fd) == -EBADMSG && session_position(other) == 0);
        session_free(other);
        other = open_session(&t, 199, false);
        expect(session_load(other, fd) == -EBADMSG && session_position(other) == 0);
        session_free(other);

        other = open_session(&t, 1000, false);
        straight = logits_behind(&t, other, N_TEXT);
        expect(session_rewind(other, 0) == 0);
        expect(fstat(fd, &st) == 0 && ftruncate(fd, st.st_size - 1) == 0);
        expect(session_load(other, fd) == -EBADMSG && session_position(other) == 0);
        expect(ftruncate(fd, st.st_size + 1) == 0 && session_load(other, fd) == -EBADMSG);
        expect(ftruncate(fd, 3) == 0 && session_load(other, fd) == -EBADMSG);
        expect(session_load(other, -1) == -EBADF && session_position(other) == 0);
        again = logits_behind(&t, other, N_TEXT);
        expect(difference(&t, straight, again) == 0);
        free(straight);
        free(again);
        (void) close(fd);
        session_free(other);
        session_free(s);
        close_subject(&t);
}

static void full(void) {
        const struct sampler_config greedy = { 0 };
        struct sampler *sampler;
        struct subject t;
        int32_t id = -1;
        int r = 1;

        open_subject(&t, GGUF_Q8_0, false, 1, NULL, 30);
        expect(sampler_new(&sampler, &greedy, t.n_vocab) == 0);
        expect(session_next(t.session, sampler, &id) == -EINVAL);
        expect(session_append_tokens(t.session, ids, 31) == -ENOSPC);
        expect(session_position(t.session) == 0);
        expect(session_append_tokens(t.session, ids, 25) == 0);
        expect(session_append_frames(t.session, frames, 6) == -ENOSPC);
        expect(session_position(t.session) == 25);

        /* Five tokens fit; a random model ends no turn before that. */
        for (unsigned i = 0; i < 5 && r == 1; i++)
                r = session_next(t.session, sampler, &id);
        expect(r == 1);
        expect(session_next(t.session, sampler, &id) == -ENOSPC);
        expect(session_position(t.session) == 30);
        sampler_free(sampler);
        close_subject(&t);
}

static void next_is_append(void) {
        const struct sampler_config greedy = { 0 };
        struct sampler *sampler;
        struct subject t;
        int32_t chosen[8], id;
        float *continued, *appended;

        open_subject(&t, GGUF_F32, false, 1, NULL, 100);
        expect(sampler_new(&sampler, &greedy, t.n_vocab) == 0);
        expect(session_append_tokens(t.session, ids, 20) == 0);
        for (unsigned i = 0; i < 8; i++)
                expect(session_next(t.session, sampler, &chosen[i]) == 1);
        expect(session_position(t.session) == 27);
        continued = copy_logits(&t);
        expect(session_position(t.session) == 28);

        expect(session_rewind(t.session, 20) == 0);
        expect(session_append_tokens(t.session, chosen, 8) == 0);
        appended = copy_logits(&t);
        expect(difference(&t, continued, appended) <= 1e-4f);

        /* Taking back only what was not appended yet leaves the choice as it was. */
        expect(session_rewind(t.session, 20) == 0);
        expect(session_append_tokens(t.session, chosen, 1) == 0);
        expect(session_next(t.session, sampler, &chosen[7]) == 1);
        expect(session_rewind(t.session, 21) == 0);
        expect(session_next(t.session, sampler, &chosen[6]) == 1);
        expect(chosen[6] == chosen[7]);

        /* Taking back more than that leaves nothing to choose by. */
        expect(session_rewind(t.session, 10) == 0);
        expect(session_logits(t.session) == NULL);
        expect(session_next(t.session, sampler, &id) == -EINVAL);
        free(continued);
        free(appended);
        sampler_free(sampler);
        close_subject(&t);
}

static void refusals(void) {
        struct subject t;
        int32_t bad[] = { 5, -1, 1 << 20 };
        const float *logits;

        open_subject(&t, GGUF_Q4_0, false, 1, NULL, 100);
        expect(session_append_tokens(t.session, bad, 2) == -EINVAL);
        expect(session_append_tokens(t.session, bad + 2, 1) == -EINVAL);
        expect(session_position(t.session) == 0);
        expect(session_append_tokens(t.session, bad, 1) == 0);

        logits = session_logits(t.session);
        expect(logits[tokenizer_special(engine_tokenizer(t.engine))->audio_end] == -INFINITY);
        expect(logits[tokenizer_special(engine_tokenizer(t.engine))->image_end] == -INFINITY);
        close_subject(&t);
}

static void no_allocation(void) {
        const struct sampler_config sampling = {
                .temperature = 1, .top_k = 20, .top_p = 0.9f, .seed = 3
        };
        struct sampler *sampler;
        struct subject t;
        int32_t id;

        open_subject(&t, GGUF_Q4_0, false, 1, NULL, 200);
        expect(sampler_new(&sampler, &sampling, t.n_vocab) == 0);
        n_allocations = 0;
        expect(session_append_tokens(t.session, ids, 10) == 0);
        expect(session_append_frames(t.session, frames, 20) == 0);
        for (unsigned i = 0; i < 20; i++)
                expect(session_next(t.session, sampler, &id) >= 0);
        expect(session_rewind(t.session, 20) == 0);
        expect(session_append_tokens(t.session, ids, 10) == 0);
        expect(n_allocations == 0);
        sampler_free(sampler);
        close_subject(&t);
}

/* Scaling a sound changes nothing but the weight of the norm's epsilon; silence is a row of zeros,
 * which is not the same as no row. */
static void frames_are_normed(void) {
        float loud[SESSION_FRAME_SAMPLES], silent[SESSION_FRAME_SAMPLES] = { 0 };
        struct subject t;
        float *a, *b, *c;

        open_subject(&t, GGUF_F32, false, 1, NULL, 100);
        for (unsigned i = 0; i < SESSION_FRAME_SAMPLES; i++)
                loud[i] = 0.25f * frames[i];
        expect(session_append_frames(t.session, frames, 1) == 0);
        a = copy_logits(&t);
        expect(session_rewind(t.session, 0) == 0 && session_append_frames(t.session, loud, 1) == 0);
        b = copy_logits(&t);
        expect(session_rewind(t.session, 0) == 0 &&
               session_append_frames(t.session, silent, 1) == 0);
        c = copy_logits(&t);
        expect(difference(&t, a, b) < 1e-2f);
        expect(difference(&t, a, c) > 0.1f);
        free(a);
        free(b);
        free(c);
        close_subject(&t);
}

static void write_model(char *path, struct gguf_builder *b) {
        size_t size;
        void *data = builder_finish(b, &size);
        int fd = mkstemp(path);

        expect(fd >= 0 && write(fd, data, size) == (ssize_t) size);
        (void) close(fd);
        free(data);
}

/* A model's file may say how its tokens are to be chosen. */
static void recommendations(void) {
        static const char *const bad[][2] = {
                { "general.sampling.temp", "is not between 0 and 100" },
                { "general.sampling.top_p", "is not between 0 and 1" },
        };
        struct sampler_config config = { .temperature = 0.5f, .top_k = 7, .top_p = 0.25f };
        struct random_extra extra = { .temp = 1, .top_p = 0.9f, .top_k = 64 };
        struct engine_config engine_config = { .n_threads = 1 };
        struct engine *e;
        struct why why = { 0 };

        engine_config.model_path = random_model_with(&extra);
        expect(engine_open(&e, &engine_config, &why) == 0);
        engine_recommend(e, &config);
        expect(config.temperature == 1 && config.top_k == 64 && config.top_p == 0.9f);
        engine_close(e);
        (void) unlink(engine_config.model_path);

        /* All tokens. */
        extra.top_k = -1;
        engine_config.model_path = random_model_with(&extra);
        expect(engine_open(&e, &engine_config, &why) == 0);
        engine_recommend(e, &config);
        expect(config.top_k == 0);
        engine_close(e);
        (void) unlink(engine_config.model_path);

        for (unsigned i = 0; i < 2; i++) {
                extra = (struct random_extra){ .temp = i == 0 ? -1 : 1, .top_p = i == 1 ? 1.5f : 1 };
                engine_config.model_path = random_model_with(&extra);
                expect(engine_open(&e, &engine_config, &why) == -EBADMSG);
                expect(strstr(why.text, bad[i][0]) && strstr(why.text, bad[i][1]));
                (void) unlink(engine_config.model_path);
        }

        config = (struct sampler_config){ .temperature = 0.5f, .top_k = 7, .top_p = 0.25f };
        engine_config.model_path = random_model(GGUF_F32, false, 1);
        expect(engine_open(&e, &engine_config, &why) == 0);
        engine_recommend(e, &config);
        expect(config.temperature == 0.5f && config.top_k == 7 && config.top_p == 0.25f);
        engine_close(e);
        (void) unlink(engine_config.model_path);
}

static void blame(void) {
        char keys[] = "/tmp/gemmad-test-XXXXXX", nothing[] = "/tmp/gemmad-test-XXXXXX";
        char other_type[] = "/tmp/gemmad-test-XXXXXX";
        const char *good = random_model(GGUF_F32, false, 1);
        const struct {
                const char *model, *projector, *at_fault, *reason;
        } rows[] = {
                { nothing, NULL, nothing, "no key 'general.architecture'" },
                { keys, NULL, keys, "no tensor 'token_embd.weight'" },
                { other_type, NULL, other_type,
                  "tensor 'token_embd.weight' has type TQ1_0 (34), which is not handled; "
                  "files that are published as Q4_0, Q4_K_M, IQ4_XS or Q8_0 do without it" },
                { keys, good, keys, "no tensor 'token_embd.weight'" },
                { good, nothing, nothing, "no projector of sound or pictures in it" },
                { good, keys, keys, "no tensor 'mm.a.input_projection.weight'" },
        };
        static struct vocabulary v;
        struct gguf_builder b = { 0 };
        char expected[300];

        write_model(nothing, &b);
        b = (struct gguf_builder){ 0 };
        vocabulary_begin(&v);
        random_keys(&b, &v);
        write_model(keys, &b);
        b = (struct gguf_builder){ 0 };
        vocabulary_begin(&v);
        random_keys(&b, &v);
        builder_add_tensor(&b, "token_embd.weight", (enum gguf_type) 34, 2,
                           (const uint64_t[]){ 256, 4 }, NULL, 0);
        write_model(other_type, &b);

        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct engine_config config = { .model_path = rows[i].model,
                                                .projector_path = rows[i].projector,
                                                .n_threads = 1 };
                struct engine *e;
                struct why why = { "" };

                expect(engine_open(&e, &config, &why) < 0);
                (void) snprintf(expected, sizeof(expected), "%s: %s", rows[i].at_fault,
                                rows[i].reason);
                expect(strcmp(why.text, expected) == 0);
        }
        (void) unlink(keys);
        (void) unlink(other_type);
        (void) unlink(nothing);
        (void) unlink(good);
}

int main(void) {
        for (unsigned i = 0; i < N_TEXT; i++)
                ids[i] = (int32_t) (random_bits(&rng) % 290);
        for (unsigned i = 0; i < N_FRAMES * SESSION_FRAME_SAMPLES; i++)
                frames[i] = 0.2f * random_normal(&rng);

        rule("input cut in any way gives the same logits", chunking);
        rule("up to eight rows change no bit, floats or not", few_rows);
        rule("the number of threads changes no bit", threads);
        rule("quantised types stay near the dequantised model", quantised);
        rule("every row of kernels gives the scalar one's logits", rows_agree);
        rule("rewind and append again is never rewound", rewinding);
        rule("a ring gives back what it still holds and refuses the rest", ring);
        rule("what was kept in a file is as if it had been appended", keeping);
        rule("what can not be kept, or is not whole, changes nothing", keeping_fails);
        rule("a full cache is an error, not an end of turn", full);
        rule("a generated token is an appended token", next_is_append);
        rule("bad ids are refused, suppressed ids are never likely", refusals);
        rule("nothing allocates per token or frame", no_allocation);
        rule("frames are normed", frames_are_normed);
        rule("a file may recommend how its tokens are chosen", recommendations);
        rule("the reason names the file at fault, once", blame);
        return tap_done();
}
