/* SPDX-License-Identifier: Apache-2.0 */
#include "model/leeway.h"

#include <errno.h>
#include <string.h>

#include "tests/tap.h"
#include "tests/unit/gguf-builder.h"

#define N_VOCAB 6

static int read(const int32_t *open,
                size_t n_open,
                const char *const *typed,
                size_t n_typed,
                struct leeway **ret,
                struct why *why) {
        struct gguf_builder b = { 0 };
        struct gguf *g;
        size_t size;
        void *file;
        int r;

        if (open)
                builder_add_i32s(&b, "gemmad.grammar.open", open, n_open);
        if (typed)
                builder_add_strings(&b, "gemmad.grammar.typed", typed, n_typed);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "leeway", why) == 0);
        r = leeway_read(ret, g, N_VOCAB, why);
        /* What is read is a copy. */
        gguf_close(g);
        free(file);
        return r;
}

static void is_none_without_keys(void) {
        struct leeway *l;
        size_t n = 1;

        expect(read(NULL, 0, NULL, 0, &l, NULL) == 0);
        expect(!leeway_has_open(l) && !leeway_is_open(l, 2));
        (void) leeway_words(l, &n);
        expect(n == 0);
        leeway_free(l);
        expect(!leeway_has_open(NULL) && !leeway_is_open(NULL, 0) && !leeway_words(NULL, &n));
}

static void knows_open_tokens(void) {
        static const int32_t open[] = { 2, 5 };
        struct leeway *l;

        expect(read(open, 2, NULL, 0, &l, NULL) == 0);
        expect(leeway_has_open(l) && leeway_is_open(l, 2) && leeway_is_open(l, 5));
        expect(!leeway_is_open(l, 3) && !leeway_is_open(l, -1) && !leeway_is_open(l, N_VOCAB));
        leeway_free(l);
}

static void has_words_in_order(void) {
        static const char *const typed[] = { "rise=raise", "buddy=", "a notch=a bit" };
        const struct leeway_words *words;
        struct leeway *l;
        size_t n;

        expect(read(NULL, 0, typed, 3, &l, NULL) == 0);
        words = leeway_words(l, &n);
        expect(n == 3 && strcmp(words[0].typed, "a notch") == 0 &&
               strcmp(words[0].said, "a bit") == 0);
        expect(strcmp(words[1].typed, "buddy") == 0 && strcmp(words[1].said, "") == 0);
        expect(strcmp(words[2].typed, "rise") == 0 && strcmp(words[2].said, "raise") == 0);
        leeway_free(l);
}

static void has_examples_in_order(void) {
        static const char *const examples[] = { "set a timer", "lock the screen" };
        struct gguf_builder b = { 0 };
        struct leeway *l;
        struct gguf *g;
        size_t size;
        void *file;

        builder_add_strings(&b, "gemmad.grammar.examples", examples, 2);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "leeway", NULL) == 0);
        expect(leeway_read(&l, g, N_VOCAB, NULL) == 0);
        gguf_close(g);
        free(file);
        expect(strcmp(leeway_example(l, 0), "set a timer") == 0);
        expect(strcmp(leeway_example(l, 1), "lock the screen") == 0);
        expect(!leeway_example(l, 2) && !leeway_example(NULL, 0));
        leeway_free(l);
}

static void refuses_what_is_wrong(void) {
        static const int32_t beyond[] = { N_VOCAB }, negative[] = { -1 };
        static const char *const wrong[] = {
                "no sign", "=nothing typed",
                "0123456789012345678901234567890123456789012345678901234567890123=x"
        };
        struct why why = {};
        struct leeway *l;

        expect(read(beyond, 1, NULL, 0, &l, &why) == -EBADMSG &&
               strstr(why.text, "gemmad.grammar.open"));
        expect(read(negative, 1, NULL, 0, &l, &why) == -EBADMSG);
        for (size_t i = 0; i < 3; i++) {
                why = (struct why){};
                expect(read(NULL, 0, wrong + i, 1, &l, &why) == -EBADMSG);
                expect(strstr(why.text, "gemmad.grammar.typed") != NULL);
        }
}

static void refuses_other_kinds(void) {
        struct gguf_builder b = { 0 };
        static const uint32_t numbers[] = { 1, 2 };
        struct why why = {};
        struct leeway *l;
        struct gguf *g;
        size_t size;
        void *file;

        builder_add_u32s(&b, "gemmad.grammar.typed", numbers, 2);
        file = builder_finish(&b, &size);
        expect(gguf_open_memory(&g, file, size, "leeway", NULL) == 0);
        expect(leeway_read(&l, g, N_VOCAB, &why) == -EBADMSG);
        gguf_close(g);
        free(file);
}

int main(void) {
        rule("a file may give no leeway", is_none_without_keys);
        rule("the words that stand for any are known", knows_open_tokens);
        rule("words that are typed come with what they mean, sorted", has_words_in_order);
        rule("the sentences worth trying come in their order", has_examples_in_order);
        rule("what is no token and no pair is refused by its key", refuses_what_is_wrong);
        rule("an array of another kind is refused", refuses_other_kinds);
        return tap_done();
}
