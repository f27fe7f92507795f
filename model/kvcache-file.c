/* SPDX-License-Identifier: Apache-2.0 */
/* The first positions of a cache in a file: a header, and for each layer its keys and then its values, head by
 * head, in the order of their positions. */
#include "model/kvcache.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
        uint32_t n, highest; /* as in struct kvcache */
        uint32_t n_layers, ring, window, element;
};

/* One way through a file, from its beginning. */
struct transfer {
        int fd;
        bool writes;
        off_t at;
};

static int move(struct transfer *t, void *data, size_t size) {
        for (char *p = data; size > 0;) {
                ssize_t n =
                        t->writes ? pwrite(t->fd, p, size, t->at) : pread(t->fd, p, size, t->at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return t->writes ? -ENOSPC : -EBADMSG;
                p += n;
                size -= (size_t) n;
                t->at += n;
        }
        return 0;
}

/* The first position that a layer still holds. */
static unsigned oldest_of(const struct layer_cache *l, const struct header *h) {
        return h->highest > l->capacity ? h->highest - l->capacity : 0;
}

static size_t row_size(const struct layer_cache *l, const struct header *h) {
        return (size_t) l->head_size * h->element;
}

/* The keys or the values of a layer. */
static int
move_half(struct transfer *t, const struct layer_cache *l, const struct header *h, char *half) {
        for (unsigned head = 0; head < l->n_heads; head++) {
                for (unsigned p = oldest_of(l, h), n; p < h->n; p += n) {
                        unsigned to_end = l->capacity - p % l->capacity;
                        int r;

                        n = h->n - p < to_end ? h->n - p : to_end;
                        r = move(t, half + layer_cache_at(l, head, p) * h->element,
                                 n * row_size(l, h));
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int move_layers(struct transfer *t, const struct kvcache *c, const struct header *h) {
        for (unsigned i = 0; i < c->n_layers; i++) {
                const struct layer_cache *l = &c->layers[i];
                int r;

                r = move_half(t, l, h, l->keys);
                if (r >= 0)
                        r = move_half(t, l, h, l->values);
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct header header_of(const struct kvcache *c, unsigned n, unsigned highest) {
        return (struct header){
                .n = n,
                .highest = highest,
                .n_layers = c->n_layers,
                .ring = c->ring,
                .window = c->window,
                .element = (uint32_t) kvcache_element(c),
        };
}

int kvcache_save(const struct kvcache *c, unsigned n, int fd) {
        struct header h = header_of(c, n, c->highest);
        struct transfer t = { .fd = fd, .writes = true };
        int r;

        if (n == 0 || !kvcache_can_rewind(c, n))
                return -ERANGE;
        if (ftruncate(fd, 0) < 0)
                return -errno;
        r = move(&t, &h, sizeof(h));
        return r < 0 ? r : move_layers(&t, c, &h);
}

/* What move_layers() goes through. */
static uint64_t size_of_layers(const struct kvcache *c, const struct header *h) {
        uint64_t size = 0;

        for (unsigned i = 0; i < c->n_layers; i++) {
                const struct layer_cache *l = &c->layers[i];

                size += (uint64_t) 2 * l->n_heads * (h->n - oldest_of(l, h)) * row_size(l, h);
        }
        return size;
}

/* Whether the file is whole, and of such a cache. */
static bool is_ours(const struct kvcache *c, const struct header *h, int fd) {
        struct header own = header_of(c, h->n, h->highest);
        struct kvcache held = { .ring = c->ring,
                                .window = c->window,
                                .max_positions = c->max_positions,
                                .n = h->n,
                                .highest = h->highest };
        struct stat st;

        if (own.n_layers != h->n_layers || own.ring != h->ring || own.window != h->window ||
            own.element != h->element)
                return false;
        if (h->n == 0 || h->n > h->highest || h->highest > c->max_positions ||
            h->n < kvcache_oldest_rewind(&held))
                return false;
        return fstat(fd, &st) == 0 && (uint64_t) st.st_size == sizeof(*h) + size_of_layers(c, h);
}

int kvcache_load(struct kvcache *c, int fd) {
        struct transfer t = { .fd = fd };
        struct header h;
        int r;

        if (c->n > 0)
                return -EINVAL;
        r = move(&t, &h, sizeof(h));
        if (r < 0)
                return r;
        if (!is_ours(c, &h, fd))
                return -EBADMSG;
        r = move_layers(&t, c, &h);
        if (r < 0)
                return r;
        c->n = h.n;
        c->highest = h.highest;
        return 0;
}
