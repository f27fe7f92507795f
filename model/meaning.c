/* SPDX-License-Identifier: Apache-2.0 */
#include "model/meaning.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define KEY          "gemmad.meaning."
#define SAYS_KEY     KEY "says"
#define LEAST_KEY    KEY "least"
#define BIAS_KEY     KEY "bias"
#define FEATURES_KEY KEY "features"
#define FIRST_KEY    KEY "first"
#define CLASSES_KEY  KEY "classes"
#define WEIGHTS_KEY  KEY "weights"
#define UNIT_KEY     KEY "unit"

/* Of what is done, the share of all likelihood that it must have. */
#define STANDS_OUT 0.4f

#define MAX_WORDS   64
#define MAX_WEIGHTS (1 << 20)

struct meanings {
        char **says;        /* owned, [n_classes], each owned */
        float *least;       /* owned, [n_classes] */
        int32_t *bias;      /* owned, [n_classes] */
        uint32_t *features; /* owned, [n_features] */
        uint32_t *first;    /* owned, [n_features + 1] */
        uint8_t *classes;   /* owned, [n_weights] */
        int16_t *weights;   /* owned, [n_weights] */
        size_t n_classes, n_features, n_weights;
        float unit;
};

DEFINE_CLEANUP(struct meanings *, meanings_free)

static int bad(struct why *why, const char *key, const char *what) {
        return because(why, -EBADMSG, "key '%s' %s", key, what);
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* An array of so many integers that lie between two. */
static int read_numbers(const struct gguf *file,
                        const char *key,
                        size_t n,
                        int64_t least,
                        int64_t most,
                        int64_t **ret,
                        struct why *why) {
        _cleanup_(freep) int64_t *numbers = calloc(n + 1, sizeof(*numbers));
        struct gguf_array a;
        int r;

        if (!numbers)
                return -ENOMEM;
        r = gguf_get_array(file, key, &a, why);
        if (r < 0)
                return r == -ENOENT ? bad(why, key, "is missing") : r;
        if (a.n != n)
                return bad(why, key, "has another length than it should");
        for (size_t i = 0; i < n; i++)
                if (gguf_array_integer(&a, i, &numbers[i]) < 0 || numbers[i] < least || numbers[i] > most)
                        return bad(why, key, "has something that it can not have");
        *ret = TAKE_PTR(numbers);
        return 0;
}

static int read_says(struct meanings *m, const struct gguf_array *texts, struct why *why) {
        struct gguf_string text;
        size_t cursor = 0;

        if (texts->n < 2 || texts->n > MEANING_MAX_CLASSES)
                return bad(why, SAYS_KEY, "has too few or too many texts");
        m->says = calloc(texts->n, sizeof(*m->says));
        m->least = calloc(texts->n, sizeof(*m->least));
        m->bias = calloc(texts->n, sizeof(*m->bias));
        if (!m->says || !m->least || !m->bias)
                return -ENOMEM;
        while (m->n_classes < texts->n && gguf_array_string(texts, &cursor, &text) > 0) {
                if (text.size > MEANING_MAX_TEXT || memchr(text.text, '\0', text.size))
                        return bad(why, SAYS_KEY, "has a text that is too long");
                m->says[m->n_classes] = strndup(text.text, text.size);
                if (!m->says[m->n_classes++])
                        return -ENOMEM;
        }
        return m->n_classes == texts->n ? 0 : bad(why, SAYS_KEY, "is not an array of texts");
}

static int read_classes(struct meanings *m, const struct gguf *file, struct why *why) {
        _cleanup_(freep) int64_t *least = NULL, *bias = NULL;
        int r;

        r = read_numbers(file, LEAST_KEY, m->n_classes, 0, 100, &least, why);
        if (r >= 0)
                r = read_numbers(file, BIAS_KEY, m->n_classes, -(1 << 24), 1 << 24, &bias, why);
        for (size_t i = 0; r >= 0 && i < m->n_classes; i++) {
                m->least[i] = (float) least[i] / 100;
                m->bias[i] = (int32_t) bias[i];
        }
        if (r >= 0)
                r = gguf_get_f32(file, UNIT_KEY, &m->unit, why);
        if (r >= 0 && (!isfinite(m->unit) || m->unit <= 0))
                r = bad(why, UNIT_KEY, "is no value of a weight");
        return r;
}

static int read_features(struct meanings *m, const struct gguf *file, struct why *why) {
        _cleanup_(freep) int64_t *features = NULL, *first = NULL;
        const size_t n = m->n_features;
        int r;

        m->features = calloc(n + 1, sizeof(*m->features));
        m->first = calloc(n + 1, sizeof(*m->first));
        if (!m->features || !m->first)
                return -ENOMEM;
        r = read_numbers(file, FEATURES_KEY, n, 0, UINT32_MAX, &features, why);
        if (r >= 0)
                r = read_numbers(file, FIRST_KEY, n + 1, 0, (int64_t) m->n_weights, &first, why);
        if (r < 0)
                return r;
        for (size_t i = 0; i <= n; i++) {
                if (i > 0 && (first[i] < first[i - 1] || (i < n && features[i] <= features[i - 1])))
                        return bad(why, i < n ? FEATURES_KEY : FIRST_KEY, "does not rise");
                m->first[i] = (uint32_t) first[i];
                m->features[i] = i < n ? (uint32_t) features[i] : 0;
        }
        return first[0] == 0 && (size_t) first[n] == m->n_weights ? 0
                                                                    : bad(why, FIRST_KEY, "does not reach the end");
}

static int read_weights(struct meanings *m, const struct gguf *file, struct why *why) {
        _cleanup_(freep) int64_t *classes = NULL, *weights = NULL;
        const size_t n = m->n_weights;
        int r;

        m->classes = calloc(n + 1, sizeof(*m->classes));
        m->weights = calloc(n + 1, sizeof(*m->weights));
        if (!m->classes || !m->weights)
                return -ENOMEM;
        r = read_numbers(file, CLASSES_KEY, n, 0, (int64_t) m->n_classes - 1, &classes, why);
        if (r >= 0)
                r = read_numbers(file, WEIGHTS_KEY, n, INT16_MIN, INT16_MAX, &weights, why);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                m->classes[i] = (uint8_t) classes[i];
                m->weights[i] = (int16_t) weights[i];
        }
        return r;
}

