/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/* A GGUF container, version 2 or 3, little endian: a directory of keys and tensors over a mapped
 * file or a block of memory.  gguf_open() checks the whole directory (lengths, counts, types,
 * offsets, overflow, duplicate names) before it returns, so every pointer handed out below lies
 * inside the file.  Immutable afterwards: any thread may read. */
struct gguf;

/* Of the memory given to gguf_open_memory(), and of tensors where the file names no other. */
#define GGUF_ALIGNMENT 32

/* Tensor element types; the numbers are the file format's. */
enum gguf_type {
        GGUF_F32 = 0,
        GGUF_F16 = 1,
        GGUF_Q4_0 = 2,
        GGUF_Q4_1 = 3,
        GGUF_Q5_0 = 6,
        GGUF_Q5_1 = 7,
        GGUF_Q8_0 = 8,
        GGUF_Q2_K = 10,
        GGUF_Q3_K = 11,
        GGUF_Q4_K = 12,
        GGUF_Q5_K = 13,
        GGUF_Q6_K = 14,
        GGUF_IQ2_XXS = 16,
        GGUF_IQ2_XS = 17,
        GGUF_IQ3_XXS = 18,
        GGUF_IQ1_S = 19,
        GGUF_IQ4_NL = 20,
        GGUF_IQ3_S = 21,
        GGUF_IQ2_S = 22,
        GGUF_IQ4_XS = 23,
        GGUF_I32 = 26,
        GGUF_IQ1_M = 29,
        GGUF_BF16 = 30,
        GGUF_MXFP4 = 39,
};

/* Kinds of a key's value; the numbers are the file format's. */
enum gguf_kind {
        GGUF_KIND_U8 = 0,
        GGUF_KIND_I8 = 1,
        GGUF_KIND_U16 = 2,
        GGUF_KIND_I16 = 3,
        GGUF_KIND_U32 = 4,
        GGUF_KIND_I32 = 5,
        GGUF_KIND_F32 = 6,
        GGUF_KIND_BOOL = 7,
        GGUF_KIND_STRING = 8,
        GGUF_KIND_ARRAY = 9,
        GGUF_KIND_U64 = 10,
        GGUF_KIND_I64 = 11,
        GGUF_KIND_F64 = 12,
};

/* Bytes inside the file, not terminated by a NUL. */
struct gguf_string {
        const char *text;
        size_t size;
};

struct gguf_tensor {
        struct gguf_string name;
        enum gguf_type type; /* any number: gguf_type_block() tells whether it is handled */
        unsigned n_dims;
        uint64_t dims[4]; /* innermost first, as in the file; 1 beyond n_dims */
        const void *data; /* in the mapping, aligned as the file aligns it; NULL if not handled */
        size_t size;      /* bytes; 0 if not handled */
};

/* An array value of a key.  For strings, walk it with gguf_array_string(). */
struct gguf_array {
        enum gguf_kind kind;
        size_t n;
        size_t size;               /* bytes of all elements */
        const unsigned char *data; /* unaligned */
};

/* Maps the file read-only, and with the first of several parts (NAME-00001-of-0000N.gguf) the others; cutting it short while it is open ends the process, as with any mapping,
 * so a file is replaced by renaming.  0, or -errno with the reason, which begins with the file's
 * name: -EBADMSG for a damaged file, -ENOTSUP for a version, byte order or kind of value that is
 * not handled.  A tensor of a type that is not handled is no failure, since perhaps nobody asks for
 * it: who looks it up has to refuse it. */
int gguf_open(struct gguf **ret, const char *path, struct why *why);

/* The same over memory that stays valid and unchanged until gguf_close(); not owned.  -EINVAL when
 * it is not aligned to GGUF_ALIGNMENT. */
int gguf_open_memory(
        struct gguf **ret, const void *data, size_t size, const char *name, struct why *why);
struct gguf *gguf_close(struct gguf *g);

/* Where the file lies in memory, of one in parts this part, counted from 0; false beyond the last.  Pages of
 * it may be given back: they are read again where they are used. */
bool gguf_extent(const struct gguf *g, size_t part, const void **ret, size_t *ret_size);

/* The path or name it was opened by, for messages: of a long path the end. */
const char *gguf_name(const struct gguf *g);

/* Puts the file's name in front of a reason that does not begin with it yet, or gives the reason
 * for -ENOMEM; returns r. */
int gguf_because_in(const struct gguf *g, int r, struct why *why);

/* Keys.  0 and *ret; -ENOENT when there is no such key; -EBADMSG when its kind or range is
 * another.  Every failure names the file and the key in why.  Integers of any width are accepted
 * where the value fits. */
int gguf_get_integer(const struct gguf *g, const char *key, int64_t *ret, struct why *why);
int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *ret, struct why *why);
int gguf_get_f32(const struct gguf *g, const char *key, float *ret, struct why *why);
int gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct why *why);
int gguf_get_string(const struct gguf *g,
                    const char *key,
                    struct gguf_string *ret,
                    struct why *why);
int gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *ret, struct why *why);

/* Element i of an array of integers or booleans (any width), widened; -EBADMSG when the array is of
 * another kind or i is out of range. */
int gguf_array_integer(const struct gguf_array *a, size_t i, int64_t *ret);

/* The string at *cursor (0 at first), which is moved on to the next.  1, or 0 at the end. */
int gguf_array_string(const struct gguf_array *a, size_t *cursor, struct gguf_string *ret);

/* The tensor of that name, or NULL.  gguf_tensor_at() counts in order of name; NULL beyond the
 * last. */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name);
size_t gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);

/* Elements in one block and bytes of one block; 0 for a type that is not handled.  The name is what
 * GGML calls a type, handled or not; "unknown" for a number that is none of its types. */
unsigned gguf_type_block(enum gguf_type type);
size_t gguf_type_block_size(enum gguf_type type);
const char *gguf_type_name(enum gguf_type type);

#endif
