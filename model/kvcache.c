/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kvcache.h"

#include <errno.h>
#include <stdlib.h>

int kvcache_init(struct kvcache *c,
                 const struct params *p,
                 unsigned max_positions,
                 unsigned slack,
                 bool is_f32) {
        uint64_t ring = (uint64_t) p->window + slack;

        *c = (struct kvcache){
                .layers = calloc(p->n_layers, sizeof(*c->layers)),
                .n_layers = p->n_layers,
                .max_positions = max_positions,
                .ring = ring < max_positions ? (unsigned) ring : max_positions,
                .window = p->window,
                .is_f32 = is_f32,
        };
        if (!c->layers)
                return -ENOMEM;

        for (unsigned i = 0; i < p->n_layers; i++) {
                const struct layer_params *lp = &p->layers[i];
                struct layer_cache *l = &c->layers[i];
                size_t row = (size_t) lp->n_kv_heads * lp->head_size * kvcache_element(c);

                l->capacity = lp->is_sliding ? c->ring : max_positions;
                l->n_heads = lp->n_kv_heads;
                l->head_size = lp->head_size;
                /* calloc() of this size hands out untouched zero pages. */
                l->keys = calloc(l->capacity, row);
                l->values = calloc(l->capacity, row);
                if (!l->keys || !l->values) {
                        kvcache_done(c);
                        return -ENOMEM;
                }
        }
        return 0;
}

void kvcache_done(struct kvcache *c) {
        for (unsigned i = 0; c->layers && i < c->n_layers; i++) {
                free(c->layers[i].keys);
                free(c->layers[i].values);
        }
        free(c->layers);
        c->layers = NULL;
}

unsigned kvcache_oldest_rewind(const struct kvcache *c) {
        unsigned oldest_held, needed = c->window - 1;

        if (c->ring >= c->max_positions || c->highest <= c->ring)
                return 0;

        /* The rings hold highest - ring .. highest - 1.  The position after a rewind to n looks
         * back to n - window + 1. */
        oldest_held = c->highest - c->ring;
        return oldest_held + needed;
}

bool kvcache_can_rewind(const struct kvcache *c, unsigned n) {
        return n == 0 || n == c->n || (n < c->n && n >= kvcache_oldest_rewind(c));
}

int kvcache_rewind(struct kvcache *c, unsigned n) {
        if (!kvcache_can_rewind(c, n))
                return -ERANGE;

        c->n = n;
        if (n == 0)
                c->highest = 0;
        return 0;
}

void kvcache_commit(struct kvcache *c, unsigned n) {
        c->n += n;
        if (c->n > c->highest)
                c->highest = c->n;
}
