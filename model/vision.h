/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_VISION_H
#define MODEL_VISION_H

#include "base/why.h"
#include "model/gguf.h"
#include "model/image.h"
#include "model/kernels.h"
#include "model/matmul.h"
#include "model/matrix.h"
#include "model/pool.h"

/* The half of the projector that sees ("gemma4uv"): every patch of a picture becomes one row of the
 * residual stream by itself,
 *
 *     LN1 -> dense + bias -> LN2 -> + place in its row + place in its column -> LN3 -> RMS norm -> projection
 *
 * with ordinary layer norms (mean and variance, weight and bias). Products are summed in F32: the first has 6912 terms,
 * which overflow half precision in a picture of hard edges. */

/* Patches of one picture: what the published tables of places hold, and the largest of the budgets that
 * the model was made for. */
#define VISION_MAX_PATCHES 1120

enum {
        VISION_NORM_PIXELS,
        VISION_NORM_DENSE,
        VISION_NORM_PLACED,
        VISION_NORMS,
};

/* Points into the mapped file, which must outlive it. */
struct vision_weights {
        struct matrix dense; /* 3 * side * side -> inner; data is NULL when the model can not see */
        const float *dense_bias; /* [inner] */
        const float *norm_weight[VISION_NORMS], *norm_bias[VISION_NORMS];
        struct matrix places;     /* [2 * n_places][inner]: of columns, then of rows */
        struct matrix projection; /* inner -> width of the text model */
        unsigned side;            /* of a patch, in pixels */
        unsigned n_places;
};

/* 0 with or without such a half in the file; -errno names the key or the tensor at fault. */
int vision_read(struct vision_weights *ret, const struct gguf *g, unsigned width, struct why *why);

/* Scratch memory for so many patches at a time; owned by one session. */
struct vision {
        const struct vision_weights *weights; /* not owned */
        const struct kernels *kernels;
        struct pool *pool; /* not owned */
        struct matmul matmul;
        struct inputs inputs;
        float *pixels; /* owned, [VISION_ROWS][3 * side * side] */
        float *rows;   /* owned, [VISION_ROWS][inner] */
        float *place;  /* owned, [2][inner] of each thread */
};

#define VISION_ROWS 64

/* 0 or -ENOMEM. */
int vision_init(struct vision *v,
                const struct vision_weights *weights,
                const struct kernels *kernels,
                struct pool *pool);
void vision_done(struct vision *v);

/* The rows of all patches, patches_count() of them, each as wide as the text model's stream. The sides must be
 * vision_weights.side, and both counts at most n_places. */
void vision_embed(struct vision *v, const struct patches *p, float *ret);

#endif
