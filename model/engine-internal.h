/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_ENGINE_INTERNAL_H
#define MODEL_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "model/drafter.h"
#include "model/engine.h"
#include "model/grammar.h"
#include "model/kernels.h"
#include "model/params.h"
#include "model/pool.h"
#include "model/weights.h"

/* What engine.c and session.c share. */
struct engine {
        struct gguf *model;     /* owned */
        struct gguf *projector; /* owned, NULL when it is in the model file */
        struct params params;
        struct weights weights;
        struct tokenizer *tokenizer; /* owned */
        struct pool *pool;           /* owned */
        const struct kernels *kernels;
        struct drafter *drafter;     /* owned; NULL: there is none */
        struct grammar *grammar;     /* owned; NULL: any answer is possible */
        float least_log_probability; /* of a constrained answer */
        float least_short_log_probability; /* of one that is short */
        float least_log_share, least_short_log_share; /* of a spoken one; -infinity: the above count */
        char *name;                  /* owned */
        bool is_embedded; /* the pocket model inside of the program */
        bool answers_with_transcript;
        struct sampler_config recommended; /* of which the file has: */
        bool has_temperature, has_top_k, has_top_p;
        int32_t *suppressed; /* owned: ids that are never generated */
        size_t n_suppressed;
        int32_t stops[4]; /* ids that end a turn */
        unsigned n_stops;

        pthread_t fetcher; /* reads the weights ahead of who needs them */
        bool is_fetching;  /* there is that thread, at work or at its end */
        atomic_bool stops_fetching;
};

/* Whether the token ends a turn. */
static inline bool engine_is_stop(const struct engine *e, int32_t id) {
        for (unsigned i = 0; i < e->n_stops; i++)
                if (e->stops[i] == id)
                        return true;
        return false;
}

/* Ends the fetcher. */
void engine_stop_fetching(struct engine *e);

#endif