int meanings_read(struct meanings **ret, const struct gguf *file, struct why *why) {
        _cleanup_(meanings_freep) struct meanings *m = NULL;
        struct gguf_array says, features, weights;
        int r;

        *ret = NULL;
        r = gguf_get_array(file, SAYS_KEY, &says, why);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (gguf_get_array(file, FEATURES_KEY, &features, NULL) < 0 || features.n > MEANING_MAX_FEATURES)
                return bad(why, FEATURES_KEY, "is missing or too long");
        if (gguf_get_array(file, WEIGHTS_KEY, &weights, NULL) < 0 || weights.n > MAX_WEIGHTS)
                return bad(why, WEIGHTS_KEY, "is missing or too long");
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->n_features = features.n;
        m->n_weights = weights.n;
        r = read_says(m, &says, why);
        if (r >= 0)
                r = read_classes(m, file, why);
        if (r >= 0)
                r = read_features(m, file, why);
        if (r >= 0)
                r = read_weights(m, file, why);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

struct meanings *meanings_free(struct meanings *m) {
        if (!m)
                return NULL;

        for (size_t i = 0; m->says && i < m->n_classes; i++)
                free(m->says[i]);
        free(m->says);
        free(m->least);
        free(m->bias);
        free(m->features);
        free(m->first);
        free(m->classes);
        free(m->weights);
        free(m);
        return NULL;
}

/* ---- judging ---------------------------------------------------------------------------------- */

#define BASIS 2166136261u

static uint32_t hash(uint32_t hash, const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                hash = (hash ^ (unsigned char) text[i]) * 16777619u;
        return hash;
}

/* Where a feature's weights are; n_features: it has none. */
static size_t find(const struct meanings *m, uint32_t feature) {
        size_t low = 0, high = m->n_features;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (m->features[middle] < feature)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < m->n_features && m->features[low] == feature ? low : m->n_features;
}

struct piece {
        const char *text;
        size_t size;
};

/* The words with a sign for either end; one that nobody has learnt is any other such. */
static size_t cut(const struct meanings *m, const char *words, struct piece pieces[static MAX_WORDS + 2]) {
        size_t n = 0;

        pieces[n++] = (struct piece){ "^", 1 };
        while (*words && n <= MAX_WORDS) {
                struct piece piece = { words, strcspn(words, " ") };

                words += piece.size + (words[piece.size] == ' ');
                if (find(m, hash(BASIS, piece.text, piece.size)) == m->n_features)
                        piece = (struct piece){ "?", 1 };
                pieces[n++] = piece;
        }
        pieces[n++] = (struct piece){ "$", 1 };
        return n;
}

/* Each feature counts once. */
static size_t add_feature(const struct meanings *m, uint32_t feature, uint32_t *found, size_t n) {
        size_t at = find(m, feature);

        for (size_t i = 0; i < n; i++)
                if (found[i] == at)
                        return n;
        if (at < m->n_features)
                found[n++] = (uint32_t) at;
        return n;
}

static size_t find_features(const struct meanings *m, const char *words, uint32_t found[static 2 * MAX_WORDS + 2]) {
        struct piece pieces[MAX_WORDS + 2];
        size_t n_pieces = cut(m, words, pieces), n = 0;

        for (size_t i = 1; i < n_pieces; i++) {
                const struct piece *a = &pieces[i - 1], *b = &pieces[i];
                uint32_t pair = hash(hash(hash(BASIS, a->text, a->size), " ", 1), b->text, b->size);

                if (i + 1 < n_pieces)
                        n = add_feature(m, hash(BASIS, b->text, b->size), found, n);
                n = add_feature(m, pair, found, n);
        }
        return n;
}

static void add_up(const struct meanings *m, const uint32_t *found, size_t n, float scores[static MEANING_MAX_CLASSES]) {
        float sums[MEANING_MAX_CLASSES] = { 0 };

        for (size_t i = 0; i < n; i++)
                for (uint32_t k = m->first[found[i]]; k < m->first[found[i] + 1]; k++)
                        sums[m->classes[k]] += (float) m->weights[k];
        for (size_t i = 0; i < m->n_classes; i++)
                scores[i] = m->unit * ((float) m->bias[i] + (n > 0 ? sums[i] / sqrtf((float) n) : 0));
}

static bool is_deed(const struct meanings *m, unsigned meaning) {
        char sign = m->says[meaning][0];

        return sign != MEANING_REPLY && sign != MEANING_HINT;
}

/* All meanings of one kind count together, so that two which are much alike do not hide each other; but
 * what is done has to be one that stands out. */
static float likelihood_of(const struct meanings *m, const float *shares, unsigned best) {
        float sum = 0;

        for (unsigned i = 1; i < m->n_classes; i++)
                if (is_deed(m, i) == is_deed(m, best))
                        sum += shares[i];
        return is_deed(m, best) && shares[best] < STANDS_OUT ? shares[best] : sum;
}

unsigned meanings_judge(const struct meanings *m, const char *words, float *ret_likelihood) {
        uint32_t found[2 * MAX_WORDS + 2];
        float scores[MEANING_MAX_CLASSES] = { 0 }, sum = 0, most;
        unsigned best = 1;

        *ret_likelihood = 0;
        if (!m)
                return 0;
        add_up(m, found, find_features(m, words, found), scores);
        for (unsigned i = 2; i < m->n_classes; i++)
                if (scores[i] > scores[best])
                        best = i;
        most = fmaxf(scores[0], scores[best]);
        for (unsigned i = 0; i < m->n_classes; i++)
                sum += scores[i] = expf(scores[i] - most);
        for (unsigned i = 0; i < m->n_classes; i++)
                scores[i] /= sum;
        *ret_likelihood = likelihood_of(m, scores, best);
        return best;
}

unsigned meanings_count(const struct meanings *m) {
        return m ? m->n_classes : 0;
}

const char *meanings_text(const struct meanings *m, unsigned meaning) {
        return m->says[meaning];
}

float meanings_least(const struct meanings *m, unsigned meaning) {
        return m->least[meaning];
}
