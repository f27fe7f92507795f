/* SPDX-License-Identifier: Apache-2.0 */
#include "model/params.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Larger numbers than any model of this family will have, small enough that no product of two of
 * them overflows a size_t. */
#define MAX_WIDTH     (1u << 20)
#define MAX_POSITIONS (1u << 24)

#define PARAMS_ROPE_BASE_SLIDING 10000.0f

/* The keys of an architecture begin with its name. */
struct source {
        const struct gguf *g;
        const char *architecture;
};

struct key {
        char name[96];
};

static struct key key_of(const struct source *s, const char *name) {
        struct key k;

        (void) snprintf(k.name, sizeof(k.name), "%s.%s", s->architecture, name);
        return k;
}

struct number {
        const char *key; /* behind the architecture */
        unsigned *ret;
        unsigned min, max;
};

static int read_number(const struct source *s, const struct number *n, struct why *why) {
        struct key key = key_of(s, n->key);
        uint32_t value;
        int r;

        r = gguf_get_u32(s->g, key.name, &value, why);
        if (r < 0)
                return r;
        if (value < n->min || value > n->max)
                return because(why, -EBADMSG, "key '%s' is %u, not between %u and %u", key.name,
                               value, n->min, n->max);

        *n->ret = value;
        return 0;
}

