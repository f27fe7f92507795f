/* SPDX-License-Identifier: Apache-2.0 */
#include "model/decoder.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int init_ropes(struct decoder *d) {
        const struct params *p = d->params;
        unsigned global = 0, sliding = 0;
        unsigned max_rows = d->max_block > DECODER_MAX_ROWS ? d->max_block : DECODER_MAX_ROWS;
        int r;

        for (unsigned i = 0; i < p->n_layers; i++)
                if (p->layers[i].is_sliding)
                        sliding = p->layers[i].head_size;
                else
                        global = p->layers[i].head_size;

        r = rope_init(&d->rope, global ? global : 2, p->rope_base, d->weights->rope_factors,
                      max_rows);
        if (r < 0)
                return r;
        return rope_init(&d->rope_sliding, sliding ? sliding : 2, p->rope_base_sliding, NULL,
                         max_rows);
}

static int init_rows(struct decoder *d) {
        const struct params *p = d->params;
        size_t q_width = params_max_q_width(p), kv_width = params_max_kv_width(p);
        const struct {
                float **rows;
                size_t width;
        } parts[] = {
                { &d->h, p->width },
                { &d->normed, p->width > PARAMS_FRAME_SAMPLES ? p->width : PARAMS_FRAME_SAMPLES },
                { &d->q, q_width },
                { &d->k, kv_width },
                { &d->v, kv_width },
                { &d->mixed, q_width },
                { &d->output, p->width },
                { &d->gate, p->ffn_width },
                { &d->up, p->ffn_width },
        };
        size_t total = 0;
        float *at;

        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                total += parts[i].width * DECODER_MAX_ROWS;

        d->memory = at = calloc(total, sizeof(float));
        if (!d->memory)
                return -ENOMEM;

        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                *parts[i].rows = at;
                at += parts[i].width * DECODER_MAX_ROWS;
        }
        return 0;
}

static unsigned largest_inner_size(const struct params *p) {
        unsigned max = p->width > p->ffn_width ? p->width : p->ffn_width;

        if (params_max_q_width(p) > max)
                max = params_max_q_width(p);
        return max > PARAMS_FRAME_SAMPLES ? max : PARAMS_FRAME_SAMPLES;
}

int decoder_init(struct decoder *d,
                 const struct kernels *kernels,
                 struct pool *pool,
                 const struct params *params,
                 const struct weights *weights,
                 struct kvcache *cache,
                 unsigned max_block) {
        unsigned inner = largest_inner_size(params);
        int r;

        *d = (struct decoder){
                .kernels = kernels,
                .pool = pool,
                .params = params,
                .weights = weights,
                .cache = cache,
                .max_block = max_block,
                .block = max_block ? calloc((size_t) max_block * params->width, sizeof(float))
                                   : NULL,
        };
        r = max_block && !d->block ? -ENOMEM : init_rows(d);
        if (r == 0)
                r = init_ropes(d);
        if (r == 0)
                r = matmul_init(&d->matmul, kernels, pool, inner);
        if (r == 0)
                r = inputs_init(&d->inputs, DECODER_MAX_ROWS, inner);
        if (r == 0)
                r = attention_init(&d->attention, kernels, pool, params, cache);
        if (r < 0)
                decoder_done(d);
        return r;
}

void decoder_done(struct decoder *d) {
        attention_done(&d->attention);
        inputs_done(&d->inputs);
        matmul_done(&d->matmul);
        rope_done(&d->rope);
        rope_done(&d->rope_sliding);
        free(d->memory);
        free(d->block);
        d->memory = d->block = NULL;
}

void decoder_embed_tokens(struct decoder *d, const int32_t *ids, unsigned n) {
        const struct matrix *e = &d->weights->embedding;
        float scale = sqrtf((float) d->params->width);

        for (unsigned i = 0; i < n; i++) {
                float *row = d->h + (size_t) i * d->params->width;

                quant_dequantize_row(row, e->type, matrix_row(e, (size_t) ids[i]), e->n_cols);
                for (unsigned j = 0; j < e->n_cols; j++)
                        row[j] *= scale;
        }
}

