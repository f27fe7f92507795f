/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/dates.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 32
#define MAX_COUNT 100000 /* of days, weeks and so on */

enum kind { WORD, NUMBER, ORDINAL, UNIT, WEEKDAY, MONTH };
enum unit { DAY, WEEK, MONTHS, YEAR };

struct word {
        enum kind kind;
        int value; /* the number, the unit, the day of the week or the month from 1 on */
        char text[16];
};

struct phrase {
        struct word words[MAX_WORDS];
        unsigned n;
};

/* ---- words ------------------------------------------------------------------------------------ */

/* "a|b|c": where a word stands among them, from 0 on; -1: nowhere. */
static int index_in(const char *list, const char *word) {
        size_t size = strlen(word);

        for (int i = 0; *list; i++) {
                size_t n = strcspn(list, "|");

                if (n == size && memcmp(list, word, n) == 0)
                        return i;
                list += n + (list[n] == '|');
        }
        return -1;
}

static bool is(const struct phrase *p, unsigned at, const char *words) {
        return at < p->n && p->words[at].kind == WORD && index_in(words, p->words[at].text) >= 0;
}

static bool has(const struct phrase *p, const char *words) {
        for (unsigned i = 0; i < p->n; i++)
                if (is(p, i, words))
                        return true;
        return false;
}

static bool set(struct word *word, enum kind kind, int value) {
        word->kind = kind;
        word->value = value;
        return value >= 0;
}

static bool set_name(struct word *word) {
        int i;

        if ((i = index_in("day|week|month|year|days|weeks|months|years", word->text)) >= 0)
                return set(word, UNIT, i % 4);
        if ((i = index_in("monday|tuesday|wednesday|thursday|friday|saturday|sunday|mondays|tuesdays|"
                          "wednesdays|thursdays|fridays|saturdays|sundays",
                          word->text)) >= 0)
                return set(word, WEEKDAY, i % 7 + 1);
        i = index_in("january|february|march|april|may|june|july|august|september|october|november|december|"
                     "jan|feb|mar|apr||jun|jul|aug|sep|oct|nov|dec",
                     word->text);
        return set(word, MONTH, i < 0 ? -1 : i % 12 + 1);
}

static bool set_number(struct word *word) {
        char *end;
        long number = strtol(word->text, &end, 10);
        int i;

        if (end > word->text && number >= 0 && number <= MAX_COUNT &&
            (!*end || index_in("st|nd|rd|th", end) >= 0))
                return set(word, *end ? ORDINAL : NUMBER, (int) number);
        if ((i = index_in("zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|"
                          "fourteen|fifteen|sixteen|seventeen|eighteen|nineteen",
                          word->text)) >= 0)
                return set(word, NUMBER, i);
        if ((i = index_in("twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety", word->text)) >= 0)
                return set(word, NUMBER, 10 * (i + 2));
        if ((i = index_in("first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|"
                          "thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth",
                          word->text)) >= 0)
                return set(word, ORDINAL, i + 1);
        if (strcmp(word->text, "hundred") == 0)
                return set(word, NUMBER, 100);
        return set(word, ORDINAL, strcmp(word->text, "thirtieth") == 0 ? 30 : -1);
}

/* "Twenty" "five", "one" "hundred", "and" "fifty": one number; true when the word went into the last one. */
static bool join(struct phrase *p, const struct word *word) {
        bool is_after_and = p->n > 1 && is(p, p->n - 1, "and");
        struct word *last = p->n > is_after_and ? &p->words[p->n - 1 - is_after_and] : NULL;
        bool is_hundred = strcmp(word->text, "hundred") == 0;

        /* "3 rd", as it may come from whoever cut letters from digits. */
        if (last && last->kind == NUMBER && !is_after_and && index_in("st|nd|rd|th", word->text) >= 0)
                return set(last, ORDINAL, last->value);
        if (!last || last->kind != NUMBER || isdigit((unsigned char) *last->text))
                return false;
        if (is_hundred && last->value > 0 && last->value < 100 && !is_after_and) {
                last->value *= 100;
                return true;
        }
        if ((word->kind != NUMBER && word->kind != ORDINAL) || word->value == 0 || is_hundred)
                return false;
        if ((last->value < 100 && (is_after_and || last->value < 20 || word->value > 9)) ||
            (last->value >= 100 && (last->value % 100 != 0) && (last->value % 100 < 20 || word->value > 9)))
                return false;
        last->value += word->value;
        last->kind = word->kind;
        p->n -= is_after_and;
        return true;
}

static void add(struct phrase *p, const char *text, size_t size) {
        struct word word = { .kind = WORD };

        if (p->n == MAX_WORDS || size >= sizeof(word.text))
                return;
        for (size_t i = 0; i < size; i++)
                word.text[i] = (char) tolower((unsigned char) text[i]);
        if (!set_name(&word) && !set_number(&word))
                (void) set(&word, WORD, 0);
        if (!join(p, &word))
                p->words[p->n++] = word;
}

