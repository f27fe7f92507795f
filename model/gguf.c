/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/gguf-directory.h"

#define NAME_SHOWN 100 /* of a long path only the end is shown in messages */

static int gguf_new(struct gguf **ret, const char *name) {
        struct gguf *g;
        size_t size = strlen(name);

        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        g->name = strdup(name);
        if (!g->name) {
                free(g);
                return -ENOMEM;
        }

        g->shown_name = g->name + (size > NAME_SHOWN ? size - NAME_SHOWN : 0);
        *ret = g;
        return 0;
}

DEFINE_CLEANUP(struct gguf *, gguf_close)

/* O_NONBLOCK, because opening a FIFO would otherwise wait for a writer. */
static int map_file(struct gguf *g, const char *path, struct why *why) {
        _cleanup_(closep) int fd = -1;
        struct stat st;
        void *mapping;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0) {
                int e = errno;

                return because(why, -e, "%s", strerror(e));
        }
        if (S_ISDIR(st.st_mode))
                return because(why, -EISDIR, "a directory, not a GGUF file");
        if (!S_ISREG(st.st_mode))
                return because(why, -EINVAL, "not a regular file");
        if (st.st_size == 0)
                return because(why, -EBADMSG, "the file is empty");
        if ((uint64_t) st.st_size > SIZE_MAX)
                return because(why, -EFBIG, "too large for this machine");

        mapping = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapping == MAP_FAILED) {
                int e = errno;

                return because(why, -e, "can not be mapped: %s", strerror(e));
        }

        g->mapping = mapping;
        g->mapping_size = (size_t) st.st_size;
        return 0;
}

int gguf_because_in(const struct gguf *g, int r, struct why *why) {
        size_t size = strlen(g->shown_name);

        if (!why)
                return r;
        if (r == -ENOMEM)
                return because(why, r, "%s: out of memory", g->shown_name);
        if (strncmp(why->text, g->shown_name, size) == 0 && why->text[size] == ':')
                return r;
        return because_in(why, r, g->shown_name);
}

/* The reason, if any, gets the file's name in front. */
static int finish_open(struct gguf **ret, struct gguf **g, int r, struct why *why) {
        if (r < 0)
                return gguf_because_in(*g, r, why);

        *ret = TAKE_PTR(*g);
        return 0;
}

static int open_file(struct gguf **ret, const char *path, bool with_parts, struct why *why) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        int r;

        r = gguf_new(&g, path);
        if (r < 0)
                return because(why, r, "out of memory");

        r = map_file(g, path, why);
        if (r >= 0)
                r = gguf_read_directory(g, g->mapping, g->mapping_size, why);
        if (r >= 0 && with_parts)
                r = gguf_join_parts(g, why);
        return finish_open(ret, &g, r, why);
}

int gguf_open_part(struct gguf **ret, const char *path, struct why *why) {
        return open_file(ret, path, false, why);
}

int gguf_open(struct gguf **ret, const char *path, struct why *why) {
        return open_file(ret, path, true, why);
}

int gguf_open_memory(
        struct gguf **ret, const void *data, size_t size, const char *name, struct why *why) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        int r;

        r = gguf_new(&g, name);
        if (r < 0)
                return because(why, r, "out of memory");

        if ((uintptr_t) data % GGUF_ALIGNMENT != 0)
                r = because(why, -EINVAL, "memory not aligned to %u bytes", GGUF_ALIGNMENT);
        else
                r = gguf_read_directory(g, data, size, why);
        return finish_open(ret, &g, r, why);
}

struct gguf *gguf_close(struct gguf *g) {
        if (!g)
                return NULL;

        for (size_t i = 0; i < g->n_parts; i++)
                gguf_close(g->parts[i]);
        free(g->parts);
        if (g->mapping)
                (void) munmap(g->mapping, g->mapping_size);
        free(g->tensors);
        free(g->keys);
        free(g->name);
        free(g);
        return NULL;
}

bool gguf_extent(const struct gguf *g, size_t part, const void **ret, size_t *ret_size) {
        const struct gguf *at = part == 0 ? g : part <= g->n_parts ? g->parts[part - 1] : NULL;

        if (!at)
                return false;
        *ret = at->data;
        *ret_size = at->data_size;
        return true;
}

const char *gguf_name(const struct gguf *g) {
        return g->shown_name;
}

