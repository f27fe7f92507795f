/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weights.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PROJECTOR_TENSOR     "mm.a.input_projection.weight"
#define PARAMS_FRAME_SAMPLES 640

/* The names of a layer's tensors after "blk.N.". */
#define NAME_SIZE 64

static void tensor_name(char name[NAME_SIZE], unsigned layer, const char *part) {
        (void) snprintf(name, NAME_SIZE, "blk.%u.%s.weight", layer, part);
}

static int
find(const struct gguf *g, const char *name, const struct gguf_tensor **ret, struct why *why) {
        const struct gguf_tensor *t = gguf_find_tensor(g, name);

        if (!t)
                return because(why, -ENOENT, "no tensor '%s'", name);
        if (gguf_type_block(t->type) == 0)
                return because(why, -ENOTSUP,
                               "tensor '%s' has type %s (%d), which is not handled; files that are "
                               "published as Q4_0, Q4_K_M, IQ4_XS or Q8_0 do without it",
                               name, gguf_type_name(t->type), (int) t->type);

        *ret = t;
        return 0;
}

/* Norm weights and scalars: F32, aligned (GGUF aligns tensors to 8 bytes at least). */
int weights_read_vector(
        const struct gguf *g, const char *name, unsigned n, const float **ret, struct why *why) {
        const struct gguf_tensor *t;
        int r;

        r = find(g, name, &t, why);
        if (r < 0)
                return r;
        if (t->type != GGUF_F32)
                return because(why, -EBADMSG, "tensor '%s' is %s, not F32", name,
                               gguf_type_name(t->type));
        if (t->n_dims != 1 || t->dims[0] != n)
                return because(why, -EBADMSG, "tensor '%s' has %llu values, not %u", name,
                               (unsigned long long) t->dims[0], n);
        if ((uintptr_t) t->data % sizeof(float))
                return because(why, -EBADMSG, "tensor '%s' is not aligned", name);

        *ret = t->data;
        return 0;
}

int weights_read_matrix(const struct gguf *g,
                        const char *name,
                        unsigned n_cols,
                        unsigned n_rows,
                        struct matrix *ret,
                        struct why *why) {
        const struct gguf_tensor *t;
        int r;

        r = find(g, name, &t, why);
        if (r < 0)
                return r;
        if (t->type == GGUF_I32)
                return because(why, -EBADMSG, "tensor '%s' is I32, not a matrix of weights", name);
        if (t->n_dims != 2 || t->dims[0] != n_cols || t->dims[1] != n_rows)
                return because(why, -EBADMSG, "tensor '%s' is %llu x %llu, not %u x %u", name,
                               (unsigned long long) t->dims[0], (unsigned long long) t->dims[1],
                               n_cols, n_rows);
        if ((uintptr_t) t->data % sizeof(float))
                return because(why, -EBADMSG, "tensor '%s' is not aligned", name);

        *ret = (struct matrix){
                .data = t->data,
                .type = t->type,
                .n_rows = n_rows,
                .n_cols = n_cols,
                .row_size = t->size / n_rows,
        };
        return 0;
}

static int read_layer_vectors(struct layer_weights *l,
                              const struct params *p,
                              const struct gguf *g,
                              unsigned i,
                              struct why *why) {
        unsigned head_size = p->layers[i].head_size;
        const float *scale;
        const struct {
                const char *part;
                unsigned n;
                const float **ret;
        } vectors[] = {
                { "attn_norm", p->width, &l->attn_norm },
                { "post_attention_norm", p->width, &l->post_attn_norm },
                { "ffn_norm", p->width, &l->ffn_norm },
                { "post_ffw_norm", p->width, &l->post_ffn_norm },
                { "attn_q_norm", head_size, &l->q_norm },
                { "attn_k_norm", head_size, &l->k_norm },
                { "layer_output_scale", 1, &scale },
        };
        char name[NAME_SIZE];
        int r;

        for (unsigned j = 0; j < sizeof(vectors) / sizeof(vectors[0]); j++) {
                if (vectors[j].ret == &l->k_norm && p->shares_cache)
                        continue;
                tensor_name(name, i, vectors[j].part);
                r = weights_read_vector(g, name, vectors[j].n, vectors[j].ret, why);
                if (r < 0)
                        return r;
        }
        l->scale = *scale;
        return 0;
}

