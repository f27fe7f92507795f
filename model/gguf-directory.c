/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf-directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Far above any real file; they bound what a hostile directory can make us allocate and sort. */
#define MAX_KEYS    65536
#define MAX_TENSORS 65536
#define MAX_NAME    256

#define MIN_ALIGNMENT 8 /* no element type needs more */
#define MAX_ALIGNMENT 65536

/* The fewest bytes that a key (length, one letter, kind, one byte) and a tensor (length, one
 * letter, number of dimensions, one dimension, type, offset) take in the file. */
#define MIN_KEY_SIZE    (8 + 1 + 4 + 1)
#define MIN_TENSOR_SIZE (8 + 1 + 4 + 8 + 4 + 8)

/* What is left to read.  at <= end always; nothing is read without asking take(). */
struct reader {
        const unsigned char *at;
        const unsigned char *end;
};

static size_t left(const struct reader *r) {
        return (size_t) (r->end - r->at);
}

static const unsigned char *take(struct reader *r, uint64_t size) {
        const unsigned char *taken = r->at;

        if (size > left(r))
                return NULL;

        r->at += size;
        return taken;
}

static bool read_u32(struct reader *r, uint32_t *ret) {
        const unsigned char *p = take(r, 4);

        if (!p)
                return false;

        *ret = gguf_load_u32(p);
        return true;
}

static bool read_u64(struct reader *r, uint64_t *ret) {
        const unsigned char *p = take(r, 8);

        if (!p)
                return false;

        *ret = gguf_load_u64(p);
        return true;
}

static bool read_string(struct reader *r, struct gguf_string *ret) {
        const unsigned char *p;
        uint64_t size;

        if (!read_u64(r, &size))
                return false;
        p = take(r, size);
        if (!p)
                return false;

        ret->text = (const char *) p;
        ret->size = (size_t) size;
        return true;
}

/* Names go into messages on somebody's terminal, so only printable ASCII is a name. */
static bool is_name(struct gguf_string s) {
        if (s.size == 0 || s.size > MAX_NAME)
                return false;
        for (size_t i = 0; i < s.size; i++)
                if (s.text[i] <= ' ' || s.text[i] > '~')
                        return false;
        return true;
}

static int compare_strings(struct gguf_string a, struct gguf_string b) {
        int r = memcmp(a.text, b.text, a.size < b.size ? a.size : b.size);

        return r != 0 ? r : (a.size > b.size) - (a.size < b.size);
}

int gguf_compare_keys(const void *a, const void *b) {
        return compare_strings(((const struct gguf_key *) a)->name,
                               ((const struct gguf_key *) b)->name);
}

int gguf_compare_tensors(const void *a, const void *b) {
        return compare_strings(((const struct gguf_tensor *) a)->name,
                               ((const struct gguf_tensor *) b)->name);
}

size_t gguf_kind_size(enum gguf_kind kind) {
        switch (kind) {
        case GGUF_KIND_U8:
        case GGUF_KIND_I8:
        case GGUF_KIND_BOOL:
                return 1;
        case GGUF_KIND_U16:
        case GGUF_KIND_I16:
                return 2;
        case GGUF_KIND_U32:
        case GGUF_KIND_I32:
        case GGUF_KIND_F32:
                return 4;
        case GGUF_KIND_U64:
        case GGUF_KIND_I64:
        case GGUF_KIND_F64:
                return 8;
        case GGUF_KIND_STRING:
        case GGUF_KIND_ARRAY:
                return 0;
        }
        return 0;
}

static int truncated(const char *what, struct gguf_string s, struct why *why) {
        return because(why, -EBADMSG, "the file ends inside of %s '%.*s'", what, (int) s.size,
                       s.text);
}

/* Strings have to be walked to find the end of the array; this is the only time. */
static int read_array(struct reader *r, struct gguf_key *k, struct why *why) {
        uint32_t kind;
        uint64_t n;

        if (!read_u32(r, &kind) || !read_u64(r, &n))
                return truncated("key", k->name, why);
        if (kind != GGUF_KIND_STRING && gguf_kind_size(kind) == 0)
                return because(why, -ENOTSUP,
                               "key '%.*s' is an array of kind %u, which is not handled",
                               (int) k->name.size, k->name.text, kind);

        k->array = (struct gguf_array){ .kind = kind, .n = (size_t) n, .data = r->at };
        if (kind == GGUF_KIND_STRING) {
                struct gguf_string s;

                for (uint64_t i = 0; i < n; i++)
                        if (!read_string(r, &s))
                                return truncated("key", k->name, why);
        } else if (n > left(r) / gguf_kind_size(kind) || !take(r, n * gguf_kind_size(kind)))
                return truncated("key", k->name, why);

        k->array.size = (size_t) (r->at - k->array.data);
        return 0;
}

