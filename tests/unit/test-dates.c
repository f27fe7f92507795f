/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/dates.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap.h"

/* Said on Saturday, the 28th of November 2026. */
static bool is_day(const char *words, int day, int month, int year) {
        GDate today, found;

        g_date_set_dmy(&today, 28, G_DATE_NOVEMBER, 2026);
        g_date_clear(&found, 1);
        if (!dates_read(words, &today, &found)) {
                printf("# '%s' is no day\n", words);
                return false;
        }
        if (g_date_get_day(&found) == day && (int) g_date_get_month(&found) == month && g_date_get_year(&found) == year)
                return true;
        printf("# '%s' is the %d. %d. %d\n", words, g_date_get_day(&found), (int) g_date_get_month(&found),
               g_date_get_year(&found));
        return false;
}

static bool is_none(const char *words) {
        GDate today, found;

        g_date_set_dmy(&today, 28, G_DATE_NOVEMBER, 2026);
        return !dates_read(words, &today, &found);
}

static void counted(void) {
        expect(is_day("ten days from now", 8, 12, 2026));
        expect(is_day("in 10 days", 8, 12, 2026));
        expect(is_day("another eight days", 6, 12, 2026));
        expect(is_day("one hundred and fifty days", 27, 4, 2027));
        expect(is_day("a hundred days", 8, 3, 2027));
        expect(is_day("thirty one days from today", 29, 12, 2026));
        expect(is_day("400 days from now", 2, 1, 2028));
        expect(is_day("a week", 5, 12, 2026));
        expect(is_day("two weeks from tomorrow", 13, 12, 2026));
        expect(is_day("a week from monday", 7, 12, 2026));
        expect(is_day("a couple of months", 28, 1, 2027));
        expect(is_day("a year from now", 28, 11, 2027));
        expect(is_day("three days ago", 25, 11, 2026));
        expect(is_day("two days before christmas", 23, 12, 2026));
}

static void named(void) {
        expect(is_day("today", 28, 11, 2026));
        expect(is_day("tomorrow", 29, 11, 2026));
        expect(is_day("day after tomorrow", 30, 11, 2026));
        expect(is_day("after tomorrow", 30, 11, 2026));
        expect(is_day("after another eight days", 6, 12, 2026));
        expect(is_day("the day before yesterday", 26, 11, 2026));
        expect(is_day("Tuesday", 1, 12, 2026));
        expect(is_day("next tuesday", 1, 12, 2026));
        expect(is_day("saturday", 5, 12, 2026));
        expect(is_day("last friday", 27, 11, 2026));
        expect(is_day("the coming weekend", 5, 12, 2026));
        expect(is_day("next week", 5, 12, 2026));
        expect(is_day("next month", 28, 12, 2026));
        expect(is_day("last year", 28, 11, 2025));
        expect(is_day("christmas", 25, 12, 2026));
        expect(is_day("new year's eve", 31, 12, 2026));
        expect(is_day("new years day", 1, 1, 2027));
        expect(is_day("easter", 28, 3, 2027));
        expect(is_day("last easter", 5, 4, 2026));
}

static void of_the_calendar(void) {
        expect(is_day("3rd of march", 3, 3, 2027));
        expect(is_day("3 rd of march", 3, 3, 2027));
        expect(is_day("december the twenty fourth", 24, 12, 2026));
        expect(is_day("december 24", 24, 12, 2026));
        expect(is_day("1 november", 1, 11, 2027));
        expect(is_day("november 28", 28, 11, 2026));
        expect(is_day("the 5th", 5, 12, 2026));
        expect(is_day("the 31st", 31, 12, 2026));
        expect(is_day("may 4 1999", 4, 5, 1999));
        expect(is_day("february 29", 29, 2, 2028));
        expect(is_day("last 3rd of march", 3, 3, 2026));
}

static void none(void) {
        expect(is_none(""));
        expect(is_none("my birthday"));
        expect(is_none("february 30"));
        expect(is_none("seven"));
        expect(is_none("99999 years from now"));
        expect(is_none("99999 years ago"));
        expect(is_none("december 3 99999"));
        expect(is_none("999999999999999999999 days from now"));
        expect(is_none("a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j tomorrow"));
}

int main(void) {
        rule("so long before or after a day", counted);
        rule("days that have a name, and those of the week", named);
        rule("days of the calendar are the next ones", of_the_calendar);
        rule("what names no day, or none that there is", none);
        return tap_done();
}
