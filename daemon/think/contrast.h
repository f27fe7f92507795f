/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_CONTRAST_H
#define DAEMON_THINK_CONTRAST_H

#include <stdbool.h>
#include <stddef.h>

/* The words of which one may never be taken for another: numbers, times, opposites, denials.  English,
 * as the contexts are.  Pure functions: any thread. */
enum contrast {
        CONTRAST_NONE,
        CONTRAST_NUMBER,
        CONTRAST_UNIT,
        CONTRAST_DAYTIME,
        CONTRAST_DAY,
        CONTRAST_SWITCH, /* on, off, and mute, which is off */
        CONTRAST_LOCK,
        CONTRAST_OPEN,
        CONTRAST_DIRECTION, /* up, down and their like */
        CONTRAST_COURSE,    /* start, stop, pause, resume, add, remove */
        CONTRAST_ORDER,     /* next, previous */
        CONTRAST_DENIAL,
        CONTRAST_N,
};

/* What kind of word that is; *ret_side (may be NULL) is the same for words that mean the same. */
enum contrast contrast_of(const char *word, size_t size, unsigned *ret_side);

/* Whether the second sentence, of the same language, may stand for the first: it has the same numbers
 * and times, no side of a contrast that the first has not, and denies no less.  Both in lower case
 * with single spaces. */
bool contrast_agrees(const char *said, const char *taken);

/* Whether the second has the opposite of something in the first and not the thing itself, whatever it has of
 * numbers and times. */
bool contrast_opposes(const char *said, const char *taken);

#endif
