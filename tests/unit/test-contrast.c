/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/contrast.h"

#include <string.h>

#include "tests/tap.h"

struct row {
        const char *said, *taken;
};

#define EXPECT_ALL(rows, is_expected)                                                              \
        for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) {                            \
                if (contrast_agrees((rows)[i].said, (rows)[i].taken) != (is_expected))             \
                        printf("# %s / %s\n", (rows)[i].said, (rows)[i].taken);                    \
                expect(contrast_agrees((rows)[i].said, (rows)[i].taken) == (is_expected));         \
        }

static void the_same_in_other_words(void) {
        static const struct row rows[] = {
                { "boost the volume to forty", "set the volume to forty percent" },
                { "i could do with a timer of five minutes", "set a timer for five minutes" },
                { "wake me in an hour", "set a timer for one hour" },
                { "a couple of minutes please", "set a timer for two minutes" },
                { "skip to the next one", "play the next song" },
                { "get me up at six a m", "set an alarm for six in the morning" },
                { "shut the sound off", "mute the sound" },
                { "kill the timer", "cancel the timer" },
                { "please do not disturb me today", "do not disturb me" },
        };

        EXPECT_ALL(rows, true);
}

static void another_number_or_time(void) {
        static const struct row rows[] = {
                { "set an alarm", "set an alarm for one" },
                { "a timer for fifteen minutes", "set a timer for fifty minutes" },
                { "alarms for six and seven", "set an alarm for six" },
                { "what is the date in two days", "what is the date" },
                { "set a timer for five seconds", "set a timer for five minutes" },
                { "wake me at six p m", "wake me at six a m" },
                { "wake me at six in the evening", "wake me at six" },
                { "wake me on monday at six", "wake me at six" },
                { "set a timer for half an hour", "set a timer for an hour" },
                { "set volume to minus ten", "set the volume to ten" },
        };

        EXPECT_ALL(rows, false);
}

static void the_opposite(void) {
        static const struct row rows[] = {
                { "get the volume higher", "turn the volume down" },
                { "unlock the screen", "lock the screen" },
                { "do not lock the screen", "lock the screen" },
                { "never open the mail", "open my mail" },
                { "resume the timer", "cancel the timer" },
                { "pause the timer", "start the timer" },
                { "the previous song", "next song" },
                { "close the browser", "open the browser" },
                { "unmute it", "mute it" },
                { "do not mute", "do not disturb" },
                { "do not log out", "do not disturb off" },
                { "take five minutes off and remove them", "add five minutes" },
        };

        EXPECT_ALL(rows, false);
}

static void sides_are_told_apart(void) {
        unsigned a = 0, b = 0;

        expect(contrast_of("minute", 6, &a) == CONTRAST_UNIT);
        expect(contrast_of("minutes", 7, &b) == CONTRAST_UNIT && a == b);
        expect(contrast_of("hour", 4, &b) == CONTRAST_UNIT && a != b);
        expect(contrast_of("upper", 2, NULL) == CONTRAST_DIRECTION);
        expect(contrast_of("screen", 6, NULL) == CONTRAST_NONE && contrast_of("", 0, NULL) == CONTRAST_NONE);
}

int main(void) {
        rule("the same may be said in other words", the_same_in_other_words);
        rule("no number and no time is lost, added or changed", another_number_or_time);
        rule("nothing is taken for its opposite, or done though it was denied", the_opposite);
        rule("the words of one side mean the same", sides_are_told_apart);
        return tap_done();
}
