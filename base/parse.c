/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Digits up to *end; -EINVAL when there are none. */
static int parse_digits(const char *text, uint64_t *ret, const char **end) {
        uint64_t value = 0;
        const char *p;

        for (p = text; isdigit((unsigned char) *p); p++) {
                unsigned digit = (unsigned) (*p - '0');

                if (value > (UINT64_MAX - digit) / 10)
                        return -ERANGE;
                value = value * 10 + digit;
        }
        if (p == text)
                return -EINVAL;

        *ret = value;
        *end = p;
        return 0;
}

int parse_u64(const char *text, uint64_t *ret) {
        const char *end;
        uint64_t value;
        int r;

        r = parse_digits(text, &value, &end);
        if (r < 0)
                return r;
        if (*end)
                return -EINVAL;

        *ret = value;
        return 0;
}

int parse_unsigned(const char *text, unsigned *ret) {
        uint64_t value;
        int r;

        r = parse_u64(text, &value);
        if (r < 0)
                return r;
        if (value > UINT_MAX)
                return -ERANGE;

        *ret = (unsigned) value;
        return 0;
}

/* Only [-]digits[.digits] is accepted, and read by hand, because strtod() obeys the locale's
 * decimal comma and takes "nan" and hexadecimal. */
int parse_double(const char *text, double *ret) {
        const char *p = text, *fraction, *digits;
        double value = 0, scale = 1;

        if (*p == '-')
                p++;
        for (digits = p; isdigit((unsigned char) *p); p++)
                value = value * 10 + (*p - '0');
        if (p == digits)
                return -EINVAL;
        if (*p == '.') {
                for (fraction = ++p; isdigit((unsigned char) *p); p++) {
                        value = value * 10 + (*p - '0');
                        scale *= 10;
                }
                if (p == fraction)
                        return -EINVAL;
        }
        if (*p)
                return -EINVAL;
        if (!isfinite(value) || !isfinite(scale))
                return -ERANGE;

        *ret = (*text == '-' ? -value : value) / scale;
        return 0;
}

int parse_bool(const char *text, bool *ret) {
        static const char *const yes[] = { "yes", "true", "on", "1" };
        static const char *const no[] = { "no", "false", "off", "0" };

        for (unsigned i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
                if (strcmp(text, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcmp(text, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

int parse_span_ms(const char *text, uint64_t *ret) {
        static const struct {
                const char *unit;
                uint64_t ms;
        } units[] = {
                { "", 1000 },   { "ms", 1 },      { "s", 1000 },
                { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
        };
        const char *unit;
        uint64_t value;
        int r;

        r = parse_digits(text, &value, &unit);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (strcmp(unit, units[i].unit) != 0)
                        continue;
                if (value > UINT64_MAX / units[i].ms)
                        return -ERANGE;
                *ret = value * units[i].ms;
                return 0;
        }
        return -EINVAL;
}
