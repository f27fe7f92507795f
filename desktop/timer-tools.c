/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/timer-tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "desktop/bell.h"
#include "desktop/desktop.h"
#include "desktop/words.h"

#define WORDS_SIZE 128

/* Which timer of several is meant when no name is given. */
enum preference { PREFER_ANY, PREFER_RUNNING, PREFER_PAUSED };

/* amount and unit, in microseconds.  False: the call has been answered. */
static bool read_span(struct call *call, double standard_usec, int64_t *ret) {
        double amount, unit = 60;

        if (!call_number(call, "amount", &amount)) {
                if (standard_usec <= 0)
                        call_fail(call, "For how long?");
                *ret = (int64_t) standard_usec;
                return standard_usec > 0;
        }
        if (call_is(call, "unit", "second"))
                unit = 1;
        else if (call_is(call, "unit", "hour"))
                unit = 3600;
        else if (call_string(call, "unit") && !call_is(call, "unit", "minute")) {
                call_fail(call, "The unit has to be second, minute or hour.");
                return false;
        }
        if (!(amount > 0) || amount * unit * 1e6 > (double) TIMER_MAX_USEC) {
                call_fail(call, "It has to be more than nothing and at most 100 days.");
                return false;
        }
        *ret = (int64_t) (amount * unit * 1e6);
        return true;
}

/* "pizza timer"; "timer" for one without a name. */
static char *describe(const struct timer *timer, char *buffer, size_t size) {
        const char *kind = timer->is_alarm ? "alarm" : "timer";

        if (*timer->name)
                (void) snprintf(buffer, size, "%s %s", timer->name, kind);
        else
                (void) snprintf(buffer, size, "%s", kind);
        return buffer;
}

static json_t *timer_result(const struct timer *timer, const struct moment *now) {
        json_t *result = json_pack("{s:f, s:b, s:b}", "seconds_left",
                                   (double) timers_left(timer, now) / 1e6, "paused",
                                   (int) timer->is_paused, "ringing", (int) timer->is_ringing);

        if (*timer->name)
                (void) json_object_set_new(result, "name", json_string(timer->name));
        return result;
}

static bool fits(const struct timer *timer, bool is_alarm, enum preference preference) {
        switch (preference) {
        case PREFER_RUNNING:
                return timer->is_alarm == is_alarm && !timer->is_paused && !timer->is_ringing;
        case PREFER_PAUSED:
                return timer->is_alarm == is_alarm && timer->is_paused;
        case PREFER_ANY:
                break;
        }
        return timer->is_alarm == is_alarm;
}

/* The one of that name, or one that rings, or the latest; those that the tool can be meant for
 * first. */
static const struct timer *
pick(struct desktop *d, const char *name, bool is_alarm, enum preference preference) {
        const struct timer *found = NULL, *timers;
        size_t n;

        timers = timers_all(bell_timers(d->bell), &n);
        for (size_t i = 0; i < n; i++) {
                if (!fits(&timers[i], is_alarm, preference))
                        continue;
                if (name && strcasecmp(name, timers[i].name) != 0)
                        continue;
                if (!found || !found->is_ringing || timers[i].is_ringing)
                        found = &timers[i];
        }
        if (!found && preference != PREFER_ANY)
                return pick(d, name, is_alarm, PREFER_ANY);
        return found;
}

static const struct timer *pick_or_fail(struct desktop *d, struct call *call, enum preference preference) {
        const char *name = call_string(call, "name");
        const struct timer *timer = pick(d, name, /* is_alarm= */ false, preference);

        if (timer)
                return timer;
        if (name)
                call_fail(call, "There is no %.40s timer.", name);
        else
                call_fail(call, "No timer is running.");
        return NULL;
}

static unsigned count(struct desktop *d, bool is_alarm) {
        const struct timer *timers;
        unsigned counted = 0;
        size_t n;

        timers = timers_all(bell_timers(d->bell), &n);
        for (size_t i = 0; i < n; i++)
                counted += timers[i].is_alarm == is_alarm;
        return counted;
}

