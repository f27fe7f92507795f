/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/user-tools.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/toml.h"
#include "desktop/desktop.h"
#include "desktop/process.h"

#define MAX_TOOLS   64 /* gemmad takes no more of one provider */
#define MAX_WORDS   64
#define MAX_OUTPUT  8192
#define MAX_SAID    500
#define MAX_DESCRIPTION 1000
#define MAX_SECONDS 110.0
#define STANDARD_SECONDS 10.0

/* Editors write in several steps. */
#define SETTLE_USEC UINT64_C(200000)

struct user_tools {
        struct user_tools_config config;
        char directory[PATH_MAX];
        json_t *tools; /* owned; by name, as their files have them */
        sd_event_source *watch, *settled; /* owned; the first is NULL without a folder */
};

static bool is_name(const char *name) {
        if (!islower((unsigned char) name[0]) || strlen(name) > 60)
                return false;
        return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

static bool is_type(const char *type) {
        return strcmp(type, "string") == 0 || strcmp(type, "number") == 0 ||
               strcmp(type, "integer") == 0 || strcmp(type, "boolean") == 0;
}

static int check_argument(const char *name, json_t *argument, struct why *why) {
        const char *key, *type = json_string_value(json_object_get(argument, "type"));
        json_t *value;

        if (!json_is_object(argument) || !is_name(name))
                return because(why, -EINVAL, "[arguments.%s] is no table of an argument", name);
        if (!type || !is_type(type))
                return because(why, -EINVAL,
                               "the type of %s is none of string, number, integer and boolean", name);
        json_object_foreach(argument, key, value)
                if (strcmp(key, "type") != 0 && strcmp(key, "description") != 0 &&
                    strcmp(key, "enum") != 0 && strcmp(key, "required") != 0 &&
                    strcmp(key, "minimum") != 0 && strcmp(key, "maximum") != 0)
                        return because(why, -EINVAL, "an argument has no '%s'", key);
        return 0;
}

static int check_command(json_t *command, struct why *why) {
        json_t *word;
        size_t i;

        if (!json_is_array(command) || json_array_size(command) == 0 ||
            json_array_size(command) > MAX_WORDS)
                return because(why, -EINVAL, "command is no array of words");
        json_array_foreach(command, i, word)
                if (!json_is_string(word))
                        return because(why, -EINVAL, "command is no array of words");
        return 0;
}

static int check_keys(json_t *tool, struct why *why) {
        static const struct {
                const char *key;
                bool is_needed;
                json_type type;
        } keys[] = {
                { "description", true, JSON_STRING }, { "command", true, JSON_ARRAY },
                { "arguments", false, JSON_OBJECT },  { "say", false, JSON_STRING },
                { "confirm", false, JSON_TRUE },      { "timeout", false, JSON_REAL },
        };
        size_t n_known = 0;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                json_t *value = json_object_get(tool, keys[i].key);
                json_type type = json_is_boolean(value)  ? JSON_TRUE
                                 : json_is_number(value) ? JSON_REAL
                                 : value                 ? json_typeof(value)
                                                         : JSON_NULL;

                n_known += value != NULL;
                if (!value && keys[i].is_needed)
                        return because(why, -EINVAL, "there is no %s", keys[i].key);
                if (value && type != keys[i].type)
                        return because(why, -EINVAL, "%s is of the wrong kind", keys[i].key);
        }
        if (n_known < json_object_size(tool))
                return because(why, -EINVAL, "there is a key that is not known");
        return 0;
}