void decoder_embed_frames(struct decoder *d, const float *samples, unsigned n) {
        const struct product to_rows = { &d->weights->projector, d->h, d->params->width };

        for (size_t i = 0; i < n; i++)
                d->kernels->rms_norm(d->normed + i * PARAMS_FRAME_SAMPLES,
                                     samples + i * PARAMS_FRAME_SAMPLES, NULL, PARAMS_FRAME_SAMPLES,
                                     d->params->rms_eps);
        matmul_set_inputs(&d->matmul, &d->inputs, d->normed, n, PARAMS_FRAME_SAMPLES);
        matmul_run(&d->matmul, &d->inputs, &to_rows, 1);
}

/* One layer over the rows of a pass: what the items of its steps need to know. */
struct pass {
        struct decoder *d;
        unsigned layer;
        unsigned first; /* position of row 0 */
        unsigned n;     /* rows */
        unsigned from;  /* the first row whose output is wanted: in the last layer not all are */
        unsigned turn;  /* row of the ropes that belongs to row 0 */
        unsigned block_end; /* position behind the picture that all rows are of; 0: of none */
        bool has_keys;      /* keys and values of the rows are in the cache */
};

static const struct layer_weights *pass_weights(const struct pass *p) {
        return &p->d->weights->layers[p->layer];
}

static const struct layer_params *pass_params(const struct pass *p) {
        return &p->d->params->layers[p->layer];
}

static void
norm_row(const struct decoder *d, float *y, const float *x, const float *weight, size_t row) {
        size_t width = d->params->width;

        d->kernels->rms_norm(y + row * width, x + row * width, weight, width, d->params->rms_eps);
}

static void item_first_norm(void *userdata, unsigned item, unsigned worker) {
        const struct pass *p = userdata;

        (void) worker;
        norm_row(p->d, p->d->normed, p->d->h, pass_weights(p)->attn_norm, item);
}

/* Writes one head of one position into the cache. */
static void
store_head(const struct pass *p, void *cache, unsigned head, unsigned position, const float *x) {
        const struct layer_cache *l = &p->d->cache->layers[p->layer];
        size_t at = layer_cache_at(l, head, position);

        if (p->d->cache->is_f32)
                memcpy((float *) cache + at, x, l->head_size * sizeof(float));
        else
                p->d->kernels->to_half((uint16_t *) cache + at, x, l->head_size);
}

/* Queries and keys are normed by head with a weight, and turned; values are only normed. */
static void item_heads(void *userdata, unsigned item, unsigned worker) {
        const struct pass *p = userdata;
        const struct decoder *d = p->d;
        const struct layer_weights *w = pass_weights(p);
        const struct layer_params *lp = pass_params(p);
        const struct layer_cache *l = &d->cache->layers[p->layer];
        const struct rope *rope = lp->is_sliding ? &d->rope_sliding : &d->rope;
        unsigned size = lp->head_size;
        float *q = d->q + (size_t) item * d->params->n_heads * size;
        float *k = d->k + (size_t) item * lp->n_kv_heads * size;
        float *v = d->v + (size_t) item * lp->n_kv_heads * size;

        (void) worker;
        for (unsigned h = 0; item >= p->from && h < d->params->n_heads; h++) {
                d->kernels->rms_norm(q + h * size, q + h * size, w->q_norm, size,
                                     d->params->rms_eps);
                rope_turn(rope, p->turn + item, q + h * size);
        }
        for (unsigned h = 0; !p->has_keys && h < lp->n_kv_heads; h++) {
                const float *raw = w->v.data ? v + h * size : k + h * size;

                d->kernels->rms_norm(v + h * size, raw, NULL, size, d->params->rms_eps);
                store_head(p, l->values, h, p->first + item, v + h * size);
                d->kernels->rms_norm(k + h * size, k + h * size, w->k_norm, size,
                                     d->params->rms_eps);
                rope_turn(rope, p->turn + item, k + h * size);
                store_head(p, l->keys, h, p->first + item, k + h * size);
        }
}

static void add_row(const struct decoder *d, size_t row) {
        size_t width = d->params->width;
        float *h = d->h + row * width;
        const float *output = d->output + row * width;

        for (size_t i = 0; i < width; i++)
                h[i] += output[i];
}

