/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include <stdbool.h>

#include "base/why.h"
#include "model/matrix.h"
#include "model/params.h"
#include "model/vision.h"

/* The tensors of a model by name, each checked for presence, shape and type.  Everything points
 * into the mapped files, which must outlive it. */

struct layer_weights {
        const float *attn_norm;      /* [width] */
        const float *post_attn_norm; /* [width] */
        const float *ffn_norm;       /* [width] */
        const float *post_ffn_norm;  /* [width] */
        const float *q_norm;         /* [head_size] */
        const float *k_norm;         /* [head_size] */
        float scale;                 /* of the whole residual stream after the layer */
        struct matrix q, k, v;       /* v.data is NULL where values are the raw keys */
        struct matrix o;
        struct matrix gate, up, down;
};

struct weights {
        struct matrix embedding;      /* [n_vocab][width] */
        struct matrix head;           /* [n_vocab][width], of the logits: the embedding, as a rule */
        const float *output_norm;     /* [width] */
        const float *rope_factors;    /* [global head_size / 2] or NULL: divides the frequencies */
        struct matrix projector;      /* 640 -> width; data is NULL when the model can not hear */
        struct vision_weights vision; /* vision.dense.data is NULL when the model can not see */
        struct layer_weights *layers; /* owned, [n_layers] */
        float **widened;              /* owned, and each: vectors that the file has as F16 or BF16 */
        unsigned n_widened;
};

/* A tensor of the model's file that is none of the above is refused, since without it the answers would
 * be others.  projector_file may be NULL, or the file itself when it holds both.  0, or -errno with a reason
 * that begins with the name of the file at fault. */
int weights_read(struct weights *ret,
                 const struct params *p,
                 const struct gguf *g,
                 const struct gguf *projector_file,
                 struct why *why);
void weights_done(struct weights *w);

/* One tensor, checked: floats in F32, and a matrix of any handled type.  0, or -errno naming the tensor. */
int weights_read_vector(
        const struct gguf *g, const char *name, unsigned n, const float **ret, struct why *why);
int weights_read_matrix(const struct gguf *g,
                        const char *name,
                        unsigned n_cols,
                        unsigned n_rows,
                        struct matrix *ret,
                        struct why *why);

/* What a drafter has more: the way into its stream from an embedding and a state of the model that
 * it drafts for, both of width_out, and the way back to such a state.  Its layers have no k_norm, k
 * and v. */
struct drafter_weights {
        struct weights text;
        struct matrix pre_projection;  /* 2 width_out -> width */
        struct matrix post_projection; /* width -> width_out */
};

int weights_read_drafter(struct drafter_weights *ret,
                         const struct params *p,
                         unsigned width_out,
                         const struct gguf *g,
                         struct why *why);

#endif
