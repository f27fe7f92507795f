/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/wording.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The longest chunk of a text between two spaces that can be a word. */
#define MAX_CHUNK 64

static const char *const small[] = {
        "zero",    "one",     "two",       "three",    "four",     "five",    "six",
        "seven",   "eight",   "nine",      "ten",      "eleven",   "twelve",  "thirteen",
        "fourteen", "fifteen", "sixteen",  "seventeen", "eighteen", "nineteen",
};
static const char *const tens[] = {
        "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
};

/* What is written one way and said another; several readings are divided by a bar. */
static const struct spelling {
        const char *typed, *readings;
} spellings[] = {
        /* clang-format off */
        { "am",        "a m|am|in the morning" },
        { "pm",        "p m|pm|in the afternoon|in the evening|at night" },
        { "o'clock",   "o clock|oclock|o'clock" },
        { "oclock",    "o clock|oclock|o'clock" },
        { "can't",     "can not|cannot" },
        { "cannot",    "can not|cannot" },
        { "cant",      "can not|cannot" },
        { "won't",     "will not" },
        { "wont",      "will not" },
        { "let's",     "let us|lets" },
        { "dont",      "do not" },
        { "doesnt",    "does not" },
        { "didnt",     "did not" },
        { "isnt",      "is not" },
        { "wouldnt",   "would not" },
        { "couldnt",   "could not" },
        { "shouldnt",  "should not" },
        { "whats",     "what is" },
        { "whatre",    "what are" },
        { "hows",      "how is" },
        { "whens",     "when is" },
        { "wheres",    "where is" },
        { "thats",     "that is" },
        { "theres",    "there is" },
        { "its",       "it is|its" },
        { "im",        "i am" },
        { "ive",       "i have" },
        { "u",         "you|u" },
        { "ur",        "your" },
        { "pls",       "please" },
        { "plz",       "please" },
        { "wanna",     "want to" },
        { "gotta",     "have to|got to|must" },
        { "gonna",     "going to" },
        { "lemme",     "let me" },
        { "gimme",     "give me" },
        { "tmrw",      "tomorrow" },
        { "vol",       "volume" },
        { "dnd",       "do not disturb" },
        { "nevermind", "never mind|nevermind" },
        { "ok",        "okay|ok" },
        { "okay",      "okay|ok" },
        { "alright",   "all right|alright" },
        { "percent",   "percent|per cent" },
        { "mins",      "minutes|minute" },
        { "min",       "minutes|minute" },
        { "secs",      "seconds|second" },
        { "sec",       "seconds|second" },
        { "hrs",       "hours|hour" },
        { "hr",        "hours|hour" },
        { "minute",    "minute|minutes" },
        { "minutes",   "minutes|minute" },
        { "second",    "second|seconds" },
        { "seconds",   "seconds|second" },
        { "hour",      "hour|hours" },
        { "hours",     "hours|hour" },
        /* clang-format on */
};

/* What stands right behind a number. */
static const struct spelling units[] = {
        { "m", "minutes|minute" }, { "h", "hours|hour" },   { "s", "seconds|second" },
        { "%", "percent|per cent" }, { "a", "a m|am|in the morning" },
        { "p", "p m|pm|in the afternoon|in the evening|at night" },
};

/* Whoever has a word before the apostrophe, and what is said for both. */
static const struct ending {
        const char *ending, *said;
} endings[] = {
        { "n't", " not" }, { "'re", " are" }, { "'ll", " will" }, { "'ve", " have" }, { "'m", " am" },
};

/* An 's that is short for "is"; behind other words it says whose. */
static const char *const with_is[] = {
        "what", "that", "it", "he", "she", "there", "here", "who", "where", "when", "how",
};