static int
read_numbers(const struct source *s, const struct number *numbers, size_t n, struct why *why) {
        int r;

        for (size_t i = 0; i < n; i++) {
                r = read_number(s, &numbers[i], why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_float(const struct source *s,
                      const char *name,
                      float min,
                      float max,
                      float *ret,
                      struct why *why) {
        struct key key = key_of(s, name);
        float value;
        int r;

        r = gguf_get_f32(s->g, key.name, &value, why);
        if (r < 0)
                return r;
        if (!(value >= min && value <= max))
                return because(why, -EBADMSG, "key '%s' is %g, not between %g and %g", key.name,
                               (double) value, (double) min, (double) max);

        *ret = value;
        return 0;
}

/* One integer for all layers, or an array with one for each. */
static int read_per_layer(const struct source *s,
                          const char *name,
                          unsigned n_layers,
                          int64_t min,
                          int64_t max,
                          int64_t *ret,
                          struct why *why) {
        struct key key = key_of(s, name);
        struct gguf_array a = { 0 };
        uint32_t one = 0;
        int r;

        r = gguf_get_u32(s->g, key.name, &one, why);
        if (r == -ENOENT)
                return r;
        if (r < 0) {
                r = gguf_get_array(s->g, key.name, &a, why);
                if (r < 0)
                        return r;
                if (a.n != n_layers)
                        return because(why, -EBADMSG, "key '%s' has %zu values for %u layers",
                                       key.name, a.n, n_layers);
        }

        for (unsigned i = 0; i < n_layers; i++) {
                ret[i] = one;
                if (a.n && gguf_array_integer(&a, i, &ret[i]) < 0)
                        return because(why, -EBADMSG, "key '%s' is not an array of integers",
                                       key.name);
                if (ret[i] < min || ret[i] > max)
                        return because(why, -EBADMSG,
                                       "key '%s' has %lld for layer %u, not between %lld and %lld",
                                       key.name, (long long) ret[i], i, (long long) min,
                                       (long long) max);
        }
        return 0;
}

/* Some files have one number for sliding layers and a key of its own for the others. */
static int read_kv_heads(const struct params *p,
                         const struct source *s,
                         const int64_t *sliding,
                         int64_t *ret,
                         struct why *why) {
        unsigned global = 0;
        const struct number number = { "attention.global_head_count_kv", &global, 1, p->n_heads };
        int r;

        r = read_per_layer(s, "attention.head_count_kv", p->n_layers, 1, p->n_heads, ret, why);
        if (r < 0)
                return r;
        r = read_number(s, &number, why);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        for (unsigned i = 0; i < p->n_layers; i++)
                if (!sliding[i])
                        ret[i] = global;
        return 0;
}

static int read_layers(struct params *p, const struct source *s, struct why *why) {
        int64_t kv[PARAMS_MAX_LAYERS], sliding[PARAMS_MAX_LAYERS], ffn[PARAMS_MAX_LAYERS];
        unsigned size, size_sliding, value_size, value_size_sliding;
        int64_t heads[PARAMS_MAX_LAYERS];
        const struct number sizes[] = {
                { "attention.key_length", &size, 2, MAX_WIDTH },
                { "attention.key_length_swa", &size_sliding, 2, MAX_WIDTH },
                { "attention.value_length", &value_size, 2, MAX_WIDTH },
                { "attention.value_length_swa", &value_size_sliding, 2, MAX_WIDTH },
        };
        int r;

        r = read_numbers(s, sizes, sizeof(sizes) / sizeof(sizes[0]), why);
        if (r < 0)
                return r;
        if (size != value_size || size_sliding != value_size_sliding || size % 2 ||
            size_sliding % 2)
                return because(why, -ENOTSUP,
                               "key '%s.attention.value_length': keys and values must have the "
                               "same even size",
                               s->architecture);

        r = read_per_layer(s, "attention.head_count", p->n_layers, 1, 1024, heads, why);
        if (r < 0)
                return r;
        p->n_heads = (unsigned) heads[0];
        r = read_per_layer(s, "attention.sliding_window_pattern", p->n_layers, 0, 1, sliding, why);
        if (r < 0)
                return r;
        r = read_kv_heads(p, s, sliding, kv, why);
        if (r < 0)
                return r;
        r = read_per_layer(s, "feed_forward_length", p->n_layers, 1, MAX_WIDTH, ffn, why);
        if (r < 0)
                return r;

        p->ffn_width = (unsigned) ffn[0];
        for (unsigned i = 0; i < p->n_layers; i++) {
                if (p->n_heads % (unsigned) kv[i])
                        return because(why, -EBADMSG,
                                       "key '%s.attention.head_count_kv': %u query heads do "
                                       "not divide among %u",
                                       s->architecture, p->n_heads, (unsigned) kv[i]);
                if (heads[i] != heads[0])
                        return because(why, -ENOTSUP,
                                       "key '%s.attention.head_count' differs between layers",
                                       s->architecture);
                if (ffn[i] != ffn[0])
                        return because(why, -ENOTSUP,
                                       "key '%s.feed_forward_length' differs between layers",
                                       s->architecture);
                p->layers[i] = (struct layer_params){
                        .is_sliding = sliding[i],
                        .n_kv_heads = (unsigned) kv[i],
                        .head_size = sliding[i] ? size_sliding : size,
                };
        }
        return 0;
}

/* A number of any kind; -ENOENT. */
static int read_any_number(const struct gguf *g, const char *key, double *ret, struct why *why) {
        uint32_t integer;
        float number = 0;
        bool flag;
        int r;

        r = gguf_get_u32(g, key, &integer, NULL);
        if (r == 0) {
                *ret = integer;
                return 0;
        }
        r = gguf_get_bool(g, key, &flag, NULL);
        if (r == 0) {
                *ret = flag;
                return 0;
        }
        r = gguf_get_f32(g, key, &number, why);
        if (r == 0)
                *ret = (double) number;
        return r;
}

/* Parts of the family, and of others, that this engine does not compute: a file that needs them would
 * give wrong answers silently.  Each key may have the value that changes nothing, or be absent. */
static int refuse_other_variants(const struct params *p, const struct source *s, struct why *why) {
        const struct {
                const char *key;
                double neutral, also;
        } keys[] = {
                { "embedding_length_per_layer_input", 0, 0 },
                { "expert_count", 0, 0 },
                { "expert_used_count", 0, 0 },
                { "expert_shared_count", 0, 0 },
                { "expert_feed_forward_length", 0, 0 },
                { "attn_logit_softcapping", 0, 0 },
                { "router_logit_softcapping", 0, 0 },
                { "attention.max_alibi_bias", 0, 0 },
                { "attention.clamp_kqv", 0, 0 },
                { "attention.scale", 1, 1 },
                { "attention.output_scale", 1, 1 },
                { "attention.value_scale", 1, 1 },
                { "attention.temperature_scale", 0, 0 },
                { "attention.causal", 1, 1 },
                { "logit_scale", 1, 0 },
                { "residual_scale", 1, 0 },
                { "embedding_scale", sqrt(p->width), 0 },
                { "use_parallel_residual", 0, 0 },
                { "rope.scale_linear", 1, 0 },
                { "rope.scaling.factor", 1, 0 },
                { "rope.scaling.attn_factor", 1, 0 },
                { "rope.scaling.alpha", 0, 1 },
                { "attention.shared_kv_layers", 0, 0 }, /* of a drafter all */
        };
        size_t n = sizeof(keys) / sizeof(keys[0]) - p->shares_cache;

        for (size_t i = 0; i < n; i++) {
                struct key key = key_of(s, keys[i].key);
                double value = 0;
                int r = read_any_number(s->g, key.name, &value, why);

                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (fabs(value - keys[i].neutral) > 1e-4 * keys[i].neutral && value != keys[i].also)
                        return because(why, -ENOTSUP,
                                       "key '%s' is %g: not the 12B's architecture, which has %g "
                                       "there",
                                       key.name, value, keys[i].neutral);
        }
        return 0;
}

static bool is_text(struct gguf_string s, const char *text) {
        return s.size == strlen(text) && memcmp(s.text, text, s.size) == 0;
}

/* All of a head is rotated, and no position is stretched. */
static int check_rope(const struct params *p, const struct source *s, struct why *why) {
        struct key key = key_of(s, "rope.scaling.type");
        struct gguf_string scaling;
        int r;

        r = gguf_get_string(s->g, key.name, &scaling, why);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && !is_text(scaling, "none") && !is_text(scaling, "linear"))
                return because(why, -ENOTSUP, "key '%s' is '%.*s', which is not handled", key.name,
                               (int) (scaling.size < 64 ? scaling.size : 64), scaling.text);

        for (unsigned i = 0; i < p->n_layers; i++) {
                uint32_t size;

                key = key_of(s, p->layers[i].is_sliding ? "rope.dimension_count_swa"
                                                        : "rope.dimension_count");
                r = gguf_get_u32(s->g, key.name, &size, why);
                if (r < 0 && r != -ENOENT)
                        return r;
                if (r == 0 && size != p->layers[i].head_size)
                        return because(why, -ENOTSUP,
                                       "key '%s' is %u: heads of which only a part is rotated are "
                                       "not handled, theirs have %u",
                                       key.name, size, p->layers[i].head_size);
        }
        return 0;
}

/* Of sliding layers a file may say nothing: it is the same in all of this family. */
static int read_rope_bases(struct params *p, const struct source *s, struct why *why) {
        float *sliding = &p->rope_base_sliding;
        int r;

        r = read_float(s, "rope.freq_base", 1, 1e12f, &p->rope_base, why);
        if (r < 0)
                return r;
        r = read_float(s, "rope.freq_base_swa", 1, 1e12f, sliding, why);
        if (r == -ENOENT)
                r = read_float(s, "rope.local.freq_base", 1, 1e12f, sliding, why);
        if (r == -ENOENT)
                *sliding = PARAMS_ROPE_BASE_SLIDING;
        return r == -ENOENT ? 0 : r;
}

static int check_architecture(const struct source *s, struct why *why) {
        struct gguf_string name;
        int r;

        r = gguf_get_string(s->g, "general.architecture", &name, why);
        if (r < 0)
                return r;
        if (!is_text(name, s->architecture))
                return because(why, -ENOTSUP, "key 'general.architecture' is '%.*s', not '%s'",
                               (int) (name.size < 64 ? name.size : 64), name.text, s->architecture);
        return 0;
}

static int read_floats(struct params *p, const struct source *s, struct why *why) {
        int r;

        r = read_float(s, "attention.layer_norm_rms_epsilon", 0, 1, &p->rms_eps, why);
        if (r < 0)
                return r;
        r = read_rope_bases(p, s, why);
        if (r < 0)
                return r;
        r = read_float(s, "final_logit_softcapping", 0, 1e6f, &p->logit_cap, why);
        return r == -ENOENT ? 0 : r;
}

static int
read_params(struct params *ret, const struct source *s, bool shares_cache, struct why *why) {
        struct params p = { .shares_cache = shares_cache };
        const struct number numbers[] = {
                { "block_count", &p.n_layers, 1, PARAMS_MAX_LAYERS },
                { "embedding_length", &p.width, 1, MAX_WIDTH },
                { "attention.sliding_window", &p.window, 1, MAX_POSITIONS },
                { "context_length", &p.max_positions, 1, MAX_POSITIONS },
        };
        struct gguf_array tokens;
        int r;

        r = check_architecture(s, why);
        if (r < 0)
                return r;
        r = read_numbers(s, numbers, sizeof(numbers) / sizeof(numbers[0]), why);
        if (r < 0)
                return r;
        r = read_layers(&p, s, why);
        if (r < 0)
                return r;
        r = refuse_other_variants(&p, s, why);
        if (r < 0)
                return r;
        r = check_rope(&p, s, why);
        if (r < 0)
                return r;
        r = read_floats(&p, s, why);
        if (r < 0)
                return r;

        r = gguf_get_array(s->g, "tokenizer.ggml.tokens", &tokens, why);
        if (r < 0)
                return r;
        if (tokens.n == 0 || tokens.n > MAX_POSITIONS)
                return because(why, -EBADMSG, "key 'tokenizer.ggml.tokens' has %zu entries",
                               tokens.n);
        p.n_vocab = (unsigned) tokens.n;

        *ret = p;
        return 0;
}

int params_read(struct params *ret, const struct gguf *g, struct why *why) {
        return read_params(ret, &(struct source){ g, "gemma4" }, false, why);
}

int params_read_drafter(struct params *ret,
                        unsigned *ret_width_out,
                        const struct gguf *g,
                        struct why *why) {
        const struct source s = { g, "gemma4-assistant" };
        const struct number out = { "embedding_length_out", ret_width_out, 1, MAX_WIDTH };
        int r;

        r = read_params(ret, &s, true, why);
        if (r < 0)
                return r;
        return read_number(&s, &out, why);
}

unsigned params_max_head_size(const struct params *p) {
        unsigned max = 0;

        for (unsigned i = 0; i < p->n_layers; i++)
                if (p->layers[i].head_size > max)
                        max = p->layers[i].head_size;
        return max;
}

unsigned params_max_q_width(const struct params *p) {
        return p->n_heads * params_max_head_size(p);
}

unsigned params_max_kv_width(const struct params *p) {
        unsigned max = 0;

        for (unsigned i = 0; i < p->n_layers; i++)
                if (p->layers[i].n_kv_heads * p->layers[i].head_size > max)
                        max = p->layers[i].n_kv_heads * p->layers[i].head_size;
        return max;
}