/* NULL with the reason when there is none. */
static const struct gguf_key *find_key(const struct gguf *g, const char *name, struct why *why) {
        struct gguf_key wanted = { .name = { .text = name, .size = strlen(name) } };
        const struct gguf_key *k;

        k = bsearch(&wanted, g->keys, g->n_keys, sizeof(*g->keys), gguf_compare_keys);
        if (!k)
                (void) because(why, -ENOENT, "%s: no key '%s'", g->shown_name, name);
        return k;
}

static int bad_value(const struct gguf *g, const char *key, const char *what, struct why *why) {
        return because(why, -EBADMSG, "%s: key '%s' %s", g->shown_name, key, what);
}

/* Widens an integer of any width; false for another kind or a value above INT64_MAX. */
static bool load_integer(enum gguf_kind kind, const unsigned char *p, int64_t *ret) {
        switch (kind) {
        case GGUF_KIND_U8:
                *ret = p[0];
                return true;
        case GGUF_KIND_I8:
                *ret = (int8_t) p[0];
                return true;
        case GGUF_KIND_U16:
                *ret = p[0] | p[1] << 8;
                return true;
        case GGUF_KIND_I16:
                *ret = (int16_t) (p[0] | p[1] << 8);
                return true;
        case GGUF_KIND_U32:
                *ret = gguf_load_u32(p);
                return true;
        case GGUF_KIND_I32:
                *ret = (int32_t) gguf_load_u32(p);
                return true;
        case GGUF_KIND_U64:
                if (gguf_load_u64(p) > INT64_MAX)
                        return false;
                *ret = (int64_t) gguf_load_u64(p);
                return true;
        case GGUF_KIND_I64:
                *ret = (int64_t) gguf_load_u64(p);
                return true;
        case GGUF_KIND_F32:
        case GGUF_KIND_F64:
        case GGUF_KIND_BOOL:
        case GGUF_KIND_STRING:
        case GGUF_KIND_ARRAY:
                return false;
        }
        return false;
}

int gguf_get_integer(const struct gguf *g, const char *key, int64_t *ret, struct why *why) {
        const struct gguf_key *k;

        k = find_key(g, key, why);
        if (!k)
                return -ENOENT;
        if (!load_integer(k->kind, (const unsigned char *) k->value.text, ret))
                return bad_value(g, key, "is not an integer", why);
        return 0;
}

int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *ret, struct why *why) {
        int64_t value;
        int r;

        r = gguf_get_integer(g, key, &value, why);
        if (r < 0)
                return r;
        if (value < 0 || value > UINT32_MAX)
                return bad_value(g, key, "is out of range", why);

        *ret = (uint32_t) value;
        return 0;
}

int gguf_get_f32(const struct gguf *g, const char *key, float *ret, struct why *why) {
        const struct gguf_key *k;
        float value;
        double wide;

        k = find_key(g, key, why);
        if (!k)
                return -ENOENT;
        if (k->kind == GGUF_KIND_F32)
                memcpy(&value, k->value.text, sizeof(value));
        else if (k->kind == GGUF_KIND_F64) {
                memcpy(&wide, k->value.text, sizeof(wide));
                if (fabs(wide) > (double) FLT_MAX)
                        return bad_value(g, key, "is out of range", why);
                value = (float) wide;
        } else
                return bad_value(g, key, "is not a floating-point number", why);
        if (!isfinite(value))
                return bad_value(g, key, "is not finite", why);

        *ret = value;
        return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct why *why) {
        const struct gguf_key *k;

        k = find_key(g, key, why);
        if (!k)
                return -ENOENT;
        if (k->kind != GGUF_KIND_BOOL || (unsigned char) k->value.text[0] > 1)
                return bad_value(g, key, "is not a boolean", why);

        *ret = k->value.text[0];
        return 0;
}

int gguf_get_string(const struct gguf *g,
                    const char *key,
                    struct gguf_string *ret,
                    struct why *why) {
        const struct gguf_key *k;

        k = find_key(g, key, why);
        if (!k)
                return -ENOENT;
        if (k->kind != GGUF_KIND_STRING)
                return bad_value(g, key, "is not a string", why);

        *ret = k->value;
        return 0;
}

int gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *ret, struct why *why) {
        const struct gguf_key *k;

        k = find_key(g, key, why);
        if (!k)
                return -ENOENT;
        if (k->kind != GGUF_KIND_ARRAY)
                return bad_value(g, key, "is not an array", why);

        *ret = k->array;
        return 0;
}