static void item_after_attention(void *userdata, unsigned item, unsigned worker) {
        const struct pass *p = userdata;
        const struct layer_weights *w = pass_weights(p);
        unsigned row = p->from + item;

        (void) worker;
        norm_row(p->d, p->d->output, p->d->output, w->post_attn_norm, row);
        add_row(p->d, row);
        norm_row(p->d, p->d->normed, p->d->h, w->ffn_norm, row);
}

/* Ends the layer and, as the row is at hand, begins the next. */
static void item_after_ffn(void *userdata, unsigned item, unsigned worker) {
        const struct pass *p = userdata;
        const struct decoder *d = p->d;
        const struct layer_weights *w = pass_weights(p);
        unsigned row = p->from + item;
        float *h = d->h + (size_t) row * d->params->width;

        (void) worker;
        norm_row(d, d->output, d->output, w->post_ffn_norm, row);
        add_row(d, row);
        for (unsigned i = 0; i < d->params->width; i++)
                h[i] *= w->scale;
        if (p->layer + 1 < d->params->n_layers)
                norm_row(d, d->normed, d->h, d->weights->layers[p->layer + 1].attn_norm, row);
}

/* Queries of the rows whose output is wanted, keys and values of all. */
static void project(struct pass *p) {
        struct decoder *d = p->d;
        const struct layer_weights *w = pass_weights(p);
        const struct layer_params *lp = pass_params(p);
        unsigned q_width = d->params->n_heads * lp->head_size,
                 kv_width = lp->n_kv_heads * lp->head_size, width = d->params->width;
        const struct product projections[] = {
                { &w->q, d->q + (size_t) p->from * q_width, q_width },
                { &w->k, d->k, kv_width },
                { &w->v, d->v, kv_width },
        };
        unsigned n_projections = w->v.data ? 3 : 2;

        if (!p->has_keys) {
                matmul_set_inputs(&d->matmul, &d->inputs, d->normed, p->n, width);
                if (p->from == 0) {
                        matmul_run(&d->matmul, &d->inputs, projections, n_projections);
                        return;
                }
                matmul_run(&d->matmul, &d->inputs, projections + 1, n_projections - 1);
        }
        if (p->from == p->n)
                return;
        matmul_set_inputs(&d->matmul, &d->inputs, d->normed + (size_t) p->from * width,
                          p->n - p->from, width);
        matmul_run(&d->matmul, &d->inputs, projections, 1);
}

static void attention_sublayer(struct pass *p) {
        struct decoder *d = p->d;
        size_t q_width = (size_t) d->params->n_heads * pass_params(p)->head_size,
               width = d->params->width;
        unsigned n = p->n - p->from;
        const struct product to_output = { &pass_weights(p)->o, d->output + p->from * width,
                                           width };

        project(p);
        pool_run(d->pool, p->n, item_heads, p);
        attention_run(&d->attention, p->layer, d->q + p->from * q_width, p->first + p->from, n,
                      p->block_end, d->mixed + p->from * q_width);

        matmul_set_inputs(&d->matmul, &d->inputs, d->mixed + p->from * q_width, n,
                          (unsigned) q_width);
        matmul_run(&d->matmul, &d->inputs, &to_output, 1);
        pool_run(d->pool, n, item_after_attention, p);
}

static void ffn_sublayer(struct pass *p) {
        struct decoder *d = p->d;
        const struct layer_weights *w = pass_weights(p);
        size_t width = d->params->width, ffn_width = d->params->ffn_width;
        float *gate = d->gate + p->from * ffn_width, *up = d->up + p->from * ffn_width;
        const struct product to_output = { &w->down, d->output + p->from * width, width };
        unsigned n = p->n - p->from;

        matmul_set_inputs(&d->matmul, &d->inputs, d->normed + p->from * width, n, d->params->width);
        matmul_run_gated(&d->matmul, &d->inputs, &w->gate, &w->up, gate, up, ffn_width);

        matmul_set_inputs(&d->matmul, &d->inputs, gate, n, d->params->ffn_width);
        matmul_run(&d->matmul, &d->inputs, &to_output, 1);
        pool_run(d->pool, n, item_after_ffn, p);
}