void timer_set(struct desktop *d, struct call *call) {
        const char *name = call_string(call, "name");
        struct moment now = bell_now();
        char words[WORDS_SIZE], what[WORDS_SIZE];
        const struct timer *timer;
        int64_t usec;

        if (!read_span(call, 0, &usec))
                return;
        if (timers_add(bell_timers(d->bell), name, usec, &now, &timer) < 0) {
                call_fail(call, "There are %d timers already.", TIMERS_MAX);
                return;
        }
        call_say(call, timer_result(timer, &now), "%s set, %s.",
                 words_capital(describe(timer, what, sizeof(what))),
                 words_duration(words, sizeof(words), usec));
        bell_changed(d->bell);
}

/* All of one kind. */
static void cancel_all(struct desktop *d, struct call *call, bool is_alarm) {
        struct timers *timers = bell_timers(d->bell);
        unsigned n = count(d, is_alarm);
        const char *kind = is_alarm ? "alarm" : "timer";
        const struct timer *timer;
        char number[16];

        while ((timer = pick(d, NULL, is_alarm, PREFER_ANY)))
                (void) timers_remove(timers, timer->id);
        bell_changed(d->bell);
        if (n == 0)
                call_say(call, NULL, "There is no %s.", kind);
        else if (n == 1)
                call_say(call, NULL, "%s cancelled.", is_alarm ? "Alarm" : "Timer");
        else
                call_say(call, NULL, "%s %ss cancelled.",
                         words_capital(words_number(number, sizeof(number), n)), kind);
}

/* Timers and alarms. */
static void cancel_everything(struct desktop *d, struct call *call) {
        const unsigned n_timers = count(d, false), n_alarms = count(d, true);
        const struct timer *timer;
        char number[16];

        if (n_timers == 0 || n_alarms == 0) {
                cancel_all(d, call, /* is_alarm= */ n_timers == 0 && n_alarms > 0);
                return;
        }
        while ((timer = pick(d, NULL, false, PREFER_ANY)) || (timer = pick(d, NULL, true, PREFER_ANY)))
                (void) timers_remove(bell_timers(d->bell), timer->id);
        bell_changed(d->bell);
        call_say(call, NULL, "%s timers and alarms cancelled.",
                 words_capital(words_number(number, sizeof(number), n_timers + n_alarms)));
}

/* "Pizza timer", "Timer of 20 minutes" where there are others, or "Timer". */
static void describe_cancelled(struct desktop *d, const struct timer *timer, char *buffer, size_t size) {
        char words[WORDS_SIZE];

        if (*timer->name || timer->is_ringing || count(d, false) == 1)
                (void) words_capital(describe(timer, buffer, size));
        else
                (void) snprintf(buffer, size, "Timer of %s",
                                words_duration(words, sizeof(words), timer->duration));
}

void timer_cancel(struct desktop *d, struct call *call) {
        const char *name = call_string(call, "name");
        const struct timer *timer;
        char what[2 * WORDS_SIZE];

        if (call_is(call, "which", "everything")) {
                cancel_everything(d, call);
                return;
        }
        if (call_is(call, "which", "all")) {
                cancel_all(d, call, /* is_alarm= */ false);
                return;
        }
        timer = pick(d, name, /* is_alarm= */ false, PREFER_ANY);
        if (!timer && name) {
                call_fail(call, "There is no %.40s timer.", name);
                return;
        }
        if (!timer) {
                call_say(call, NULL, "No timer is running.");
                return;
        }
        describe_cancelled(d, timer, what, sizeof(what));
        (void) timers_remove(bell_timers(d->bell), timer->id);
        bell_changed(d->bell);
        if (count(d, false) > 0)
                call_say(call, NULL, "%s cancelled, %u left.", what, count(d, false));
        else
                call_say(call, NULL, "%s cancelled.", what);
}

