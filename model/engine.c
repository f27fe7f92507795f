/* SPDX-License-Identifier: Apache-2.0 */
#include "model/engine-internal.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/pocket.h"
#include "model/quant.h"

DEFINE_CLEANUP(struct engine *, engine_close)

static int open_files(struct engine *e, const struct engine_config *config, struct why *why) {
        int r;

        e->is_embedded = !config->model_path;
        if (config->model_path)
                r = gguf_open(&e->model, config->model_path, why);
        else
                r = gguf_open_memory(&e->model, pocket_begin, (size_t) (pocket_end - pocket_begin),
                                     "the embedded pocket model", why);
        if (r < 0 || !config->projector_path)
                return r;
        return gguf_open(&e->projector, config->projector_path, why);
}

static int read_name(struct engine *e) {
        struct gguf_string name;

        if (gguf_get_string(e->model, "general.name", &name, NULL) < 0) {
                const char *file = gguf_name(e->model);

                name = (struct gguf_string){ file, strlen(file) };
        }
        e->name = strndup(name.text, name.size);
        return e->name ? 0 : -ENOMEM;
}

static int read_least(struct engine *e, const char *key, float *ret, struct why *why) {
        int r = gguf_get_f32(e->model, key, ret, why);

        return r == -ENOENT ? 0 : r;
}

static int read_grammar(struct engine *e, struct why *why) {
        int r;

        e->least_log_probability = -INFINITY;
        e->least_short_log_probability = -INFINITY;
        e->least_log_share = e->least_short_log_share = -INFINITY;
        r = grammar_read(&e->grammar, e->model, e->params.n_vocab, why);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = read_least(e, "gemmad.grammar.least_log_probability", &e->least_log_probability, why);
        if (r < 0)
                return r;
        e->least_short_log_probability = e->least_log_probability;
        r = read_least(e, "gemmad.grammar.least_short_log_probability",
                       &e->least_short_log_probability, why);
        if (r >= 0)
                r = read_least(e, "gemmad.grammar.least_log_share", &e->least_log_share, why);
        if (r < 0)
                return r;
        e->least_short_log_share = e->least_log_share;
        return read_least(e, "gemmad.grammar.least_short_log_share", &e->least_short_log_share, why);
}

static void read_answer_style(struct engine *e) {
        static const char style[] = "transcript-call";
        struct gguf_string value;

        e->answers_with_transcript =
                gguf_get_string(e->model, "gemmad.answer", &value, NULL) == 0 &&
                value.size == strlen(style) && memcmp(value.text, style, value.size) == 0;
}

static int read_fraction(
        struct engine *e, const char *key, float max, float *ret, bool *ret_has, struct why *why) {
        int r;

        r = gguf_get_f32(e->model, key, ret, why);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (*ret < 0 || *ret > max)
                return because(why, -EBADMSG, "key '%s' is not between 0 and %g", key,
                               (double) max);
        *ret_has = true;
        return 0;
}

/* What is below 1 stands for all tokens. */
static int read_sampling(struct engine *e, struct why *why) {
        struct sampler_config *s = &e->recommended;
        int64_t top_k;
        int r;

        r = read_fraction(e, "general.sampling.temp", 100, &s->temperature, &e->has_temperature,
                          why);
        if (r >= 0)
                r = read_fraction(e, "general.sampling.top_p", 1, &s->top_p, &e->has_top_p, why);
        if (r < 0)
                return r;

        r = gguf_get_integer(e->model, "general.sampling.top_k", &top_k, why);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        e->has_top_k = true;
        if (top_k >= 1 && top_k <= (int64_t) e->params.n_vocab)
                s->top_k = (unsigned) top_k;
        return 0;
}

/* The file's own list, and in any case the markers that end an image or a sound: their rows of the
 * tied embedding hold projected inputs, so their logits mean nothing. */
static int read_suppressed(struct engine *e, struct why *why) {
        const char *key = "tokenizer.ggml.suppress_tokens";
        const struct special_tokens *special = tokenizer_special(e->tokenizer);
        const int32_t always[] = { special->audio_end, special->image_end };
        struct gguf_array a = { 0 };
        int64_t id;
        int r;

        r = gguf_get_array(e->model, key, &a, why);
        if (r < 0 && r != -ENOENT)
                return r;

        e->suppressed = calloc(a.n + 2, sizeof(*e->suppressed));
        if (!e->suppressed)
                return -ENOMEM;
        for (size_t i = 0; i < a.n; i++) {
                if (gguf_array_integer(&a, i, &id) < 0 || id < 0 || id >= e->params.n_vocab)
                        return because(why, -EBADMSG, "key '%s' is not a list of token ids", key);
                e->suppressed[e->n_suppressed++] = (int32_t) id;
        }
        for (unsigned i = 0; i < 2; i++)
                if (always[i] >= 0)
                        e->suppressed[e->n_suppressed++] = always[i];
        return 0;
}

