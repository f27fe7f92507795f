/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* Fifteen digits keep 12.3 from being written as 12.300000000000001. */
#define FORMAT_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* jansson tells a lack of memory as it tells bad text, and who adds to an object may not look at what
 * came of it. */
static _Thread_local bool has_lacked_memory;

static void *allocate(size_t size) {
        void *p = malloc(size);

        if (!p)
                has_lacked_memory = true;
        return p;
}

static __attribute__((constructor)) void watch_memory(void) {
        json_set_alloc_funcs(allocate, free);
}

bool varlink_lacked_memory(void) {
        return has_lacked_memory;
}

void varlink_forgive(void) {
        has_lacked_memory = false;
}

/* Looks at the brackets before the parser does, because the parser's own limit is fixed in the
 * library. */
static bool is_too_deep(const char *text, size_t size) {
        bool in_string = false;
        unsigned depth = 0;

        for (size_t i = 0; i < size; i++) {
                char c = text[i];

                if (in_string && c == '\\')
                        i++;
                else if (c == '"')
                        in_string = !in_string;
                else if (!in_string && (c == '{' || c == '['))
                        depth++;
                else if (!in_string && (c == '}' || c == ']') && depth > 0)
                        depth--;

                if (depth > VARLINK_MAX_DEPTH)
                        return true;
        }
        return false;
}

static int parse_object(json_t **ret, const char *text, size_t size, struct why *why) {
        _cleanup_(json_decrefp) json_t *root = NULL;
        json_error_t error;

        if (is_too_deep(text, size))
                return because(why, -EBADMSG, "more than %d levels deep", VARLINK_MAX_DEPTH);

        root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        if (!root && has_lacked_memory)
                return because(why, -ENOMEM, "out of memory");
        if (!root)
                return because(why, -EBADMSG, "not JSON at byte %d: %s", error.position,
                               error.text);
        if (!json_is_object(root))
                return because(why, -EBADMSG, "not a JSON object");

        *ret = TAKE_PTR(root);
        return 0;
}

static int read_flag(bool *flag, const char *key, json_t *value, struct why *why) {
        if (!json_is_boolean(value))
                return because(why, -EBADMSG, "'%s' is not true or false", key);

        *flag = json_is_true(value);
        return 0;
}

static int read_string(const char **string, const char *key, json_t *value, struct why *why) {
        if (!json_is_string(value))
                return because(why, -EBADMSG, "'%s' is not a string", key);

        *string = json_string_value(value);
        return 0;
}

static int read_parameters(json_t **parameters, json_t *value, struct why *why) {
        if (json_is_null(value))
                return 0;
        if (!json_is_object(value))
                return because(why, -EBADMSG, "'parameters' is not an object");

        *parameters = value;
        return 0;
}

static int unknown_key(const char *key, struct why *why) {
        return because(why, -EBADMSG, "'%.40s' is not a key of a Varlink message", key);
}

/* So that nobody has to ask whether there are any. */
static int default_parameters(json_t *root, json_t **parameters) {
        json_t *empty;

        if (*parameters)
                return 0;
        empty = json_object();
        if (json_object_set_new(root, "parameters", empty) < 0)
                return -ENOMEM;

        *parameters = empty;
        return 0;
}

int varlink_parse_call(struct varlink_call *ret, const char *text, size_t size, struct why *why) {
        _cleanup_(json_decrefp) json_t *root = NULL;
        struct varlink_call c = { 0 };
        const char *key;
        json_t *value;
        int r;

        r = parse_object(&root, text, size, why);
        if (r < 0)
                return r;

        json_object_foreach(root, key, value) {
                if (strcmp(key, "method") == 0)
                        r = read_string(&c.method, key, value, why);
                else if (strcmp(key, "parameters") == 0)
                        r = read_parameters(&c.parameters, value, why);
                else if (strcmp(key, "more") == 0)
                        r = read_flag(&c.more, key, value, why);
                else if (strcmp(key, "oneway") == 0)
                        r = read_flag(&c.oneway, key, value, why);
                else if (strcmp(key, "upgrade") == 0)
                        r = read_flag(&c.upgrade, key, value, why);
                else
                        r = unknown_key(key, why);
                if (r < 0)
                        return r;
        }
        if (!c.method)
                return because(why, -EBADMSG, "no 'method'");
        r = default_parameters(root, &c.parameters);
        if (r < 0)
                return because(why, r, "out of memory");

        c.root = TAKE_PTR(root);
        *ret = c;
        return 0;
}

int varlink_parse_reply(struct varlink_reply *ret, const char *text, size_t size, struct why *why) {
        _cleanup_(json_decrefp) json_t *root = NULL;
        struct varlink_reply reply = { 0 };
        const char *key;
        json_t *value;
        int r;

        r = parse_object(&root, text, size, why);
        if (r < 0)
                return r;

        json_object_foreach(root, key, value) {
                if (strcmp(key, "error") == 0)
                        r = read_string(&reply.error, key, value, why);
                else if (strcmp(key, "parameters") == 0)
                        r = read_parameters(&reply.parameters, value, why);
                else if (strcmp(key, "continues") == 0)
                        r = read_flag(&reply.continues, key, value, why);
                else
                        r = unknown_key(key, why);
                if (r < 0)
                        return r;
        }
        r = default_parameters(root, &reply.parameters);
        if (r < 0)
                return because(why, r, "out of memory");

        reply.root = TAKE_PTR(root);
        *ret = reply;
        return 0;
}

void varlink_call_done(struct varlink_call *c) {
        json_decref(c->root);
        *c = (struct varlink_call){ 0 };
}

void varlink_reply_done(struct varlink_reply *r) {
        json_decref(r->root);
        *r = (struct varlink_reply){ 0 };
}

static int format(json_t *root, char **ret, size_t *ret_size) {
        char *text;

        text = json_dumps(root, FORMAT_FLAGS);
        if (!text)
                return -ENOMEM;

        *ret = text;
        *ret_size = strlen(text) + 1;
        return 0;
}

/* Adds a key with a borrowed value, or with a new one that is given up either way. */
static int set_borrowed(json_t *root, const char *key, json_t *value) {
        return value && json_object_set(root, key, value) < 0 ? -ENOMEM : 0;
}

static int set_new(json_t *root, const char *key, json_t *value) {
        return json_object_set_new(root, key, value) < 0 ? -ENOMEM : 0;
}

int varlink_format_call(
        const char *method, json_t *parameters, bool more, char **ret, size_t *ret_size) {
        _cleanup_(json_decrefp) json_t *root = json_object();
        int r;

        r = set_new(root, "method", json_string(method));
        if (r >= 0)
                r = set_borrowed(root, "parameters", parameters);
        if (r >= 0 && more)
                r = set_new(root, "more", json_true());
        if (r < 0)
                return r;
        return format(root, ret, ret_size);
}

int varlink_format_reply(
        const char *error, json_t *parameters, bool continues, char **ret, size_t *ret_size) {
        _cleanup_(json_decrefp) json_t *root = json_object();
        _cleanup_(json_decrefp) json_t *empty = json_object();
        int r;

        r = set_borrowed(root, "parameters", parameters ? parameters : empty);
        if (r >= 0 && error)
                r = set_new(root, "error", json_string(error));
        if (r >= 0 && continues)
                r = set_new(root, "continues", json_true());
        if (r < 0)
                return r;
        return format(root, ret, ret_size);
}