/* One sentence: "Pizza timer: two minutes left." */
static void
append_timer(char *text, size_t size, const struct timer *timer, const struct moment *now, bool is_only) {
        char words[WORDS_SIZE], what[WORDS_SIZE];
        size_t used = strlen(text);

        (void) words_duration(words, sizeof(words), timers_left(timer, now));
        (void) words_capital(describe(timer, what, sizeof(what)));
        if (timer->is_ringing)
                (void) snprintf(text + used, size - used, "%s%s is over.", used ? " " : "", what);
        else if (is_only && !*timer->name)
                (void) snprintf(text + used, size - used, "%s left%s.", words_capital(words),
                                timer->is_paused ? ", paused" : "");
        else
                (void) snprintf(text + used, size - used, "%s%s: %s left%s.", used ? " " : "", what,
                                words, timer->is_paused ? ", paused" : "");
}

void timer_get(struct desktop *d, struct call *call) {
        const char *name = call_string(call, "name");
        struct moment now = bell_now();
        const struct timer *timers;
        json_t *results = json_array();
        char text[2048] = "";
        size_t n;

        timers = timers_all(bell_timers(d->bell), &n);
        for (size_t i = 0; i < n; i++) {
                if (timers[i].is_alarm || (name && strcasecmp(name, timers[i].name) != 0))
                        continue;
                append_timer(text, sizeof(text), &timers[i], &now, count(d, false) == 1);
                (void) json_array_append_new(results, timer_result(&timers[i], &now));
        }
        if (!*text && name)
                (void) snprintf(text, sizeof(text), "There is no %.40s timer.", name);
        else if (!*text)
                (void) snprintf(text, sizeof(text), "No timer is running.");
        call_say(call, json_pack("{s:o}", "timers", results), "%s", text);
}

void timer_pause(struct desktop *d, struct call *call) {
        const struct timer *timer = pick_or_fail(d, call, PREFER_RUNNING);
        struct moment now = bell_now();
        char words[WORDS_SIZE], what[WORDS_SIZE];

        if (!timer)
                return;
        (void) words_capital(describe(timer, what, sizeof(what)));
        if (timers_pause(bell_timers(d->bell), timer->id, &now) < 0) {
                call_fail(call, "%s is %s already.", what, timer->is_paused ? "paused" : "over");
                return;
        }
        call_say(call, timer_result(timer, &now), "%s paused, %s left.", what,
                 words_duration(words, sizeof(words), timer->left));
        bell_changed(d->bell);
}

void timer_resume(struct desktop *d, struct call *call) {
        const struct timer *timer = pick_or_fail(d, call, PREFER_PAUSED);
        struct moment now = bell_now();
        char words[WORDS_SIZE], what[WORDS_SIZE];

        if (!timer)
                return;
        (void) words_capital(describe(timer, what, sizeof(what)));
        if (timers_resume(bell_timers(d->bell), timer->id, &now) < 0) {
                call_fail(call, "%s is not paused.", what);
                return;
        }
        call_say(call, timer_result(timer, &now), "%s runs again, %s left.", what,
                 words_duration(words, sizeof(words), timers_left(timer, &now)));
        bell_changed(d->bell);
}

void timer_add(struct desktop *d, struct call *call) {
        const struct timer *timer;
        struct moment now = bell_now();
        char words[WORDS_SIZE], what[WORDS_SIZE];
        int64_t usec;

        if (!read_span(call, 0, &usec))
                return;
        timer = pick_or_fail(d, call, PREFER_ANY);
        if (!timer)
                return;
        if (timers_extend(bell_timers(d->bell), timer->id, usec, &now) < 0) {
                call_fail(call, "That is too long for a timer.");
                return;
        }
        call_say(call, timer_result(timer, &now), "%s: %s left.",
                 words_capital(describe(timer, what, sizeof(what))),
                 words_duration(words, sizeof(words), timers_left(timer, &now)));
        bell_changed(d->bell);
}

