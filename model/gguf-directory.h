/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_GGUF_DIRECTORY_H
#define MODEL_GGUF_DIRECTORY_H

#include "model/gguf.h"

/* What gguf.c and gguf-directory.c share: the object behind struct gguf, and the reading of a
 * file's directory into it. */
struct gguf_key {
        struct gguf_string name;
        enum gguf_kind kind;
        struct gguf_string value; /* the value's bytes; of a string without its length */
        struct gguf_array array;  /* only for GGUF_KIND_ARRAY */
};

struct gguf {
        char *name;             /* owned */
        const char *shown_name; /* inside name */
        void *mapping;          /* owned by munmap(), NULL over memory */
        size_t mapping_size;
        const void *data; /* the mapping, or the memory */
        size_t data_size;
        struct gguf_key *keys; /* owned, sorted by name */
        size_t n_keys;
        struct gguf_tensor *tensors; /* owned, sorted by name; of all parts */
        size_t n_tensors;
        struct gguf **parts; /* owned, and each: those after the first of a file in parts */
        size_t n_parts;
};

/* Reads and checks everything but the tensors' contents.  g is empty; on failure it may be half
 * filled, for gguf_close().  0, -ENOMEM, or -EBADMSG or -ENOTSUP with the reason (without the
 * file's name). */
int gguf_read_directory(struct gguf *g, const void *data, size_t size, struct why *why);

/* gguf_open() of this file alone. */
int gguf_open_part(struct gguf **ret, const char *path, struct why *why);

/* Opens the other parts of a file whose keys say that it has some, and takes their tensors over.  0, or
 * -errno with a reason that names the part, or the key without the file. */
int gguf_join_parts(struct gguf *g, struct why *why);

/* By name, for qsort() and bsearch(). */
int gguf_compare_keys(const void *a, const void *b);
int gguf_compare_tensors(const void *a, const void *b);

/* Bytes of a value of fixed size, 0 for strings, arrays and unknown kinds. */
size_t gguf_kind_size(enum gguf_kind kind);

static inline uint32_t gguf_load_u32(const unsigned char *p) {
        return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
               (uint32_t) p[3] << 24;
}

static inline uint64_t gguf_load_u64(const unsigned char *p) {
        return (uint64_t) gguf_load_u32(p) | (uint64_t) gguf_load_u32(p + 4) << 32;
}

#endif
