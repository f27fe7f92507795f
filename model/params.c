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

static int read_layers(struct params *p, const struct source *s, struct why *why) {
        int64_t kv[PARAMS_MAX_LAYERS], sliding[PARAMS_MAX_LAYERS], ffn[PARAMS_MAX_LAYERS];
        unsigned size, size_sliding, value_size, value_size_sliding;
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

        r = read_per_layer(s, "attention.head_count_kv", p->n_layers, 1, p->n_heads, kv, why);
        if (r < 0)
                return r;
        r = read_per_layer(s, "attention.sliding_window_pattern", p->n_layers, 0, 1, sliding, why);
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

/* Parts of the family that this engine does not compute: a file that needs them would give wrong
 * answers silently. */
static int refuse_other_variants(const struct params *p, const struct source *s, struct why *why) {
        static const char *const must_be_zero[] = {
                "embedding_length_per_layer_input", "expert_count",
                "attention.shared_kv_layers", /* of a drafter all */
        };
        unsigned n = sizeof(must_be_zero) / sizeof(must_be_zero[0]) - p->shares_cache;

        for (unsigned i = 0; i < n; i++) {
                struct key key = key_of(s, must_be_zero[i]);
                uint32_t value;
                int r = gguf_get_u32(s->g, key.name, &value, why);

                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (value != 0)
                        return because(why, -ENOTSUP, "key '%s' is %u: not the 12B's architecture",
                                       key.name, value);
        }
        return 0;
}

static int check_architecture(const struct source *s, struct why *why) {
        struct gguf_string name;
        int r;

        r = gguf_get_string(s->g, "general.architecture", &name, why);
        if (r < 0)
                return r;
        if (name.size != strlen(s->architecture) ||
            memcmp(name.text, s->architecture, name.size) != 0)
                return because(why, -ENOTSUP, "key 'general.architecture' is '%.*s', not '%s'",
                               (int) (name.size < 64 ? name.size : 64), name.text, s->architecture);
        return 0;
}

static int read_floats(struct params *p, const struct source *s, struct why *why) {
        int r;

        r = read_float(s, "attention.layer_norm_rms_epsilon", 0, 1, &p->rms_eps, why);
        if (r < 0)
                return r;
        r = read_float(s, "rope.freq_base", 1, 1e12f, &p->rope_base, why);
        if (r < 0)
                return r;
        r = read_float(s, "rope.freq_base_swa", 1, 1e12f, &p->rope_base_sliding, why);
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
                { "attention.head_count", &p.n_heads, 1, 1024 },
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
