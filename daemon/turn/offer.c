/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/offer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/toolcall.h"

static bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A word that models can write down, and people on a command line. */
static bool is_tool_name(const char *name) {
        size_t size = strlen(name);

        if (!is_letter(*name) || size > OFFER_MAX_NAME)
                return false;
        for (size_t i = 0; i < size; i++)
                if (!is_letter(name[i]) && !strchr("0123456789_-", name[i]))
                        return false;
        return true;
}

/* Whether it has no more than so many levels of objects and arrays. */
static bool is_flat(const json_t *value, unsigned depth) {
        const json_t *member;
        const char *key;
        size_t i;

        if (!json_is_object(value) && !json_is_array(value))
                return true;
        if (depth == 0)
                return false;
        json_object_foreach((json_t *) value, key, member) {
                if (!is_flat(member, depth - 1))
                        return false;
        }
        json_array_foreach(value, i, member) {
                if (!is_flat(member, depth - 1))
                        return false;
        }
        return true;
}

static size_t written_size(const json_t *value) {
        return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

static const char *string_of(const json_t *tool, const char *key) {
        const char *text = json_string_value(json_object_get(tool, key));

        return text ? text : "";
}

static int check_parameters(const json_t *tool, struct why *why) {
        const json_t *parameters = json_object_get(tool, "parameters");

        if (!json_is_object(parameters) || strcmp(string_of(parameters, "type"), "object") != 0)
                return because(why, -EINVAL, "the parameters are no JSON schema of an object");
        if (!is_flat(parameters, OFFER_MAX_DEPTH))
                return because(why, -EINVAL, "the parameters are more than %d deep",
                               OFFER_MAX_DEPTH);
        if (written_size(parameters) > OFFER_MAX_PARAMETERS)
                return because(why, -EINVAL, "the parameters take more than %d bytes",
                               OFFER_MAX_PARAMETERS);
        return 0;
}

static int check_timeout(const json_t *tool, struct why *why) {
        const json_t *timeout = json_object_get(tool, "timeout");
        double seconds = json_number_value(timeout);

        if (!timeout || json_is_null(timeout) || (seconds > 0 && seconds <= OFFER_MAX_SECONDS))
                return 0;
        return because(why, -EINVAL, "the timeout is not between 0 and %d seconds",
                       OFFER_MAX_SECONDS);
}

static int check_tool(const json_t *tool, struct why *why) {
        _cleanup_(freep) char *declaration = NULL;
        const char *name = string_of(tool, "name");
        const char *description = string_of(tool, "description");
        int r;

        if (!is_tool_name(name))
                return because(why, -EINVAL, "'%.80s' is no name of a tool", name);
        if (strlen(description) > OFFER_MAX_DESCRIPTION)
                r = because(why, -EINVAL, "the description takes more than %d bytes",
                            OFFER_MAX_DESCRIPTION);
        else
                r = check_parameters(tool, why);
        if (r >= 0)
                r = check_timeout(tool, why);
        /* Now, and not when a model is to be told of it, when nobody is there to complain to. */
        if (r >= 0)
                r = toolcall_write_declaration(&declaration, name, description,
                                               json_object_get(tool, "parameters"), why);
        if (r >= 0)
                return 0;
        (void) because_in(why, r, name);
        return -EINVAL;
}

int offer_check(const json_t *tools, struct why *why) {
        size_t n = json_array_size(tools);
        int r;

        if (n == 0 || n > OFFER_MAX_TOOLS)
                return because(why, -EINVAL, "%zu tools instead of 1 to %d", n, OFFER_MAX_TOOLS);

        for (size_t i = 0; i < n; i++) {
                const json_t *tool = json_array_get(tools, i);

                r = check_tool(tool, why);
                if (r < 0)
                        return r;
                for (size_t k = 0; k < i; k++)
                        if (strcmp(string_of(tool, "name"),
                                   string_of(json_array_get(tools, k), "name")) == 0)
                                return because(why, -EINVAL, "%s is there twice",
                                               string_of(tool, "name"));
        }
        return 0;
}

bool offer_is_name(const char *text) {
        size_t size = strlen(text);

        if (size == 0 || size > OFFER_MAX_NAME)
                return false;
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) text[i] < ' ' || text[i] == 0x7f)
                        return false;
        return true;
}

const char *offer_check_result(const char *text, const json_t *value, const char *error) {
        if (text && strlen(text) > OFFER_MAX_TEXT)
                return "text";
        if (error && (!*error || strlen(error) > OFFER_MAX_ERROR))
                return "error";
        if (value && (!is_flat(value, OFFER_MAX_DEPTH) || written_size(value) > OFFER_MAX_RESULT))
                return "result";
        return NULL;
}

static bool is_listed(const json_t *list, const json_t *value) {
        const json_t *member;
        size_t i;

        json_array_foreach(list, i, member) {
                if (json_equal(member, value))
                        return true;
        }
        return false;
}

/* "up, down or off" */
static void write_list(const json_t *list, char *out, size_t out_size) {
        size_t n = json_array_size(list), used = 0;

        for (size_t i = 0; i < n && used < out_size; i++) {
                const char *text = json_string_value(json_array_get(list, i));
                const char *before = i == 0 ? "" : i + 1 == n ? " or " : ", ";
                int k = snprintf(out + used, out_size - used, "%s%.40s", before, text ? text : "?");

                used += k > 0 ? (size_t) k : 0;
        }
}

static int check_listed(const char *name, const json_t *list, const json_t *value, struct why *why) {
        _cleanup_(freep) char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        char allowed[256] = "";

        if (!json_is_array(list) || json_is_null(value) || is_listed(list, value))
                return 0;
        write_list(list, allowed, sizeof(allowed));
        return because(why, -EINVAL, "'%.40s' can be %s, but not %.60s.", name, allowed,
                       text ? text : "that");
}

int offer_check_arguments(const json_t *tool, const json_t *arguments, struct why *why) {
        const json_t *properties = json_object_get(json_object_get(tool, "parameters"), "properties");
        const json_t *value;
        const char *name;
        int r;

        json_object_foreach((json_t *) arguments, name, value) {
                const json_t *schema = json_object_get(properties, name);

                r = check_listed(name, json_object_get(schema, "enum"), value, why);
                if (r < 0)
                        return r;
        }
        return 0;
}
