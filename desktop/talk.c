/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "desktop/dates.h"
#include "desktop/desktop.h"
#include "desktop/place.h"
#include "desktop/tools.h"
#include "desktop/words.h"

/* The moment of now at a place, which the caller releases; NULL: the call has been answered. */
static GDateTime *there(struct call *call, const char *place) {
        GDateTime *now;
        char name[64];
        int error;

        place_capitals(place, name, sizeof(name));
        now = place_now(place, &error);
        if (!now && error == -ENOTUNIQ)
                call_fail(call, "%s has several times: in which city?", name);
        else if (!now)
                call_fail(call, "I do not know the time in %s.", name);
        return now;
}

/* "It is 03:15 in Tokyo."; of another day than here: "It is 03:15 on Sunday in Tokyo." */
static void tell_time_there(struct call *call, const char *place) {
        GDateTime *now = there(call, place), *here = now ? g_date_time_to_local(now) : NULL;
        bool is_today = here && g_date_time_get_day_of_year(now) == g_date_time_get_day_of_year(here);
        char *text = now ? g_date_time_format(now, is_today ? "%H:%M" : "%H:%M on %A") : NULL;
        char name[64];

        if (text) {
                place_capitals(place, name, sizeof(name));
                call_say(call, json_pack("{s:s%, s:s}", "time", text, strcspn(text, " "), "place", name),
                         "It is %s in %s.", text, name);
        }
        g_free(text);
        g_clear_pointer(&here, g_date_time_unref);
        g_clear_pointer(&now, g_date_time_unref);
}

static void tell_date_there(struct call *call, const char *place, int days, const char *begin) {
        GDateTime *now = there(call, place), *then = now ? g_date_time_add_days(now, days) : NULL;
        char *text = then ? g_date_time_format(then, "%A, %-d %B %Y") : NULL;
        char *date = then ? g_date_time_format(then, "%Y-%m-%d") : NULL;
        char name[64];

        if (text && date) {
                place_capitals(place, name, sizeof(name));
                call_say(call, json_pack("{s:s, s:s}", "date", date, "place", name), "%s %s in %s.", begin, text,
                         name);
        }
        g_free(text);
        g_free(date);
        g_clear_pointer(&then, g_date_time_unref);
        g_clear_pointer(&now, g_date_time_unref);
}

void talk_time(struct desktop *d, struct call *call) {
        const char *place = call_string(call, "place");
        time_t now = time(NULL);
        struct tm local;
        char text[16];

        (void) d;
        if (place && *place)
                return tell_time_there(call, place);
        tzset();
        if (!localtime_r(&now, &local) || strftime(text, sizeof(text), "%H:%M", &local) == 0)
                call_fail(call, "The time is not known.");
        else
                call_say(call, json_pack("{s:s}", "time", text), "It is %s.", text);
}

/* "in 10 days", which tells whether it was understood. */
static char *write_distance(int days, char *out, size_t out_size) {
        if (days == 0)
                (void) snprintf(out, out_size, "today");
        else if (days == 1 || days == -1)
                (void) snprintf(out, out_size, "%s", days > 0 ? "tomorrow" : "yesterday");
        else if (days > 0)
                (void) snprintf(out, out_size, "in %d days", days);
        else
                (void) snprintf(out, out_size, "%d days ago", -days);
        return out;
}

static void tell_date_elsewhere(struct call *call, const char *place) {
        if (call_is(call, "day", "tomorrow"))
                tell_date_there(call, place, 1, "Tomorrow is");
        else if (call_is(call, "day", "yesterday"))
                tell_date_there(call, place, -1, "Yesterday was");
        else
                tell_date_there(call, place, 0, "It is");
}

/* What was typed behind "the date in" is taken for a day, and is a place now and then. */
static void tell_date_of_unknown(struct call *call, const char *day) {
        int error;
        GDateTime *now = place_now(day, &error);

        if (now || error == -ENOTUNIQ)
                tell_date_there(call, day, 0, "It is");
        else
                call_fail(call, "I do not know which day %.100s is.", day);
        g_clear_pointer(&now, g_date_time_unref);
}

