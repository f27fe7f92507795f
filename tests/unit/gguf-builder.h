/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GGUF_BUILDER_H
#define TESTS_GGUF_BUILDER_H

/* Writes GGUF files in memory for tests: start with a zeroed struct, add keys and tensors, then
 * builder_finish().  Out of memory ends the test program.  Only for little-endian machines. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"

struct bytes {
        unsigned char *data; /* owned */
        size_t size;
        size_t room;
};

struct gguf_builder {
        uint32_t version;   /* 0: 3 */
        uint32_t alignment; /* 0: GGUF_ALIGNMENT, not written as a key; else written */
        struct bytes keys;
        struct bytes tensors;
        struct bytes data;
        uint64_t n_keys;
        uint64_t n_tensors;

        /* For files that differ in a name: of a key or tensor and what is written instead. */
        const char *rename_from, *rename_to;
};

static inline const char *builder_name(const struct gguf_builder *b, const char *name) {
        return b->rename_from && strcmp(b->rename_from, name) == 0 ? b->rename_to : name;
}

static inline void bytes_add(struct bytes *b, const void *data, size_t size) {
        if (size > b->room - b->size) {
                b->room = 2 * b->room + size;
                b->data = realloc(b->data, b->room);
                if (!b->data)
                        abort();
        }
        if (size > 0)
                memcpy(b->data + b->size, data, size);
        b->size += size;
}

static inline void bytes_add_u32(struct bytes *b, uint32_t value) {
        bytes_add(b, &value, sizeof(value));
}

static inline void bytes_add_u64(struct bytes *b, uint64_t value) {
        bytes_add(b, &value, sizeof(value));
}

static inline void bytes_add_string(struct bytes *b, const char *text, size_t size) {
        bytes_add_u64(b, size);
        bytes_add(b, text, size);
}

static inline void bytes_align(struct bytes *b, size_t alignment) {
        while (b->size % alignment != 0)
                bytes_add(b, "", 1);
}

static inline uint32_t builder_alignment(const struct gguf_builder *b) {
        return b->alignment ? b->alignment : GGUF_ALIGNMENT;
}

/* A key with any value, given as the bytes that follow its kind. */
static inline void builder_add_raw(struct gguf_builder *b,
                                   const char *key,
                                   enum gguf_kind kind,
                                   const void *value,
                                   size_t size) {
        key = builder_name(b, key);
        bytes_add_string(&b->keys, key, strlen(key));
        bytes_add_u32(&b->keys, kind);
        bytes_add(&b->keys, value, size);
        b->n_keys++;
}

static inline void builder_add_u32(struct gguf_builder *b, const char *key, uint32_t value) {
        builder_add_raw(b, key, GGUF_KIND_U32, &value, sizeof(value));
}

static inline void builder_add_u64(struct gguf_builder *b, const char *key, uint64_t value) {
        builder_add_raw(b, key, GGUF_KIND_U64, &value, sizeof(value));
}

static inline void builder_add_f32(struct gguf_builder *b, const char *key, float value) {
        builder_add_raw(b, key, GGUF_KIND_F32, &value, sizeof(value));
}

static inline void builder_add_bool(struct gguf_builder *b, const char *key, bool value) {
        builder_add_raw(b, key, GGUF_KIND_BOOL, &value, 1);
}

static inline void builder_add_string(struct gguf_builder *b, const char *key, const char *value) {
        builder_add_raw(b, key, GGUF_KIND_STRING, NULL, 0);
        bytes_add_string(&b->keys, value, strlen(value));
}

/* An array of a kind of fixed size. */
static inline void builder_add_array(struct gguf_builder *b,
                                     const char *key,
                                     enum gguf_kind kind,
                                     const void *values,
                                     size_t n,
                                     size_t value_size) {
        builder_add_raw(b, key, GGUF_KIND_ARRAY, NULL, 0);
        bytes_add_u32(&b->keys, kind);
        bytes_add_u64(&b->keys, n);
        bytes_add(&b->keys, values, n * value_size);
}

static inline void
builder_add_u32s(struct gguf_builder *b, const char *key, const uint32_t *values, size_t n) {
        builder_add_array(b, key, GGUF_KIND_U32, values, n, sizeof(*values));
}

static inline void
builder_add_i32s(struct gguf_builder *b, const char *key, const int32_t *values, size_t n) {
        builder_add_array(b, key, GGUF_KIND_I32, values, n, sizeof(*values));
}

static inline void
builder_add_bools(struct gguf_builder *b, const char *key, const bool *values, size_t n) {
        builder_add_array(b, key, GGUF_KIND_BOOL, values, n, 1);
}

static inline void
builder_add_strings(struct gguf_builder *b, const char *key, const char *const *values, size_t n) {
        builder_add_raw(b, key, GGUF_KIND_ARRAY, NULL, 0);
        bytes_add_u32(&b->keys, GGUF_KIND_STRING);
        bytes_add_u64(&b->keys, n);
        for (size_t i = 0; i < n; i++)
                bytes_add_string(&b->keys, values[i], strlen(values[i]));
}

/* The data is aligned and copied; size is not checked against the dimensions. */
static inline void builder_add_tensor(struct gguf_builder *b,
                                      const char *name,
                                      enum gguf_type type,
                                      unsigned n_dims,
                                      const uint64_t *dims,
                                      const void *data,
                                      size_t size) {
        bytes_align(&b->data, builder_alignment(b));
        name = builder_name(b, name);
        bytes_add_string(&b->tensors, name, strlen(name));
        bytes_add_u32(&b->tensors, n_dims);
        for (unsigned i = 0; i < n_dims; i++)
                bytes_add_u64(&b->tensors, dims[i]);
        bytes_add_u32(&b->tensors, type);
        bytes_add_u64(&b->tensors, b->data.size);
        bytes_add(&b->data, data, size);
        b->n_tensors++;
}

/* The whole file, in memory aligned for gguf_open_memory(); free() it.  The builder is empty
 * again. */
static inline void *builder_finish(struct gguf_builder *b, size_t *ret_size) {
        uint32_t alignment = builder_alignment(b);
        struct bytes file = { 0 };
        void *aligned;

        if (b->alignment)
                builder_add_u32(b, "general.alignment", b->alignment);

        bytes_add(&file, "GGUF", 4);
        bytes_add_u32(&file, b->version ? b->version : 3);
        bytes_add_u64(&file, b->n_tensors);
        bytes_add_u64(&file, b->n_keys);
        bytes_add(&file, b->keys.data, b->keys.size);
        bytes_add(&file, b->tensors.data, b->tensors.size);
        if (b->n_tensors > 0) {
                bytes_align(&file, alignment);
                bytes_add(&file, b->data.data, b->data.size);
        }

        if (posix_memalign(&aligned, 64, file.size) != 0)
                abort();
        memcpy(aligned, file.data, file.size);
        *ret_size = file.size;

        free(file.data);
        free(b->keys.data);
        free(b->tensors.data);
        free(b->data.data);
        *b = (struct gguf_builder){ 0 };
        return aligned;
}

#endif
