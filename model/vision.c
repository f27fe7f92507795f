/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vision.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "model/quant.h"
#include "model/weights.h"

#define PROJECTION "mm.input_projection.weight"
#define PLACES     "v.position_embd.weight"

/* Published files give the side of a third of a patch. */
#define PARTS_OF_SIDE 3
#define CHANNELS      3

/* Larger than any model of this family will have. */
#define MAX_PART  64
#define MAX_INNER (1u << 20)

/* Neither is what the file's only key for an epsilon says: that one is a leftover. */
#define LAYER_NORM_EPS 1e-5
#define RMS_NORM_EPS   1e-6f

static unsigned n_pixels(const struct vision_weights *w) {
        return CHANNELS * w->side * w->side;
}

static bool is_called(const struct gguf_string *s, const char *name) {
        return s->size == strlen(name) && memcmp(s->text, name, s->size) == 0;
}

/* 1: the file says that it has the half that sees. */
static int has_vision(const struct gguf *g, struct why *why) {
        const char *key = "clip.vision.projector_type";
        struct gguf_string type;
        bool has;
        int r;

        r = gguf_get_bool(g, "clip.has_vision_encoder", &has, why);
        if (r == -ENOENT || (r == 0 && !has))
                return 0;
        if (r < 0)
                return r;
        r = gguf_get_string(g, key, &type, why);
        if (r == -ENOENT) {
                key = "clip.projector_type";
                r = gguf_get_string(g, key, &type, why);
        }
        if (r < 0)
                return r;
        if (!is_called(&type, "gemma4uv"))
                return because(why, -ENOTSUP, "key '%s' is '%.*s', not 'gemma4uv'", key,
                               (int) (type.size < 64 ? type.size : 64), type.text);
        return 1;
}

static int
read_sizes(struct vision_weights *w, const struct gguf *g, unsigned *inner, struct why *why) {
        const struct gguf_tensor *places = gguf_find_tensor(g, PLACES);
        uint32_t part, n;
        int r;

        r = gguf_get_u32(g, "clip.vision.patch_size", &part, why);
        if (r < 0)
                return r;
        if (part == 0 || part > MAX_PART)
                return because(why, -EBADMSG,
                               "key 'clip.vision.patch_size' is %u, not between 1 and %u", part,
                               MAX_PART);
        r = gguf_get_u32(g, "clip.vision.embedding_length", &n, why);
        if (r < 0)
                return r;
        if (n == 0 || n > MAX_INNER)
                return because(why, -EBADMSG,
                               "key 'clip.vision.embedding_length' is %u, not between 1 and %u", n,
                               MAX_INNER);
        if (!places)
                return because(why, -ENOENT, "no tensor '%s'", PLACES);
        if (places->n_dims != 3 || places->dims[2] != 2 || places->dims[1] == 0 ||
            places->dims[1] > IMAGE_MAX_SIDE)
                return because(why, -EBADMSG,
                               "tensor '%s' is not of two tables of places, for columns and rows",
                               PLACES);
        w->side = part * PARTS_OF_SIDE;
        w->n_places = (unsigned) places->dims[1];
        *inner = n;
        return 0;
}

/* Two tables behind one another: as a matrix of twice as many rows. */
static int
read_places(struct vision_weights *w, const struct gguf *g, unsigned inner, struct why *why) {
        const struct gguf_tensor *t = gguf_find_tensor(g, PLACES);

        if (gguf_type_block(t->type) != 1 || t->type == GGUF_I32)
                return because(why, -EBADMSG, "tensor '%s' is %s, not of floats", PLACES,
                               gguf_type_name(t->type));
        if (t->dims[0] != inner)
                return because(why, -EBADMSG, "tensor '%s' has rows of %llu values, not %u", PLACES,
                               (unsigned long long) t->dims[0], inner);
        if ((uintptr_t) t->data % sizeof(float))
                return because(why, -EBADMSG, "tensor '%s' is not aligned", PLACES);
        w->places = (struct matrix){
                .data = t->data,
                .type = t->type,
                .n_rows = 2 * w->n_places,
                .n_cols = inner,
                .row_size = t->size / (2 * w->n_places),
        };
        return 0;
}

static int
read_norms(struct vision_weights *w, const struct gguf *g, unsigned inner, struct why *why) {
        static const char *const names[VISION_NORMS][2] = {
                { "v.patch_norm.1.weight", "v.patch_norm.1.bias" },
                { "v.patch_norm.2.weight", "v.patch_norm.2.bias" },
                { "v.patch_norm.3.weight", "v.patch_norm.3.bias" },
        };
        int r;

        for (unsigned i = 0; i < VISION_NORMS; i++) {
                unsigned n = i == VISION_NORM_PIXELS ? n_pixels(w) : inner;

                r = weights_read_vector(g, names[i][0], n, &w->norm_weight[i], why);
                if (r < 0)
                        return r;
                r = weights_read_vector(g, names[i][1], n, &w->norm_bias[i], why);
                if (r < 0)
                        return r;
        }
        return weights_read_vector(g, "v.patch_embd.bias", inner, &w->dense_bias, why);
}