void decoder_forward(struct decoder *d, unsigned n, unsigned n_wanted) {
        struct pass p = { .d = d, .first = d->cache->n, .n = n };

        rope_set_positions(&d->rope, p.first, n);
        rope_set_positions(&d->rope_sliding, p.first, n);
        pool_run(d->pool, n, item_first_norm, &p);
        for (p.layer = 0; p.layer < d->params->n_layers; p.layer++) {
                /* Nothing follows the last layer but the logits. */
                p.from = p.layer + 1 < d->params->n_layers || d->all_rows ? 0 : n - n_wanted;
                attention_sublayer(&p);
                ffn_sublayer(&p);
        }
        d->last_row = n - 1;
        kvcache_commit(d->cache, n);
}

/* The next part of a picture, whose stream is in the block; d->h is there for the time being. */
static void begin_part(struct pass *p, unsigned begin, unsigned n_all) {
        struct decoder *d = p->d;

        d->h = d->block + (size_t) begin * d->params->width;
        p->first = d->cache->n + begin;
        p->turn = begin;
        p->n = n_all - begin < DECODER_MAX_ROWS ? n_all - begin : DECODER_MAX_ROWS;
        pool_run(d->pool, p->n, item_first_norm, p);
}

static void block_layer(struct pass *p, unsigned n_all) {
        struct decoder *d = p->d;
        bool is_last = p->layer + 1 == d->params->n_layers && !d->all_rows;

        p->has_keys = false;
        for (unsigned i = 0; i < n_all; i += p->n) {
                begin_part(p, i, n_all);
                p->from = p->n;
                project(p);
                pool_run(d->pool, p->n, item_heads, p);
        }
        p->has_keys = true;
        for (unsigned i = is_last ? (n_all - 1) / DECODER_MAX_ROWS * DECODER_MAX_ROWS : 0;
             i < n_all; i += p->n) {
                begin_part(p, i, n_all);
                p->from = is_last ? p->n - 1 : 0;
                attention_sublayer(p);
                ffn_sublayer(p);
        }
}

/* What was written beyond the last position may have taken the place of the oldest ones of the rings. */
static int give_up_block(struct decoder *d, unsigned n) {
        unsigned before = d->cache->n;

        kvcache_commit(d->cache, n);
        (void) kvcache_rewind(d->cache, before);
        return -ECANCELED;
}

int decoder_forward_block(struct decoder *d,
                          unsigned n,
                          bool (*goes_on)(void *userdata),
                          void *userdata) {
        struct pass p = { .d = d, .block_end = d->cache->n + n };
        size_t width = d->params->width;
        float *h = d->h;

        rope_set_positions(&d->rope, d->cache->n, n);
        rope_set_positions(&d->rope_sliding, d->cache->n, n);
        for (; p.layer < d->params->n_layers && (!goes_on || goes_on(userdata)); p.layer++)
                block_layer(&p, n);

        d->h = h;
        if (p.layer < d->params->n_layers)
                return give_up_block(d, n);
        memcpy(d->h, d->block + (n - 1) * width, width * sizeof(float));
        d->last_row = 0;
        kvcache_commit(d->cache, n);
        return 0;
}

void decoder_logits(struct decoder *d, unsigned n, float *ret) {
        decoder_logits_of(d, d->h + (d->last_row + 1 - n) * (size_t) d->params->width, n, ret);
}

void decoder_logits_of(struct decoder *d, const float *rows, unsigned n, float *ret) {
        size_t width = d->params->width, n_vocab = d->params->n_vocab;
        const struct product head = { &d->weights->head, ret, n_vocab };

        for (size_t i = 0; i < n; i++)
                d->kernels->rms_norm(d->normed + i * width, rows + i * width,
                                     d->weights->output_norm, width, d->params->rms_eps);
        matmul_set_inputs(&d->matmul, &d->inputs, d->normed, n, d->params->width);
        matmul_run(&d->matmul, &d->inputs, &head, 1);
        for (size_t i = 0; i < n && d->params->logit_cap > 0; i++)
                d->kernels->soft_cap(ret + i * n_vocab, n_vocab, d->params->logit_cap);
}

const float *decoder_states(const struct decoder *d) {
        return d->normed;
}
