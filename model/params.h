/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PARAMS_H
#define MODEL_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "model/gguf.h"

/* The hyper-parameters of a Gemma 4 text model, read from the keys of its file and checked against
 * each other before anything is computed from them.  Immutable. */

#define PARAMS_MAX_LAYERS 256

/* Samples of a frame of sound, the inner size of the audio projector: 40 ms at 16 kHz. */
#define PARAMS_FRAME_SAMPLES 640

struct layer_params {
        bool is_sliding; /* attends to the last `window` positions only */
        unsigned n_kv_heads;
        unsigned head_size; /* of queries, keys and values */
};

struct params {
        unsigned n_layers;
        unsigned width; /* of the residual stream */
        unsigned ffn_width;
        unsigned n_heads; /* of queries, the same in every layer */
        unsigned window;  /* of sliding layers, including the position itself */
        unsigned max_positions;
        unsigned n_vocab;
        float rms_eps;
        float rope_base, rope_base_sliding;
        float logit_cap;   /* 0: none */
        bool shares_cache; /* a drafter: all its keys and values are those of another model */
        struct layer_params layers[PARAMS_MAX_LAYERS];
};

/* 0, or -EBADMSG / -ENOENT / -ENOTSUP naming the key. */
int params_read(struct params *ret, const struct gguf *g, struct why *why);

/* The same of a drafter's file, architecture "gemma4-assistant"; *ret_width_out is the width of the
 * model that it drafts for. */
int params_read_drafter(struct params *ret,
                        unsigned *ret_width_out,
                        const struct gguf *g,
                        struct why *why);

/* The largest of any layer. */
unsigned params_max_head_size(const struct params *p);
unsigned params_max_q_width(const struct params *p);
unsigned params_max_kv_width(const struct params *p);

#endif
