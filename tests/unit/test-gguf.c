/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "tests/tap.h"
#include "tests/unit/gguf-builder.h"

DEFINE_CLEANUP(struct gguf *, gguf_close)

static const uint64_t dims_8[] = { 8 };

/* A file with something of everything. */
static void fill(struct gguf_builder *b) {
        static const char *const words[] = { "one", "", "three" };
        static const float floats[16] = { 1, 2, 3 };
        static const unsigned char blocks[2 * 18] = { 7 };

        builder_add_string(b, "general.architecture", "gemma4");
        builder_add_u32(b, "u32", 42);
        builder_add_u64(b, "u64", 43);
        builder_add_raw(b, "u8", GGUF_KIND_U8, "\xff", 1);
        builder_add_raw(b, "i8", GGUF_KIND_I8, "\xff", 1);
        builder_add_raw(b, "u16", GGUF_KIND_U16, "\xfe\xff", 2);
        builder_add_raw(b, "i16", GGUF_KIND_I16, "\x01\x00", 2);
        builder_add_raw(b, "i64", GGUF_KIND_I64, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
        builder_add_f32(b, "f32", 0.5f);
        builder_add_raw(b, "f64", GGUF_KIND_F64, &(double){ 0.25 }, 8);
        builder_add_bool(b, "bool", true);
        builder_add_strings(b, "words", words, 3);
        builder_add_i32s(b, "ids", (const int32_t[]){ -1, 258883 }, 2);
        builder_add_bools(b, "flags", (const bool[]){ true, false }, 2);
        builder_add_tensor(b, "z.weight", GGUF_F32, 2, (const uint64_t[]){ 8, 2 }, floats, 64);
        builder_add_tensor(b, "a.weight", GGUF_Q4_0, 1, (const uint64_t[]){ 64 }, blocks, 36);
        builder_add_tensor(b, "m.weight", 99, 1, dims_8, "????", 4);
}

/* Opens what was built, expecting r; returns the reason in why. */
static struct gguf *open_built(struct gguf_builder *b, void **ret_file, int r, struct why *why) {
        struct gguf *g = NULL;
        size_t size;

        *why = (struct why){ 0 };
        *ret_file = builder_finish(b, &size);
        expect(gguf_open_memory(&g, *ret_file, size, "built.gguf", why) == r);
        expect((r == 0) == (g != NULL));
        return g;
}

static bool is_string(struct gguf_string s, const char *text) {
        return s.size == strlen(text) && memcmp(s.text, text, s.size) == 0;
}

static void test_keys(void) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        _cleanup_(freep) void *file = NULL;
        struct gguf_builder b = { 0 };
        struct gguf_string s;
        struct why why;
        uint32_t u;
        float f;
        bool flag;

        fill(&b);
        g = open_built(&b, &file, 0, &why);
        if (!g)
                return;

        expect(gguf_get_u32(g, "u32", &u, &why) == 0 && u == 42);
        expect(gguf_get_u32(g, "u64", &u, &why) == 0 && u == 43);
        expect(gguf_get_u32(g, "u8", &u, &why) == 0 && u == 255);
        expect(gguf_get_u32(g, "u16", &u, &why) == 0 && u == 65534);
        expect(gguf_get_u32(g, "i16", &u, &why) == 0 && u == 1);
        expect(gguf_get_f32(g, "f32", &f, &why) == 0 && fabsf(f - 0.5f) < FLT_EPSILON);
        expect(gguf_get_f32(g, "f64", &f, &why) == 0 && fabsf(f - 0.25f) < FLT_EPSILON);
        expect(gguf_get_bool(g, "bool", &flag, &why) == 0 && flag);
        expect(gguf_get_string(g, "general.architecture", &s, &why) == 0);
        expect(is_string(s, "gemma4"));
        expect(strcmp(gguf_name(g), "built.gguf") == 0);
}