int wording_number(unsigned long number, char *out, size_t out_size) {
        int n;

        if (number > 999)
                return -EINVAL;
        if (number < 20)
                n = snprintf(out, out_size, "%s", small[number]);
        else if (number < 100)
                n = snprintf(out, out_size, "%s%s%s", tens[number / 10], number % 10 ? " " : "",
                             number % 10 ? small[number % 10] : "");
        else {
                char rest[32] = "";

                (void) wording_number(number % 100, rest, sizeof(rest));
                n = snprintf(out, out_size, "%s hundred%s%s", small[number / 100],
                             number % 100 ? " " : "", number % 100 ? rest : "");
        }
        return n < 0 || (size_t) n >= out_size ? -ENOBUFS : n;
}

/* A copy that lives as long as w; NULL: no room. */
static const char *keep(struct wording *w, const char *text, size_t size) {
        char *at = w->text + w->used;

        if (size >= sizeof(w->text) - w->used)
                return NULL;
        memcpy(at, text, size);
        at[size] = '\0';
        w->used += size + 1;
        return at;
}

static struct wording_word *last(struct wording *w) {
        return &w->words[w->n_words - 1];
}

static int add_word(struct wording *w, const char *typed, size_t size, bool is_break) {
        const char *copy;

        if (w->n_words == WORDING_MAX_WORDS)
                return -E2BIG;
        copy = keep(w, typed, size);
        if (!copy)
                return -E2BIG;
        w->words[w->n_words++] = (struct wording_word){ .typed = copy, .is_break = is_break };
        return 0;
}

/* One more reading of the last word; more than there is room for are not worth having. */
__attribute__((format(printf, 2, 3))) static int
add_reading(struct wording *w, const char *format, ...) {
        struct wording_word *word = last(w);
        const char *copy;
        char text[128];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        if (n < 0 || (size_t) n >= sizeof(text) || word->n_readings == WORDING_MAX_READINGS)
                return 0;
        copy = keep(w, text, (size_t) n);
        if (!copy)
                return -E2BIG;
        word->readings[word->n_readings++] = copy;
        return 0;
}

static int add_readings(struct wording *w, const char *readings) {
        int r = 0;

        while (r >= 0 && *readings) {
                size_t size = strcspn(readings, "|");

                r = add_reading(w, "%.*s", (int) size, readings);
                readings += size + (readings[size] == '|');
        }
        return r;
}

static const char *find_spelling(const struct spelling *list, size_t n, const char *typed) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(list[i].typed, typed) == 0)
                        return list[i].readings;
        return NULL;
}

/* The readings of a word with an apostrophe. */
static int add_short(struct wording *w, const char *typed) {
        size_t size = strlen(typed);
        int stem, r;

        for (size_t i = 0; i < N(endings); i++) {
                size_t n = strlen(endings[i].ending);

                if (size > n && strcmp(typed + size - n, endings[i].ending) == 0)
                        return add_reading(w, "%.*s%s", (int) (size - n), typed, endings[i].said);
        }
        if (size < 3 || typed[size - 2] != '\'')
                return add_reading(w, "%s", typed);

        stem = (int) size - 2;
        if (typed[size - 1] == 'd') {
                r = add_reading(w, "%.*s would", stem, typed);
                return r < 0 ? r : add_reading(w, "%.*s had", stem, typed);
        }
        if (typed[size - 1] != 's')
                return add_reading(w, "%s", typed);
        for (size_t i = 0; i < N(with_is); i++)
                if ((int) strlen(with_is[i]) == stem && strncmp(typed, with_is[i], (size_t) stem) == 0)
                        return add_reading(w, "%s is", with_is[i]);
        r = add_reading(w, "%s", typed);
        if (r >= 0)
                r = add_reading(w, "%.*ss", stem, typed);
        if (r >= 0)
                r = add_reading(w, "%.*s s", stem, typed);
        return r < 0 ? r : add_reading(w, "%.*s is", stem, typed);
}

static int add_plain(struct wording *w, const char *typed, bool is_break) {
        const char *readings = find_spelling(spellings, N(spellings), typed);
        int r;

        r = add_word(w, typed, strlen(typed), is_break);
        if (r < 0)
                return r;
        if (readings)
                return add_readings(w, readings);
        return strchr(typed, '\'') ? add_short(w, typed) : add_reading(w, "%s", typed);
}

