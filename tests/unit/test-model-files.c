/* SPDX-License-Identifier: Apache-2.0 */
#include "model/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/session.h"
#include "tests/tap.h"
#include "tests/unit/random-model.h"

/* Files as several writers make them: what a file says is honoured, or the file is refused by name. */

enum { N = 40 };

static const struct added {
        const char *key;
        enum gguf_kind kind;
        uint32_t integer;
        float number;
        const char *text;
} * added;

static const char *rename_from, *rename_to, *extra_tensor;
static unsigned extra_rows;

static void hook(struct gguf_builder *b) {
        if (added && added->kind == GGUF_KIND_U32)
                builder_add_u32(b, added->key, added->integer);
        else if (added && added->kind == GGUF_KIND_F32)
                builder_add_f32(b, added->key, added->number);
        else if (added && added->kind == GGUF_KIND_BOOL)
                builder_add_bool(b, added->key, added->integer);
        else if (added)
                builder_add_string(b, added->key, added->text);
        if (extra_tensor) {
                uint64_t dims[] = { RANDOM_WIDTH, extra_rows };
                float *zeros = calloc(RANDOM_WIDTH * (size_t) extra_rows, sizeof(float));

                builder_add_tensor(b, extra_tensor, GGUF_F32, extra_rows > 1 ? 2 : 1, dims, zeros,
                                   RANDOM_WIDTH * (size_t) extra_rows * sizeof(float));
                free(zeros);
        }
        b->rename_from = rename_from;
        b->rename_to = rename_to;
}

static void plain(void) {
        added = NULL;
        rename_from = rename_to = extra_tensor = NULL;
        random_vectors = RANDOM_FLOATS;
        random_model_hook = hook;
}

static struct engine *open_path(const char *path, struct why *why) {
        struct engine_config config = { .model_path = path, .n_threads = 1 };
        struct engine *e = NULL;

        *why = (struct why){ 0 };
        expect((engine_open(&e, &config, why) < 0) == (e == NULL));
        return e;
}

/* What the model at path makes of some tokens, or NULL; free() it. */
static float *logits_at(const char *path, struct why *why) {
        struct session_config sc = { .max_positions = 64, .f32_cache = true, .rewind_slack = 1 };
        struct engine *e = open_path(path, why);
        struct session *s;
        int32_t ids[N];
        float *copy;
        size_t n;

        if (!e)
                return NULL;
        expect(session_new(&s, e, &sc, why) == 0);
        for (int32_t i = 0; i < N; i++)
                ids[i] = 30 + i * 7 % 250;
        expect(session_append_tokens(s, ids, N) == 0);
        n = tokenizer_n_tokens(engine_tokenizer(e)) * sizeof(float);
        copy = malloc(n);
        memcpy(copy, session_logits(s), n);
        session_free(s);
        engine_close(e);
        return copy;
}

static float *logits(struct why *why) {
        const char *path = random_model(GGUF_F32, false, 7);
        float *x = logits_at(path, why);

        (void) unlink(path);
        return x;
}

enum { N_VOCABULARY = 300 };

static bool are_same(const float *a, const float *b) {
        return a && b && memcmp(a, b, N_VOCABULARY * sizeof(float)) == 0;
}

static void expect_same_as_plain(void) {
        struct why why;
        float *changed = logits(&why), *usual;

        if (!changed)
                printf("# %s\n", why.text);
        plain();
        usual = logits(&why);
        expect(are_same(changed, usual));
        free(changed);
        free(usual);
}

static void expect_refused(const char *reason) {
        struct why why;
        float *x = logits(&why);

        expect(!x);
        expect(strncmp(why.text, "/tmp/", 5) == 0 && strstr(why.text, reason));
        if (!strstr(why.text, reason))
                printf("# '%s' is not in '%s'\n", reason, why.text);
        free(x);
        plain();
}

