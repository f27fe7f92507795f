/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/context.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "model/decoder.h"
#include "model/engine-internal.h"

struct context {
        struct kvcache cache;
        struct decoder decoder;
};

DEFINE_CLEANUP(struct context *, context_free)

/* Halves between 0.5 and 1 with a sign: the pages must be real, untouched ones are all one page. */
static void fill(uint16_t *at, size_t n, uint32_t *state) {
        for (size_t i = 0; i < n; i++) {
                *state = *state * 1664525u + 1013904223u;
                at[i] = (uint16_t) (0x3800u | (*state >> 22) | (*state & 0x80000000u) >> 16);
        }
}

int context_new(struct context **ret, struct engine *e, unsigned max_positions) {
        _cleanup_(context_freep) struct context *c = calloc(1, sizeof(*c));
        uint32_t state = 1;
        int r;

        if (!c)
                return -ENOMEM;
        r = kvcache_init(&c->cache, &e->params, max_positions, DECODER_MAX_ROWS, false);
        if (r < 0)
                return r;
        r = decoder_init(&c->decoder, e->kernels, e->pool, &e->params, &e->weights, &c->cache, 0);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < c->cache.n_layers; i++) {
                const struct layer_cache *l = &c->cache.layers[i];
                size_t n = (size_t) e->params.layers[i].n_kv_heads * l->capacity * l->head_size;

                fill(l->keys, n, &state);
                fill(l->values, n, &state);
        }
        *ret = TAKE_PTR(c);
        return 0;
}

struct context *context_free(struct context *c) {
        if (!c)
                return NULL;

        decoder_done(&c->decoder);
        kvcache_done(&c->cache);
        free(c);
        return NULL;
}

void context_pass(struct context *c, unsigned before, unsigned n, int32_t token) {
        int32_t ids[DECODER_MAX_ROWS];

        for (unsigned i = 0; i < n; i++)
                ids[i] = token;
        c->cache.n = c->cache.highest = before;
        decoder_embed_tokens(&c->decoder, ids, n);
        decoder_forward(&c->decoder, n, 1);
}