int vision_read(struct vision_weights *ret, const struct gguf *g, unsigned width, struct why *why) {
        struct vision_weights w = { 0 };
        unsigned inner = 0;
        int r;

        *ret = w;
        r = has_vision(g, why);
        if (r <= 0)
                return r;
        r = read_sizes(&w, g, &inner, why);
        if (r < 0)
                return r;
        r = read_places(&w, g, inner, why);
        if (r < 0)
                return r;
        r = read_norms(&w, g, inner, why);
        if (r < 0)
                return r;
        r = weights_read_matrix(g, "v.patch_embd.weight", n_pixels(&w), inner, &w.dense, why);
        if (r < 0)
                return r;
        r = weights_read_matrix(g, PROJECTION, inner, width, &w.projection, why);
        if (r < 0)
                return r;

        *ret = w;
        return 0;
}

int vision_init(struct vision *v,
                const struct vision_weights *weights,
                const struct kernels *kernels,
                struct pool *pool) {
        unsigned pixels = n_pixels(weights), inner = weights->dense.n_rows;
        unsigned most = pixels > inner ? pixels : inner;
        int r;

        *v = (struct vision){
                .weights = weights,
                .kernels = kernels,
                .pool = pool,
                .pixels = calloc((size_t) VISION_ROWS * pixels, sizeof(float)),
                .rows = calloc((size_t) VISION_ROWS * inner, sizeof(float)),
                .place = calloc((size_t) pool_n_threads(pool) * inner, sizeof(float)),
        };
        r = v->pixels && v->rows && v->place ? 0 : -ENOMEM;
        if (r == 0)
                r = matmul_init(&v->matmul, kernels, pool, most);
        if (r == 0)
                r = inputs_init(&v->inputs, VISION_ROWS, most);
        if (r < 0)
                vision_done(v);
        return r;
}

void vision_done(struct vision *v) {
        inputs_done(&v->inputs);
        matmul_done(&v->matmul);
        free(v->pixels);
        free(v->rows);
        free(v->place);
        *v = (struct vision){ 0 };
}

static void layer_norm(const struct vision_weights *w, unsigned which, float *x, size_t n) {
        const float *weight = w->norm_weight[which], *bias = w->norm_bias[which];
        double mean = 0, variance = 0, scale;

        for (size_t i = 0; i < n; i++)
                mean += (double) x[i];
        mean /= (double) n;
        for (size_t i = 0; i < n; i++)
                variance += ((double) x[i] - mean) * ((double) x[i] - mean);
        scale = 1 / sqrt(variance / (double) n + LAYER_NORM_EPS);
        for (size_t i = 0; i < n; i++)
                x[i] = (float) (((double) x[i] - mean) * scale) * weight[i] + bias[i];
}

/* Patches first ... of a picture. */
struct job {
        struct vision *v;
        const struct patches *p;
        unsigned first;
};

static void item_pixels(void *userdata, unsigned item, unsigned worker) {
        const struct job *job = userdata;
        unsigned n = n_pixels(job->v->weights);
        float *row = job->v->pixels + (size_t) item * n;

        (void) worker;
        patches_read(job->p, job->first + item, row);
        layer_norm(job->v->weights, VISION_NORM_PIXELS, row, n);
}

static void add_place(const struct job *job, unsigned row, float *x, float *place) {
        const struct matrix *places = &job->v->weights->places;

        quant_dequantize_row(place, places->type, matrix_row(places, row), places->n_cols);
        for (unsigned i = 0; i < places->n_cols; i++)
                x[i] += place[i];
}

static void item_rows(void *userdata, unsigned item, unsigned worker) {
        const struct job *job = userdata;
        const struct vision_weights *w = job->v->weights;
        unsigned n = w->dense.n_rows, patch = job->first + item;
        float *row = job->v->rows + (size_t) item * n, *place = job->v->place + (size_t) worker * n;

        for (unsigned i = 0; i < n; i++)
                row[i] += w->dense_bias[i];
        layer_norm(w, VISION_NORM_DENSE, row, n);
        add_place(job, patch % job->p->fit.columns, row, place);
        add_place(job, w->n_places + patch / job->p->fit.columns, row, place);
        layer_norm(w, VISION_NORM_PLACED, row, n);
        job->v->kernels->rms_norm(row, row, NULL, n, RMS_NORM_EPS);
}

void vision_embed(struct vision *v, const struct patches *p, float *ret) {
        const struct vision_weights *w = v->weights;
        unsigned n, n_all = patches_count(p), inner = w->dense.n_rows;
        struct job job = { .v = v, .p = p };

        for (; job.first < n_all; job.first += n) {
                const struct product dense = { &w->dense, v->rows, inner };
                const struct product projection = { &w->projection,
                                                    ret + (size_t) job.first * w->projection.n_rows,
                                                    w->projection.n_rows };

                n = n_all - job.first < VISION_ROWS ? n_all - job.first : VISION_ROWS;
                pool_run(v->pool, n, item_pixels, &job);
                matmul_set_inputs(&v->matmul, &v->inputs, v->pixels, n, n_pixels(w));
                matmul_run(&v->matmul, &v->inputs, &dense, 1);
                pool_run(v->pool, n, item_rows, &job);
                matmul_set_inputs(&v->matmul, &v->inputs, v->rows, n, inner);
                matmul_run(&v->matmul, &v->inputs, &projection, 1);
        }
}
