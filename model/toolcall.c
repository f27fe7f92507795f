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

/* A name or key, as a string. */
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

static int take_string(struct reader *r, json_t **ret) {
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

        if (take(r, NOTATION_QUOTE))
                return take_string(r, ret);
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (take(r, words[i].word)) {
                        *ret = words[i].make();
                        return 0;
                }
        return take_number(r, ret);
}

/* The key of the next member and its colon. */
static int
take_key(struct reader *r, const json_t *object, char ret[static NOTATION_MAX_WORD + 1]) {
        size_t begin = r->at;
        int q;

        q = take_word(r, ret);
        if (q < 0)
                return q;
        if (json_object_get(object, ret)) {
                r->at = begin;
                return bad(r, "the key occurs twice");
        }
        return take(r, ":") ? 0 : bad(r, "':' is missing");
}

/* The members of an object or array, whose opening bracket is behind us, and the closing one. */
static int take_members(struct reader *r, json_t *container, unsigned depth) {
        const char *end = json_is_object(container) ? "}" : "]";
        char key[NOTATION_MAX_WORD + 1];
        int q;

        if (depth > NOTATION_MAX_DEPTH)
                return bad(r, "nested too deeply");
        if (take(r, end))
                return 0;

        do {
                _cleanup_(json_decrefp) json_t *value = NULL;

                if (json_is_object(container)) {
                        q = take_key(r, container, key);
                        if (q < 0)
                                return q;
                }

                if (looking_at(r, "{") || looking_at(r, "[")) {
                        value = looking_at(r, "{") ? json_object() : json_array();
                        r->at++;
                        q = value ? take_members(r, value, depth + 1) : -ENOMEM;
                } else
                        q = take_scalar(r, &value);
                if (q < 0)
                        return q;

                if (json_is_object(container))
                        q = json_object_set(container, key, value);
                else
                        q = json_array_append(container, value);
                if (q < 0)
                        return -ENOMEM;
        } while (take(r, ","));

        return take(r, end) ? 0 : bad(r, "',' or the closing bracket is missing");
}

int toolcall_parse(
        const char *text, size_t size, char **ret_name, json_t **ret_arguments, struct why *why) {
        struct reader r = { .text = text, .size = size, .why = why };
        _cleanup_(json_decrefp) json_t *arguments = NULL;
        _cleanup_(freep) char *name = NULL;
        char word[NOTATION_MAX_WORD + 1];
        int q;

        if (!take(&r, "call:"))
                return bad(&r, "'call:' is missing");
        q = take_word(&r, word);
        if (q < 0)
                return q;
        if (!take(&r, "{"))
                return bad(&r, "'{' is missing");

        name = strdup(word);
        arguments = json_object();
        if (!name || !arguments)
                return -ENOMEM;
        q = take_members(&r, arguments, 1);
        if (q < 0)
                return q;
        if (r.at != size)
                return bad(&r, "text after the call");

        *ret_name = TAKE_PTR(name);
        *ret_arguments = TAKE_PTR(arguments);
        return 0;
}