static int read_key(struct gguf *g, struct reader *r, size_t i, struct why *why) {
        struct gguf_key *k = &g->keys[i];
        const unsigned char *p;
        uint32_t kind;

        if (!read_string(r, &k->name))
                return because(why, -EBADMSG, "the file ends inside of key %zu of %zu", i + 1,
                               g->n_keys);
        if (!is_name(k->name))
                return because(why, -EBADMSG, "key %zu has no proper name", i + 1);
        if (!read_u32(r, &kind))
                return truncated("key", k->name, why);

        k->kind = kind;
        if (kind == GGUF_KIND_ARRAY)
                return read_array(r, k, why);
        if (kind == GGUF_KIND_STRING)
                return read_string(r, &k->value) ? 0 : truncated("key", k->name, why);
        if (gguf_kind_size(kind) == 0)
                return because(why, -ENOTSUP, "key '%.*s' is of unknown kind %u",
                               (int) k->name.size, k->name.text, kind);

        p = take(r, gguf_kind_size(kind));
        if (!p)
                return truncated("key", k->name, why);
        k->value = (struct gguf_string){ .text = (const char *) p, .size = gguf_kind_size(kind) };
        return 0;
}

static int read_keys(struct gguf *g, struct reader *r, struct why *why) {
        int q;

        g->keys = calloc(g->n_keys + 1, sizeof(*g->keys));
        if (!g->keys)
                return -ENOMEM;

        for (size_t i = 0; i < g->n_keys; i++) {
                q = read_key(g, r, i, why);
                if (q < 0)
                        return q;
        }

        qsort(g->keys, g->n_keys, sizeof(*g->keys), gguf_compare_keys);
        for (size_t i = 1; i < g->n_keys; i++)
                if (gguf_compare_keys(&g->keys[i - 1], &g->keys[i]) == 0)
                        return because(why, -EBADMSG, "key '%.*s' occurs twice",
                                       (int) g->keys[i].name.size, g->keys[i].name.text);
        return 0;
}

static int bad_tensor(const struct gguf_tensor *t, const char *what, struct why *why) {
        return because(why, -EBADMSG, "tensor '%.*s' %s", (int) t->name.size, t->name.text, what);
}

/* Sets t->size; 0 for a type that is not handled, as nobody can know. */
static int measure_tensor(struct gguf_tensor *t, struct why *why) {
        uint64_t n = 1, size;

        for (unsigned i = 0; i < 4; i++) {
                if (t->dims[i] == 0)
                        return bad_tensor(t, "has an empty dimension", why);
                if (__builtin_mul_overflow(n, t->dims[i], &n) || n > INT64_MAX)
                        return bad_tensor(t, "is too large", why);
        }
        if (gguf_type_block(t->type) == 0)
                return 0;
        if (t->dims[0] % gguf_type_block(t->type) != 0)
                return bad_tensor(t, "has rows that are no whole number of blocks", why);
        if (__builtin_mul_overflow(n / gguf_type_block(t->type), gguf_type_block_size(t->type),
                                   &size) ||
            size > SIZE_MAX)
                return bad_tensor(t, "is too large", why);

        t->size = (size_t) size;
        return 0;
}

/* Only returns the offset, because the data's place is known after the last tensor. */
static int read_tensor(struct gguf *g, struct reader *r, size_t i, uint64_t *ret, struct why *why) {
        struct gguf_tensor *t = &g->tensors[i];
        uint32_t n_dims, type;

        if (!read_string(r, &t->name))
                return because(why, -EBADMSG, "the file ends inside of tensor %zu of %zu", i + 1,
                               g->n_tensors);
        if (!is_name(t->name))
                return because(why, -EBADMSG, "tensor %zu has no proper name", i + 1);
        if (!read_u32(r, &n_dims))
                return truncated("tensor", t->name, why);
        if (n_dims < 1 || n_dims > 4)
                return bad_tensor(t, "has not 1 to 4 dimensions", why);

        t->n_dims = n_dims;
        for (unsigned d = 0; d < 4; d++) {
                t->dims[d] = 1;
                if (d < n_dims && !read_u64(r, &t->dims[d]))
                        return truncated("tensor", t->name, why);
        }
        if (!read_u32(r, &type) || !read_u64(r, ret))
                return truncated("tensor", t->name, why);

        t->type = type;
        return measure_tensor(t, why);
}

/* data has no bytes when there are no tensors: some files end right after the directory. */
static int place_tensor(struct gguf_tensor *t,
                        const struct reader *data,
                        uint64_t offset,
                        uint32_t alignment,
                        struct why *why) {
        if (offset % alignment != 0)
                return bad_tensor(t, "is not aligned", why);
        if (offset > left(data) || t->size > left(data) - offset)
                return because(why, -EBADMSG,
                               "truncated: tensor '%.*s' does not fit into the %zu bytes after the "
                               "directory",
                               (int) t->name.size, t->name.text, left(data));

        if (gguf_type_block(t->type) > 0)
                t->data = data->at + offset;
        return 0;
}

