/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/sentences.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static char heard[16384];

static void on_said(const char *sentence, void *userdata) {
        (void) userdata;
        if (*heard)
                strcat(heard, " | ");
        strcat(heard, sentence);
}

/* What is spoken of an answer that comes in pieces of so many bytes. */
static const char *spoken(const char *text, size_t piece_size) {
        struct sentences s = {};
        char piece[64];

        heard[0] = 0;
        while (*text) {
                size_t n = strnlen(text, piece_size);

                memcpy(piece, text, n);
                piece[n] = 0;
                sentences_push(&s, piece, on_said, NULL);
                text += n;
        }
        sentences_end(&s, on_said, NULL);
        return heard;
}

static bool is_spoken(const char *text, const char *expected) {
        static const size_t sizes[] = { 1, 3, 7, 60 };

        for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                if (strcmp(spoken(text, sizes[i]), expected) != 0) {
                        printf("# in pieces of %zu: '%s'\n", sizes[i], heard);
                        return false;
                }
        return true;
}

static void cuts(void) {
        expect(is_spoken("It is late. Go home! Why? Because", "It is late. | Go home! | Why? | Because"));
        expect(is_spoken("Mr. Smith paid 3.50 euros, e.g. for tea. Fine.",
                         "Mr. Smith paid 3.50 euros, e.g. for tea. | Fine."));
        expect(is_spoken("He said \"no.\" Then he left.", "He said \"no.\" | Then he left."));
        expect(is_spoken("Timer set, five minutes.", "Timer set, five minutes."));
        expect(is_spoken("\n\n ... \n", ""));
}

/* The first sentence does not wait for the second. */
static void comes_early(void) {
        struct sentences s = {};

        heard[0] = 0;
        sentences_push(&s, "It is late. G", on_said, NULL);
        expect(strcmp(heard, "It is late.") == 0);
        sentences_push(&s, "o home", on_said, NULL);
        expect(strcmp(heard, "It is late.") == 0);
        sentences_reset(&s);
        sentences_end(&s, on_said, NULL);
        expect(strcmp(heard, "It is late.") == 0);
}

static void leaves_marks_out(void) {
        expect(is_spoken("This is **very** `important`, _really_.", "This is very important, really."));
        expect(is_spoken("# Title\n- one\n* two\n> three\n", "Title | one | two | three"));
        expect(is_spoken("1. First\n2. Second", "1. First | 2. Second"));
        expect(is_spoken("See [the manual](https://example.org/a_b) or https://example.org/x?y=1 now.",
                         "See the manual or a link now."));
        expect(is_spoken("So:\n```c\nint main(void);\n```\nThat is it.", "So: | That is it."));
        expect(is_spoken("the snake_case name", "the snake_case name"));
}

static void says_units(void) {
        expect(is_spoken("Drive 50 km/h for 10km.", "Drive 50 kilometres per hour for 10 kilometres."));
        expect(is_spoken("It is 21\xc2\xb0" "C, 40% humid.", "It is 21 degrees Celsius, 40 percent humid."));
        expect(is_spoken("Volume 40 %", "Volume 40 percent"));
        expect(is_spoken("I am him & you; 5 men.", "I am him and you; 5 men."));
        expect(is_spoken("8 GB, 2.5 m, 30 s", "8 gigabytes, 2.5 metres, 30 seconds"));
}

static void is_bounded(void) {
        char *text = malloc(10001);

        memset(text, 'a', 10000);
        for (unsigned i = 99; i < 10000; i += 100)
                text[i] = ' ';
        text[10000] = 0;
        expect(strlen(spoken(text, 60)) > 9000);
        free(text);
}

int main(void) {
        rule("sentences are cut", cuts);
        rule("the first one comes early", comes_early);
        rule("marks for the eye are left out", leaves_marks_out);
        rule("units are said", says_units);
        rule("an answer without an end", is_bounded);
        return tap_done();
}
