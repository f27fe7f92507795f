/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KVCACHE_H
#define MODEL_KVCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/params.h"

/* Keys and values of the positions so far, for every layer.  Global layers hold all positions up to
 * the configured maximum (memory is touched only as it fills).  Sliding layers need only the last
 * `window` positions and hold a ring of `window + slack`, so that up to `slack` positions can be
 * taken back.  Owned by one session. */
struct layer_cache {
        void *keys, *values; /* owned, [n_kv_heads][capacity][head_size] halves or floats */
        unsigned capacity;   /* positions; position p lies at p % capacity */
        unsigned n_heads;
        unsigned head_size;
};

struct kvcache {
        struct layer_cache *layers; /* owned */
        unsigned n_layers;
        unsigned max_positions;
        unsigned ring; /* capacity of sliding layers */
        unsigned window;
        bool is_f32;
        unsigned n;       /* positions held, all of them committed */
        unsigned highest; /* most that n was since it was 0: rings were written up to there */
};

/* max_positions >= 1.  slack must be at least the positions of one decoder pass.  0 or -ENOMEM. */
int kvcache_init(struct kvcache *c,
                 const struct params *p,
                 unsigned max_positions,
                 unsigned slack,
                 bool is_f32);
void kvcache_done(struct kvcache *c);

/* The earliest n that kvcache_rewind() accepts. */
unsigned kvcache_oldest_rewind(const struct kvcache *c);

/* Whether everything from position n on can be taken back. */
bool kvcache_can_rewind(const struct kvcache *c, unsigned n);

/* Takes back everything from position n on.  0 or -ERANGE. */
int kvcache_rewind(struct kvcache *c, unsigned n);

/* Makes n more positions visible, after the decoder has written them in all layers. */
void kvcache_commit(struct kvcache *c, unsigned n);

/* Writes what is held of the first n positions, n >= 1, to a file, of which nothing else is left; the cache stays
 * as it is.  0; -ERANGE where kvcache_rewind() says so; what the system says, and then the file is not whole. */
int kvcache_save(const struct kvcache *c, unsigned n, int fd);

/* Reads them into an empty cache of the same sizes, which can be rewound from there as far as the other.  0;
 * -EBADMSG: the file is not whole, or of another cache; -EINVAL: the cache is not empty; what the system says.  After
 * each of these it is as before. */
int kvcache_load(struct kvcache *c, int fd);

/* Bytes of one element. */
static inline size_t kvcache_element(const struct kvcache *c) {
        return c->is_f32 ? sizeof(float) : sizeof(uint16_t);
}

/* Offset, in elements, of a position of a head. */
static inline size_t layer_cache_at(const struct layer_cache *l, unsigned head, unsigned position) {
        return ((size_t) head * l->capacity + position % l->capacity) * l->head_size;
}

#endif
