/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_DRAFTER_H
#define MODEL_DRAFTER_H

#include <stdint.h>

#include "base/why.h"
#include "model/attention.h"
#include "model/gguf.h"
#include "model/kernels.h"
#include "model/kvcache.h"
#include "model/matmul.h"
#include "model/params.h"
#include "model/pool.h"
#include "model/rope.h"
#include "model/weights.h"

/* A small model that guesses how a large one, its target, goes on: architecture "gemma4-assistant",
 * published next to Gemma 4.  It keeps no keys and values but looks at those of the target, and
 * lives on the state that the target left at its last position.  What it computes is in MODEL.md. */

/* The file, immutable once it is open: any thread. */
struct drafter {
        struct gguf *file; /* owned */
        struct params params;
        struct drafter_weights weights;
        unsigned source[PARAMS_MAX_LAYERS]; /* whose keys and values a layer reads, in the target */
};

/* Opens a drafter for the model of these parameters, from this file.  0, or -errno with a reason that begins
 * with the name of the drafter's file and says what in it is at fault or does not fit. */
int drafter_open(struct drafter **ret,
                 const char *path,
                 const struct params *target,
                 const struct gguf *target_file,
                 struct why *why);
struct drafter *drafter_close(struct drafter *d);

/* Drafting for one session, over scratch memory that is allocated once.  Owned by the session. */
struct draft {
        const struct drafter *drafter;
        const struct kernels *kernels;
        const struct matrix *embedding; /* of the target */
        const struct kvcache *cache;    /* of the target */

        struct kvcache view;  /* the layers of the cache that are read, by layer of the drafter */
        struct params params; /* of the drafter, with the heads of those layers */
        struct matmul matmul;
        struct inputs inputs;
        struct attention attention;
        struct rope rope, rope_sliding;

        float *memory; /* owned, holds all below */
        float *input;  /* [2 width_out]: an embedding, then a state */
        float *h;      /* [width], the residual stream */
        float *normed; /* [width] */
        float *q;      /* [n_heads][head_size] */
        float *mixed;  /* the same, attention's output */
        float *output; /* [width], of a sub-layer */
        float *gate;   /* [ffn_width] */
        float *up;
};

/* All that is given must outlive it.  0 or -ENOMEM. */
int draft_init(struct draft *d,
               const struct drafter *drafter,
               const struct kernels *kernels,
               struct pool *pool,
               const struct weights *target,
               const struct kvcache *cache);
void draft_done(struct draft *d);

/* Begins behind the last position of the cache, which must hold one at least, from the state there:
 * [width_out] floats, the target's stream after its last norm. */
void draft_begin(struct draft *d, const float *state);

/* token is what follows the last position, and then what follows that; the logits of what comes
 * next: [n_vocab], not capped. */
void draft_step(struct draft *d, int32_t token, float *logits);

#endif