static int read_alignment(const struct gguf *g, uint32_t *ret, struct why *why) {
        uint32_t alignment = GGUF_ALIGNMENT;
        int q;

        q = gguf_get_u32(g, "general.alignment", &alignment, NULL);
        if ((q < 0 && q != -ENOENT) || alignment < MIN_ALIGNMENT || alignment > MAX_ALIGNMENT ||
            (alignment & (alignment - 1)) != 0)
                return because(why, -EBADMSG,
                               "key 'general.alignment' is not a power of two from %u to %u",
                               MIN_ALIGNMENT, MAX_ALIGNMENT);

        *ret = alignment;
        return 0;
}

/* What is not handled has no place, and comes first. */
static int compare_places(const void *a, const void *b) {
        uintptr_t x = (uintptr_t) ((const struct gguf_tensor *) a)->data;
        uintptr_t y = (uintptr_t) ((const struct gguf_tensor *) b)->data;

        return x < y ? -1 : x > y;
}

/* No writer lets two tensors share bytes: an offset of one of them is damaged. */
static int check_apart(struct gguf *g, struct why *why) {
        qsort(g->tensors, g->n_tensors, sizeof(*g->tensors), compare_places);
        for (size_t i = 1; i < g->n_tensors; i++) {
                const struct gguf_tensor *t = &g->tensors[i - 1], *next = t + 1;

                if (t->data && (uintptr_t) next->data - (uintptr_t) t->data < t->size)
                        return because(why, -EBADMSG, "tensors '%.*s' and '%.*s' overlap",
                                       (int) t->name.size, t->name.text, (int) next->name.size,
                                       next->name.text);
        }
        return 0;
}

static int read_tensors(struct gguf *g, struct reader *r, const void *start, struct why *why) {
        _cleanup_(freep) uint64_t *offsets = NULL;
        uint32_t alignment = 0;
        int q;

        q = read_alignment(g, &alignment, why);
        if (q < 0)
                return q;

        g->tensors = calloc(g->n_tensors + 1, sizeof(*g->tensors));
        offsets = calloc(g->n_tensors + 1, sizeof(*offsets));
        if (!g->tensors || !offsets)
                return -ENOMEM;

        for (size_t i = 0; i < g->n_tensors; i++) {
                q = read_tensor(g, r, i, &offsets[i], why);
                if (q < 0)
                        return q;
        }

        if (!take(r, (0 - (uint64_t) (r->at - (const unsigned char *) start)) % alignment))
                r->at = r->end;
        for (size_t i = 0; i < g->n_tensors; i++) {
                q = place_tensor(&g->tensors[i], r, offsets[i], alignment, why);
                if (q < 0)
                        return q;
        }

        qsort(g->tensors, g->n_tensors, sizeof(*g->tensors), gguf_compare_tensors);
        for (size_t i = 1; i < g->n_tensors; i++)
                if (gguf_compare_tensors(&g->tensors[i - 1], &g->tensors[i]) == 0)
                        return bad_tensor(&g->tensors[i], "occurs twice", why);
        q = check_apart(g, why);
        qsort(g->tensors, g->n_tensors, sizeof(*g->tensors), gguf_compare_tensors);
        return q;
}

static int read_header(struct gguf *g, struct reader *r, struct why *why) {
        const unsigned char *magic = take(r, 4);
        uint32_t version;
        uint64_t n_tensors, n_keys;

        if (!magic || memcmp(magic, "GGUF", 4) != 0)
                return because(why, -EBADMSG, "not a GGUF file");
        if (!read_u32(r, &version))
                return because(why, -EBADMSG, "the file ends inside of its header");
        if (version != 0 && (version & 0xffff) == 0)
                return because(why, -ENOTSUP,
                               "a big-endian GGUF file, only little endian is handled");
        if (version != 2 && version != 3)
                return because(why, -ENOTSUP, "GGUF version %u, only 2 and 3 are handled", version);
        if (!read_u64(r, &n_tensors) || !read_u64(r, &n_keys))
                return because(why, -EBADMSG, "the file ends inside of its header");
        if (n_keys > MAX_KEYS || n_tensors > MAX_TENSORS)
                return because(why, -EBADMSG,
                               "the header promises %llu keys and %llu tensors, too many",
                               (unsigned long long) n_keys, (unsigned long long) n_tensors);
        if (n_keys * MIN_KEY_SIZE + n_tensors * MIN_TENSOR_SIZE > left(r))
                return because(why, -EBADMSG,
                               "the file ends before %llu keys and %llu tensors can fit",
                               (unsigned long long) n_keys, (unsigned long long) n_tensors);

        g->n_tensors = (size_t) n_tensors;
        g->n_keys = (size_t) n_keys;
        return 0;
}

int gguf_read_directory(struct gguf *g, const void *data, size_t size, struct why *why) {
        struct reader r = { .at = data, .end = (const unsigned char *) data + size };
        int q;

        g->data = data;
        g->data_size = size;
        q = read_header(g, &r, why);
        if (q < 0)
                return q;
        q = read_keys(g, &r, why);
        if (q < 0)
                return q;
        return read_tensors(g, &r, data, why);
}
