/* SPDX-License-Identifier: Apache-2.0 */
#include "model/leeway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define OPEN_KEY  "gemmad.grammar.open"
#define TYPED_KEY "gemmad.grammar.typed"
#define EXAMPLES_KEY "gemmad.grammar.examples"

struct leeway {
        bool *is_open; /* owned, [n_vocab]; NULL: nothing is */
        size_t n_vocab;
        struct leeway_words *words; /* owned, sorted */
        size_t n_words;
        char **examples; /* owned, [n_examples], each owned */
        size_t n_examples;
};

DEFINE_CLEANUP(struct leeway *, leeway_free)

static int bad(struct why *why, const char *key, const char *what) {
        return because(why, -EBADMSG, "key '%s' %s", key, what);
}

static int read_open(struct leeway *l, const struct gguf *file, struct why *why) {
        struct gguf_array tokens;
        int64_t token;
        int r;

        r = gguf_get_array(file, OPEN_KEY, &tokens, why);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        l->is_open = calloc(l->n_vocab + 1, sizeof(bool));
        if (!l->is_open)
                return -ENOMEM;
        for (size_t i = 0; i < tokens.n; i++) {
                if (gguf_array_integer(&tokens, i, &token) < 0 || token < 0 ||
                    (uint64_t) token >= l->n_vocab)
                        return bad(why, OPEN_KEY, "has something that is no token");
                l->is_open[token] = true;
        }
        return 0;
}

/* "WORDS=OTHERS" in two.  0, or -EBADMSG, -ENOMEM. */
static int split(struct leeway_words *ret, struct gguf_string text) {
        const char *sign = memchr(text.text, '=', text.size);

        if (!sign || sign == text.text || text.size > LEEWAY_MAX_TEXT ||
            memchr(text.text, '\0', text.size))
                return -EBADMSG;
        ret->typed = strndup(text.text, (size_t) (sign - text.text));
        ret->said = strndup(sign + 1, text.size - (size_t) (sign + 1 - text.text));
        return ret->typed && ret->said ? 0 : -ENOMEM;
}

static int compare_words(const void *a, const void *b) {
        return strcmp(((const struct leeway_words *) a)->typed,
                      ((const struct leeway_words *) b)->typed);
}

static int read_words(struct leeway *l, const struct gguf *file, struct why *why) {
        struct gguf_array texts;
        struct gguf_string text;
        size_t cursor = 0;
        int r;

        r = gguf_get_array(file, TYPED_KEY, &texts, why);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (texts.n > LEEWAY_MAX_WORDS)
                return bad(why, TYPED_KEY, "is too long");
        l->words = calloc(texts.n + 1, sizeof(*l->words));
        if (!l->words)
                return -ENOMEM;
        while (l->n_words < texts.n && gguf_array_string(&texts, &cursor, &text) > 0) {
                /* First counted, so that what there is of it is freed. */
                r = split(&l->words[l->n_words++], text);
                if (r < 0)
                        return r == -EBADMSG
                                       ? bad(why, TYPED_KEY, "has a text without words and a '='")
                                       : r;
        }
        if (l->n_words < texts.n)
                return bad(why, TYPED_KEY, "is not an array of texts");
        qsort(l->words, l->n_words, sizeof(*l->words), compare_words);
        return 0;
}

static int read_examples(struct leeway *l, const struct gguf *file, struct why *why) {
        struct gguf_array texts;
        struct gguf_string text;
        size_t cursor = 0;
        int r;

        r = gguf_get_array(file, EXAMPLES_KEY, &texts, why);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (texts.n > LEEWAY_MAX_EXAMPLES)
                return bad(why, EXAMPLES_KEY, "is too long");
        l->examples = calloc(texts.n + 1, sizeof(*l->examples));
        if (!l->examples)
                return -ENOMEM;
        while (l->n_examples < texts.n && gguf_array_string(&texts, &cursor, &text) > 0) {
                l->examples[l->n_examples] = strndup(text.text, text.size);
                if (!l->examples[l->n_examples++])
                        return -ENOMEM;
        }
        return l->n_examples == texts.n ? 0 : bad(why, EXAMPLES_KEY, "is not an array of texts");
}

int leeway_read(struct leeway **ret, const struct gguf *g, size_t n_vocab, struct why *why) {
        _cleanup_(leeway_freep) struct leeway *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->n_vocab = n_vocab;
        r = read_open(l, g, why);
        if (r >= 0)
                r = read_words(l, g, why);
        if (r >= 0)
                r = read_examples(l, g, why);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

struct leeway *leeway_free(struct leeway *l) {
        if (!l)
                return NULL;

        for (size_t i = 0; i < l->n_words; i++) {
                free(l->words[i].typed);
                free(l->words[i].said);
        }
        free(l->words);
        for (size_t i = 0; i < l->n_examples; i++)
                free(l->examples[i]);
        free(l->examples);
        free(l->is_open);
        free(l);
        return NULL;
}

bool leeway_is_open(const struct leeway *l, int32_t token) {
        return l && l->is_open && token >= 0 && (size_t) token < l->n_vocab && l->is_open[token];
}

bool leeway_has_open(const struct leeway *l) {
        return l && l->is_open;
}

const struct leeway_words *leeway_words(const struct leeway *l, size_t *ret_n) {
        *ret_n = l ? l->n_words : 0;
        return l ? l->words : NULL;
}

const char *leeway_example(const struct leeway *l, size_t i) {
        return l && i < l->n_examples ? l->examples[i] : NULL;
}