int gguf_array_integer(const struct gguf_array *a, size_t i, int64_t *ret) {
        const unsigned char *p;

        if (i >= a->n)
                return -EBADMSG;

        p = a->data + i * gguf_kind_size(a->kind);
        if (a->kind == GGUF_KIND_BOOL) {
                if (p[0] > 1)
                        return -EBADMSG;
                *ret = p[0];
                return 0;
        }
        return load_integer(a->kind, p, ret) ? 0 : -EBADMSG;
}

int gguf_array_string(const struct gguf_array *a, size_t *cursor, struct gguf_string *ret) {
        size_t rest;
        uint64_t size;

        if (a->kind != GGUF_KIND_STRING || *cursor > a->size || a->size - *cursor < 8)
                return 0;
        rest = a->size - *cursor - 8;
        size = gguf_load_u64(a->data + *cursor);
        if (size > rest)
                return 0;

        ret->text = (const char *) a->data + *cursor + 8;
        ret->size = (size_t) size;
        *cursor += 8 + (size_t) size;
        return 1;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name) {
        struct gguf_tensor wanted = { .name = { .text = name, .size = strlen(name) } };

        return bsearch(&wanted, g->tensors, g->n_tensors, sizeof(*g->tensors),
                       gguf_compare_tensors);
}

size_t gguf_n_tensors(const struct gguf *g) {
        return g->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i) {
        return i < g->n_tensors ? &g->tensors[i] : NULL;
}

/* clang-format off */
static const struct {
        enum gguf_type type;
        unsigned block;
        unsigned block_size;
        const char *name;
} types[] = {
        { GGUF_F32,       1,   4, "F32"     },
        { GGUF_F16,       1,   2, "F16"     },
        { GGUF_Q4_0,     32,  18, "Q4_0"    },
        { GGUF_Q4_1,     32,  20, "Q4_1"    },
        { GGUF_Q5_0,     32,  22, "Q5_0"    },
        { GGUF_Q5_1,     32,  24, "Q5_1"    },
        { GGUF_Q8_0,     32,  34, "Q8_0"    },
        { GGUF_Q2_K,    256,  84, "Q2_K"    },
        { GGUF_Q3_K,    256, 110, "Q3_K"    },
        { GGUF_Q4_K,    256, 144, "Q4_K"    },
        { GGUF_Q5_K,    256, 176, "Q5_K"    },
        { GGUF_Q6_K,    256, 210, "Q6_K"    },
        { GGUF_IQ2_XXS, 256,  66, "IQ2_XXS" },
        { GGUF_IQ2_XS,  256,  74, "IQ2_XS"  },
        { GGUF_IQ3_XXS, 256,  98, "IQ3_XXS" },
        { GGUF_IQ1_S,   256,  50, "IQ1_S"   },
        { GGUF_IQ4_NL,   32,  18, "IQ4_NL"  },
        { GGUF_IQ3_S,   256, 110, "IQ3_S"   },
        { GGUF_IQ2_S,   256,  82, "IQ2_S"   },
        { GGUF_IQ4_XS,  256, 136, "IQ4_XS"  },
        { GGUF_I32,       1,   4, "I32"     },
        { GGUF_IQ1_M,   256,  56, "IQ1_M"   },
        { GGUF_BF16,      1,   2, "BF16"    },
        { GGUF_MXFP4,    32,  17, "MXFP4"   },
};

/* Types of GGML that are not handled, by their number. */
static const char *const other_names[] = {
        [9] = "Q8_1",  [15] = "Q8_K",  [24] = "I8",     [25] = "I16",   [27] = "I64",
        [28] = "F64",  [34] = "TQ1_0", [35] = "TQ2_0",  [40] = "NVFP4", [41] = "Q1_0",
};
/* clang-format on */

#define N_TYPES       (sizeof(types) / sizeof(types[0]))
#define N_OTHER_NAMES (sizeof(other_names) / sizeof(other_names[0]))

unsigned gguf_type_block(enum gguf_type type) {
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].type == type)
                        return types[i].block;
        return 0;
}

size_t gguf_type_block_size(enum gguf_type type) {
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].type == type)
                        return types[i].block_size;
        return 0;
}

const char *gguf_type_name(enum gguf_type type) {
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].type == type)
                        return types[i].name;
        if ((unsigned) type < N_OTHER_NAMES && other_names[type])
                return other_names[type];
        return "unknown";
}
