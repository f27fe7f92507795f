/* SPDX-License-Identifier: Apache-2.0 */
#include "model/drafter.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(struct drafter *, drafter_close)

/* The last layer of that kind; n_layers: there is none. */
static unsigned last_layer(const struct params *p, bool is_sliding) {
        for (unsigned i = p->n_layers; i-- > 0;)
                if (p->layers[i].is_sliding == is_sliding)
                        return i;
        return p->n_layers;
}

static int
check_layer(struct drafter *d, unsigned i, const struct params *target, struct why *why) {
        struct layer_params *l = &d->params.layers[i];
        const char *kind = l->is_sliding ? "sliding" : "global";
        unsigned source = last_layer(target, l->is_sliding);

        if (source == target->n_layers)
                return because(
                        why, -EBADMSG,
                        "key 'gemma4-assistant.attention.sliding_window_pattern': layer %u is "
                        "%s, and the model has no such layer",
                        i, kind);
        if (l->head_size != target->layers[source].head_size)
                return because(why, -EBADMSG,
                               "key 'gemma4-assistant.attention.key_length%s' is %u, and %u in the "
                               "%s layers of the model",
                               l->is_sliding ? "_swa" : "", l->head_size,
                               target->layers[source].head_size, kind);
        if (d->params.n_heads % target->layers[source].n_kv_heads)
                return because(why, -EBADMSG,
                               "key 'gemma4-assistant.attention.head_count' is %u, which does not "
                               "divide among the %u key-value heads of the model",
                               d->params.n_heads, target->layers[source].n_kv_heads);
        d->source[i] = source;
        /* The file has a number of its own, which nothing is made of. */
        l->n_kv_heads = target->layers[source].n_kv_heads;
        return 0;
}

/* The same tokens, in the same order, or a guess would mean something else. */
static int check_tokens(const struct gguf *file, const struct gguf *target_file, struct why *why) {
        const char *key = "tokenizer.ggml.tokens";
        struct gguf_array ours, theirs;
        size_t at = 0, target_at = 0;
        struct gguf_string a, b;
        int r;

        r = gguf_get_array(file, key, &ours, why);
        if (r == 0)
                r = gguf_get_array(target_file, key, &theirs, why);
        if (r < 0)
                return r;
        if (ours.n != theirs.n)
                return because(why, -EBADMSG, "key '%s' has %zu entries, and %zu in the model", key,
                               ours.n, theirs.n);
        for (size_t i = 0; gguf_array_string(&ours, &at, &a) == 1 &&
                           gguf_array_string(&theirs, &target_at, &b) == 1;
             i++)
                if (a.size != b.size || memcmp(a.text, b.text, a.size) != 0)
                        return because(why, -EBADMSG,
                                       "key '%s': token %zu is another than in the model", key, i);
        return 0;
}

static int check_fit(struct drafter *d,
                     unsigned width_out,
                     const struct params *target,
                     const struct gguf *target_file,
                     struct why *why) {
        int r;

        if (width_out != target->width)
                return because(
                        why, -EBADMSG,
                        "key 'gemma4-assistant.embedding_length_out' is %u, and the model is "
                        "%u wide",
                        width_out, target->width);
        if (d->params.window > target->window)
                return because(
                        why, -EBADMSG,
                        "key 'gemma4-assistant.attention.sliding_window' is %u, and %u in the "
                        "model",
                        d->params.window, target->window);
        for (unsigned i = 0; i < d->params.n_layers; i++) {
                r = check_layer(d, i, target, why);
                if (r < 0)
                        return r;
        }
        return check_tokens(d->file, target_file, why);
}