/* Digits that only a clock of twenty four hours has, "0630" and "1130": said as one of twelve hours, with
 * the half of the day that they are of. */
static int add_half_of_day(struct wording *w, unsigned long hour, unsigned long minute) {
        const char *half = hour < 12 ? "a m" : "p m";
        char h[32] = "", m[32] = "";
        int r = 0;

        if (hour > 12)
                return 0;
        if (hour == 0 && minute == 0)
                r = add_reading(w, "midnight");
        (void) wording_number(hour % 12 == 0 ? 12 : hour, h, sizeof(h));
        (void) wording_number(minute, m, sizeof(m));
        if (r < 0)
                return r;
        if (minute == 0)
                return add_reading(w, "%s %s", h, half);
        return add_reading(w, "%s %s%s %s", h, minute < 10 ? "oh " : "", m, half);
}

/* A time of day as it is read from a clock.  Bare digits are the hour alone only if they begin with
 * a nought, so that 1000 is never ten. */
static int add_clock(struct wording *w, unsigned long hour, unsigned long minute, bool is_bare) {
        char h[32] = "", m[32] = "";
        int r = 0;

        (void) wording_number(hour, h, sizeof(h));
        (void) wording_number(minute, m, sizeof(m));
        if (minute >= 10)
                return add_reading(w, "%s %s", h, m);
        if (minute > 0)
                r = add_reading(w, "%s oh %s", h, m);
        if (r >= 0 && minute > 0)
                r = add_reading(w, "%s o %s", h, m);
        if (r >= 0 && minute > 0)
                r = add_reading(w, "%s zero %s", h, m);
        if (r >= 0 && minute > 0)
                return add_reading(w, "%s %s", h, m);
        if (!is_bare)
                r = add_reading(w, "%s", h);
        if (r >= 0)
                r = add_reading(w, "%s o clock", h);
        if (r >= 0 && is_bare)
                r = add_reading(w, "%s o'clock", h);
        if (r >= 0)
                r = add_reading(w, "%s hundred", h);
        if (r >= 0)
                r = add_reading(w, "%s hundred hours", h);
        return r < 0 ? r : add_reading(w, "%s zero zero", h);
}

/* A whole number; one of three or four digits may be a time. */
static int add_whole(struct wording *w, unsigned long number, size_t n_digits, bool is_after_unit) {
        char text[64];
        int r = 0;

        if (n_digits == 4 && number / 100 < 24 && number % 100 < 60) {
                r = add_half_of_day(w, number / 100, number % 100);
                if (r >= 0)
                        r = add_clock(w, number / 100, number % 100, /* is_bare= */ number >= 1000);
        }
        if (r >= 0 && number == 100)
                r = add_readings(w, "one hundred|a hundred|hundred");
        else if (r >= 0 && wording_number(number, text, sizeof(text)) >= 0)
                r = add_reading(w, "%s", text);
        if (r >= 0 && number > 100 && number < 1000 && number % 100 > 0) {
                (void) wording_number(number % 100, text, sizeof(text));
                r = add_reading(w, "%s hundred and %s", small[number / 100], text);
        }
        if (r >= 0 && n_digits == 3 && number / 100 > 0 && number % 100 < 60)
                r = add_clock(w, number / 100, number % 100, /* is_bare= */ true);
        /* "1h30m" is one hour and thirty minutes. */
        if (r >= 0 && is_after_unit && number < 100 && last(w)->n_readings > 0)
                r = add_reading(w, "and %s", last(w)->readings[0]);
        return r;
}

/* Digits with what belongs to them, at *at; false: they are no number that is said.  The word is
 * there in any case when 0 is returned. */