static void other_variants(void) {
        static const struct added others[] = {
                { "gemma4.attention.shared_kv_layers", GGUF_KIND_U32, 1, 0, NULL },
                { "gemma4.embedding_length_per_layer_input", GGUF_KIND_U32, 256, 0, NULL },
                { "gemma4.expert_count", GGUF_KIND_U32, 8, 0, NULL },
                { "gemma4.expert_used_count", GGUF_KIND_U32, 2, 0, NULL },
                { "gemma4.expert_feed_forward_length", GGUF_KIND_U32, 64, 0, NULL },
                { "gemma4.attn_logit_softcapping", GGUF_KIND_F32, 0, 50, NULL },
                { "gemma4.attention.scale", GGUF_KIND_F32, 0, 0.125f, NULL },
                { "gemma4.attention.causal", GGUF_KIND_BOOL, 0, 0, NULL },
                { "gemma4.logit_scale", GGUF_KIND_F32, 0, 0.5f, NULL },
                { "gemma4.embedding_scale", GGUF_KIND_F32, 0, 1, NULL },
                { "gemma4.rope.scaling.type", GGUF_KIND_STRING, 0, 0, "yarn" },
                { "gemma4.rope.scaling.factor", GGUF_KIND_F32, 0, 8, NULL },
                { "gemma4.rope.scale_linear", GGUF_KIND_F32, 0, 4, NULL },
                { "gemma4.rope.dimension_count", GGUF_KIND_U32, 32, 0, NULL },
                { "gemma4.rope.dimension_count_swa", GGUF_KIND_U32, 32, 0, NULL },
                { "tokenizer.ggml.add_space_prefix", GGUF_KIND_BOOL, 1, 0, NULL },
                { "tokenizer.ggml.pre", GGUF_KIND_STRING, 0, 0, "llama-bpe" },
        };
        static const struct added neutral[] = {
                { "gemma4.attention.shared_kv_layers", GGUF_KIND_U32, 0, 0, NULL },
                { "gemma4.expert_count", GGUF_KIND_U32, 0, 0, NULL },
                { "gemma4.attn_logit_softcapping", GGUF_KIND_F32, 0, 0, NULL },
                { "gemma4.attention.scale", GGUF_KIND_F32, 0, 1, NULL },
                { "gemma4.attention.causal", GGUF_KIND_BOOL, 1, 0, NULL },
                { "gemma4.embedding_scale", GGUF_KIND_F32, 0, 16, NULL },
                { "gemma4.rope.scaling.type", GGUF_KIND_STRING, 0, 0, "none" },
                { "gemma4.rope.scaling.factor", GGUF_KIND_F32, 0, 1, NULL },
                { "gemma4.rope.dimension_count", GGUF_KIND_U32, 128, 0, NULL },
                { "gemma4.rope.dimension_count_swa", GGUF_KIND_U32, 64, 0, NULL },
                { "tokenizer.ggml.pre", GGUF_KIND_STRING, 0, 0, "gemma4" },
                { "gemma4.vocab_size", GGUF_KIND_U32, 300, 0, NULL },
        };

        plain();
        for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                char reason[128];

                (void) snprintf(reason, sizeof(reason), "key '%s' is", others[i].key);
                added = &others[i];
                expect_refused(reason);
        }
        for (unsigned i = 0; i < sizeof(neutral) / sizeof(neutral[0]); i++) {
                added = &neutral[i];
                expect_same_as_plain();
        }
}

static void unknown_tensors(void) {
        static const char *const names[] = {
                "blk.0.attn_q.bias",          "blk.1.attn_k.bias",         "blk.0.attn_qkv.weight",
                "blk.3.attn_norm.weight",     "blk.0.ffn_gate_inp.weight", "output.bias",
                "per_layer_proj_norm.weight", "blk.0.attn_q.scale",        "blk.x.attn_norm.weight",
        };

        plain();
        extra_rows = 1;
        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char reason[128];

                (void) snprintf(reason, sizeof(reason), "tensor '%s' is not", names[i]);
                extra_tensor = names[i];
                expect_refused(reason);
        }
        rename_from = "rope_freqs.weight";
        rename_to = "v.rope_freqs.weight";
        expect_refused("no tensor 'rope_freqs.weight'");
}

