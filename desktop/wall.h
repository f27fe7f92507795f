/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_WALL_H
#define DESKTOP_WALL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* When an alarm is due, by the clock on the wall.  That is what is kept of it: the moment follows
 * from it, and is another one when the time zone or the clock is changed.  Any thread. */
struct wall {
        int year, month, day; /* of our calendar, from 1 */
        int hour, minute;
};

/* What was asked for. */
enum daytime { DAYTIME_NONE, DAYTIME_MORNING, DAYTIME_AFTERNOON };
struct wall_wish {
        int hour, minute; /* 0 and 13 - 23 are of the 24 hour clock, as are all with a day time */
        enum daytime daytime;
        int days;    /* from today on; -1: whenever it comes next */
        int weekday; /* 0 Sunday - 6 Saturday; -1: any */
};

/* The next time that fits, in local time, after now (seconds since 1970); from 17:00 on, of 5 to 9 without a
 * day and a time of the day the one of the next morning.  -ERANGE: that time of
 * the day that was named has passed, -EINVAL: there is none. */
int wall_find(const struct wall_wish *wish, time_t now, struct wall *ret);

/* Seconds since 1970.  A time that the clock skips counts as what it is set to then, one that comes
 * twice as the first of the two. */
time_t wall_moment(const struct wall *w);

#endif