static int read_layer_matrices(struct layer_weights *l,
                               const struct params *p,
                               const struct gguf *g,
                               unsigned i,
                               struct why *why) {
        unsigned head_size = p->layers[i].head_size;
        unsigned q_width = p->n_heads * head_size, kv_width = p->layers[i].n_kv_heads * head_size;
        const struct {
                const char *part;
                unsigned n_cols, n_rows;
                struct matrix *ret;
        } matrices[] = {
                { "attn_q", p->width, q_width, &l->q },
                { "attn_k", p->width, kv_width, &l->k },
                { "attn_v", p->width, kv_width, &l->v },
                { "attn_output", q_width, p->width, &l->o },
                { "ffn_gate", p->width, p->ffn_width, &l->gate },
                { "ffn_up", p->width, p->ffn_width, &l->up },
                { "ffn_down", p->ffn_width, p->width, &l->down },
        };
        char name[NAME_SIZE];
        int r;

        for (unsigned j = 0; j < sizeof(matrices) / sizeof(matrices[0]); j++) {
                if (p->shares_cache && (matrices[j].ret == &l->k || matrices[j].ret == &l->v))
                        continue;
                tensor_name(name, i, matrices[j].part);
                /* On global layers the values are the keys before their norm; there is no key in
                 * the file that says so, only the absence of the tensor. */
                if (matrices[j].ret == &l->v && !p->layers[i].is_sliding &&
                    !gguf_find_tensor(g, name))
                        continue;
                r = weights_read_matrix(g, name, matrices[j].n_cols, matrices[j].n_rows,
                                        matrices[j].ret, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_rope_factors(struct weights *w,
                             const struct params *p,
                             const struct gguf *g,
                             struct why *why) {
        const char *name = "rope_freqs.weight";

        if (!gguf_find_tensor(g, name))
                return 0;
        for (unsigned i = 0; i < p->n_layers; i++)
                if (!p->layers[i].is_sliding)
                        return weights_read_vector(g, name, p->layers[i].head_size / 2,
                                                   &w->rope_factors, why);
        return 0;
}

/* The projector's own keys: only what the audio path depends on. */
static int
read_projector(struct weights *w, const struct params *p, const struct gguf *g, struct why *why) {
        struct gguf_string type;
        bool has_audio;
        int r;

        r = gguf_get_bool(g, "clip.has_audio_encoder", &has_audio, why);
        if (r == -ENOENT || (r == 0 && !has_audio))
                return 0;
        if (r < 0)
                return r;

        r = gguf_get_string(g, "clip.audio.projector_type", &type, why);
        if (r == -ENOENT)
                r = gguf_get_string(g, "clip.projector_type", &type, why);
        if (r < 0)
                return r;
        if (type.size != strlen("gemma4ua") || memcmp(type.text, "gemma4ua", type.size) != 0)
                return because(why, -ENOTSUP,
                               "key 'clip.audio.projector_type' is '%.*s', not 'gemma4ua'",
                               (int) (type.size < 64 ? type.size : 64), type.text);

        return weights_read_matrix(g, PROJECTOR_TENSOR, PARAMS_FRAME_SAMPLES, p->width,
                                   &w->projector, why);
}

static int
read_text_model(struct weights *w, const struct params *p, const struct gguf *g, struct why *why) {
        int r;

        w->layers = calloc(p->n_layers, sizeof(*w->layers));
        if (!w->layers)
                return -ENOMEM;

        r = weights_read_matrix(g, "token_embd.weight", p->width, p->n_vocab, &w->embedding, why);
        if (r < 0)
                return r;
        r = weights_read_vector(g, "output_norm.weight", p->width, &w->output_norm, why);
        if (r < 0)
                return r;
        r = read_rope_factors(w, p, g, why);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < p->n_layers; i++) {
                r = read_layer_vectors(&w->layers[i], p, g, i, why);
                if (r < 0)
                        return r;
                r = read_layer_matrices(&w->layers[i], p, g, i, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

int weights_read(struct weights *ret,
                 const struct params *p,
                 const struct gguf *g,
                 const struct gguf *projector_file,
                 struct why *why) {
        _cleanup_(weights_done) struct weights w = { 0 };
        int r;

        r = read_text_model(&w, p, g, why);
        if (r < 0)
                return gguf_because_in(g, r, why);
        if (projector_file) {
                r = read_projector(&w, p, projector_file, why);
                if (r >= 0)
                        r = vision_read(&w.vision, projector_file, p->width, why);
                if (r < 0)
                        return gguf_because_in(projector_file, r, why);
        }

        *ret = w;
        w.layers = NULL;
        return 0;
}

int weights_read_drafter(struct drafter_weights *ret,
                         const struct params *p,
                         unsigned width_out,
                         const struct gguf *g,
                         struct why *why) {
        _cleanup_(weights_done) struct weights w = { 0 };
        struct drafter_weights d;
        int r;

        r = read_text_model(&w, p, g, why);
        if (r == 0)
                r = weights_read_matrix(g, "nextn.pre_projection.weight", 2 * width_out, p->width,
                                        &d.pre_projection, why);
        if (r == 0)
                r = weights_read_matrix(g, "nextn.post_projection.weight", p->width, width_out,
                                        &d.post_projection, why);
        if (r < 0)
                return gguf_because_in(g, r, why);

        d.text = w;
        w.layers = NULL;
        *ret = d;
        return 0;
}

void weights_done(struct weights *w) {
        free(w->layers);
        w->layers = NULL;
}
