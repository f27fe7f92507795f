/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/tools.h"

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

bool tools_answer(const char *name, enum tools_form form, time_t now, char *out, size_t out_size) {
        struct tm local;

        for (size_t i = 0; i < N_TOOLS; i++) {
                if (strcmp(declared[i].name, name) != 0)
                        continue;
                if (!localtime_r(&now, &local))
                        return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                return strftime(out, out_size, formats[i][form], &local) > 0;
#pragma GCC diagnostic pop
        }
        return false;
}