static void test_wrong_kinds(void) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        _cleanup_(freep) void *file = NULL;
        struct gguf_builder b = { 0 };
        struct gguf_string s;
        struct gguf_array a;
        struct why why;
        uint32_t u = 7;
        float f;
        bool flag;

        fill(&b);
        builder_add_u64(&b, "wide", UINT64_C(1) << 32);
        builder_add_u64(&b, "widest", UINT64_MAX);
        builder_add_raw(&b, "odd", GGUF_KIND_BOOL, "\2", 1);
        builder_add_f32(&b, "nan", NAN);
        builder_add_raw(&b, "huge", GGUF_KIND_F64, &(double){ 1e300 }, 8);
        g = open_built(&b, &file, 0, &why);
        if (!g)
                return;

        expect(gguf_get_u32(g, "absent", &u, &why) == -ENOENT);
        expect(strcmp(why.text, "built.gguf: no key 'absent'") == 0);
        expect(gguf_get_u32(g, "i8", &u, &why) == -EBADMSG);
        expect(strstr(why.text, "'i8'"));
        expect(gguf_get_u32(g, "i64", &u, NULL) == -EBADMSG);
        expect(gguf_get_u32(g, "wide", &u, NULL) == -EBADMSG);
        expect(gguf_get_u32(g, "widest", &u, NULL) == -EBADMSG);
        expect(gguf_get_u32(g, "f32", &u, NULL) == -EBADMSG);
        expect(gguf_get_u32(g, "bool", &u, NULL) == -EBADMSG);
        expect(gguf_get_f32(g, "u32", &f, NULL) == -EBADMSG);
        expect(gguf_get_f32(g, "nan", &f, NULL) == -EBADMSG);
        expect(gguf_get_f32(g, "huge", &f, NULL) == -EBADMSG);
        expect(gguf_get_bool(g, "u32", &flag, NULL) == -EBADMSG);
        expect(gguf_get_bool(g, "odd", &flag, NULL) == -EBADMSG);
        expect(gguf_get_string(g, "words", &s, NULL) == -EBADMSG);
        expect(gguf_get_array(g, "u32", &a, NULL) == -EBADMSG);
        expect(u == 7);
}

static void test_arrays(void) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        _cleanup_(freep) void *file = NULL;
        struct gguf_builder b = { 0 };
        struct gguf_string s;
        struct gguf_array a;
        size_t cursor = 0;
        struct why why;
        int64_t i;

        fill(&b);
        g = open_built(&b, &file, 0, &why);
        if (!g)
                return;

        expect(gguf_get_array(g, "words", &a, &why) == 0 && a.n == 3);
        expect(gguf_array_string(&a, &cursor, &s) == 1 && is_string(s, "one"));
        expect(gguf_array_string(&a, &cursor, &s) == 1 && is_string(s, ""));
        expect(gguf_array_string(&a, &cursor, &s) == 1 && is_string(s, "three"));
        expect(gguf_array_string(&a, &cursor, &s) == 0);
        cursor = SIZE_MAX;
        expect(gguf_array_string(&a, &cursor, &s) == 0);
        expect(gguf_array_integer(&a, 0, &i) == -EBADMSG);

        expect(gguf_get_array(g, "ids", &a, &why) == 0 && a.n == 2);
        expect(gguf_array_integer(&a, 0, &i) == 0 && i == -1);
        expect(gguf_array_integer(&a, 1, &i) == 0 && i == 258883);
        expect(gguf_array_integer(&a, 2, &i) == -EBADMSG);
        cursor = 0;
        expect(gguf_array_string(&a, &cursor, &s) == 0);

        expect(gguf_get_array(g, "flags", &a, &why) == 0 && a.n == 2);
        expect(gguf_array_integer(&a, 0, &i) == 0 && i == 1);
        expect(gguf_array_integer(&a, 1, &i) == 0 && i == 0);
}