static bool read_day(struct call *call, struct wall_wish *wish) {
        static const char *const weekdays[] = { "sunday",   "monday", "tuesday", "wednesday",
                                                "thursday", "friday", "saturday" };
        const char *day = call_string(call, "day");

        wish->days = wish->weekday = -1;
        if (!day)
                return true;
        if (strcasecmp(day, "today") == 0)
                wish->days = 0;
        else if (strcasecmp(day, "tomorrow") == 0)
                wish->days = 1;
        for (int i = 0; i < 7; i++)
                if (strcasecmp(day, weekdays[i]) == 0)
                        wish->weekday = i;
        return wish->days >= 0 || wish->weekday >= 0;
}

static bool read_wish(struct call *call, struct wall_wish *wish) {
        double hour;

        *wish = (struct wall_wish){};
        /* Half past seven is not eight. */
        if (call_number(call, "hour", &hour) && hour >= 0 && hour <= 23 && hour != (int) hour) {
                call_fail(call, "The hour has to be a whole number.");
                return false;
        }
        if (call_whole(call, "minute", 0, 59, &wish->minute) < 0)
                return false;
        switch (call_whole(call, "hour", 0, 23, &wish->hour)) {
        case 0:
                call_fail(call, "For what time?");
                return false;
        case 1:
                break;
        default:
                return false;
        }
        if (call_is(call, "daytime", "morning"))
                wish->daytime = DAYTIME_MORNING;
        else if (call_string(call, "daytime"))
                wish->daytime = DAYTIME_AFTERNOON;
        if (!read_day(call, wish)) {
                call_fail(call, "Which day is that?");
                return false;
        }
        return true;
}

static json_t *alarm_result(const struct timer *alarm) {
        char due[64];
        time_t at = (time_t) (alarm->due_real / USEC_PER_SEC);
        struct tm local;

        tzset();
        if (!localtime_r(&at, &local) ||
            strftime(due, sizeof(due), "%Y-%m-%dT%H:%M%z", &local) == 0)
                return NULL;
        return json_pack("{s:s, s:b, s:s*}", "due", due, "ringing", (int) alarm->is_ringing, "name",
                         *alarm->name ? alarm->name : NULL);
}

void alarm_set(struct desktop *d, struct call *call) {
        struct moment now = bell_now();
        const struct timer *alarm;
        struct wall_wish wish;
        struct wall wall;
        char words[WORDS_SIZE], what[WORDS_SIZE];

        if (!read_wish(call, &wish))
                return;
        if (wall_find(&wish, (time_t) (now.real / USEC_PER_SEC), &wall) < 0) {
                call_fail(call, "That time has passed.");
                return;
        }
        if (timers_add_alarm(bell_timers(d->bell), call_string(call, "name"), &wall, &now, &alarm) < 0) {
                call_fail(call, "There are %d timers and alarms already.", TIMERS_MAX);
                return;
        }
        call_say(call, alarm_result(alarm), "%s set for %s.",
                 words_capital(describe(alarm, what, sizeof(what))), words_moment(words, sizeof(words), alarm->due_real, now.real));
        bell_changed(d->bell);
}

/* One that rings, or the one that is due next. */
static const struct timer *next_alarm(struct desktop *d) {
        const struct timer *next = NULL, *timers;
        size_t n;

        timers = timers_all(bell_timers(d->bell), &n);
        for (size_t i = 0; i < n; i++)
                if (timers[i].is_alarm && (!next || timers[i].due_real < next->due_real))
                        next = &timers[i];
        return next;
}