static void read_stops(struct engine *e) {
        const struct special_tokens *special = tokenizer_special(e->tokenizer);
        const int32_t stops[] = { special->turn_end, special->eos, special->response_begin };

        for (unsigned i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
                if (stops[i] >= 0)
                        e->stops[e->n_stops++] = stops[i];
}

static int read_model(struct engine *e, struct why *why) {
        const struct gguf *projector = e->projector ? e->projector : e->model;
        int r;

        r = params_read(&e->params, e->model, why);
        if (r < 0)
                return gguf_because_in(e->model, r, why);
        r = weights_read(&e->weights, &e->params, e->model, projector, why);
        if (r < 0)
                return r;
        if (e->projector && !e->weights.projector.data && !e->weights.vision.dense.data)
                return because(why, -EBADMSG, "%s: no projector of sound or pictures in it",
                               gguf_name(e->projector));
        r = tokenizer_new(&e->tokenizer, e->model, why);
        if (r < 0)
                return r;
        r = read_grammar(e, why);
        if (r < 0)
                return gguf_because_in(e->model, r, why);
        r = read_suppressed(e, why);
        if (r < 0)
                return gguf_because_in(e->model, r, why);
        r = read_sampling(e, why);
        if (r < 0)
                return gguf_because_in(e->model, r, why);
        read_stops(e);
        read_answer_style(e);
        return read_name(e);
}

int engine_open(struct engine **ret, const struct engine_config *config, struct why *why) {
        _cleanup_(engine_closep) struct engine *e = NULL;
        int r;

        e = calloc(1, sizeof(*e));
        if (!e)
                return because(why, -ENOMEM, "out of memory");

        e->kernels = kernels_find(config->kernels);
        if (!e->kernels)
                return because(why, -ENOTSUP, "no kernels '%s' on this processor", config->kernels);

        r = open_files(e, config, why);
        if (r < 0)
                return r;
        r = read_model(e, why);
        if (r < 0)
                return r == -ENOMEM ? because(why, r, "out of memory") : r;

        /* Our pool calls OpenBLAS from all its threads; it must not start its own. */
        openblas_set_num_threads(1);
        r = pool_new(&e->pool, config->n_threads ? config->n_threads : pool_default_threads());
        if (r < 0)
                return because(why, r, "can not start the worker threads: %s", strerror(-r));
        if (config->n_threads == 0)
                pool_keep_to_fast(e->pool);

        *ret = TAKE_PTR(e);
        return 0;
}

int engine_add_drafter(struct engine *e, const char *path, struct why *why) {
        struct drafter *drafter;
        int r;

        r = drafter_open(&drafter, path, &e->params, e->model, why);
        if (r < 0)
                return r;
        drafter_close(e->drafter);
        e->drafter = drafter;
        return 0;
}

struct engine *engine_close(struct engine *e) {
        if (!e)
                return NULL;

        engine_stop_fetching(e);
        drafter_close(e->drafter);
        pool_free(e->pool);
        grammar_free(e->grammar);
        tokenizer_free(e->tokenizer);
        weights_done(&e->weights);
        gguf_close(e->projector);
        gguf_close(e->model);
        free(e->suppressed);
        free(e->name);
        free(e);
        return NULL;
}

const struct tokenizer *engine_tokenizer(const struct engine *e) {
        return e->tokenizer;
}

const char *engine_name(const struct engine *e) {
        return e->name;
}

bool engine_hears(const struct engine *e) {
        return e->weights.projector.data && tokenizer_special(e->tokenizer)->audio_begin >= 0 &&
               tokenizer_special(e->tokenizer)->audio_end >= 0;
}

bool engine_sees(const struct engine *e) {
        return e->weights.vision.dense.data && tokenizer_special(e->tokenizer)->image_begin >= 0 &&
               tokenizer_special(e->tokenizer)->image_end >= 0;
}

bool engine_answers_with_transcript(const struct engine *e) {
        return e->answers_with_transcript;
}

bool engine_has_grammar(const struct engine *e) {
        return e->grammar;
}

const struct grammar *engine_grammar(const struct engine *e) {
        return e->grammar;
}

float engine_least_log_probability(const struct engine *e) {
        return e->least_log_probability;
}

float engine_least_short_log_probability(const struct engine *e) {
        return e->least_short_log_probability;
}

float engine_least_log_share(const struct engine *e) {
        return e->least_log_share;
}

float engine_least_short_log_share(const struct engine *e) {
        return e->least_short_log_share;
}

void engine_recommend(const struct engine *e, struct sampler_config *config) {
        if (e->has_temperature)
                config->temperature = e->recommended.temperature;
        if (e->has_top_k)
                config->top_k = e->recommended.top_k;
        if (e->has_top_p)
                config->top_p = e->recommended.top_p;
}

uint32_t engine_max_positions(const struct engine *e) {
        return e->params.max_positions;
}

const char *engine_kernels(const struct engine *e) {
        return e->kernels->name;
}

unsigned engine_n_threads(const struct engine *e) {
        return pool_n_threads(e->pool);
}

/* Row by row.  NULL, or the tensor. */
static const struct gguf_tensor *find_damaged(const struct gguf *g) {
        for (size_t i = 0; i < gguf_n_tensors(g); i++) {
                const struct gguf_tensor *t = gguf_tensor_at(g, i);
                size_t n_rows = (size_t) (t->dims[1] * t->dims[2] * t->dims[3]);
                _cleanup_(freep) float *row = NULL;

                if (!t->data || t->type == GGUF_I32)
                        continue;
                row = calloc(t->dims[0], sizeof(*row));
                for (size_t k = 0; row && k < n_rows; k++) {
                        quant_dequantize_row(row, t->type,
                                             (const unsigned char *) t->data + k * (t->size / n_rows),
                                             t->dims[0]);
                        for (size_t c = 0; c < t->dims[0]; c++)
                                if (!isfinite(row[c]))
                                        return t;
                }
        }
        return NULL;
}

int engine_find_damage(const struct engine *e, struct why *why) {
        const struct gguf *files[] = { e->model, e->projector };

        for (size_t i = 0; i < 2; i++) {
                const struct gguf_tensor *t = files[i] ? find_damaged(files[i]) : NULL;

                if (t)
                        return because(why, -EBADMSG, "%s: tensor '%.*s' holds numbers that are none",
                                       gguf_name(files[i]), (int) t->name.size, t->name.text);
        }
        return 0;
}