static void test_tensors(void) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        _cleanup_(freep) void *file = NULL;
        const struct gguf_tensor *t;
        struct gguf_builder b = { .version = 2, .alignment = 64 };
        struct why why;

        fill(&b);
        g = open_built(&b, &file, 0, &why);
        if (!g)
                return;

        t = gguf_find_tensor(g, "z.weight");
        expect(t && t->type == GGUF_F32 && t->n_dims == 2 && t->size == 64);
        expect(t && t->dims[0] == 8 && t->dims[1] == 2 && t->dims[2] == 1 && t->dims[3] == 1);
        expect(t && (uintptr_t) t->data % 64 == 0 && ((const float *) t->data)[1] > 1.5f);
        t = gguf_find_tensor(g, "a.weight");
        expect(t && t->type == GGUF_Q4_0 && t->size == 36 && *(const char *) t->data == 7);
        expect(!gguf_find_tensor(g, "a.weigh") && !gguf_find_tensor(g, ""));
        expect(gguf_n_tensors(g) == 3 && !gguf_tensor_at(g, 3));
        expect(is_string(gguf_tensor_at(g, 0)->name, "a.weight"));
}

static void test_unknown_type(void) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        _cleanup_(freep) void *file = NULL;
        const struct gguf_tensor *t;
        struct gguf_builder b = { 0 };
        struct why why;

        fill(&b);
        g = open_built(&b, &file, 0, &why);
        if (!g)
                return;

        t = gguf_find_tensor(g, "m.weight");
        expect(t && (unsigned) t->type == 99 && !t->data && t->size == 0);
        expect(t && gguf_type_block(t->type) == 0 && gguf_type_block_size(t->type) == 0);
        expect(strcmp(gguf_type_name(GGUF_Q6_K), "Q6_K") == 0);
        expect(gguf_type_block(GGUF_Q6_K) == 256 && gguf_type_block_size(GGUF_Q6_K) == 210);
        expect(strcmp(gguf_type_name((enum gguf_type) 34), "TQ1_0") == 0);
        expect(gguf_type_block((enum gguf_type) 34) == 0);
        expect(strcmp(gguf_type_name((enum gguf_type) 31), "unknown") == 0);
        expect(strcmp(gguf_type_name((enum gguf_type) 4000000000u), "unknown") == 0);
}

/* Every prefix of the file is either the whole directory with all data, or refused with a
 * reason. */
static void test_truncation(void) {
        struct gguf_builder b = { 0 };
        unsigned char *file, *copy;
        size_t size, n_opened = 0;

        fill(&b);
        file = builder_finish(&b, &size);

        for (size_t n = 0; n < size; n++) {
                struct why why = { 0 };
                struct gguf *g = NULL;

                if (posix_memalign((void **) &copy, GGUF_ALIGNMENT, n) != 0)
                        abort();
                memcpy(copy, file, n);
                if (gguf_open_memory(&g, copy, n, "cut", &why) == 0)
                        n_opened++;
                else
                        expect(strncmp(why.text, "cut: ", 5) == 0 && strlen(why.text) > 10);
                gguf_close(g);
                free(copy);
        }

        /* The last tensor is of unknown type and size: only its four bytes may be missing. */
        expect(n_opened == 4);
        free(file);
}

/* Any single byte may be anything without a crash (ASan watches). */
static void test_flipped_bytes(void) {
        struct gguf_builder b = { 0 };
        unsigned char *file;
        size_t size;

        fill(&b);
        file = builder_finish(&b, &size);

        for (size_t i = 0; i < size; i++)
                for (unsigned flip = 1; flip < 256; flip += flip == 1 ? 126 : 64) {
                        struct gguf *g = NULL;
                        struct why why;

                        file[i] ^= (unsigned char) flip;
                        if (gguf_open_memory(&g, file, size, "flipped", &why) < 0)
                                expect(!g);
                        gguf_close(g);
                        file[i] ^= (unsigned char) flip;
                }
        free(file);
}

