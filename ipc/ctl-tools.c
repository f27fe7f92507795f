/* SPDX-License-Identifier: Apache-2.0 */
/* What can be called, and calling it by hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

static json_t *properties_of(json_t *tool) {
        return json_object_get(json_object_get(tool, "parameters"), "properties");
}

static bool is_required(json_t *tool, const char *key) {
        json_t *required = json_object_get(json_object_get(tool, "parameters"), "required"), *name;
        size_t i;

        json_array_foreach(required, i, name) {
                if (json_is_string(name) && strcmp(json_string_value(name), key) == 0)
                        return true;
        }
        return false;
}

/* Its allowed words with bars between, or else its type: "up|down", "number". */
static void show_kind(const struct ctl *c, json_t *schema) {
        json_t *choice, *choices = json_object_get(schema, "enum");
        const char *type = field_string(schema, "type");
        size_t i;

        json_array_foreach(choices, i, choice) {
                if (i > 0)
                        (void) putchar('|');
                if (json_is_string(choice))
                        print_text(stdout, c->to_terminal, json_string_value(choice));
                else
                        (void) json_dumpf(choice, stdout, JSON_ENCODE_ANY);
        }
        if (json_array_size(choices) == 0)
                print_text(stdout, c->to_terminal, type[0] ? type : "value");
}

/* "set_timer amount=number unit=second|minute|hour [name=string]": how it is called here. */
static void show_usage(const struct ctl *c, json_t *tool) {
        json_t *schema;
        const char *key;

        print_text(stdout, c->to_terminal, field_string(tool, "name"));
        json_object_foreach(properties_of(tool), key, schema) {
                bool required = is_required(tool, key);

                (void) fputs(required ? " " : " [", stdout);
                print_text(stdout, c->to_terminal, key);
                (void) putchar('=');
                show_kind(c, schema);
                (void) fputs(required ? "" : "]", stdout);
        }
        (void) putchar('\n');
}

static void show_call(const struct ctl *c, json_t *tool) {
        (void) fputs("  ", stdout);
        show_usage(c, tool);
}

static void show_tool(const struct ctl *c, json_t *tool) {
        const char *description = field_string(tool, "description");

        show_usage(c, tool);
        (void) fputs("    ", stdout);
        if (description[0]) {
                print_indented(c, 4, description);
                (void) putchar(' ');
        }
        (void) putchar('(');
        print_text(stdout, c->to_terminal, field_string(tool, "provider"));
        (void) puts(json_is_true(json_object_get(tool, "confirm")) ? "; asks before)" : ")");
}

static enum ctl_exit get_tools(const struct ctl *c, struct varlink_reply *ret) {
        return ctl_call(c, "io.gemmad.Assistant.Tools", NULL, ret);
}

/* Each tool, or the reply as it came where none is to be shown. */
static enum ctl_exit show_tools(const struct ctl *c, void (*show)(const struct ctl *c, json_t *tool)) {
        struct varlink_reply reply;
        enum ctl_exit e;
        json_t *tool;
        size_t i;

