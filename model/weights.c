/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weights.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/quant.h"

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

/* The same for a tensor that may have halves, which become floats of our own. */
static int read_vector(struct weights *w,
                       const struct gguf *g,
                       const char *name,
                       unsigned n,
                       const float **ret,
                       struct why *why) {
        const struct gguf_tensor *t = gguf_find_tensor(g, name);
        float **list, *x;

        if (!t || (t->type != GGUF_F16 && t->type != GGUF_BF16))
                return weights_read_vector(g, name, n, ret, why);
        if (t->n_dims != 1 || t->dims[0] != n)
                return because(why, -EBADMSG, "tensor '%s' has %llu values, not %u", name,
                               (unsigned long long) t->dims[0], n);
        list = realloc(w->widened, (w->n_widened + 1) * sizeof(*list));
        if (!list)
                return -ENOMEM;
        w->widened = list;
        x = malloc(n * sizeof(*x));
        if (!x)
                return -ENOMEM;
        w->widened[w->n_widened++] = x;
        quant_dequantize_row(x, t->type, t->data, n);
        *ret = x;
        return 0;
}

/* Layer tensors have other names in files of other writers: the one that is there, else the usual. */
static void find_name(const struct gguf *g,
                      char name[NAME_SIZE],
                      unsigned layer,
                      const char *const parts[static 2]) {
        for (unsigned i = 2; i-- > 0;) {
                if (!parts[i])
                        continue;
                tensor_name(name, layer, parts[i]);
                if (gguf_find_tensor(g, name))
                        return;
        }
}

static int read_layer_vectors(struct weights *w,
                              const struct params *p,
                              const struct gguf *g,
                              unsigned i,
                              struct why *why) {
        unsigned head_size = p->layers[i].head_size;
        struct layer_weights *l = &w->layers[i];
        const float *scale;
        const struct {
                const char *parts[2];
                unsigned n;
                const float **ret;
        } vectors[] = {
                { { "attn_norm" }, p->width, &l->attn_norm },
                { { "post_attention_norm", "attn_post_norm" }, p->width, &l->post_attn_norm },
                { { "ffn_norm", "ffn_pre_norm" }, p->width, &l->ffn_norm },
                { { "post_ffw_norm", "ffn_post_norm" }, p->width, &l->post_ffn_norm },
                { { "attn_q_norm" }, head_size, &l->q_norm },
                { { "attn_k_norm" }, head_size, &l->k_norm },
                { { "layer_output_scale", "layer_scalar" }, 1, &scale },
        };
        char name[NAME_SIZE];
        int r;

        for (unsigned j = 0; j < sizeof(vectors) / sizeof(vectors[0]); j++) {
                if (vectors[j].ret == &l->k_norm && p->shares_cache)
                        continue;
                find_name(g, name, i, vectors[j].parts);
                r = read_vector(w, g, name, vectors[j].n, vectors[j].ret, why);
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

        /* Without it the answers would be others; what a drafter guesses is checked. */
        if (p->shares_cache && !gguf_find_tensor(g, name))
                return 0;
        for (unsigned i = 0; i < p->n_layers; i++)
                if (!p->layers[i].is_sliding)
                        return read_vector(w, g, name, p->layers[i].head_size / 2, &w->rope_factors,
                                           why);
        return 0;
}

/* The projector's own keys: only what the audio path depends on. */
static int
read_projector(struct weights *w, const struct params *p, const struct gguf *g, struct why *why) {
        struct gguf_string type;
        bool has_audio;
        int r;

        /* Files that hold both may have the tensor and no key. */
        r = gguf_get_bool(g, "clip.has_audio_encoder", &has_audio, why);
        if (r == -ENOENT && gguf_find_tensor(g, PROJECTOR_TENSOR) &&
            gguf_find_tensor(g, "token_embd.weight"))
                return weights_read_matrix(g, PROJECTOR_TENSOR, PARAMS_FRAME_SAMPLES, p->width,
                                           &w->projector, why);
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
        w->head = w->embedding;
        if (gguf_find_tensor(g, "output.weight"))
                r = weights_read_matrix(g, "output.weight", p->width, p->n_vocab, &w->head, why);
        if (r < 0)
                return r;
        r = read_vector(w, g, "output_norm.weight", p->width, &w->output_norm, why);
        if (r < 0)
                return r;
        r = read_rope_factors(w, p, g, why);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < p->n_layers; i++) {
                r = read_layer_vectors(w, p, g, i, why);
                if (r < 0)
                        return r;
                r = read_layer_matrices(&w->layers[i], p, g, i, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool is_one_of(const char *name, const char *const *names) {
        for (; *names; names++)
                if (strcmp(name, *names) == 0)
                        return true;
        return false;
}

/* Those of a layer after "blk.N.", of a model with no more than n_layers. */
static bool is_layer_tensor(const char *name, unsigned n_layers) {
        static const char *const parts[] = {
                "attn_norm.weight",
                "post_attention_norm.weight",
                "ffn_norm.weight",
                "post_ffw_norm.weight",
                "attn_q_norm.weight",
                "attn_k_norm.weight",
                "attn_q.weight",
                "attn_k.weight",
                "attn_v.weight",
                "attn_output.weight",
                "ffn_gate.weight",
                "ffn_up.weight",
                "ffn_down.weight",
                "layer_output_scale.weight",
                "attn_post_norm.weight",
                "ffn_pre_norm.weight",
                "ffn_post_norm.weight",
                "layer_scalar.weight",
                NULL,
        };
        unsigned layer;
        int end = 0;

        return sscanf(name, "blk.%u.%n", &layer, &end) == 1 && end > 0 && layer < n_layers &&
               is_one_of(name + end, parts);
}

/* What the file has and nobody computes with would be missing in the answers.  The projectors of sound
 * and pictures are looked at by those who read them. */
static int refuse_unknown_tensors(const struct params *p, const struct gguf *g, struct why *why) {
        static const char *const names[] = { "token_embd.weight", "output.weight",
                                             "output_norm.weight", "rope_freqs.weight", NULL };
        const struct gguf_tensor *t;
        char name[512];

        for (size_t i = 0; (t = gguf_tensor_at(g, i)); i++) {
                (void) snprintf(name, sizeof(name), "%.*s", (int) t->name.size, t->name.text);
                if (is_one_of(name, names) || is_layer_tensor(name, p->n_layers) ||
                    strncmp(name, "mm.", 3) == 0 || strncmp(name, "v.", 2) == 0)
                        continue;
                return because(why, -ENOTSUP,
                               "tensor '%s' is not of the 12B's architecture, and is not handled",
                               name);
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
        if (r >= 0)
                r = refuse_unknown_tensors(p, g, why);
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
        w = (struct weights){ 0 };
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
        w = (struct weights){ 0 };
        *ret = d;
        return 0;
}

void weights_done(struct weights *w) {
        for (unsigned i = 0; i < w->n_widened; i++)
                free(w->widened[i]);
        free(w->widened);
        free(w->layers);
        *w = (struct weights){ 0 };
}