static void cut(const char *text, struct phrase *ret) {
        ret->n = 0;
        while (*text) {
                size_t n = 0;

                while (isalnum((unsigned char) text[n]))
                        n++;
                if (n > 0)
                        add(ret, text, n);
                text += n + (text[n] != '\0');
        }
}

/* ---- days ------------------------------------------------------------------------------------- */

/* GLib's own limits. */
static bool shift_days(GDate *date, long days) {
        long julian = (long) g_date_get_julian(date) + days;

        if (julian < 1 || julian > 3000000)
                return false;
        g_date_set_julian(date, (guint32) julian);
        return true;
}

static bool shift_months(GDate *date, long months) {
        if (months < 0 && -months / 12 + 1 >= g_date_get_year(date))
                return false;
        if (months > 12 * 5000)
                return false;
        if (months < 0)
                g_date_subtract_months(date, (guint) -months);
        else
                g_date_add_months(date, (guint) months);
        return g_date_valid(date);
}

static bool shift(GDate *date, enum unit unit, long n) {
        switch (unit) {
        case DAY:
                return shift_days(date, n);
        case WEEK:
                return shift_days(date, 7 * n);
        case MONTHS:
                return shift_months(date, n);
        case YEAR:
                return shift_months(date, 12 * n);
        }
        return false;
}

static bool is_over(const struct phrase *p) {
        return has(p, "ago|earlier|back|last|past|previous|was");
}

/* The next day of a kind that is after today, or the last one before. */
static bool set_weekday(GDate *date, int weekday, bool is_past) {
        int today = (int) g_date_get_weekday(date);
        int days = is_past ? (today - weekday + 6) % 7 + 1 : (weekday - today + 6) % 7 + 1;

        return shift_days(date, is_past ? -days : days);
}

/* That day of the year which is not over, or is, or of the year that is named. */
static bool set_day(GDate *date, int day, int month, int year, bool is_past) {
        GDate found;
        int this_year = g_date_get_year(date);

        for (int y = year > 0 ? year : this_year; y > 0 && abs(y - this_year) < 9 + (year > 0 ? 9999 : 0);
             y += is_past ? -1 : 1) {
                /* The 29th of February is not in every year. */
                if (g_date_valid_dmy((GDateDay) day, (GDateMonth) month, (GDateYear) y)) {
                        g_date_set_dmy(&found, (GDateDay) day, (GDateMonth) month, (GDateYear) y);
                        if (year > 0 || (is_past ? g_date_compare(&found, date) < 0
                                                 : g_date_compare(&found, date) >= 0)) {
                                *date = found;
                                return true;
                        }
                }
                if (year > 0)
                        break;
        }
        return false;
}

/* The one of this month or of the next that has it. */
static bool set_day_of_month(GDate *date, int day) {
        GDate found = *date;

        for (unsigned i = 0; i < 3; i++) {
                if (g_date_valid_dmy((GDateDay) day, g_date_get_month(&found), g_date_get_year(&found))) {
                        g_date_set_day(&found, (GDateDay) day);
                        if (g_date_compare(&found, date) >= 0) {
                                *date = found;
                                return true;
                        }
                }
                g_date_set_day(&found, 1);
                g_date_add_months(&found, 1);
        }
        return false;
}

/* By Gauss, as the western churches have it. */
static void find_easter(int year, int *ret_day, int *ret_month) {
        int a = year % 19, b = year / 100, c = year % 100, d = b / 4, e = b % 4, g = (8 * b + 13) / 25;
        int h = (19 * a + b - d - g + 15) % 30, i = c / 4, k = c % 4, l = (32 + 2 * e + 2 * i - h - k) % 7;
        int m = (a + 11 * h + 22 * l) / 451, n = h + l - 7 * m + 114;

        *ret_month = n / 31;
        *ret_day = n % 31 + 1;
}

static bool set_easter(GDate *date, bool is_past) {
        const int year = g_date_get_year(date);

        for (int y = year; abs(y - year) < 2; y += is_past ? -1 : 1) {
                int day, month;
                GDate found;

                find_easter(y, &day, &month);
                g_date_set_dmy(&found, (GDateDay) day, (GDateMonth) month, (GDateYear) y);
                if (is_past ? g_date_compare(&found, date) < 0 : g_date_compare(&found, date) >= 0) {
                        *date = found;
                        return true;
                }
        }
        return false;
}

/* ---- what a phrase names ---------------------------------------------------------------------- */

static bool read_from(const struct phrase *p, unsigned at, GDate *date);

static bool is_number(const struct phrase *p, unsigned at, enum kind kind) {
        return at < p->n && p->words[at].kind == kind;
}

/* "Ten days", "a week", "couple of months": how many, and where the unit is. */
static bool count_at(const struct phrase *p, unsigned at, long *ret_n, unsigned *ret_unit) {
        unsigned unit;

        if (is(p, at, "another") && is_number(p, at + 1, NUMBER))
                at++;
        unit = at + 1;
        if (is_number(p, at, NUMBER))
                *ret_n = p->words[at].value;
        else if (is(p, at, "a|an|another"))
                *ret_n = 1;
        else if (is(p, at, "couple"))
                *ret_n = 2;
        else
                return false;
        while (is(p, unit, "of|more|full"))
                unit++;
        *ret_unit = unit;
        return is_number(p, unit, UNIT);
}