static int add_digits(struct wording *w, const char **at, bool is_break, bool is_after_unit) {
        const char *begin = *at, *end;
        char *rest;
        unsigned long number = strtoul(begin, &rest, 10), minute = 60;
        size_t n_digits = (size_t) (rest - begin);
        bool is_half = false;
        int r;

        end = rest;
        if ((*end == ':' || *end == '.') && isdigit((unsigned char) end[1]) &&
            isdigit((unsigned char) end[2]) && !isdigit((unsigned char) end[3])) {
                minute = strtoul(end + 1, &rest, 10);
                end = rest;
        } else if (*end == '.' && end[1] == '5' && !isdigit((unsigned char) end[2])) {
                is_half = true;
                end += 2;
        } else if (n_digits == 1 && number == 1 && end[0] == '/' && end[1] == '2' &&
                   !isdigit((unsigned char) end[2])) {
                end += 2;
                *at = end;
                r = add_word(w, begin, (size_t) (end - begin), is_break);
                return r < 0 ? r : add_readings(w, "half|half a|half an|a half");
        }
        *at = end;
        r = add_word(w, begin, (size_t) (end - begin), is_break);
        if (r < 0 || n_digits > 4)
                return r;
        if (is_half) {
                char text[64];

                if (wording_number(number, text, sizeof(text)) < 0)
                        return 0;
                if (number == 0)
                        return add_readings(w, "half an|half a|zero point five");
                r = add_reading(w, "%s and a half", text);
                return r < 0 ? r : add_reading(w, "%s point five", text);
        }
        if (minute < 60) {
                if (n_digits == 2 && begin[0] == '0')
                        r = add_half_of_day(w, number, minute);
                if (r < 0 || number >= 24)
                        return r;
                return add_clock(w, number, minute, /* is_bare= */ false);
        }
        return end == begin + n_digits ? add_whole(w, number, n_digits, is_after_unit) : 0;
}

/* Letters, or the sign, behind a number: "10m", "7pm", "100%". */
static int add_unit(struct wording *w, const char *unit) {
        const char *readings = find_spelling(units, N(units), unit);
        int r;

        if (!readings)
                return add_plain(w, unit, false);
        r = add_word(w, unit, strlen(unit), false);
        return r < 0 ? r : add_readings(w, readings);
}

static bool is_letter(char c) {
        return isalpha((unsigned char) c) || c == '\'' || (unsigned char) c >= 0x80;
}

/* Signs that nobody says: what has them is not language, and no word of it is to be read as one. */
static bool is_sayable(const char *chunk) {
        return !strpbrk(chunk, "<>{}|_=\\^$#@");
}

/* A chunk without spaces.  What divides words in it divides them here; *is_break goes along. */
static int add_chunk(struct wording *w, const char *at, bool *is_break) {
        bool is_after_number = false, is_after_unit = false;
        char word[MAX_CHUNK];
        int r = 0;

        if (!is_sayable(at))
                return add_word(w, at, strlen(at), *is_break);
        if (at[0] == '-' && isdigit((unsigned char) at[1]))
                r = add_plain(w, "minus", *is_break);
        while (r >= 0 && *at) {
                size_t n = 0;

                if (isdigit((unsigned char) *at)) {
                        r = add_digits(w, &at, *is_break, is_after_unit);
                        is_after_number = true;
                        *is_break = is_after_unit = false;
                        continue;
                }
                if (*at == '%' && is_after_number) {
                        r = add_unit(w, "%");
                        at++;
                        is_after_number = false;
                        continue;
                }
                if (!is_letter(*at)) {
                        /* Quotes and brackets mean nothing, a hyphen only a space. */
                        *is_break |= strchr(".,;:!?", *at) != NULL;
                        if (*at == '&')
                                r = add_plain(w, "and", *is_break);
                        is_after_number = false;
                        at++;
                        continue;
                }
                while (is_letter(at[n]) && n < sizeof(word) - 1) {
                        word[n] = at[n];
                        n++;
                }
                word[n] = '\0';
                at += n;
                while (n > 0 && word[n - 1] == '\'')
                        word[--n] = '\0';
                if (n == 0)
                        continue;
                if (is_after_number) {
                        r = add_unit(w, word);
                        is_after_unit = true;
                } else {
                        r = add_plain(w, word + (word[0] == '\''), *is_break);
                        is_after_unit = false;
                }
                is_after_number = *is_break = false;
        }
        return r;
}