void alarm_cancel(struct desktop *d, struct call *call) {
        const char *name = call_string(call, "name");
        const struct timer *alarm;
        struct moment now = bell_now();
        char words[WORDS_SIZE], what[WORDS_SIZE];
        bool was_ringing;

        bell_look(d->bell);
        alarm = name ? pick(d, name, /* is_alarm= */ true, PREFER_ANY) : next_alarm(d);
        if (call_is(call, "which", "all")) {
                cancel_all(d, call, /* is_alarm= */ true);
                return;
        }
        if (!alarm && name) {
                call_fail(call, "There is no %.40s alarm.", name);
                return;
        }
        if (!alarm) {
                call_say(call, NULL, "There is no alarm.");
                return;
        }
        (void) words_capital(describe(alarm, what, sizeof(what)));
        (void) words_moment(words, sizeof(words), alarm->due_real, now.real);
        was_ringing = alarm->is_ringing;
        (void) timers_remove(bell_timers(d->bell), alarm->id);
        bell_changed(d->bell);
        if (was_ringing)
                call_say(call, NULL, "%s off.", what);
        else
                call_say(call, NULL, "%s for %s cancelled.", what, words);
}

/* What rings comes first, and then what is due next. */
static int compare_alarms(const void *a, const void *b) {
        const struct timer *x = *(const struct timer *const *) a, *y = *(const struct timer *const *) b;

        if (x->is_ringing != y->is_ringing)
                return x->is_ringing ? -1 : 1;
        return x->due_real < y->due_real ? -1 : x->due_real > y->due_real;
}

static size_t sort_alarms(struct desktop *d, const struct timer *ret[TIMERS_MAX]) {
        const struct timer *timers;
        size_t n, n_alarms = 0;

        bell_look(d->bell);
        timers = timers_all(bell_timers(d->bell), &n);
        for (size_t i = 0; i < n; i++)
                if (timers[i].is_alarm)
                        ret[n_alarms++] = &timers[i];
        qsort(ret, n_alarms, sizeof(ret[0]), compare_alarms);
        return n_alarms;
}

void alarm_get(struct desktop *d, struct call *call) {
        struct moment now = bell_now();
        const struct timer *alarms[TIMERS_MAX];
        const size_t n = sort_alarms(d, alarms);
        json_t *results = json_array();
        char text[2048] = "", words[WORDS_SIZE];

        for (size_t i = 0; i < n; i++) {
                size_t used = strlen(text);

                (void) snprintf(text + used, sizeof(text) - used, "%s%s%s%s", used ? "; " : "",
                                words_moment(words, sizeof(words), alarms[i]->due_real, now.real),
                                *alarms[i]->name ? ", " : "", alarms[i]->name);
                (void) json_array_append_new(results, alarm_result(alarms[i]));
        }
        if (*text)
                call_say(call, json_pack("{s:o}", "alarms", results), "%s %s.",
                         n == 1 ? "Alarm set for" : "Alarms set for", text);
        else
                call_say(call, json_pack("{s:o}", "alarms", results), "There is no alarm.");
}

void alarm_snooze(struct desktop *d, struct call *call) {
        char words[WORDS_SIZE];
        int64_t usec;

        if (!read_span(call, (double) SNOOZE_USEC, &usec))
                return;
        if (!bell_is_ringing(d->bell)) {
                call_say(call, NULL, "Nothing is ringing.");
                return;
        }
        (void) bell_snooze(d->bell, usec);
        call_say(call, NULL, "Again in %s.", words_duration(words, sizeof(words), usec));
}

bool timer_read_end(struct call *call, int64_t *ret) {
        struct moment now = bell_now();
        struct wall_wish wish;
        struct wall wall;
        int64_t span;
        double given;

        *ret = 0;
        if (call_number(call, "amount", &given)) {
                if (!read_span(call, 0, &span))
                        return false;
                *ret = now.real + span;
                return true;
        }
        if (!call_number(call, "hour", &given))
                return true;
        if (!read_wish(call, &wish))
                return false;
        if (wall_find(&wish, (time_t) (now.real / USEC_PER_SEC), &wall) < 0) {
                call_fail(call, "That time has passed.");
                return false;
        }
        *ret = (int64_t) wall_moment(&wall) * USEC_PER_SEC;
        return true;
}
