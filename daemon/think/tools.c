/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/tools.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define N_TOOLS 2

/* As a function without parameters is usually declared to models. */
#define NO_PARAMETERS "{\"type\":\"object\",\"properties\":{}}"

static const struct tool declared[N_TOOLS] = {
        { "get_time", "Gets the current local time of day.", NO_PARAMETERS },
        { "get_date", "Gets the current local date and the day of the week.", NO_PARAMETERS },
};

/* The formats are strftime()'s; the program never leaves the C locale, so the names are English,
 * like the sentence around them. */
static const char *const formats[N_TOOLS][2] = {
        { "It is %H:%M.", "{\"time\":\"%H:%M\"}" },
        { "It is %A, %-d %B %Y.", "{\"date\":\"%Y-%m-%d\",\"weekday\":\"%A\"}" },
};

const struct tool *tools_declared(size_t *ret_n) {
        *ret_n = N_TOOLS;
        return declared;
}

const char *tools_find(const char *name) {
        for (size_t i = 0; i < N_TOOLS; i++)
                if (strcmp(declared[i].name, name) == 0)
                        return declared[i].name;
        return NULL;
}

/* The time zone may have been changed since the last question, and localtime_r() does not look.  Both
 * the main and the inference thread come here; the C library has a lock of its own, which race
 * detectors can not see. */
static bool tell_local(time_t now, struct tm *ret) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        bool is_told;

        (void) pthread_mutex_lock(&lock);
        tzset();
        is_told = localtime_r(&now, ret) != NULL;
        (void) pthread_mutex_unlock(&lock);
        return is_told;
}

bool tools_answer(const char *name, enum tools_form form, time_t now, char *out, size_t out_size) {
        struct tm local;

        for (size_t i = 0; i < N_TOOLS; i++) {
                if (strcmp(declared[i].name, name) != 0)
                        continue;
                if (!tell_local(now, &local))
                        return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                return strftime(out, out_size, formats[i][form], &local) > 0;
#pragma GCC diagnostic pop
        }
        return false;
}

int toolset_new(struct toolset **ret) {
        struct toolset *set = calloc(1, sizeof(*set));

        if (!set)
                return -ENOMEM;
        *ret = set;
        return 0;
}

static void tool_done(struct tool *tool) {
        free((char *) tool->name);
        free((char *) tool->description);
        free((char *) tool->parameters_json);
}

struct toolset *toolset_free(struct toolset *set) {
        if (!set)
                return NULL;

        for (size_t i = 0; i < set->n_tools; i++)
                tool_done(&set->tools[i]);
        free(set->tools);
        free(set);
        return NULL;
}

int toolset_add(struct toolset *set, const struct tool *tool) {
        struct tool copy = {
                .name = strdup(tool->name),
                .description = strdup(tool->description),
                .parameters_json = strdup(tool->parameters_json),
        };
        struct tool *grown = reallocarray(set->tools, set->n_tools + 1, sizeof(*grown));

        if (grown)
                set->tools = grown;
        if (!grown || !copy.name || !copy.description || !copy.parameters_json) {
                tool_done(&copy);
                return -ENOMEM;
        }
        set->tools[set->n_tools++] = copy;
        return 0;
}

bool toolset_has(const struct toolset *set, const char *name) {
        for (size_t i = 0; set && i < set->n_tools; i++)
                if (strcmp(set->tools[i].name, name) == 0)
                        return true;
        return false;
}