/* Names of other writers are the same tensors and keys. */
static void other_names(void) {
        static const char *const names[][2] = {
                { "blk.0.post_attention_norm.weight", "blk.0.attn_post_norm.weight" },
                { "blk.1.ffn_norm.weight", "blk.1.ffn_pre_norm.weight" },
                { "blk.2.post_ffw_norm.weight", "blk.2.ffn_post_norm.weight" },
                { "blk.0.layer_output_scale.weight", "blk.0.layer_scalar.weight" },
                { "gemma4.rope.freq_base_swa", "gemma4.rope.local.freq_base" },
                { "gemma4.rope.freq_base_swa", "not.there" },
        };
        static const struct added llama = { "tokenizer.ggml.model", GGUF_KIND_STRING, 0, 0,
                                            "llama" };

        plain();
        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                rename_from = names[i][0];
                rename_to = names[i][1];
                expect_same_as_plain();
        }
        added = &llama;
        rename_from = "tokenizer.ggml.model";
        rename_to = "not.there";
        expect_same_as_plain();
}

static void head_counts_add(struct gguf_builder *b) {
        builder_add_u32s(b, "gemma4.attention.head_count",
                         (const uint32_t[]){ RANDOM_HEADS, RANDOM_HEADS, RANDOM_HEADS }, 3);
        b->rename_from = "gemma4.attention.head_count";
        b->rename_to = "not.there";
}

static void uneven_head_counts_add(struct gguf_builder *b) {
        builder_add_u32s(b, "gemma4.attention.head_count", (const uint32_t[]){ 4, 4, 2 }, 3);
        b->rename_from = "gemma4.attention.head_count";
        b->rename_to = "not.there";
}

static void kv_counts_add(struct gguf_builder *b) {
        builder_add_u32(b, "gemma4.attention.head_count_kv", 2);
        builder_add_u32(b, "gemma4.attention.global_head_count_kv", 1);
        b->rename_from = "gemma4.attention.head_count_kv";
        b->rename_to = "not.there";
}

static void head_counts(void) {
        plain();
        random_model_hook = head_counts_add;
        expect_same_as_plain();
        random_model_hook = kv_counts_add;
        expect_same_as_plain();
        random_model_hook = uneven_head_counts_add;
        expect_refused("key 'gemma4.attention.head_count' differs");
}

static void half_norms(void) {
        struct why why;
        float *halves, *floats, *usual;

        plain();
        usual = logits(&why);
        random_vectors = RANDOM_HALVES;
        halves = logits(&why);
        random_vectors = RANDOM_WIDENED;
        floats = logits(&why);
        expect(are_same(halves, floats) && !are_same(halves, usual));
        free(halves);
        free(floats);
        free(usual);
}

/* A head of zeros says nothing of any token, whatever the embedding is. */
static void separate_head(void) {
        struct why why;
        float *x;

        plain();
        extra_tensor = "output.weight";
        extra_rows = 0;
        {
                static struct vocabulary v;

                vocabulary_begin(&v);
                extra_rows = (unsigned) v.n_tokens;
        }
        x = logits(&why);
        expect(x != NULL);
        for (unsigned i = 0; x && i < N_VOCABULARY; i++)
                expect(x[i] == 0 || x[i] == -INFINITY);
        free(x);
        extra_rows = 8;
        expect_refused("tensor 'output.weight' is 256 x 8, not 256 x");
}

static void hears_without_keys(void) {
        struct engine *e;
        struct why why;
        const char *path;

        plain();
        rename_from = "clip.has_audio_encoder";
        rename_to = "not.there";
        path = random_model(GGUF_F32, false, 7);
        e = open_path(path, &why);
        expect(e && engine_hears(e));
        engine_close(e);
        (void) unlink(path);
}

/* ---- parts ---- */

struct parts {
        char folder[32], first[80], others[2][80];
};