/* "a.m." and its like, whose points divide nothing. */
static void join_meridiem(char *chunk) {
        size_t size = strlen(chunk);
        char *at = strpbrk(chunk, "ap");

        if (!at || (at > chunk && !isdigit((unsigned char) at[-1])))
                return;
        if (size - (size_t) (at - chunk) < 3 || at[1] != '.' || at[2] != 'm' || isalpha((unsigned char) at[3]))
                return;
        memmove(at + 1, at + 2, strlen(at + 2) + 1);
        if (at[2] == '.')
                memmove(at + 2, at + 3, strlen(at + 3) + 1);
}

/* The next chunk in lower case, with the characters that have a plainer form in it; how much was
 * read. */
static size_t take_chunk(const char *text, size_t size, char chunk[static MAX_CHUNK]) {
        static const struct {
                const char *is, *was;
        } plain[] = { { "\xe2\x80\x99", "'" }, { "\xe2\x80\x98", "'" }, { "\xc2\xbd", "1/2" },
                      { "\xe2\x80\x94", ";" }, { "\xe2\x80\x93", "-" }, { "\xe2\x80\xa6", "." },
                      { "\xe2\x80\x9c", "\"" }, { "\xe2\x80\x9d", "\"" }, { "\xc2\xa0", "-" } };
        size_t at = 0, n = 0;

        while (at < size && !isspace((unsigned char) text[at]) && n < MAX_CHUNK - 4) {
                size_t i = 0;

                while (i < N(plain) && (size - at < strlen(plain[i].is) ||
                                        memcmp(text + at, plain[i].is, strlen(plain[i].is)) != 0))
                        i++;
                if (i < N(plain)) {
                        n += (size_t) sprintf(chunk + n, "%s", plain[i].was);
                        at += strlen(plain[i].is);
                } else {
                        /* A NUL is no end, and no word either. */
                        chunk[n++] = text[at] ? (char) tolower((unsigned char) text[at]) : ';';
                        at++;
                }
        }
        chunk[n] = '\0';
        return at;
}

/* "7 am", "10 m": what belongs to the number before it, although a space is between. */
static bool is_unit_of_last(const struct wording *w, const char *chunk) {
        const char *typed = w->n_words > 0 ? w->words[w->n_words - 1].typed : "";

        return isdigit((unsigned char) typed[0]) && find_spelling(units, N(units), chunk) &&
               strcmp(chunk, "a") != 0;
}

int wording_read(struct wording *w, const char *text, size_t size) {
        bool is_break = false;
        char chunk[MAX_CHUNK];
        size_t at = 0;
        int r = 0;

        w->n_words = 0;
        w->used = 0;
        while (r >= 0 && at < size) {
                if (isspace((unsigned char) text[at])) {
                        is_break |= text[at] == '\n' && w->n_words > 0;
                        at++;
                        continue;
                }
                at += take_chunk(text + at, size - at, chunk);
                join_meridiem(chunk);
                if (is_unit_of_last(w, chunk) && !is_break)
                        r = add_unit(w, chunk);
                else
                        r = add_chunk(w, chunk, &is_break);
        }
        return r;
}

bool wording_is_sayable(const struct wording *w) {
        for (unsigned i = 0; i < w->n_words; i++)
                if (w->words[i].n_readings == 0)
                        return false;
        return true;
}

int wording_write(const struct wording *w, char *out, size_t out_size) {
        size_t used = 0;

        if (out_size == 0)
                return -ENOBUFS;
        out[0] = '\0';
        for (unsigned i = 0; i < w->n_words; i++) {
                const struct wording_word *word = &w->words[i];
                int n = snprintf(out + used, out_size - used, "%s%s", i > 0 ? " " : "",
                                 word->n_readings > 0 ? word->readings[0] : word->typed);

                if (n < 0 || (size_t) n >= out_size - used)
                        return -ENOBUFS;
                used += (size_t) n;
        }
        return (int) used;
}