int drafter_open(struct drafter **ret,
                 const char *path,
                 const struct params *target,
                 const struct gguf *target_file,
                 struct why *why) {
        _cleanup_(drafter_closep) struct drafter *d = NULL;
        unsigned width_out;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return because(why, -ENOMEM, "%s: out of memory", path);

        r = gguf_open(&d->file, path, why);
        if (r < 0)
                return r;
        r = params_read_drafter(&d->params, &width_out, d->file, why);
        if (r == 0)
                r = check_fit(d, width_out, target, target_file, why);
        if (r == 0)
                r = weights_read_drafter(&d->weights, &d->params, width_out, d->file, why);
        if (r < 0)
                return gguf_because_in(d->file, r, why);

        *ret = TAKE_PTR(d);
        return 0;
}

struct drafter *drafter_close(struct drafter *d) {
        if (!d)
                return NULL;

        weights_done(&d->weights.text);
        gguf_close(d->file);
        free(d);
        return NULL;
}

static unsigned width_out(const struct draft *d) {
        return d->drafter->weights.post_projection.n_rows;
}

static int init_rows(struct draft *d) {
        const struct params *p = &d->params;
        const struct {
                float **row;
                size_t width;
        } parts[] = {
                { &d->input, 2 * (size_t) width_out(d) },
                { &d->h, p->width },
                { &d->normed, p->width },
                { &d->q, params_max_q_width(p) },
                { &d->mixed, params_max_q_width(p) },
                { &d->output, p->width },
                { &d->gate, p->ffn_width },
                { &d->up, p->ffn_width },
        };
        size_t total = 0;
        float *at;

        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                total += parts[i].width;
        d->memory = at = calloc(total, sizeof(float));
        if (!at)
                return -ENOMEM;
        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                *parts[i].row = at;
                at += parts[i].width;
        }
        return 0;
}

/* The layers of the cache in the order of the drafter's own, so that attention finds them. */
static int init_view(struct draft *d) {
        unsigned n_layers = d->params.n_layers;

        d->view = *d->cache;
        d->view.n_layers = n_layers;
        d->view.layers = calloc(n_layers, sizeof(*d->view.layers));
        if (!d->view.layers)
                return -ENOMEM;
        for (unsigned i = 0; i < n_layers; i++)
                d->view.layers[i] = d->cache->layers[d->drafter->source[i]];
        return 0;
}

static int init_ropes(struct draft *d) {
        const struct params *p = &d->params;
        unsigned global = last_layer(p, false), sliding = last_layer(p, true);
        int r;

        r = rope_init(&d->rope, global < p->n_layers ? p->layers[global].head_size : 2,
                      p->rope_base, d->drafter->weights.text.rope_factors, 1);
        if (r < 0)
                return r;
        return rope_init(&d->rope_sliding, sliding < p->n_layers ? p->layers[sliding].head_size : 2,
                         p->rope_base_sliding, NULL, 1);
}

static unsigned largest_inner_size(const struct draft *d) {
        unsigned max = 2 * width_out(d);

        if (d->params.ffn_width > max)
                max = d->params.ffn_width;
        if (d->params.width > max)
                max = d->params.width;
        return params_max_q_width(&d->params) > max ? params_max_q_width(&d->params) : max;
}

int draft_init(struct draft *d,
               const struct drafter *drafter,
               const struct kernels *kernels,
               struct pool *pool,
               const struct weights *target,
               const struct kvcache *cache) {
        int r;

        *d = (struct draft){
                .drafter = drafter,
                .kernels = kernels,
                .embedding = &target->embedding,
                .cache = cache,
                .params = drafter->params,
        };
        /* The reference lets a drafter look one position further back than its target: its mask
         * counts from the last key and includes the window itself. */
        d->params.window++;

        r = init_view(d);
        if (r == 0)
                r = init_rows(d);
        if (r == 0)
                r = init_ropes(d);
        if (r == 0)
                r = matmul_init(&d->matmul, kernels, pool, largest_inner_size(d));
        if (r == 0)
                r = inputs_init(&d->inputs, 1, largest_inner_size(d));
        if (r == 0)
                r = attention_init(&d->attention, kernels, pool, &d->params, &d->view);
        if (r < 0)
                draft_done(d);
        return r;
}

