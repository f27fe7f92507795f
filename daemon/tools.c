/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tools.h"

#include <string.h>

/* The formats are strftime()'s; the program never leaves the C locale, so the names are English,
 * like the sentence around them. */
static const struct {
        const char *name;
        const char *sentence;
} tools[] = {
        { "get_time", "It is %H:%M." },
        { "get_date", "It is %A, %-d %B %Y." },
};

bool tools_answer(const char *name, time_t now, char *out, size_t out_size) {
        struct tm local;

        for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
                if (strcmp(tools[i].name, name) != 0)
                        continue;
                if (!localtime_r(&now, &local))
                        return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                return strftime(out, out_size, tools[i].sentence, &local) > 0;
#pragma GCC diagnostic pop
        }
        return false;
}
