/* SPDX-License-Identifier: Apache-2.0 */
#include "base/toml.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define MAX_KEY    64
#define MAX_STRING 4096
#define MAX_NUMBER 32

struct parser {
        const char *at, *end;
        unsigned line;
        struct why *why;
};

static int fail(const struct parser *p, const char *reason) {
        return because(p->why, -EBADMSG, "line %u: %s", p->line, reason);
}

static char peek(const struct parser *p) {
        return p->at < p->end ? *p->at : 0;
}

static bool take(struct parser *p, char c) {
        if (peek(p) != c || p->at == p->end)
                return false;
        p->at++;
        return true;
}

static void skip_blanks(struct parser *p) {
        while (peek(p) == ' ' || peek(p) == '\t')
                p->at++;
}

static void skip_comment(struct parser *p) {
        if (peek(p) == '#')
                while (p->at < p->end && *p->at != '\n')
                        p->at++;
}

static bool take_newline(struct parser *p) {
        if (peek(p) == '\r' && p->end - p->at > 1 && p->at[1] == '\n')
                p->at++;
        if (!take(p, '\n'))
                return false;
        p->line++;
        return true;
}

/* Everything that may stand between two words of an array. */
static void skip_space(struct parser *p) {
        do {
                skip_blanks(p);
                skip_comment(p);
        } while (take_newline(p));
}

static int end_line(struct parser *p) {
        skip_blanks(p);
        skip_comment(p);
        if (p->at == p->end || take_newline(p))
                return 0;
        return fail(p, "something stands behind the value");
}

/* One character of a string in "", after its backslash. */
static int read_escape(struct parser *p, char *ret) {
        static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
        const char *found = peek(p) ? strchr(from, peek(p)) : NULL;

        if (!found)
                return fail(p, "this \\ is not understood");
        *ret = to[found - from];
        p->at++;
        return 0;
}

static int read_string(struct parser *p, char *ret, size_t size) {
        char quote = *p->at++;
        size_t n = 0;
        int r;

        if (p->end - p->at >= 2 && p->at[0] == quote && p->at[1] == quote)
                return fail(p, "strings in three quotes are not understood");
        while (p->at < p->end && *p->at != quote) {
                char c = *p->at++;

                if ((unsigned char) c < 0x20 && c != '\t')
                        return fail(p, "a string does not end in its line");
                if (c == '\\' && quote == '"') {
                        r = read_escape(p, &c);
                        if (r < 0)
                                return r;
                }
                if (n == size - 1)
                        return fail(p, "this is too long");
                ret[n++] = c;
        }
        ret[n] = 0;
        return take(p, quote) ? 0 : fail(p, "a string does not end");
}

static bool is_bare(char c) {
        return isalnum((unsigned char) c) || c == '_' || c == '-';
}

static int read_key(struct parser *p, char ret[static MAX_KEY]) {
        size_t n = 0;

        skip_blanks(p);
        if (peek(p) == '"' || peek(p) == '\'')
                return read_string(p, ret, MAX_KEY);
        while (p->at < p->end && is_bare(*p->at) && n < MAX_KEY - 1)
                ret[n++] = *p->at++;
        ret[n] = 0;
        if (n == 0)
                return fail(p, "a name is missing");
        return p->at < p->end && is_bare(*p->at) ? fail(p, "this is too long") : 0;
}

static int read_value(struct parser *p, unsigned depth, json_t **ret);

static int read_word(struct parser *p, json_t **ret) {
        char word[MAX_NUMBER];
        const char *digits = word;
        uint64_t whole;
        double number;
        size_t n = 0;
        bool is_negative;

        while (p->at < p->end && n < sizeof(word) - 1 &&
               (is_bare(*p->at) || *p->at == '.' || *p->at == '+'))
                word[n++] = *p->at++;
        word[n] = 0;
        is_negative = word[0] == '-';
        if (is_negative || word[0] == '+')
                digits++;

        if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
                *ret = json_boolean(word[0] == 't');
        else if (!isdigit((unsigned char) digits[0]))
                return fail(p, "this is no value; words stand in quotes");
        else if (parse_u64(digits, &whole) == 0 && whole <= INT64_MAX)
                *ret = json_integer(is_negative ? -(json_int_t) whole : (json_int_t) whole);
        else if (!strchr(digits, 'x') && parse_double(digits, &number) == 0)
                *ret = json_real(is_negative ? -number : number);
        else
                return fail(p, "this is no number");
        return *ret ? 0 : -ENOMEM;
}

