/* SPDX-License-Identifier: Apache-2.0 */
#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int because(struct why *why, int r, const char *format, ...) {
        va_list args;

        if (!why)
                return r;

        va_start(args, format);
        (void) vsnprintf(why->text, sizeof(why->text), format, args);
        va_end(args);
        return r;
}

int because_in(struct why *why, int r, const char *prefix) {
        char inner[sizeof(why->text)];

        if (!why)
                return r;

        memcpy(inner, why->text, sizeof(inner));
        return because(why, r, "%s: %s", prefix, inner);
}