static void bad_alignment(struct gguf_builder *b) {
        b->alignment = 0;
        builder_add_u32(b, "general.alignment", 24);
}

static void tiny_alignment(struct gguf_builder *b) {
        builder_add_u32(b, "general.alignment", 1);
}

static void text_alignment(struct gguf_builder *b) {
        builder_add_string(b, "general.alignment", "32");
}

static void same_key(struct gguf_builder *b) {
        builder_add_u32(b, "twice", 1);
        builder_add_u32(b, "other", 1);
        builder_add_f32(b, "twice", 1);
}

static void same_tensor(struct gguf_builder *b) {
        builder_add_tensor(b, "twice", GGUF_F32, 1, dims_8, NULL, 0);
        builder_add_tensor(b, "other", GGUF_F32, 1, dims_8, NULL, 0);
        builder_add_tensor(b, "twice", GGUF_F32, 1, dims_8, (const float[8]){ 0 }, 32);
}

static void nested_array(struct gguf_builder *b) {
        builder_add_array(b, "nest", GGUF_KIND_ARRAY, "\0\0\0\0\0\0\0\0\0\0\0\0", 1, 12);
}

static void huge_array(struct gguf_builder *b) {
        builder_add_raw(b, "huge", GGUF_KIND_ARRAY, "\xc\0\0\0\1\0\0\0\0\0\0\x20", 12);
        builder_add_u64(b, "after", 0);
}

static void huge_strings(struct gguf_builder *b) {
        builder_add_raw(b, "huge", GGUF_KIND_ARRAY, "\x8\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
                        12);
}

