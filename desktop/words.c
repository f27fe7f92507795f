/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/words.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Up to here a number is a word. */
static const char *const small[] = {
        "no",    "one",  "two",   "three", "four", "five", "six",
        "seven", "eight", "nine", "ten",   "eleven", "twelve",
};

char *words_number(char *buffer, size_t size, int64_t n) {
        if (n >= 0 && n < (int64_t) (sizeof(small) / sizeof(small[0])))
                (void) snprintf(buffer, size, "%s", small[n]);
        else
                (void) snprintf(buffer, size, "%" PRId64, n);
        return buffer;
}

/* Behind what is there already. */
static void append(char *buffer, size_t size, const char *text) {
        size_t used = strlen(buffer);

        (void) snprintf(buffer + used, size - used, "%s", text);
}

char *words_duration(char *buffer, size_t size, int64_t usec) {
        static const char *const units[] = { "hour", "minute", "second" };
        int64_t seconds = (usec + USEC_PER_SEC / 2) / USEC_PER_SEC, parts[3];
        unsigned n = 0, n_left;
        char number[32];

        if (seconds < 1)
                seconds = 1;
        parts[0] = seconds / 3600;
        parts[1] = seconds / 60 % 60;
        parts[2] = seconds % 60;
        for (unsigned i = 0; i < 3; i++)
                n += parts[i] > 0;

        buffer[0] = 0;
        n_left = n;
        for (unsigned i = 0; i < 3; i++) {
                if (parts[i] == 0)
                        continue;
                if (n_left < n)
                        append(buffer, size, n_left == 1 ? " and " : ", ");
                append(buffer, size, words_number(number, sizeof(number), parts[i]));
                append(buffer, size, " ");
                append(buffer, size, units[i]);
                append(buffer, size, parts[i] == 1 ? "" : "s");
                n_left--;
        }
        return buffer;
}

/* How many days lie between, by the calendar. */
static long days_between(const struct tm *from, const struct tm *to) {
        struct tm a = { .tm_year = from->tm_year, .tm_mon = from->tm_mon, .tm_mday = from->tm_mday };
        struct tm b = { .tm_year = to->tm_year, .tm_mon = to->tm_mon, .tm_mday = to->tm_mday };

        return (long) ((timegm(&b) - timegm(&a)) / 86400);
}

char *words_moment(char *buffer, size_t size, int64_t usec, int64_t now_usec) {
        time_t at = (time_t) (usec / USEC_PER_SEC), now = (time_t) (now_usec / USEC_PER_SEC);
        struct tm then, today;
        long days;

        tzset();
        if (!localtime_r(&at, &then) || !localtime_r(&now, &today)) {
                (void) snprintf(buffer, size, "some time");
                return buffer;
        }
        days = days_between(&today, &then);
        if (days == 0)
                (void) strftime(buffer, size, "%-H:%M", &then);
        else if (days == 1)
                (void) strftime(buffer, size, "tomorrow, %-H:%M", &then);
        else if (days == -1)
                (void) strftime(buffer, size, "yesterday, %-H:%M", &then);
        else if (days > 0 && days < 7)
                (void) strftime(buffer, size, "%A, %-H:%M", &then);
        else
                (void) strftime(buffer, size, "%-d %B, %-H:%M", &then);
        return buffer;
}

char *words_capital(char *text) {
        text[0] = (char) toupper((unsigned char) text[0]);
        return text;
}
