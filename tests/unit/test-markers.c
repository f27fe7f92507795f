/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/markers.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/common/text.h"
#include "tests/tap.h"

/* Text that is cut into pieces of this size. */
static bool becomes(const char *text, size_t piece, const char *expected) {
        struct markers m = { 0 };
        char out[512] = "", part[512];
        size_t n = 0, size = strlen(text);

        for (size_t at = 0; at < size; at += piece) {
                size_t n_part = markers_push(&m, text + at, size - at < piece ? size - at : piece, part);

                memcpy(out + n, part, n_part);
                n += n_part;
        }
        n += markers_finish(&m, out + n);
        out[n] = '\0';
        if (strcmp(out, expected) != 0)
                printf("# '%s' in pieces of %zu: '%s'\n", text, piece, out);
        return strcmp(out, expected) == 0;
}

static void expect_becomes(const char *text, const char *expected) {
        for (size_t piece = 1; piece <= strlen(text); piece++)
                expect(becomes(text, piece, expected));
}

static void markers_are_left_out(void) {
        static const char *const names[] = { "turn", "channel", "tool", "tool_call", "tool_response",
                                             "think", "image", "audio", "video", "\"" };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char text[128];

                (void) snprintf(text, sizeof(text), "a<|%s>b<%s|>c<|%s|>d", names[i], names[i], names[i]);
                expect_becomes(text, "abcd");
        }
        expect_becomes("<bos>x<eos><pad><unk><mask><unused49><start_of_turn><end_of_turn>", "x");
        expect_becomes("<<|turn><tool_call|>|>", "<|>");
        expect_becomes("<|tur<|turn>n>", "<|turn>");
}

static void what_is_none_stays(void) {
        static const char *const texts[] = {
                "1 < 2 > 0",    "<b>bold</b>",   "a <| b |> c",      "<|", "<", "<>", "<||>",
                "x <- y",       "<|Turn>",       "\xc3\xa9<\xc3\xa9", "if (a<b||c>d)",
                "<|this_name_is_far_longer_than_any_marker_is>",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                expect_becomes(texts[i], texts[i]);
}

static void the_end_gives_back_what_was_none(void) {
        expect_becomes("I <", "I <");
        expect_becomes("a <b", "a <b");
        expect_becomes("I <|tool_ca", "I ");
        expect_becomes("I <|tool_call|", "I ");
}

static void what_can_be_none_is_not_kept_back(void) {
        struct markers m = { 0 };
        char out[128];

        expect(markers_push(&m, "a <b", 4, out) == 2);
        expect(markers_push(&m, " c", 2, out) == 4 && memcmp(out, "<b c", 4) == 0);
}

static void a_text_is_trimmed_as_unicode_does(void) {
        struct text t = { 0 };
        static const char text[] = "\xe2\x80\x83\xc2\xa0 \n\x1c" "a\xc2\xa0z\xe3\x80\x80\xe1\x9a\x80";

        expect(text_append(&t, text, sizeof(text) - 1, 100) == 0);
        text_trim(&t);
        expect(strcmp(text_data(&t), "a\xc2\xa0z") == 0);
        text_clear(&t);
        expect(text_append(&t, " \xe2\x80\x89 ", 5, 100) == 0);
        text_trim(&t);
        expect(t.size == 0 && strcmp(text_data(&t), "") == 0);
        text_done(&t);
}

int main(void) {
        rule("markers are left out", markers_are_left_out);
        rule("what is none stays", what_is_none_stays);
        rule("the end gives back what was none", the_end_gives_back_what_was_none);
        rule("what can be none is not kept back", what_can_be_none_is_not_kept_back);
        rule("a text is trimmed as Unicode does", a_text_is_trimmed_as_unicode_does);
        return tap_done();
}
