/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/contrast.h"

#include <string.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Words divided by spaces; each row is a side of its own. */
static const struct side {
        enum contrast contrast;
        const char *words;
} sides[] = {
        /* clang-format off */
        { CONTRAST_NUMBER, "zero" },       { CONTRAST_NUMBER, "one" },       { CONTRAST_NUMBER, "two couple" },
        { CONTRAST_NUMBER, "three" },      { CONTRAST_NUMBER, "four" },      { CONTRAST_NUMBER, "five" },
        { CONTRAST_NUMBER, "six" },        { CONTRAST_NUMBER, "seven" },     { CONTRAST_NUMBER, "eight" },
        { CONTRAST_NUMBER, "nine" },       { CONTRAST_NUMBER, "ten" },       { CONTRAST_NUMBER, "eleven" },
        { CONTRAST_NUMBER, "twelve" },     { CONTRAST_NUMBER, "thirteen" },  { CONTRAST_NUMBER, "fourteen" },
        { CONTRAST_NUMBER, "fifteen" },    { CONTRAST_NUMBER, "sixteen" },   { CONTRAST_NUMBER, "seventeen" },
        { CONTRAST_NUMBER, "eighteen" },   { CONTRAST_NUMBER, "nineteen" },  { CONTRAST_NUMBER, "twenty" },
        { CONTRAST_NUMBER, "thirty" },     { CONTRAST_NUMBER, "forty" },     { CONTRAST_NUMBER, "fifty" },
        { CONTRAST_NUMBER, "sixty" },      { CONTRAST_NUMBER, "seventy" },   { CONTRAST_NUMBER, "eighty" },
        { CONTRAST_NUMBER, "ninety" },     { CONTRAST_NUMBER, "hundred" },   { CONTRAST_NUMBER, "half" },
        { CONTRAST_NUMBER, "quarter" },    { CONTRAST_NUMBER, "quarters" },  { CONTRAST_NUMBER, "noon midday" },
        { CONTRAST_NUMBER, "midnight" },   { CONTRAST_NUMBER, "thousand" },  { CONTRAST_NUMBER, "dozen" },
        { CONTRAST_NUMBER, "point" },      { CONTRAST_NUMBER, "third" },
        { CONTRAST_UNIT, "second seconds" },
        { CONTRAST_UNIT, "minute minutes" },
        { CONTRAST_UNIT, "hour hours" },
        { CONTRAST_UNIT, "day days" },
        { CONTRAST_UNIT, "week weeks" },
        { CONTRAST_DAYTIME, "morning am a.m" },
        { CONTRAST_DAYTIME, "afternoon evening night tonight pm p.m" },
        { CONTRAST_DAY, "tomorrow" },  { CONTRAST_DAY, "yesterday" }, { CONTRAST_DAY, "monday" },
        { CONTRAST_DAY, "tuesday" },   { CONTRAST_DAY, "wednesday" }, { CONTRAST_DAY, "thursday" },
        { CONTRAST_DAY, "friday" },    { CONTRAST_DAY, "saturday" },  { CONTRAST_DAY, "sunday" },
        { CONTRAST_SWITCH, "on enable activate unmute" },
        { CONTRAST_SWITCH, "off disable deactivate mute silence" },
        { CONTRAST_LOCK, "lock" },
        { CONTRAST_LOCK, "unlock" },
        { CONTRAST_OPEN, "open launch" },
        { CONTRAST_OPEN, "close quit" },
        { CONTRAST_DIRECTION, "up raise increase louder higher boost brighter brighten maximize" },
        { CONTRAST_DIRECTION, "down lower decrease quieter softer reduce darker dim minimize" },
        { CONTRAST_COURSE, "set start begin create" },
        { CONTRAST_COURSE, "stop cancel end delete clear kill" },
        { CONTRAST_COURSE, "pause" },
        { CONTRAST_COURSE, "resume continue unpause" },
        { CONTRAST_COURSE, "remove subtract" },
        { CONTRAST_COURSE, "add extend" },
        { CONTRAST_ORDER, "next forward skip" },
        { CONTRAST_ORDER, "previous last back again" },
        { CONTRAST_DENIAL, "not never no without except unless cannot nothing none" },
        { CONTRAST_DENIAL, "minus negative" },
        /* clang-format on */
};

static bool has_word(const char *words, const char *word, size_t size) {
        for (;;) {
                size_t n = strcspn(words, " ");

                if (n == size && memcmp(words, word, n) == 0)
                        return true;
                if (!words[n])
                        return false;
                words += n + 1;
        }
}

enum contrast contrast_of(const char *word, size_t size, unsigned *ret_side) {
        for (unsigned i = 0; i < N(sides); i++)
                if (has_word(sides[i].words, word, size)) {
                        if (ret_side)
                                *ret_side = i;
                        return sides[i].contrast;
                }
        return CONTRAST_NONE;
}