static int check_tool(json_t *tool, struct why *why) {
        double seconds = json_number_value(json_object_get(tool, "timeout"));
        const char *name;
        json_t *argument;
        int r;

        r = check_keys(tool, why);
        if (r >= 0)
                r = check_command(json_object_get(tool, "command"), why);
        if (r < 0)
                return r;
        if (strlen(json_string_value(json_object_get(tool, "description"))) > MAX_DESCRIPTION)
                return because(why, -EINVAL, "the description is longer than %d bytes",
                               MAX_DESCRIPTION);
        if (json_object_get(tool, "timeout") && !(seconds > 0 && seconds <= MAX_SECONDS))
                return because(why, -EINVAL, "timeout is not from 0 to %g seconds", MAX_SECONDS);
        json_object_foreach(json_object_get(tool, "arguments"), name, argument) {
                r = check_argument(name, argument, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void read_tool(struct user_tools *u, const char *file) {
        _cleanup_(json_decrefp) json_t *tool = NULL;
        char path[PATH_MAX], name[NAME_MAX + 1];
        size_t n = strlen(file);
        struct why why = {};
        int r;

        if (file[0] == '.' || n < 6 || strcmp(file + n - 5, ".toml") != 0)
                return;
        (void) snprintf(name, sizeof(name), "%.*s", (int) (n - 5), file);
        if (snprintf(path, sizeof(path), "%s/%s", u->directory, file) >= PATH_MAX)
                return;
        r = toml_read_file(path, &tool, &why);
        if (r >= 0 && !is_name(name))
                r = because(&why, -EINVAL, "%s: a name is of a - z, 0 - 9 and _", path);
        else if (r >= 0 && check_tool(tool, &why) < 0)
                r = because_in(&why, -EINVAL, path);
        if (r >= 0 && json_object_size(u->tools) >= MAX_TOOLS)
                r = because(&why, -ENOSPC, "%s: more than %d tools", path, MAX_TOOLS);
        if (r < 0)
                log_warning("A tool is left out: %s", why.text);
        else
                (void) json_object_set(u->tools, name, tool);
}

static void read_all(struct user_tools *u) {
        struct dirent *entry;
        DIR *listing;

        (void) json_object_clear(u->tools);
        listing = opendir(u->directory);
        if (!listing)
                return;
        while ((entry = readdir(listing)))
                read_tool(u, entry->d_name);
        (void) closedir(listing);
        if (json_object_size(u->tools) > 0)
                log_info("%zu tools of the user", json_object_size(u->tools));
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata) {
        struct user_tools *u = userdata;

        (void) source, (void) usec;
        read_all(u);
        u->config.changed(u->config.userdata);
        return 0;
}

static int on_changed(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        struct user_tools *u = userdata;

        (void) source, (void) event;
        (void) sd_event_source_set_time_relative(u->settled, SETTLE_USEC);
        (void) sd_event_source_set_enabled(u->settled, SD_EVENT_ONESHOT);
        return 0;
}

int user_tools_new(struct user_tools **ret, const struct user_tools_config *config) {
        _cleanup_(user_tools_freep) struct user_tools *u = calloc(1, sizeof(*u));
        int r;

        if (!u)
                return -ENOMEM;
        u->config = *config;
        (void) snprintf(u->directory, sizeof(u->directory), "%s", config->directory);
        u->tools = json_object();
        r = sd_event_add_time_relative(config->loop, &u->settled, CLOCK_MONOTONIC, 0, 0, on_settled, u);
        if (!u->tools || r < 0)
                return r < 0 ? r : -ENOMEM;
        (void) sd_event_source_set_enabled(u->settled, SD_EVENT_OFF);
        if (sd_event_add_inotify(config->loop, &u->watch, u->directory,
                                 IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE, on_changed,
                                 u) < 0)
                log_debug("No folder of tools at %s", u->directory);
        read_all(u);

        *ret = TAKE_PTR(u);
        return 0;
}

struct user_tools *user_tools_free(struct user_tools *u) {
        if (!u)
                return NULL;

        (void) sd_event_source_disable_unref(u->watch);
        (void) sd_event_source_disable_unref(u->settled);
        json_decref(u->tools);
        free(u);
        return NULL;
}

/* As a model is told: a JSON schema. */
static json_t *describe(const char *name, json_t *tool) {
        json_t *properties = json_object(), *required = json_array(), *argument;
        json_t *timeout = json_object_get(tool, "timeout");
        const char *key;

        json_object_foreach(json_object_get(tool, "arguments"), key, argument) {
                json_t *schema = json_copy(argument);

                if (json_is_true(json_object_get(schema, "required")))
                        (void) json_array_append_new(required, json_string(key));
                (void) json_object_del(schema, "required");
                (void) json_object_set_new(properties, key, schema);
        }
        return json_pack("{s:s, s:O, s:b, s:f, s:{s:s, s:o, s:o}}", "name", name, "description",
                         json_object_get(tool, "description"), "confirm",
                         json_is_true(json_object_get(tool, "confirm")), "timeout",
                         (timeout ? json_number_value(timeout) : STANDARD_SECONDS) + 5, "parameters",
                         "type", "object", "properties", properties, "required", required);
}

json_t *user_tools_describe(struct user_tools *u) {
        json_t *tools = json_array(), *tool;
        const char *name;

        json_object_foreach(u->tools, name, tool)
                if (json_array_append_new(tools, describe(name, tool)) < 0) {
                        json_decref(tools);
                        return NULL;
                }
        return tools;
}

void user_tools_replace(struct user_tools *u, json_t *tools) {
        for (size_t i = json_array_size(tools); i-- > 0;) {
                json_t *name = json_object_get(json_array_get(tools, i), "name");

                if (json_object_get(u->tools, json_string_value(name)))
                        (void) json_array_remove(tools, i);
        }
}

static bool is_listed(json_t *list, json_t *value) {
        json_t *entry;
        size_t i;

        json_array_foreach(list, i, entry)
                if (json_equal(entry, value) || (json_is_number(entry) && json_is_number(value) &&
                                                 json_number_value(entry) == json_number_value(value)))
                        return true;
        return false;
}

static bool has_type(json_t *value, const char *type) {
        if (strcmp(type, "string") == 0)
                return json_is_string(value);
        if (strcmp(type, "boolean") == 0)
                return json_is_boolean(value);
        if (!json_is_number(value))
                return false;
        return strcmp(type, "number") == 0 || json_is_integer(value) ||
               json_number_value(value) == (double) (json_int_t) json_number_value(value);
}

static int check_value(const char *name, json_t *argument, json_t *value, struct why *why) {
        json_t *list = json_object_get(argument, "enum"), *low = json_object_get(argument, "minimum");
        json_t *high = json_object_get(argument, "maximum");

        if (!has_type(value, json_string_value(json_object_get(argument, "type"))))
                return because(why, -EINVAL, "The %s is of the wrong kind.", name);
        if (list && !is_listed(list, value))
                return because(why, -EINVAL, "The %s is none of those that there are.", name);
        if ((low && json_number_value(value) < json_number_value(low)) ||
            (high && json_number_value(value) > json_number_value(high)))
                return because(why, -EINVAL, "The %s is too small or too large.", name);
        /* To a command it would be an option. */
        if (!list && json_is_string(value) && json_string_value(value)[0] == '-')
                return because(why, -EINVAL, "The %s may not begin with a minus.", name);
        return 0;
}

static int check_arguments(json_t *tool, json_t *arguments, struct why *why) {
        json_t *declared = json_object_get(tool, "arguments"), *argument, *value;
        const char *name;
        int r;

        json_object_foreach(declared, name, argument)
                if (json_is_true(json_object_get(argument, "required")) &&
                    !json_object_get(arguments, name))
                        return because(why, -EINVAL, "Which %s?", name);
        json_object_foreach(arguments, name, value) {
                argument = json_object_get(declared, name);
                if (!argument)
                        return because(why, -EINVAL, "There is no argument '%.40s'.", name);
                r = check_value(name, argument, value, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void write_value(json_t *value, char *ret, size_t size) {
        if (json_is_string(value))
                (void) snprintf(ret, size, "%s", json_string_value(value));
        else if (json_is_boolean(value))
                (void) snprintf(ret, size, "%s", json_is_true(value) ? "true" : "false");
        else
                (void) snprintf(ret, size, "%.15g", json_number_value(value));
}

/* A word with {name} replaced by the argument.  1; 0 when an argument that it needs is not there,
 * -E2BIG: too long. */
static int expand(const char *word, json_t *arguments, char *ret, size_t size) {
        size_t n = 0;

        while (*word) {
                size_t length = word[0] == '{' ? strcspn(word + 1, "{}") : 0;
                char name[64], text[4096];
                json_t *value;

                if (length == 0 || length >= sizeof(name) || word[1 + length] != '}') {
                        if (n + 1 >= size)
                                return -E2BIG;
                        ret[n++] = *word++;
                        continue;
                }
                (void) snprintf(name, sizeof(name), "%.*s", (int) length, word + 1);
                value = json_object_get(arguments, name);
                if (!value)
                        return 0;
                write_value(value, text, sizeof(text));
                if (n + strlen(text) >= size)
                        return -E2BIG;
                memcpy(ret + n, text, strlen(text));
                n += strlen(text);
                word += length + 2;
        }
        ret[n] = 0;
        return 1;
}

int user_tools_command(json_t *tool, json_t *arguments, char ***ret, struct why *why) {
        size_t size = (MAX_WORDS + 1) * sizeof(char *), room = 65536, i;
        char **words = calloc(1, size + room), *at, text[8192];
        unsigned n = 0;
        json_t *word;
        int r;

        if (!words)
                return because(why, -ENOMEM, "There is no memory left.");
        at = (char *) words + size;
        r = check_arguments(tool, arguments, why);
        json_array_foreach(json_object_get(tool, "command"), i, word) {
                if (r < 0)
                        break;
                r = expand(json_string_value(word), arguments, text, sizeof(text));
                if (r == 0)
                        continue;
                if (r > 0 && strlen(text) >= room)
                        r = -E2BIG;
                if (r < 0) {
                        r = because(why, r, "That is too long.");
                        break;
                }
                words[n++] = at;
                room -= strlen(text) + 1;
                at = stpcpy(at, text) + 1;
        }
        if (r >= 0 && n == 0)
                r = because(why, -EINVAL, "The command is empty.");
        if (r < 0) {
                free(words);
                return r;
        }
        *ret = words;
        return 0;
}

struct run {
        struct call *call; /* owned reference */
        json_t *tool;      /* owned reference */
};

static void run_end(struct run *run) {
        (void) call_unref(run->call);
        json_decref(run->tool);
        free(run);
}

/* The last word on a line of its own is what is said, unless the file has a sentence. */
static void say(struct run *run, const char *output) {
        const char *sentence = json_string_value(json_object_get(run->tool, "say"));
        char text[1024];
        json_t *result = json_pack("{s:s}", "output", output);

        if (sentence && expand(sentence, call_arguments(run->call), text, sizeof(text)) > 0)
                call_say(run->call, result, "%s", text);
        else if (*output)
                call_say(run->call, result, "%.*s", MAX_SAID, output);
        else
                call_say(run->call, result, "Done.");
}

static void on_done(int status, const char *output, size_t size, void *userdata) {
        struct run *run = userdata;
        _cleanup_(freep) char *text = strndup(output, size);

        /* Without the white space at its end. */
        for (size_t n = text ? strlen(text) : 0; n > 0 && isspace((unsigned char) text[n - 1]); n--)
                text[n - 1] = 0;
        if (!text)
                call_fail(run->call, "There is no memory left.");
        else if (status == -ETIMEDOUT)
                call_fail(run->call, "The command did not end in time.");
        else if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                say(run, text);
        else
                call_fail(run->call, "The command failed%s%.*s", *text ? ": " : ".", MAX_SAID, text);
        run_end(run);
}

static void start(struct desktop *d, struct call *call) {
        struct user_tools *u = d->user_tools;
        json_t *tool = json_object_get(u->tools, call_name(call));
        json_t *timeout = json_object_get(tool, "timeout");
        double seconds = timeout ? json_number_value(timeout) : STANDARD_SECONDS;
        struct run *run = calloc(1, sizeof(*run));
        _cleanup_(freep) char **words = NULL;
        struct process_config config = {
                .loop = u->config.loop,
                .timeout_usec = (uint64_t) (seconds * 1e6),
                .max_output = MAX_OUTPUT,
                .done = on_done,
                .userdata = run,
        };
        struct process *process;
        struct why why = {};
        int r;

        if (!run || !tool) {
                free(run);
                return;
        }
        *run = (struct run){ call_ref(call), json_incref(tool) };
        call_set_deadline(call, seconds + 2);
        r = user_tools_command(tool, call_arguments(call), &words, &why);
        if (r >= 0) {
                config.argv = words;
                r = process_start(&process, &config);
                if (r < 0)
                        (void) because(&why, r, "%.100s can not be run: %s.", words[0], strerror(-r));
        }
        if (r < 0) {
                call_fail(call, "%s", why.text);
                run_end(run);
        }
}

bool user_tools_run(struct user_tools *u, struct call *call) {
        json_t *tool = json_object_get(u->tools, call_name(call));
        char question[160];

        if (!tool)
                return false;
        (void) snprintf(question, sizeof(question), "Really run %s?", call_name(call));
        if (json_is_true(json_object_get(tool, "confirm")))
                confirm_ask(u->config.desktop->confirm, call, question, start);
        else
                start(u->config.desktop, call);
        return true;
}