/* So much before or after another day, or now. */
static bool read_distance(const struct phrase *p, unsigned unit, long n, GDate *date) {
        unsigned next = unit + 1;

        if (is(p, next, "before") || is_over(p))
                n = -n;
        if (is(p, next, "from|after|before") && next + 1 < p->n && !is(p, next + 1, "now") &&
            !read_from(p, next + 1, date))
                return false;
        return shift(date, (enum unit) p->words[unit].value, n);
}

static bool read_named(const struct phrase *p, unsigned at, GDate *date) {
        if (is(p, at, "today"))
                return true;
        if (is(p, at, "tomorrow|tomorrows"))
                return shift_days(date, 1);
        if (is(p, at, "yesterday|yesterdays"))
                return shift_days(date, -1);
        if (is(p, at, "weekend"))
                return set_weekday(date, 6, is_over(p));
        if (is(p, at, "christmas|xmas"))
                return set_day(date, is(p, at + 1, "eve") ? 24 : 25, 12, 0, is_over(p));
        if (is(p, at, "halloween"))
                return set_day(date, 31, 10, 0, is_over(p));
        if (is(p, at, "valentines|valentine"))
                return set_day(date, 14, 2, 0, is_over(p));
        if (is(p, at, "new") && at + 1 < p->n && p->words[at + 1].kind == UNIT && p->words[at + 1].value == YEAR)
                return has(p, "eve") ? set_day(date, 31, 12, 0, is_over(p)) : set_day(date, 1, 1, 0, is_over(p));
        return is(p, at, "easter") && set_easter(date, is_over(p));
}

/* "The day after tomorrow", "the day before yesterday". */
static bool read_neighbour(const struct phrase *p, unsigned at, GDate *date) {
        if (!is_number(p, at, UNIT) || !is(p, at + 1, "after|before") || at + 2 >= p->n)
                return false;
        return read_from(p, at + 2, date) &&
               shift(date, (enum unit) p->words[at].value, is(p, at + 1, "after") ? 1 : -1);
}

static bool read_calendar(const struct phrase *p, unsigned at, GDate *date) {
        unsigned other = at + 1;
        int day, year = 0;

        while (is(p, other, "of|the"))
                other++;
        if (is_number(p, at, MONTH) && (is_number(p, other, NUMBER) || is_number(p, other, ORDINAL))) {
                day = p->words[other].value;
                if (is_number(p, other + 1, NUMBER))
                        year = p->words[other + 1].value;
                return set_day(date, day, p->words[at].value, year, is_over(p));
        }
        if (!is_number(p, at, NUMBER) && !is_number(p, at, ORDINAL))
                return false;
        day = p->words[at].value;
        if (is_number(p, other, MONTH)) {
                if (is_number(p, other + 1, NUMBER))
                        year = p->words[other + 1].value;
                return set_day(date, day, p->words[other].value, year, is_over(p));
        }
        return is_number(p, at, ORDINAL) && set_day_of_month(date, day);
}

static bool read_relative(const struct phrase *p, unsigned at, GDate *date) {
        bool is_last = is(p, at, "last|previous|past");

        if (!is_last && !is(p, at, "next|coming|following"))
                return false;
        if (is_number(p, at + 1, WEEKDAY))
                return set_weekday(date, p->words[at + 1].value, is_last);
        return is_number(p, at + 1, UNIT) && shift(date, (enum unit) p->words[at + 1].value, is_last ? -1 : 1);
}

/* Of "the day after tomorrow" the last two words. */
static bool read_next_to(const struct phrase *p, unsigned at, GDate *date) {
        unsigned unit;
        long n;

        return is(p, at, "after|before") && at + 1 < p->n && !count_at(p, at + 1, &n, &unit) &&
               read_from(p, at + 1, date) && shift_days(date, is(p, at, "after") ? 1 : -1);
}

/* The first day that is named from a word on. */
static bool read_from(const struct phrase *p, unsigned at, GDate *date) {
        for (; at < p->n; at++) {
                GDate found = *date;
                unsigned unit = 0;
                long n = 0;

                if (count_at(p, at, &n, &unit))
                        return read_distance(p, unit, n, date);
                if (read_neighbour(p, at, &found) || read_next_to(p, at, &found) || read_relative(p, at, &found) ||
                    read_calendar(p, at, &found) || read_named(p, at, &found) ||
                    (is_number(p, at, WEEKDAY) && set_weekday(&found, p->words[at].value, is_over(p)))) {
                        *date = found;
                        return true;
                }
        }
        return false;
}

bool dates_read(const char *words, const GDate *today, GDate *ret) {
        struct phrase p;

        cut(words, &p);
        *ret = *today;
        return read_from(&p, 0, ret);
}