static void huge_string(struct gguf_builder *b) {
        builder_add_raw(b, "huge", GGUF_KIND_STRING, "\xf8\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void unknown_kind(struct gguf_builder *b) {
        builder_add_raw(b, "kind", 13, "\0\0\0\0\0\0\0\0", 8);
}

static void nameless_key(struct gguf_builder *b) {
        builder_add_u32(b, "", 1);
}

static void control_in_key(struct gguf_builder *b) {
        builder_add_u32(b, "a\33[2Jb", 1);
}

static void no_dimensions(struct gguf_builder *b) {
        builder_add_tensor(b, "flat", GGUF_F32, 0, NULL, "1234", 4);
}

static void five_dimensions(struct gguf_builder *b) {
        builder_add_tensor(b, "deep", GGUF_F32, 5, (const uint64_t[]){ 1, 1, 1, 1, 1 }, "1234", 4);
}

static void empty_dimension(struct gguf_builder *b) {
        builder_add_tensor(b, "hole", GGUF_F32, 2, (const uint64_t[]){ 8, 0 }, NULL, 0);
}

static void part_of_block(struct gguf_builder *b) {
        builder_add_tensor(b, "part", GGUF_Q4_0, 2, (const uint64_t[]){ 16, 2 }, b, 18);
}

static void overflowing_dims(struct gguf_builder *b) {
        static const uint64_t dims[] = { UINT64_C(1) << 32, UINT64_C(1) << 32, 2, 2 };

        builder_add_tensor(b, "wrap", GGUF_F32, 4, dims, "1234", 4);
}

static void overflowing_size(struct gguf_builder *b) {
        static const uint64_t dims[] = { UINT64_C(1) << 62 };

        builder_add_tensor(b, "wrap", GGUF_F32, 1, dims, "1234", 4);
}

static void missing_data(struct gguf_builder *b) {
        builder_add_tensor(b, "short", GGUF_F32, 1, dims_8, "1234", 4);
}

/* A whole tensor, but at an offset that wraps when its size is added. */
static void wrapping_offset(struct gguf_builder *b) {
        builder_add_tensor(b, "far", GGUF_F32, 1, dims_8, "1234", 4);
        memcpy(b->tensors.data + b->tensors.size - 8, "\xe0\xff\xff\xff\xff\xff\xff\xff", 8);
}

static void crooked_offset(struct gguf_builder *b) {
        builder_add_tensor(b, "crooked", GGUF_F32, 1, dims_8, (const float[32]){ 0 }, 128);
        memcpy(b->tensors.data + b->tensors.size - 8, "\4\0\0\0\0\0\0\0", 8);
}

/* The second begins in the middle of the first. */
static void shared_bytes(struct gguf_builder *b) {
        builder_add_tensor(b, "first", GGUF_F32, 1, (const uint64_t[]){ 16 }, (const float[16]){ 0 }, 64);
        builder_add_tensor(b, "second", GGUF_F32, 1, dims_8, (const float[8]){ 0 }, 32);
        memcpy(b->tensors.data + b->tensors.size - 8, "\x20\0\0\0\0\0\0\0", 8);
}

static void same_place(struct gguf_builder *b) {
        builder_add_tensor(b, "first", GGUF_F32, 1, dims_8, (const float[8]){ 0 }, 32);
        builder_add_tensor(b, "second", GGUF_F32, 1, dims_8, (const float[8]){ 0 }, 32);
        memcpy(b->tensors.data + b->tensors.size - 8, "\0\0\0\0\0\0\0\0", 8);
}

static void version_1(struct gguf_builder *b) {
        b->version = 1;
}

static void version_4(struct gguf_builder *b) {
        b->version = 4;
}

static void big_endian(struct gguf_builder *b) {
        b->version = 0x03000000;
}

static void many_keys(struct gguf_builder *b) {
        b->n_keys = UINT64_MAX / 14;
}

static void many_tensors(struct gguf_builder *b) {
        b->n_tensors = UINT64_C(1) << 60;
}

static void more_keys_than_bytes(struct gguf_builder *b) {
        b->n_keys = 60000;
}

static void test_damage(void) {
        static const struct {
                void (*damage)(struct gguf_builder *b);
                int r;
                const char *reason;
        } table[] = {
                { bad_alignment, -EBADMSG, "'general.alignment'" },
                { tiny_alignment, -EBADMSG, "'general.alignment'" },
                { text_alignment, -EBADMSG, "'general.alignment'" },
                { same_key, -EBADMSG, "key 'twice' occurs twice" },
                { same_tensor, -EBADMSG, "tensor 'twice' occurs twice" },
                { nested_array, -ENOTSUP, "key 'nest' is an array of kind 9" },
                { huge_array, -EBADMSG, "ends inside of key 'huge'" },
                { huge_strings, -EBADMSG, "ends inside of key 'huge'" },
                { huge_string, -EBADMSG, "ends inside of key 'huge'" },
                { unknown_kind, -ENOTSUP, "key 'kind' is of unknown kind 13" },
                { nameless_key, -EBADMSG, "key 1 has no proper name" },
                { control_in_key, -EBADMSG, "key 1 has no proper name" },
                { no_dimensions, -EBADMSG, "tensor 'flat'" },
                { five_dimensions, -EBADMSG, "tensor 'deep'" },
                { empty_dimension, -EBADMSG, "tensor 'hole'" },
                { part_of_block, -EBADMSG, "tensor 'part'" },
                { overflowing_dims, -EBADMSG, "tensor 'wrap' is too large" },
                { overflowing_size, -EBADMSG, "tensor 'wrap' is too large" },
                { missing_data, -EBADMSG, "truncated: tensor 'short'" },
                { wrapping_offset, -EBADMSG, "truncated: tensor 'far'" },
                { crooked_offset, -EBADMSG, "tensor 'crooked' is not aligned" },
                { shared_bytes, -EBADMSG, "tensors 'first' and 'second' overlap" },
                { same_place, -EBADMSG, "overlap" },
                { version_1, -ENOTSUP, "version 1" },
                { version_4, -ENOTSUP, "version 4" },
                { big_endian, -ENOTSUP, "big-endian" },
                { many_keys, -EBADMSG, "too many" },
                { many_tensors, -EBADMSG, "too many" },
                { more_keys_than_bytes, -EBADMSG, "60000 keys" },
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                _cleanup_(gguf_closep) struct gguf *g = NULL;
                _cleanup_(freep) void *file = NULL;
                struct gguf_builder b = { 0 };
                struct why why;

                table[i].damage(&b);
                g = open_built(&b, &file, table[i].r, &why);
                expect(strstr(why.text, table[i].reason));
                if (!strstr(why.text, table[i].reason))
                        printf("# %s: %s\n", table[i].reason, why.text);
        }
}

/* Opens path, expecting r and a reason that names it. */
static void expect_open(const char *path, int r) {
        struct gguf *g = NULL;
        struct why why = { 0 };

        expect(gguf_open(&g, path, &why) == r);
        expect(!g && strstr(why.text, path));
}

static void test_files(void) {
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        char folder[] = "test-gguf-XXXXXX", path[64];
        struct gguf_builder b = { 0 };
        struct why why;
        void *file;
        size_t size;
        FILE *f;

        if (!mkdtemp(folder)) {
                expect(false);
                return;
        }
        expect_open(folder, -EISDIR);
        (void) snprintf(path, sizeof(path), "%s/model.gguf", folder);
        expect_open(path, -ENOENT);

        expect(mkfifo(path, 0600) == 0);
        expect_open(path, -EINVAL);
        expect(unlink(path) == 0);

        f = fopen(path, "w");
        expect(f);
        expect_open(path, -EBADMSG);

        fill(&b);
        file = builder_finish(&b, &size);
        expect(f && fwrite(file, 1, size, f) == size && fclose(f) == 0);
        expect(gguf_open(&g, path, &why) == 0);
        expect(g && gguf_n_tensors(g) == 3);
        free(file);

        expect(unlink(path) == 0 && rmdir(folder) == 0);
}

static void test_memory(void) {
        unsigned char memory[96] __attribute__((aligned(GGUF_ALIGNMENT))) = "GGUF\3";
        struct gguf *g = NULL;
        struct why why;

        expect(gguf_open_memory(&g, memory + 8, 24, "m", &why) == -EINVAL);
        expect(gguf_open_memory(&g, memory, 24, "m", &why) == 0);
        expect(g && gguf_n_tensors(g) == 0 && !gguf_find_tensor(g, "x"));
        gguf_close(g);
}

static void test_long_path(void) {
        static const char empty[24] __attribute__((aligned(GGUF_ALIGNMENT))) = "GGUF\3";
        char path[1000] = { 0 };
        struct gguf *g = NULL;
        struct why why;

        memset(path, '/', 990);
        memcpy(path + 980, "absent", 7);
        expect(gguf_open(&g, path, &why) < 0);
        expect(strlen(why.text) < 200 && strstr(why.text, "absent: No such file"));

        memset(path, 'x', 990);
        expect(gguf_open_memory(&g, empty, 24, path, &why) == 0 && strlen(gguf_name(g)) <= 100);
        gguf_close(g);
}

int main(void) {
        rule("integers of any width, floats, booleans and strings are read", test_keys);
        rule("an absent, wrong or out-of-range value is refused by name", test_wrong_kinds);
        rule("arrays of strings are walked, of integers indexed, never beyond the end",
             test_arrays);
        rule("a tensor is found by name, with its shape and aligned data", test_tensors);
        rule("a tensor of unknown type stays in the directory, without data", test_unknown_type);
        rule("a truncated file is refused with a reason at every length", test_truncation);
        rule("no single damaged byte does harm", test_flipped_bytes);
        rule("each kind of damage is refused with its own reason", test_damage);
        rule("a folder, a pipe, an empty and an absent file are refused", test_files);
        rule("memory must be aligned; a file of nothing opens", test_memory);
        rule("of a long path the end is shown", test_long_path);
        return tap_done();
}