void talk_date(struct desktop *d, struct call *call) {
        const char *day = call_string(call, "day"), *place = call_string(call, "place");
        time_t now = time(NULL);
        struct tm local;
        GDate today, found;
        char text[64], date[16], distance[32];
        int days;

        (void) d;
        if (place && *place)
                return tell_date_elsewhere(call, place);
        tzset();
        if (!localtime_r(&now, &local)) {
                call_fail(call, "The date is not known.");
                return;
        }
        g_date_set_dmy(&today, (GDateDay) local.tm_mday, (GDateMonth) (local.tm_mon + 1),
                       (GDateYear) (local.tm_year + 1900));
        found = today;
        if (day && *day && !dates_read(day, &today, &found))
                return tell_date_of_unknown(call, day);
        days = g_date_days_between(&today, &found);
        g_date_to_struct_tm(&found, &local);
        (void) strftime(text, sizeof(text), "%A, %-d %B %Y", &local);
        (void) strftime(date, sizeof(date), "%Y-%m-%d", &local);
        if (day && (strcmp(day, "tomorrow") == 0 || strcmp(day, "yesterday") == 0))
                call_say(call, json_pack("{s:s}", "date", date), "%s %s.",
                         days > 0 ? "Tomorrow is" : "Yesterday was", text);
        else if (day && *day)
                call_say(call, json_pack("{s:s}", "date", date), "%s %s %s.",
                         words_capital(write_distance(days, distance, sizeof(distance))), days < 0 ? "was" : "is", text);
        else
                call_say(call, json_pack("{s:s}", "date", date), "It is %s.", text);
}

/* "Timers: set a pizza timer for ten minutes, cancel the timer." and so on, for each group. */
void talk_help(struct desktop *d, struct call *call) {
        char text[3072] = "You can say,";
        const char *group = NULL;
        const struct tool *tools;
        size_t n, used;

        (void) d;
        tools = tools_all(&n);
        for (size_t i = 0; i < n; i++) {
                if (!tools[i].example)
                        continue;
                used = strlen(text);
                if (!group || strcmp(group, tools[i].group) != 0)
                        (void) snprintf(text + used, sizeof(text) - used, "%s for %s: %s",
                                        group ? ";" : "", tools[i].group, tools[i].example);
                else
                        (void) snprintf(text + used, sizeof(text) - used, ", %s", tools[i].example);
                group = tools[i].group;
        }
        call_say(call, NULL, "%s.", text);
}

void talk_repeat(struct desktop *d, struct call *call) {
        call_say(call, NULL, "%s", d->last_answer ? d->last_answer : "I have not said anything yet.");
}

/* Nothing was to be stopped; what runs on is not passed over in silence. */
static void say_what_goes_on(struct desktop *d, struct call *call) {
        const struct timer *timers;
        unsigned n_timers = 0, n_alarms = 0;
        const char *which = "all timers";
        char text[96] = "";
        size_t n;

        timers = timers_all(bell_timers(d->bell), &n);
        for (size_t i = 0; i < n; i++)
                *(timers[i].is_alarm ? &n_alarms : &n_timers) += 1;
        if (n_timers + n_alarms == 0) {
                call_say(call, NULL, "OK.");
                return;
        }
        if (n_timers > 0)
                (void) snprintf(text, sizeof(text), "%u timer%s", n_timers, n_timers > 1 ? "s" : "");
        if (n_alarms > 0)
                (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u alarm%s",
                                n_timers > 0 ? " and " : "", n_alarms, n_alarms > 1 ? "s" : "");
        if (n_alarms > 0)
                which = n_timers > 0 ? "everything" : "all alarms";
        call_say(call, NULL, "Nothing rings. %s still set: say cancel %s to end %s.",
                 strcat(text, n_timers + n_alarms > 1 ? " are" : " is"), which,
                 n_timers + n_alarms > 1 ? "them" : "it");
}

void talk_stop(struct desktop *d, struct call *call) {
        speaker_stop(d->speaker);
        if (bell_stop(d->bell) > 0)
                call_say(call, NULL, "Stopped.");
        else if (confirm_drop(d->confirm))
                call_say(call, NULL, "Then not.");
        else
                say_what_goes_on(d, call);
}

void talk_ask(struct desktop *d, struct call *call) {
        (void) d;
        if (call_is(call, "about", "timer"))
                call_say(call, NULL, "For how long?");
        else if (call_is(call, "about", "alarm"))
                call_say(call, NULL, "For what time?");
        else if (call_is(call, "about", "volume"))
                call_say(call, NULL, "How loud?");
        else if (call_is(call, "about", "brightness"))
                call_say(call, NULL, "How bright?");
        else
                call_say(call, NULL, "What exactly?");
}

void talk_cannot(struct desktop *d, struct call *call) {
        (void) d;
        if (call_is(call, "what", "song"))
                call_say(call, NULL, "I can play and pause, but not find a song by its name.");
        else if (call_is(call, "what", "place"))
                call_say(call, NULL, "I only know the time here.");
        else if (call_is(call, "what", "date"))
                call_say(call, NULL, "I only know the date of yesterday, today and tomorrow.");
        else
                call_say(call, NULL, "I can not do that.");
}

void talk_heard_event(struct desktop *d, json_t *event) {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        json_t *turn = json_object_get(event, "turn");
        const char *answered = json_string_value(json_object_get(turn, "answered"));
        char *copy;

        if (!kind || strcmp(kind, "done") != 0 || !answered || !*answered)
                return;
        copy = strdup(answered);
        if (!copy)
                return;
        free(d->last_answer);
        d->last_answer = copy;
}
