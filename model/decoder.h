/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_DECODER_H
#define MODEL_DECODER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "model/attention.h"
#include "model/kernels.h"
#include "model/kvcache.h"
#include "model/matmul.h"
#include "model/params.h"
#include "model/pool.h"
#include "model/rope.h"
#include "model/weights.h"

/* The forward pass, one function for n >= 1 positions, over scratch memory that is allocated once.
 * Owned by one session.  The formulas are in MODEL.md. */

/* Positions in one pass, at most.  Longer input goes through in several. */
#define DECODER_MAX_ROWS 128

struct decoder {
        const struct kernels *kernels;
        struct pool *pool;
        const struct params *params;
        const struct weights *weights;
        struct kvcache *cache;

        struct matmul matmul;
        struct inputs inputs;
        struct attention attention;
        struct rope rope, rope_sliding;

        float *memory; /* owned, holds all rows below */
        float *h;      /* [rows][width], the residual stream */
        float *normed; /* [rows][width] */
        float *q;      /* [rows][n_heads][head_size] */
        float *k, *v;  /* [rows][n_kv_heads][head_size] */
        float *mixed;  /* [rows][n_heads][head_size], attention's output */
        float *output; /* [rows][width], of a sub-layer */
        float *gate;   /* [rows][ffn_width] */
        float *up;
        float *block;       /* owned, [max_block][width]: the stream of a whole picture */
        unsigned max_block; /* 0: no pictures */
        bool all_rows;      /* for tests: the last layer computes every row, too */
        unsigned last_row;  /* of the last pass */
};

/* max_block: positions of the largest picture; 0: there are none. */
int decoder_init(struct decoder *d,
                 const struct kernels *kernels,
                 struct pool *pool,
                 const struct params *params,
                 const struct weights *weights,
                 struct kvcache *cache,
                 unsigned max_block);
void decoder_done(struct decoder *d);

/* Put n <= DECODER_MAX_ROWS tokens (below n_vocab), or frames of 640 samples, into rows 0 .. n - 1
 * of the residual stream.  Tokens are multiplied by sqrt(width); frames are not. */
void decoder_embed_tokens(struct decoder *d, const int32_t *ids, unsigned n);
void decoder_embed_frames(struct decoder *d, const float *samples, unsigned n);

/* Sends rows 0 .. n - 1 through all layers as the next n positions of the cache, and commits them.
 * The cache must have room for them.  Of the last layer, only the last n_wanted >= 1 rows leave more
 * than their keys and values. */
void decoder_forward(struct decoder *d, unsigned n, unsigned n_wanted);

/* The same for one whole picture: n <= max_block rows of d->block, which on sliding layers see each other, also what
 * is ahead, and on global layers only what is behind them. The rings of the cache must hold n positions beyond
 * their window. goes_on, which may be NULL, is asked before every layer; 0, or -ECANCELED when it said no: then nothing
 * was appended. */
int decoder_forward_block(struct decoder *d,
                          unsigned n,
                          bool (*goes_on)(void *userdata),
                          void *userdata);

/* The logits after each of the last n rows of the last pass, soft-capped: [n][n_vocab]; no more
 * rows than were wanted, and none depends on how many.  Or after any n <= DECODER_MAX_ROWS rows of a stream,
 * [n][width]. */
void decoder_logits(struct decoder *d, unsigned n, float *ret);
void decoder_logits_of(struct decoder *d, const float *rows, unsigned n, float *ret);

/* The stream of these rows after the last norm, of which the logits were made: [n][width], until the next
 * pass. */
const float *decoder_states(const struct decoder *d);

#endif
