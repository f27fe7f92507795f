/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/wall.h"

#include <errno.h>

static struct tm to_tm(const struct wall *w, int is_dst) {
        return (struct tm){
                .tm_year = w->year - 1900,
                .tm_mon = w->month - 1,
                .tm_mday = w->day,
                .tm_hour = w->hour,
                .tm_min = w->minute,
                .tm_isdst = is_dst,
        };
}

static bool is_same_time(const struct wall *w, const struct tm *tm) {
        return tm->tm_mday == w->day && tm->tm_hour == w->hour && tm->tm_min == w->minute;
}

time_t wall_moment(const struct wall *w) {
        struct tm summer = to_tm(w, 1), any = to_tm(w, -1);
        time_t first = mktime(&summer);

        /* In autumn an hour comes twice, in summer time first. */
        if (first != (time_t) -1 && summer.tm_isdst > 0 && is_same_time(w, &summer))
                return first;
        return mktime(&any);
}

/* The same time of day, some days from a date. */
static bool on_day(const struct tm *today, int days, int hour, int minute, struct wall *ret) {
        struct tm tm = { .tm_year = today->tm_year,
                         .tm_mon = today->tm_mon,
                         .tm_mday = today->tm_mday + days };

        if (timegm(&tm) == (time_t) -1)
                return false;
        *ret = (struct wall){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, hour, minute };
        return true;
}

/* In the evening people set an alarm to be woken by. */
#define EVENING     17
#define FIRST_WAKES 5
#define LAST_WAKES  9

static bool is_for_waking(const struct wall_wish *wish, const struct tm *now) {
        return wish->days < 0 && wish->weekday < 0 && now->tm_hour >= EVENING &&
               wish->hour >= FIRST_WAKES && wish->hour <= LAST_WAKES;
}

/* The hours of the 24 hour clock that can be meant. */
static unsigned candidates(const struct wall_wish *wish, const struct tm *now, int hours[2]) {
        int half = wish->hour % 12;

        hours[0] = wish->hour;
        if (wish->hour == 0 || wish->hour > 12)
                return 1;
        hours[0] = half;
        hours[1] = half + 12;
        if (wish->daytime == DAYTIME_NONE)
                return is_for_waking(wish, now) ? 1 : 2;
        if (wish->daytime == DAYTIME_AFTERNOON)
                hours[0] = half + 12;
        return 1;
}

/* The first of the hours on that day that is still to come. */
static bool find_on_day(const struct wall_wish *wish,
                        const struct tm *today,
                        int days,
                        time_t now,
                        struct wall *ret) {
        int hours[2];
        unsigned n = candidates(wish, today, hours);

        for (unsigned i = 0; i < n; i++)
                if (on_day(today, days, hours[i], wish->minute, ret) && wall_moment(ret) > now)
                        return true;
        return false;
}

int wall_find(const struct wall_wish *wish, time_t now, struct wall *ret) {
        struct tm today;

        if (wish->hour < 0 || wish->hour > 23 || wish->minute < 0 || wish->minute > 59)
                return -EINVAL;
        tzset();
        if (!localtime_r(&now, &today))
                return -EINVAL;
        if (wish->days >= 0)
                return find_on_day(wish, &today, wish->days, now, ret) ? 0 : -ERANGE;

        for (int days = 0; days <= 7; days++) {
                if (wish->weekday >= 0 && (today.tm_wday + days) % 7 != wish->weekday)
                        continue;
                if (find_on_day(wish, &today, days, now, ret))
                        return 0;
        }
        return -ERANGE;
}
