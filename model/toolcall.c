/* SPDX-License-Identifier: Apache-2.0 */
#include "model/toolcall.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/toolcall-notation.h"

#define MAX_NUMBER 64 /* digits, point, exponent */

/* The text that is read, and how far.  Every step reports its own place. */
struct reader {
        const char *text;
        size_t size;
        size_t at;
        struct why *why;
};

static int bad(const struct reader *r, const char *what) {
        return because(r->why, -EBADMSG, "tool call, offset %zu: %s", r->at, what);
}

static bool looking_at(const struct reader *r, const char *token) {
        size_t size = strlen(token);

        return r->size - r->at >= size && memcmp(r->text + r->at, token, size) == 0;
}

static bool take(struct reader *r, const char *token) {
        if (!looking_at(r, token))
                return false;

        r->at += strlen(token);
        return true;
}

/* Models put white space where their notation has none. */
static void skip_space(struct reader *r) {
        while (r->at < r->size && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
                r->at++;
}

/* A name, as a string. */
static int take_word(struct reader *r, char ret[static NOTATION_MAX_WORD + 1]) {
        size_t n = 0;

        while (r->at + n < r->size && notation_is_word_character(r->text[r->at + n]))
                n++;
        if (n == 0)
                return bad(r, "a word is missing");
        if (n > NOTATION_MAX_WORD)
                return bad(r, "the word is too long");

        memcpy(ret, r->text + r->at, n);
        ret[n] = '\0';
        r->at += n;
        return 0;
}

/* The text up to the closing quote, as it stands. */
static int take_marked(struct reader *r, json_t **ret) {
        const char *begin = r->text + r->at, *end;
        json_t *string;

        end = memmem(begin, r->size - r->at, NOTATION_QUOTE, strlen(NOTATION_QUOTE));
        if (!end)
                return bad(r, "the string does not end");
        if (memchr(begin, '\0', (size_t) (end - begin)))
                return bad(r, "a NUL in a string");

        string = json_stringn(begin, (size_t) (end - begin));
        if (!string)
                return bad(r, "the string is not UTF-8");

        r->at += (size_t) (end - begin) + strlen(NOTATION_QUOTE);
        *ret = string;
        return 0;
}

/* A string as JSON or Python have it.  The opening quote is behind us; as JSON, where a ' needs no
 * escape and a " does, jansson reads it. */
static int take_quoted(struct reader *r, char quote, json_t **ret) {
        _cleanup_(freep) char *json = malloc(2 * (r->size - r->at) + 3);
        size_t n = 0, at = r->at;

        if (!json)
                return -ENOMEM;
        json[n++] = '"';
        for (; at < r->size && r->text[at] != quote; at++) {
                bool is_escape = r->text[at] == '\\' && at + 1 < r->size;

                if (is_escape && r->text[at + 1] == '\'')
                        at++;
                else if (is_escape)
                        json[n++] = r->text[at++];
                else if (r->text[at] == '"')
                        json[n++] = '\\';
                json[n++] = r->text[at];
        }
        if (at == r->size)
                return bad(r, "the string does not end");
        json[n++] = '"';
        *ret = json_loadb(json, n, JSON_DECODE_ANY, NULL);
        if (!*ret)
                return bad(r, "the string is not UTF-8, or has an escape that is none");
        r->at = at + 1;
        return 0;
}

/* 1: there is a string, in any of its forms; 0: there is none. */
static int take_string(struct reader *r, json_t **ret) {
        int q;

        if (take(r, NOTATION_QUOTE))
                q = take_marked(r, ret);
        else if (looking_at(r, "\"") || looking_at(r, "'")) {
                char quote = r->text[r->at++];

                q = take_quoted(r, quote, ret);
        } else
                return 0;
        return q < 0 ? q : 1;
}

/* Only finds the end of the number; jansson, which knows the same syntax, does the rest without
 * regard to the locale. */
static int take_number(struct reader *r, json_t **ret) {
        json_t *number;
        size_t n = 0;

        while (r->at + n < r->size &&
               (notation_is_word_character(r->text[r->at + n]) || r->text[r->at + n] == '+'))
                n++;
        if (n == 0 || !strchr("-0123456789", r->text[r->at]))
                return bad(r, "a value is missing");
        if (n > MAX_NUMBER)
                return bad(r, "the number is too long");

        number = json_loadb(r->text + r->at, n, JSON_DECODE_ANY, NULL);
        if (!number)
                return bad(r, "not a number, or one out of range");

        r->at += n;
        *ret = number;
        return 0;
}

static int take_scalar(struct reader *r, json_t **ret) {
        static const struct {
                const char *word;
                json_t *(*make)(void);
        } words[] = {
                { "true", json_true },
                { "false", json_false },
                { "null", json_null },
        };
        int q;

        q = take_string(r, ret);
        if (q != 0)
                return q < 0 ? q : 0;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (take(r, words[i].word)) {
                        *ret = words[i].make();
                        return 0;
                }
        return take_number(r, ret);
}

/* A key without quotes: everything up to its colon, other punctuation too, but not at its beginning. */
static int take_bare_key(struct reader *r, json_t **ret) {
        size_t n = 0;

        while (r->at + n < r->size && !strchr(n == 0 ? ":,{}[]" : ":}", r->text[r->at + n]))
                n++;
        while (n > 0 && strchr(" \t\r\n", r->text[r->at + n - 1]))
                n--;
        if (n == 0)
                return bad(r, "a word is missing");
        if (n > NOTATION_MAX_WORD)
                return bad(r, "the word is too long");
        *ret = json_stringn(r->text + r->at, n);
        if (!*ret)
                return bad(r, "the key is not UTF-8");
        r->at += n;
        return 0;
}

/* The key of the next member and its colon, as a string. */
static int take_key(struct reader *r, const json_t *object, json_t **ret) {
        bool is_marked = looking_at(r, NOTATION_QUOTE);
        size_t begin = r->at;
        int q;

        q = take_string(r, ret);
        /* A quote that is not closed is part of the key. */
        if (q == -EBADMSG && !is_marked) {
                r->at = begin;
                q = 0;
        }
        if (q == 0)
                q = take_bare_key(r, ret);
        if (q < 0)
                return q;
        /* What jansson takes for the end of a key would be another key. */
        if (strlen(json_string_value(*ret)) != json_string_length(*ret))
                return bad(r, "a NUL in a key");
        if (json_object_get(object, json_string_value(*ret))) {
                r->at = begin;
                return bad(r, "the key occurs twice");
        }
        skip_space(r);
        if (!take(r, ":"))
                return bad(r, "':' is missing");
        skip_space(r);
        return 0;
}

static int take_value(struct reader *r, json_t **ret, unsigned depth);

/* One member, behind those that are there. */
static int take_member(struct reader *r, json_t *container, unsigned depth) {
        json_auto_t *key = NULL, *value = NULL;
        int q;

        if (json_is_object(container)) {
                q = take_key(r, container, &key);
                if (q < 0)
                        return q;
        }
        q = take_value(r, &value, depth);
        if (q < 0)
                return q;
        q = key ? json_object_set(container, json_string_value(key), value)
                : json_array_append(container, value);
        return q < 0 ? -ENOMEM : 0;
}

/* The members of an object or array, whose opening bracket is behind us, and the closing one. */
static int take_members(struct reader *r, json_t *container, unsigned depth) {
        const char *end = json_is_object(container) ? "}" : "]";
        int q;

        if (depth > NOTATION_MAX_DEPTH)
                return bad(r, "nested too deeply");
        skip_space(r);
        if (take(r, end))
                return 0;

        do {
                skip_space(r);
                q = take_member(r, container, depth);
                if (q < 0)
                        return q;
                skip_space(r);
        } while (take(r, ","));

        return take(r, end) ? 0 : bad(r, "',' or the closing bracket is missing");
}

static int take_value(struct reader *r, json_t **ret, unsigned depth) {
        if (!looking_at(r, "{") && !looking_at(r, "["))
                return take_scalar(r, ret);

        *ret = looking_at(r, "{") ? json_object() : json_array();
        r->at++;
        return *ret ? take_members(r, *ret, depth + 1) : -ENOMEM;
}

int toolcall_parse(
        const char *text, size_t size, char **ret_name, json_t **ret_arguments, struct why *why) {
        struct reader r = { .text = text, .size = size, .why = why };
        _cleanup_(json_decrefp) json_t *arguments = NULL;
        _cleanup_(freep) char *name = NULL;
        char word[NOTATION_MAX_WORD + 1];
        int q;

        skip_space(&r);
        if (!take(&r, "call:"))
                return bad(&r, "'call:' is missing");
        skip_space(&r);
        q = take_word(&r, word);
        if (q < 0)
                return q;
        skip_space(&r);
        if (!take(&r, "{"))
                return bad(&r, "'{' is missing");

        name = strdup(word);
        arguments = json_object();
        if (!name || !arguments)
                return -ENOMEM;
        q = take_members(&r, arguments, 1);
        if (q < 0)
                return q;
        skip_space(&r);
        if (r.at != size)
                return bad(&r, "text after the call");

        *ret_name = TAKE_PTR(name);
        *ret_arguments = TAKE_PTR(arguments);
        return 0;
}
