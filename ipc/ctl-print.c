/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ctl-print.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The bytes of the next character of UTF-8; 1 too when it is none. */
static size_t next_character(const char *text, uint32_t *ret) {
        static const unsigned char first_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        const unsigned char *t = (const unsigned char *) text;
        size_t size = t[0] < 0xc2 ? 1 : t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : t[0] < 0xf5 ? 4 : 1;
        uint32_t c = t[0] & first_bits[size];

        for (size_t i = 1; i < size; i++) {
                if ((t[i] & 0xc0) != 0x80) {
                        size = 1;
                        break;
                }
                c = c << 6 | (t[i] & 0x3fu);
        }
        *ret = size == 1 ? t[0] : c;
        return size;
}

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
                uint32_t c;
                size_t size = next_character(text, &c);

                if (is_dangerous(c) || (size == 1 && c >= 0x80))
                        (void) fprintf(to, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
                else
                        (void) fwrite(text, 1, size, to);
                text += size;
        }
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

void print_json(json_t *value) {
        _cleanup_(freep) char *text = NULL;

        text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15));
        if (text)
                (void) puts(text);
        (void) fflush(stdout);
}

void print_call(const struct ctl *c, json_t *call) {
        _cleanup_(freep) char *arguments = NULL;

        arguments = json_dumps(json_object_get(call, "arguments"), JSON_REAL_PRECISION(15));
        print_text(stdout, c->to_terminal, field_string(call, "name"));
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