struct counts {
        unsigned char n[N(sides)];
        bool has_article; /* "an hour" may be said as "one hour" */
};

static bool is_word(const char *word, size_t size, const char *other) {
        return strlen(other) == size && memcmp(word, other, size) == 0;
}

/* "a" or "an" before a unit. */
static bool is_article(const char *at, size_t size) {
        const char *next = at + size + (at[size] == ' ');

        if (!is_word(at, size, "a") && !is_word(at, size, "an"))
                return false;
        return contrast_of(next, strcspn(next, " "), NULL) == CONTRAST_UNIT;
}

/* "a m" and "p m" are two words. */
static size_t meridiem(const char *at, unsigned *ret_side) {
        if (strncmp(at, "a m", 3) != 0 && strncmp(at, "p m", 3) != 0)
                return 0;
        if (at[3] != ' ' && at[3] != '\0')
                return 0;
        (void) contrast_of(at[0] == 'a' ? "am" : "pm", 2, ret_side);
        return 3;
}

static struct counts count(const char *sentence) {
        struct counts c = { 0 };

        while (*sentence) {
                unsigned side = 0;
                size_t n = meridiem(sentence, &side);

                if (n > 0)
                        c.n[side]++;
                else {
                        n = strcspn(sentence, " ");
                        c.has_article |= is_article(sentence, n);
                        if (contrast_of(sentence, n, &side) != CONTRAST_NONE)
                                c.n[side]++;
                }
                sentence += n + (sentence[n] == ' ');
        }
        return c;
}

/* Who says "one" may mean no number ("the next one"), and "a" is one. */
static bool agrees_about_one(const struct counts *said, const struct counts *taken, unsigned side) {
        return taken->n[side] == 0 || said->n[side] > 0 || said->has_article;
}

/* Each kind has its own law: of numbers and days none may be lost, of the others none be added. */
static bool agrees_about(const struct counts *said, const struct counts *taken, unsigned side) {
        unsigned one = 0;

        switch (sides[side].contrast) {
        case CONTRAST_NUMBER:
                (void) contrast_of("one", 3, &one);
                if (side == one)
                        return agrees_about_one(said, taken, side);
                return said->n[side] == taken->n[side];
        case CONTRAST_DAYTIME:
        case CONTRAST_DAY:
                return (said->n[side] > 0) == (taken->n[side] > 0);
        case CONTRAST_DENIAL:
                return said->n[side] <= taken->n[side];
        case CONTRAST_UNIT:
                return taken->n[side] == 0 || said->n[side] > 0;
        case CONTRAST_SWITCH:
        case CONTRAST_LOCK:
        case CONTRAST_OPEN:
        case CONTRAST_DIRECTION:
        case CONTRAST_COURSE:
        case CONTRAST_ORDER:
        case CONTRAST_NONE:
        case CONTRAST_N:
                break;
        }
        return true;
}

/* Opposites: whoever says one side and no other is not taken to have said another. */
static bool keeps_sides(const struct counts *said, const struct counts *taken) {
        for (enum contrast kind = CONTRAST_SWITCH; kind < CONTRAST_DENIAL; kind++) {
                bool has_any = false, has_common = false, has_taken = false;

                for (unsigned i = 0; i < N(sides); i++) {
                        if (sides[i].contrast != kind)
                                continue;
                        has_any |= said->n[i] > 0;
                        has_taken |= taken->n[i] > 0;
                        has_common |= said->n[i] > 0 && taken->n[i] > 0;
                }
                if (has_any && has_taken && !has_common)
                        return false;
        }
        return true;
}

/* "unlock" is not "lock", whatever else begins with "un". */
static bool undoes(const char *said, const char *taken) {
        while (*said) {
                size_t n = strcspn(said, " ");

                if (n > 4 && strncmp(said, "un", 2) == 0 && has_word(taken, said + 2, n - 2) &&
                    !has_word(taken, said, n))
                        return true;
                said += n + (said[n] == ' ');
        }
        return false;
}

/* What is not to be done has to be the same: "do not mute" is not "do not disturb". */
static bool denies_another(const char *said, const char *taken) {
        bool is_denied = false;

        while (*said) {
                size_t n = strcspn(said, " ");

                if (is_denied && !has_word(taken, said, n))
                        return true;
                is_denied = is_word(said, n, "not") || is_word(said, n, "never");
                said += n + (said[n] == ' ');
        }
        return false;
}

bool contrast_opposes(const char *said, const char *taken) {
        const struct counts a = count(said), b = count(taken);

        return !keeps_sides(&a, &b) || undoes(said, taken);
}

bool contrast_agrees(const char *said, const char *taken) {
        const struct counts a = count(said), b = count(taken);

        for (unsigned i = 0; i < N(sides); i++)
                if (!agrees_about(&a, &b, i))
                        return false;
        return keeps_sides(&a, &b) && !undoes(said, taken) && !denies_another(said, taken);
}
