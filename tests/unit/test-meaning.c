/* SPDX-License-Identifier: Apache-2.0 */
#include "model/meaning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"
#include "tests/unit/gguf-builder.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Written out, so that what a training computes is what is computed here. */
static uint32_t fnv(const char *text) {
        uint32_t hash = 2166136261u;

        for (; *text; text++)
                hash = (hash ^ (unsigned char) *text) * 16777619u;
        return hash;
}

struct row {
        const char *feature;
        uint32_t class;
        int32_t weight;
};

/* One weight for each feature. */
static const struct row rows[] = {
        { "up", 1, 90 }, { "turn", 1, 5 }, { "down", 2, 90 }, { "it", 1, 0 },      { "?", 0, 40 },
        { "turn up", 1, 20 }, { "it $", 1, 5 }, { "weather", 3, 90 }, { "^ weather", 3, 30 },
};
static const char *const says[] = { "", "turn it up", "turn it down", "=No weather." };

static int compare(const void *a, const void *b) {
        uint32_t x = fnv(((const struct row *) a)->feature), y = fnv(((const struct row *) b)->feature);

        return x < y ? -1 : x > y;
}

enum flaw { FLAW_NONE, FLAW_ORDER, FLAW_CLASS, FLAW_FIRST, FLAW_LEAST, FLAW_UNIT, FLAW_MISSING, FLAW_SHORT };

static int read(enum flaw flaw, struct meanings **ret, struct why *why) {
        uint32_t features[N(rows)], first[N(rows) + 1], classes[N(rows)], least[] = { 100, 80, 80, 70 };
        int32_t weights[N(rows)], bias[] = { 20, 0, 0, 0 };
        struct row sorted[N(rows)];
        struct gguf_builder b = { 0 };
        struct gguf *g;
        size_t size;
        void *file;
        int r;

        memcpy(sorted, rows, sizeof(rows));
        qsort(sorted, N(rows), sizeof(rows[0]), compare);
        for (uint32_t i = 0; i < N(rows); i++) {
                features[i] = fnv(sorted[i].feature);
                classes[i] = sorted[i].class;
                weights[i] = sorted[i].weight;
                first[i] = i;
        }
        first[N(rows)] = N(rows);
        if (flaw == FLAW_ORDER)
                features[1] = features[0];
        if (flaw == FLAW_CLASS)
                classes[2] = N(says);
        if (flaw == FLAW_FIRST)
                first[N(rows)] = N(rows) - 1;
        if (flaw == FLAW_LEAST)
                least[1] = 101;
        builder_add_strings(&b, "gemmad.meaning.says", says, N(says));
        builder_add_u32s(&b, "gemmad.meaning.least", least, N(says));
        builder_add_i32s(&b, "gemmad.meaning.bias", bias, flaw == FLAW_SHORT ? 3 : N(says));
        builder_add_u32s(&b, "gemmad.meaning.features", features, N(rows));
        builder_add_u32s(&b, "gemmad.meaning.first", first, N(rows) + 1);
        builder_add_u32s(&b, "gemmad.meaning.classes", classes, N(rows));
        if (flaw != FLAW_MISSING)
                builder_add_i32s(&b, "gemmad.meaning.weights", weights, N(rows));
        builder_add_f32(&b, "gemmad.meaning.unit", flaw == FLAW_UNIT ? -1 : 0.1f);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "meanings", why) == 0);
        r = meanings_read(ret, g, why);
        /* What is read is a copy. */
        gguf_close(g);
        free(file);
        return r;
}

static void is_none_without_keys(void) {
        struct gguf_builder b = { 0 };
        struct meanings *m;
        struct gguf *g;
        float likelihood = 1;
        size_t size;
        void *file;

        builder_add_u32(&b, "something", 1);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "none", NULL) == 0);
        expect(meanings_read(&m, g, NULL) == 0 && !m);
        gguf_close(g);
        free(file);
        expect(meanings_judge(NULL, "turn up", &likelihood) == 0 && likelihood == 0);
}

static void tells_by_words_and_pairs(void) {
        struct meanings *m;
        float up, alone, strange, other;

        expect(read(FLAW_NONE, &m, NULL) == 0);
        expect(meanings_judge(m, "turn up it", &up) == 1 && up > 0.8f);
        expect(meanings_judge(m, "down it", &other) == 2 && other > 0.8f);
        expect(meanings_judge(m, "weather", &alone) == 3 && alone > 0.9f);
        expect(strcmp(meanings_text(m, 3), "=No weather.") == 0);
        expect(meanings_least(m, 3) > 0.69f && meanings_least(m, 3) < 0.71f);
        /* A word twice is a word once. */
        (void) meanings_judge(m, "up it", &alone);
        (void) meanings_judge(m, "up it it it", &other);
        expect(alone == other);
        meanings_free(m);
        expect(read(FLAW_NONE, &m, NULL) == 0);
        /* What nobody has learnt is one and the same word, and speaks for nothing here. */
        (void) meanings_judge(m, "up zork", &strange);
        (void) meanings_judge(m, "up blorb", &other);
        expect(strange == other && strange < alone);
        meanings_free(m);
}

static void takes_nothing_for_nothing(void) {
        char words[4096];
        struct meanings *m;
        float likelihood;

        expect(read(FLAW_NONE, &m, NULL) == 0);
        (void) meanings_judge(m, "", &likelihood);
        expect(likelihood < 0.8f);
        (void) meanings_judge(m, "zork blorb", &likelihood);
        expect(likelihood < 0.5f);
        /* No length is too long. */
        for (size_t i = 0; i < sizeof(words) - 1; i++)
                words[i] = i % 3 == 2 ? ' ' : 'a' + (char) (i % 26);
        words[sizeof(words) - 1] = '\0';
        (void) meanings_judge(m, words, &likelihood);
        expect(likelihood < 0.5f);
        meanings_free(m);
}

static void refuses_what_is_wrong(void) {
        static const struct {
                enum flaw flaw;
                const char *key;
        } flaws[] = {
                { FLAW_ORDER, "features" }, { FLAW_CLASS, "classes" }, { FLAW_FIRST, "first" }, { FLAW_LEAST, "least" },
                { FLAW_UNIT, "unit" }, { FLAW_MISSING, "weights" }, { FLAW_SHORT, "bias" },
        };

        for (size_t i = 0; i < N(flaws); i++) {
                struct meanings *m = NULL;
                struct why why = {};

                expect(read(flaws[i].flaw, &m, &why) == -EBADMSG);
                expect(!m && strstr(why.text, flaws[i].key));
        }
}

int main(void) {
        rule("a file may know no meanings", is_none_without_keys);
        rule("words and pairs of words tell the meaning", tells_by_words_and_pairs);
        rule("nothing, and what nobody has learnt, means nothing", takes_nothing_for_nothing);
        rule("what is wrong in a file is refused by its key", refuses_what_is_wrong);
        return tap_done();
}