void draft_done(struct draft *d) {
        attention_done(&d->attention);
        inputs_done(&d->inputs);
        matmul_done(&d->matmul);
        rope_done(&d->rope);
        rope_done(&d->rope_sliding);
        free(d->view.layers);
        free(d->memory);
        *d = (struct draft){ 0 };
}

void draft_begin(struct draft *d, const float *state) {
        memcpy(d->input + width_out(d), state, width_out(d) * sizeof(float));
        /* One position for all tokens of a draft: that of the token which is known. */
        rope_set_positions(&d->rope, d->cache->n, 1);
        rope_set_positions(&d->rope_sliding, d->cache->n, 1);
}

/* y = W x for one row of inputs that belong to one matrix. */
static void multiply(struct draft *d, const struct matrix *w, const float *x, float *y) {
        const struct product product = { w, y, w->n_rows };

        matmul_set_inputs(&d->matmul, &d->inputs, x, 1, w->n_cols);
        matmul_run(&d->matmul, &d->inputs, &product, 1);
}

static void norm(const struct draft *d, float *y, const float *x, const float *weight) {
        d->kernels->rms_norm(y, x, weight, d->params.width, d->params.rms_eps);
}

/* h += N(output) */
static void add_output(struct draft *d, const float *weight) {
        norm(d, d->output, d->output, weight);
        for (unsigned i = 0; i < d->params.width; i++)
                d->h[i] += d->output[i];
}

static void attention_sublayer(struct draft *d, unsigned layer) {
        const struct layer_weights *w = &d->drafter->weights.text.layers[layer];
        const struct layer_params *lp = &d->params.layers[layer];
        const struct rope *rope = lp->is_sliding ? &d->rope_sliding : &d->rope;
        unsigned size = lp->head_size;

        norm(d, d->normed, d->h, w->attn_norm);
        multiply(d, &w->q, d->normed, d->q);
        for (unsigned h = 0; h < d->params.n_heads; h++) {
                d->kernels->rms_norm(d->q + h * size, d->q + h * size, w->q_norm, size,
                                     d->params.rms_eps);
                rope_turn(rope, 0, d->q + h * size);
        }
        /* The query stands behind the last key, and sees what that sees. */
        attention_run(&d->attention, layer, d->q, d->cache->n - 1, 1, 0, d->mixed);
        multiply(d, &w->o, d->mixed, d->output);
        add_output(d, w->post_attn_norm);
}

static void ffn_sublayer(struct draft *d, unsigned layer) {
        const struct layer_weights *w = &d->drafter->weights.text.layers[layer];

        norm(d, d->normed, d->h, w->ffn_norm);
        matmul_set_inputs(&d->matmul, &d->inputs, d->normed, 1, d->params.width);
        matmul_run_gated(&d->matmul, &d->inputs, &w->gate, &w->up, d->gate, d->up,
                         d->params.ffn_width);
        multiply(d, &w->down, d->gate, d->output);
        add_output(d, w->post_ffn_norm);
        for (unsigned i = 0; i < d->params.width; i++)
                d->h[i] *= w->scale;
}

void draft_step(struct draft *d, int32_t token, float *logits) {
        const struct drafter_weights *w = &d->drafter->weights;
        const struct product ends[] = {
                { &w->text.embedding, logits, d->params.n_vocab },
                { &w->post_projection, d->input + width_out(d), width_out(d) },
        };
        float scale = sqrtf((float) width_out(d));

        quant_dequantize_row(d->input, d->embedding->type, matrix_row(d->embedding, (size_t) token),
                             d->embedding->n_cols);
        for (unsigned i = 0; i < width_out(d); i++)
                d->input[i] *= scale;
        multiply(d, &w->pre_projection, d->input, d->h);

        for (unsigned i = 0; i < d->params.n_layers; i++) {
                attention_sublayer(d, i);
                ffn_sublayer(d, i);
        }
        norm(d, d->normed, d->h, w->text.output_norm);
        matmul_set_inputs(&d->matmul, &d->inputs, d->normed, 1, d->params.width);
        matmul_run(&d->matmul, &d->inputs, ends, 2);
}