        e = get_tools(c, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        if (!show)
                print_json(c, reply.parameters);
        else
                json_array_foreach(json_object_get(reply.parameters, "tools"), i, tool)
                        show(c, tool);
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_tools(const struct ctl *c) {
        return show_tools(c, c->as_json ? NULL : show_tool);
}

enum ctl_exit ctl_show_calls(const struct ctl *c) {
        return show_tools(c, show_call);
}

static json_t *find_tool(json_t *tools, const char *name) {
        json_t *tool;
        size_t i;

        json_array_foreach(tools, i, tool) {
                if (strcmp(field_string(tool, "name"), name) == 0)
                        return tool;
        }
        return NULL;
}

static bool is_of_type(json_t *value, const char *type) {
        if (strcmp(type, "number") == 0)
                return json_is_number(value);
        if (strcmp(type, "integer") == 0)
                return json_is_integer(value);
        if (strcmp(type, "boolean") == 0)
                return json_is_boolean(value);
        if (strcmp(type, "array") == 0)
                return json_is_array(value);
        if (strcmp(type, "object") == 0)
                return json_is_object(value);
        return !type[0];
}

/* A value as the schema wants it; NULL and a message when it is of another kind. */
static json_t *read_value(json_t *schema, const char *key, const char *text) {
        const char *type = field_string(schema, "type");
        json_t *value;

        if (strcmp(type, "string") == 0) {
                value = json_string(text);
                if (!value)
                        print_error("%s: the text is not UTF-8", key);
                return value;
        }
        value = json_loads(text, JSON_DECODE_ANY, NULL);
        if (is_of_type(value, type) && value)
                return value;
        json_decref(value);
        if (!type[0])
                return json_string(text);
        print_error("%s: '%s' is not of the type %s", key, text, type);
        return NULL;
}

static enum ctl_exit add_argument(json_t *arguments, json_t *tool, const char *word) {
        const char *equals = strchr(word, '=');
        _cleanup_(freep) char *key = NULL;
        json_t *schema, *value;

        if (!equals || equals == word) {
                print_error("'%s' is not an argument: NAME=VALUE", word);
                return CTL_EXIT_USAGE;
        }
        key = strndup(word, (size_t) (equals - word));
        if (!key)
                return CTL_EXIT_FAILED;
        schema = json_object_get(properties_of(tool), key);
        if (!schema) {
                print_error("%s takes no argument '%s'; see gemmactl tools",
                            field_string(tool, "name"), key);
                return CTL_EXIT_USAGE;
        }
        if (json_object_get(arguments, key)) {
                print_error("the argument '%s' is there twice", key);
                return CTL_EXIT_USAGE;
        }
        value = read_value(schema, key, equals + 1);
        if (!value)
                return CTL_EXIT_USAGE;
        return json_object_set_new(arguments, key, value) < 0 ? CTL_EXIT_FAILED : CTL_EXIT_OK;
}

static enum ctl_exit read_arguments(const struct ctl *c, json_t *tool, json_t *arguments) {
        for (int i = 1; i < c->n_arguments; i++) {
                enum ctl_exit e = add_argument(arguments, tool, c->arguments[i]);

                if (e != CTL_EXIT_OK)
                        return e;
        }
        return CTL_EXIT_OK;
}

static void show_result(const struct ctl *c, json_t *parameters) {
        const char *text = field_string(parameters, "text");
        json_t *result = json_object_get(parameters, "result");

        if (c->as_json) {
                print_json(c, parameters);
        } else if (text[0]) {
                print_text(stdout, c->to_terminal, text);
                (void) putchar('\n');
        } else if (result) {
                print_json(c, result);
        }
}

/* A tool that asks before has done nothing yet. */
static bool is_asking(json_t *parameters) {
        return field_string(json_object_get(parameters, "result"), "asked")[0] != '\0';
}

static enum ctl_exit call_tool(const struct ctl *c, json_t *tools) {
        const char *name = c->arguments[0];
        json_t *tool = find_tool(tools, name), *parameters, *arguments = json_object();
        struct varlink_reply reply;
        enum ctl_exit e;

        /* Of a tool that there is not the daemon says so itself. */
        e = tool ? read_arguments(c, tool, arguments) : CTL_EXIT_OK;
        parameters = json_pack("{s:s, s:o}", "name", name, "arguments", arguments);
        if (!parameters) {
                print_error("the name is not UTF-8");
                return CTL_EXIT_USAGE;
        }
        if (e != CTL_EXIT_OK) {
                json_decref(parameters);
                return e;
        }
        e = ctl_call(c, "io.gemmad.Assistant.Call", parameters, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        show_result(c, reply.parameters);
        if (is_asking(reply.parameters)) {
                print_error("nothing is done yet: gemmactl call yes does it, for some seconds");
                e = CTL_EXIT_FAILED;
        }
        varlink_reply_done(&reply);
        return e;
}

enum ctl_exit ctl_do(const struct ctl *c) {
        struct varlink_reply reply;
        enum ctl_exit e;

        if (c->n_arguments == 0) {
                print_error("call: which one? See gemmactl tools");
                return CTL_EXIT_USAGE;
        }
        e = get_tools(c, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        e = call_tool(c, json_object_get(reply.parameters, "tools"));
        varlink_reply_done(&reply);
        return e;
}
