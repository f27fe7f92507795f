/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ctl-print.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"

/* What is printed, as a string; the caller frees it. */
static char *printed(bool to_terminal, const char *text) {
        size_t size;
        char *result;
        FILE *f = open_memstream(&result, &size);

        print_text(f, to_terminal, text);
        (void) fclose(f);
        return result;
}

static bool prints(bool to_terminal, const char *text, const char *expected) {
        char *result = printed(to_terminal, text);
        bool same = strcmp(result, expected) == 0;

        if (!same)
                printf("# %s\n# instead of %s\n", result, expected);
        free(result);
        return same;
}

static void test_terminal(void) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "plain\n\ttext", "plain\n\ttext" },
                { "\x1b[2J\r\a\b\x7f", "\\x1b[2J\\x0d\\x07\\x08\\x7f" },
                { "\xc2\x9b"
                  "31m",
                  "\\x9b31m" },
                { "\xc2\xa0\xc3\xbc\xe2\x82\xac\xf0\x9f\x99\x82",
                  "\xc2\xa0\xc3\xbc\xe2\x82\xac\xf0\x9f\x99\x82" },
                { "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8", "\\u202e\\u2066\\u2028" },
                { "\xe2\x80\x9cquoted\xe2\x80\x9d", "\xe2\x80\x9cquoted\xe2\x80\x9d" },
                { "\xe2\x80", "\\xe2\\x80" },
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
                { "\xc3(", "\\xc3(" },
                { "\xff\x9b", "\\xff\\x9b" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                expect(prints(true, cases[i].text, cases[i].expected));
}

static void test_key(void) {
        char *result;
        size_t size;
        FILE *f = open_memstream(&result, &size);

        expect(print_key(f, true, "cut_turns_\x1b[2J") == 14);
        (void) fclose(f);
        expect(strcmp(result, "cut turns \\x1b[2J") == 0);
        free(result);
}

static void test_elsewhere(void) {
        expect(prints(false, "\x1b[2J\r\xc2\x9b\xe2\x80\xae", "\x1b[2J\r\xc2\x9b\xe2\x80\xae"));
}

/* What print_json() writes on standard output, which is also that of the test's results. */
static bool prints_json(bool to_terminal, const char *text, const char *expected) {
        const struct ctl c = { .to_terminal = to_terminal };
        json_t *value = json_pack("[s]", text);
        int fds[2], results = dup(STDOUT_FILENO);
        char line[128] = "";

        (void) fflush(stdout);
        expect(pipe(fds) == 0 && dup2(fds[1], STDOUT_FILENO) >= 0);
        print_json(&c, value);
        expect(dup2(results, STDOUT_FILENO) >= 0);
        expect(read(fds[0], line, sizeof(line) - 1) > 0);

        (void) close(results);
        (void) close(fds[0]);
        (void) close(fds[1]);
        json_decref(value);
        return strcmp(line, expected) == 0;
}

static void test_json(void) {
        const char *text = "\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xc3\xbc";

        expect(prints_json(true, text, "[\"\\u001B[2J\\u007F\\u009B\\u202E\\u00FC\"]\n"));
        expect(prints_json(false, text,
                           "[\"\\u001B[2J\x7f\xc2\x9b\xe2\x80\xae\xc3\xbc\"]\n"));
}

static void test_answer(void) {
        json_t *words = json_pack("{s:s}", "answered", "x");
        json_t *call = json_pack("{s:s, s:[{}]}", "answered", "", "calls");
        json_t *nothing = json_pack("{s:s, s:[]}", "answered", "", "calls");

        expect(turn_has_answer(words) && turn_has_answer(call));
        expect(!turn_has_answer(nothing) && !turn_has_answer(NULL));
        json_decref(words);
        json_decref(call);
        json_decref(nothing);
}

static void test_fields(void) {
        json_t *object = json_pack("{s:s, s:i, s:f, s:n}", "s", "x", "i", 7, "f", 1.5, "n");

        expect(strcmp(field_string(object, "s"), "x") == 0);
        expect(strcmp(field_string(object, "i"), "") == 0);
        expect(strcmp(field_string(object, "none"), "") == 0);
        expect(strcmp(field_string(NULL, "s"), "") == 0);
        expect(field_int(object, "i") == 7 && field_int(object, "s") == 0);
        expect(field_number(object, "f") > 1 && field_number(object, "i") > 6);
        expect(json_is_null(json_object_get(object, "n")));
        json_decref(object);
}

int main(void) {
        rule("no text drives the terminal, and readable text stays readable", test_terminal);
        rule("nor does a key that the daemon names", test_key);
        rule("elsewhere text is printed as it is", test_elsewhere);
        rule("JSON drives no terminal either, and is as it was sent elsewhere", test_json);
        rule("words and calls are answers", test_answer);
        rule("fields that are missing or of another type are empty", test_fields);
        return tap_done();
}
