/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ctl-print.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/utf8.h"

/* C0 and C1 controls drive the terminal; the others reorder or hide what is written. */
static bool is_dangerous(uint32_t c) {
        if (c == '\n' || c == '\t')
                return false;
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
               (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void print_text(FILE *to, bool to_terminal, const char *text) {
        if (!to_terminal) {
                (void) fputs(text, to);
                return;
        }
        while (*text) {
                /* The zero at the end begins and continues no character. */
                int size = utf8_character(text, 4);
                uint32_t c = size > 0 ? utf8_code(text, size) : (unsigned char) *text;

                if (size <= 0 || is_dangerous(c))
                        (void) fprintf(to, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
                else
                        (void) fwrite(text, 1, (size_t) size, to);
                text += size > 0 ? size : 1;
        }
}

void print_style(const struct ctl *c, enum style style) {
        static const char *const codes[] = {
                [STYLE_STRONG] = "1", [STYLE_FAINT] = "2", [STYLE_GOOD] = "32",
                [STYLE_BAD] = "1;31", [STYLE_NAME] = "36",
        };

        if (c->in_colour)
                (void) printf("\033[%sm", codes[style]);
}

void print_plain(const struct ctl *c) {
        if (c->in_colour)
                (void) fputs("\033[0m", stdout);
}

void print_styled(const struct ctl *c, enum style style, const char *text) {
        print_style(c, style);
        print_text(stdout, c->to_terminal, text);
        print_plain(c);
}

int print_span(double seconds) {
        uint64_t s = seconds > 0 ? (uint64_t) seconds : 0;

        if (s >= 86400)
                return printf("%ju d %ju h", (uintmax_t) (s / 86400), (uintmax_t) (s / 3600 % 24));
        if (s >= 3600)
                return printf("%ju h %ju min", (uintmax_t) (s / 3600), (uintmax_t) (s / 60 % 60));
        if (s >= 60)
                return printf("%ju min %ju s", (uintmax_t) (s / 60), (uintmax_t) (s % 60));
        return printf("%ju s", (uintmax_t) s);
}

size_t print_key(FILE *to, bool to_terminal, const char *key) {
        _cleanup_(freep) char *words = strdup(key);

        if (!words)
                return 0;
        for (char *w = words; (w = strchr(w, '_')); w++)
                *w = ' ';
        print_text(to, to_terminal, words);
        return strlen(words);
}

void print_indented(const struct ctl *c, int indent, const char *text) {
        const char *end;

        while ((end = strchr(text, '\n'))) {
                _cleanup_(freep) char *line = strndup(text, (size_t) (end - text));

                print_text(stdout, c->to_terminal, line ? line : "");
                (void) printf("\n%*s", indent, "");
                text = end + 1;
        }
        print_text(stdout, c->to_terminal, text);
}

void print_error(const char *format, ...) {
        _cleanup_(freep) char *message = NULL;
        va_list args;
        int n;

        va_start(args, format);
        n = vasprintf(&message, format, args);
        va_end(args);
        if (n < 0) {
                message = NULL;
                return;
        }

        (void) fflush(stdout);
        (void) fputs("gemmactl: ", stderr);
        print_text(stderr, isatty(STDERR_FILENO), message);
        (void) fputc('\n', stderr);
}

void print_json(const struct ctl *c, json_t *value) {
        size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(15);
        _cleanup_(freep) char *text = NULL;

        text = json_dumps(value, c->to_terminal ? flags | JSON_ENSURE_ASCII : flags);
        for (const char *at = text; at && *at; at++) {
                /* The only control that JSON lets stand, and jansson with it. */
                if (c->to_terminal && *at == 0x7f)
                        (void) fputs("\\u007F", stdout);
                else
                        (void) putchar(*at);
        }
        if (text)
                (void) putchar('\n');
        (void) fflush(stdout);
}

void print_call(const struct ctl *c, json_t *call) {
        _cleanup_(freep) char *arguments = NULL;

        arguments = json_dumps(json_object_get(call, "arguments"), JSON_REAL_PRECISION(15));
        print_styled(c, STYLE_NAME, field_string(call, "name"));
        print_text(stdout, c->to_terminal, arguments ? arguments : "{}");
}

const char *field_string(json_t *object, const char *name) {
        const char *text = json_string_value(json_object_get(object, name));

        return text ? text : "";
}

json_int_t field_int(json_t *object, const char *name) {
        return json_integer_value(json_object_get(object, name));
}

double field_number(json_t *object, const char *name) {
        return json_number_value(json_object_get(object, name));
}

const char *turn_unanswered(json_t *turn) {
        static const char *const words[][2] = {
                { "nobody_spoke", "nobody spoke" },
                { "too_quiet", "too quiet, or too short, to be understood" },
                { "not_a_command", "not a command" },
                { "not_understood", "not understood" },
                { "unsure", "heard, but not for certain: nothing was done" },
        };
        const char *reason = field_string(turn, "unanswered");

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcmp(reason, words[i][0]) == 0)
                        return words[i][1];
        return "no answer";
}

bool turn_has_answer(json_t *turn) {
        return field_string(turn, "answered")[0] ||
               json_array_size(json_object_get(turn, "calls")) > 0;
}
