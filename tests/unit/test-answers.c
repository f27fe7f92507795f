/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/answers.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/turn/own-voice.h"
#include "daemon/turn/place.h"
#include "tests/tap.h"

/* Tuesday, 24 November 2026, five to three in the afternoon. */
#define NOW 1795532100

static bool says(const char *name, const char *key, const char *value, time_t now, const char *expected) {
        json_t *arguments = key ? json_pack("{s:s}", key, value) : json_object();
        char sentence[128] = "";
        bool is_said = answers_say(name, arguments, now, sentence, sizeof(sentence));

        json_decref(arguments);
        if (!expected)
                return !is_said;
        if (!is_said || strcmp(sentence, expected) != 0)
                printf("# %s\n", sentence);
        return is_said && strcmp(sentence, expected) == 0;
}

static void the_day_that_was_asked_for(void) {
        (void) setenv("TZ", "UTC0", 1);
        tzset();
        expect(says("get_date", NULL, NULL, NOW, "It is Tuesday, 24 November 2026."));
        expect(says("get_date", "day", "tomorrow", NOW, "Tomorrow is Wednesday, 25 November 2026."));
        expect(says("get_date", "day", "yesterday", NOW, "Yesterday was Monday, 23 November 2026."));
        expect(says("get_time", NULL, NULL, NOW, "It is 14:55."));
        /* In another zone it is another day, from the next question on. */
        (void) setenv("TZ", "EAST-10", 1);
        expect(says("get_date", "day", "tomorrow", NOW, "Tomorrow is Thursday, 26 November 2026."));
        /* The night that is an hour shorter, a minute to midnight before it; and the end of a year. */
        (void) setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
        expect(says("get_date", "day", "tomorrow", 1774738740, "Tomorrow is Sunday, 29 March 2026."));
        expect(says("get_date", "day", "tomorrow", 1798714800, "Tomorrow is Friday, 1 January 2027."));
}

static void what_is_missing_and_what_can_not_be(void) {
        expect(says("ask", "about", "alarm", NOW, "For what time?"));
        expect(says("ask", "about", "timer", NOW, "For how long?"));
        expect(says("cannot", "what", "place", NOW, "I only know the time here."));
        expect(says("cannot", "what", "else", NOW, NULL));
        /* Another place and other days are for who knows them. */
        expect(says("get_time", "place", "tokyo", NOW, "I only know the time here."));
        expect(says("get_date", "day", "next friday", NOW, "I only know the dates of yesterday, today and tomorrow."));
        expect(says("get_date", "place", "tokyo", NOW, NULL));
        expect(says("set_timer", "about", "timer", NOW, NULL) && says("ask", NULL, NULL, NOW, NULL));
}

/* NULL: none. */
static bool names(const char *heard, const char *expected) {
        char place[PLACE_SIZE] = "";
        bool is_named = place_read(heard, strlen(heard), place);

        if (!expected)
                return !is_named;
        if (!is_named || strcmp(place, expected) != 0)
                printf("# '%s': '%s'\n", heard, place);
        return is_named && strcmp(place, expected) == 0;
}

static void where_it_is_asked_for(void) {
        expect(names("what time is it in tokyo", "tokyo"));
        expect(names("What time is it in New York, please?", "New York"));
        expect(names("what time is it in paris right now", "paris"));
        expect(names("in los angeles what time is it", "los angeles"));
        expect(names("what is the time in rome and lock the screen", "rome"));
        expect(names("time in rome.", "rome") && names("IN  ROME", "ROME"));
        /* Named in another way, not at all, or longer than any place. */
        expect(names("what is the tokyo time", NULL) && names("what time is it in", NULL));
        expect(names("what time is it in the", NULL) && names("", NULL) && names(" , ", NULL));
        expect(names("what time is it in a place with a name longer than all names that people ever gave to one", NULL));
}

static void what_can_be_said(void) {
        json_t *help = json_pack("[{s:s, s:[s,s]}, {s:s, s:[s]}, {s:s, s:[s]}, {s:s, s:[s]}]",
                "name", "set_timer", "sentences", "set a timer for five minutes", "timer for two hours",
                "name", "cancel_timer", "sentences", "cancel the timer",
                "name", "stop", "sentences", "stop",
                "name", "lock_screen", "sentences", "lock the screen");
        char sentence[128];

        expect(answers_help(help, sentence, sizeof(sentence)));
        expect(strcmp(sentence, "You can say, for example: set a timer for five minutes; lock the screen.") == 0);
        expect(answers_help(help, sentence, 60));
        expect(strcmp(sentence, "You can say, for example: set a timer for five minutes.") == 0);
        expect(!answers_help(help, sentence, 20) && !answers_help(NULL, sentence, sizeof(sentence)));
        json_decref(help);
}

static void the_answer_itself_is_known(void) {
        static const char answer[] = "The alarm rings: say \"Stop\" to end it, or hey Gemma, snooze.";

        expect(own_voice_is("stop", answer) && own_voice_is("hey gemma", answer));
        expect(own_voice_is("Hey gemma, snooze the lamp", answer));
        expect(!own_voice_is("hey gemma what time is it", answer) && !own_voice_is("gemmadine", answer));
        expect(!own_voice_is("stopping", answer) && !own_voice_is("stop", "") && !own_voice_is("hey gemma", "Hello."));
}

int main(void) {
        rule("the place that was asked for", where_it_is_asked_for);
        rule("the date is that of the day that was asked for", the_day_that_was_asked_for);
        rule("what a command lacks is asked for, what can not be done is said", what_is_missing_and_what_can_not_be);
        rule("examples of what can be said, as many as there is room for", what_can_be_said);
        rule("what an answer has said itself is known", the_answer_itself_is_known);
        return tap_done();
}