/* The tensors of a model in three files, as the tools that split them make them. */
static void
write_part(const char *path, const struct gguf *g, unsigned no, unsigned count, unsigned n_told) {
        struct gguf_builder b = { 0 };
        const struct gguf_tensor *t;
        static struct vocabulary v;
        void *data;
        size_t size;
        FILE *f;

        if (no == 0) {
                vocabulary_begin(&v);
                random_keys(&b, &v);
        }
        builder_add_raw(&b, "split.no", GGUF_KIND_U16, &no, 2);
        builder_add_raw(&b, "split.count", GGUF_KIND_U16, &count, 2);
        builder_add_raw(&b, "split.tensors.count", GGUF_KIND_I32, &n_told, 4);
        for (size_t i = 0; (t = gguf_tensor_at(g, i)); i++) {
                char name[64];

                (void) snprintf(name, sizeof(name), "%.*s", (int) t->name.size, t->name.text);
                if (i % 3 == no % 3)
                        builder_add_tensor(&b, name, t->type, t->n_dims, t->dims, t->data, t->size);
        }
        data = builder_finish(&b, &size);
        f = fopen(path, "we");
        expect(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
        free(data);
}

static void write_parts(struct parts *p, unsigned wrong_count, unsigned second_no) {
        const char *whole = random_model(GGUF_F32, false, 7);
        struct gguf *g = NULL;
        unsigned n;

        (void) snprintf(p->folder, sizeof(p->folder), "/tmp/gemmad-parts-XXXXXX");
        expect(mkdtemp(p->folder) != NULL);
        (void) snprintf(p->first, sizeof(p->first), "%s/m-00001-of-00003.gguf", p->folder);
        for (unsigned i = 0; i < 2; i++)
                (void) snprintf(p->others[i], sizeof(p->others[i]), "%s/m-0000%u-of-00003.gguf",
                                p->folder, i + 2);
        expect(gguf_open(&g, whole, NULL) == 0);
        n = (unsigned) gguf_n_tensors(g) + wrong_count;
        write_part(p->first, g, 0, 3, n);
        write_part(p->others[0], g, second_no, 3, n);
        write_part(p->others[1], g, 2, 3, n);
        gguf_close(g);
        (void) unlink(whole);
}

static void remove_parts(const struct parts *p) {
        (void) unlink(p->first);
        (void) unlink(p->others[0]);
        (void) unlink(p->others[1]);
        (void) rmdir(p->folder);
}

static void expect_reason(const char *path, const char *reason) {
        struct why why;
        struct engine *e = open_path(path, &why);

        expect(!e && strstr(why.text, reason));
        if (!strstr(why.text, reason))
                printf("# '%s' is not in '%s'\n", reason, why.text);
        engine_close(e);
}

static void parts(void) {
        struct parts p;
        struct why why;
        float *joined, *whole;
        char elsewhere[80];

        plain();
        write_parts(&p, 0, 1);
        joined = logits_at(p.first, &why);
        whole = logits(&why);
        expect(are_same(joined, whole));
        free(joined);
        free(whole);

        expect_reason(p.others[0], "this is part 2 of 3: name the first");
        (void) snprintf(elsewhere, sizeof(elsewhere), "%s/model.gguf", p.folder);
        expect(link(p.first, elsewhere) == 0);
        expect_reason(elsewhere, "model.gguf: it is the first of 3 parts");
        (void) unlink(elsewhere);
        expect(truncate(p.others[1], 2000) == 0);
        expect_reason(p.first, "m-00003-of-00003.gguf: ");
        (void) unlink(p.others[1]);
        expect_reason(p.first, "m-00003-of-00003.gguf: part 3 of 3 is missing");
        expect(symlink(p.others[0], p.others[1]) == 0);
        expect_reason(p.first, "do not say that it is part 3 of 3");
        remove_parts(&p);

        write_parts(&p, 1, 1);
        expect_reason(p.first, "key 'split.tensors.count' is");
        remove_parts(&p);
        write_parts(&p, 0, 2);
        expect_reason(p.first, "do not say that it is part 2 of 3");
        remove_parts(&p);
}

int main(void) {
        rule("a key that would change the answers is refused by name", other_variants);
        rule("a tensor that nothing computes with is refused by name", unknown_tensors);
        rule("other names of the same are read", other_names);
        rule("head counts may be one for each layer, or have a key for global layers", head_counts);
        rule("norms of halves are the floats that they are", half_norms);
        rule("a separate output.weight makes the logits", separate_head);
        rule("a projector in the model's own file needs no keys", hears_without_keys);
        rule("a file in parts is loaded by its first, and a missing part named", parts);
        return tap_done();
}