static int read_array(struct parser *p, unsigned depth, json_t **ret) {
        _cleanup_(json_decrefp) json_t *array = json_array();
        json_t *value;
        int r;

        p->at++;
        for (skip_space(p); !take(p, ']'); skip_space(p)) {
                r = read_value(p, depth + 1, &value);
                if (r < 0)
                        return r;
                if (json_array_append_new(array, value) < 0)
                        return -ENOMEM;
                skip_space(p);
                if (!take(p, ',') && peek(p) != ']')
                        return fail(p, "an array does not end");
        }
        *ret = TAKE_PTR(array);
        return 0;
}

/* key = value into a table. */
static int read_pair(struct parser *p, unsigned depth, json_t *table) {
        char key[MAX_KEY];
        json_t *value;
        int r;

        r = read_key(p, key);
        if (r < 0)
                return r;
        skip_blanks(p);
        if (!take(p, '='))
                return fail(p, "a = is missing");
        skip_blanks(p);
        if (json_object_get(table, key))
                return fail(p, "this name is there already");
        r = read_value(p, depth, &value);
        if (r < 0)
                return r;
        return json_object_set_new(table, key, value) < 0 ? fail(p, "this is not UTF-8") : 0;
}

static int read_inline_table(struct parser *p, unsigned depth, json_t **ret) {
        _cleanup_(json_decrefp) json_t *table = json_object();
        int r;

        p->at++;
        for (skip_blanks(p); !take(p, '}'); skip_blanks(p)) {
                r = read_pair(p, depth + 1, table);
                if (r < 0)
                        return r;
                skip_blanks(p);
                if (!take(p, ',') && peek(p) != '}')
                        return fail(p, "a table does not end in its line");
        }
        *ret = TAKE_PTR(table);
        return 0;
}

static int read_value(struct parser *p, unsigned depth, json_t **ret) {
        char text[MAX_STRING];
        int r;

        if (depth > TOML_MAX_DEPTH)
                return fail(p, "too many arrays and tables within one another");
        switch (peek(p)) {
        case '"':
        case '\'':
                r = read_string(p, text, sizeof(text));
                if (r < 0)
                        return r;
                *ret = json_string(text);
                return *ret ? 0 : fail(p, "this is not UTF-8");
        case '[':
                return read_array(p, depth, ret);
        case '{':
                return read_inline_table(p, depth, ret);
        }
        return read_word(p, ret);
}

/* [name.name]: the table, made as far as it is not there. */
static int read_header(struct parser *p, json_t *root, json_t **ret) {
        json_t *table = root, *next;
        char key[MAX_KEY];
        unsigned depth = 0;
        int r;

        p->at++;
        if (peek(p) == '[')
                return fail(p, "arrays of tables are not understood");
        do {
                r = read_key(p, key);
                if (r < 0)
                        return r;
                if (++depth > TOML_MAX_DEPTH)
                        return fail(p, "too many tables within one another");
                next = json_object_get(table, key);
                if (next && !json_is_object(next))
                        return fail(p, "this name is there already");
                if (!next) {
                        next = json_object();
                        if (json_object_set_new(table, key, next) < 0)
                                return fail(p, "this is not UTF-8");
                }
                table = next;
                skip_blanks(p);
        } while (take(p, '.'));
        if (!take(p, ']'))
                return fail(p, "a ] is missing");
        *ret = table;
        return end_line(p);
}

int toml_parse(const char *text, size_t size, json_t **ret, struct why *why) {
        _cleanup_(json_decrefp) json_t *root = json_object();
        struct parser p = { text, text + size, 1, why };
        json_t *table = root;
        int r;

        if (!root)
                return because(why, -ENOMEM, "out of memory");
        if (memchr(text, 0, size))
                return because(why, -EBADMSG, "this is no text");
        for (skip_space(&p); p.at < p.end; skip_space(&p)) {
                if (peek(&p) == '[') {
                        r = read_header(&p, root, &table);
                } else {
                        r = read_pair(&p, 0, table);
                        if (r >= 0)
                                r = end_line(&p);
                }
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(root);
        return 0;
}

int toml_read_file(const char *path, json_t **ret, struct why *why) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_(freep) char *text = malloc(TOML_MAX_SIZE + 1);
        size_t size = 0;
        ssize_t n = 1;
        int r;

        if (fd < 0)
                return because(why, -errno, "%s: %m", path);
        if (!text)
                return because(why, -ENOMEM, "out of memory");
        while (size <= TOML_MAX_SIZE && n > 0) {
                n = read(fd, text + size, TOML_MAX_SIZE + 1 - size);
                if (n < 0)
                        return because(why, -errno, "%s: %m", path);
                size += (size_t) n;
        }
        if (size > TOML_MAX_SIZE)
                return because(why, -EFBIG, "%s: too large", path);
        r = toml_parse(text, size, ret, why);
        return r < 0 ? because_in(why, r, path) : 0;
}
