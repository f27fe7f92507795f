/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tools.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static void time_and_date_are_told_in_local_time(void) {
        char text[128];

        (void) setenv("TZ", "UTC0", 1);
        tzset();
        expect(tools_answer("get_time", 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is 14:05.") == 0);
        expect(tools_answer("get_date", 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is Tuesday, 24 November 2026.") == 0);

        (void) setenv("TZ", "EAST-10", 1);
        tzset();
        expect(tools_answer("get_time", 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is 00:05.") == 0);
        expect(tools_answer("get_date", 1795529100, text, sizeof(text)));
        expect(strcmp(text, "It is Wednesday, 25 November 2026.") == 0);
}

static void other_tools_are_for_the_client(void) {
        static const char *const names[] = { "set_timer", "get_timer", "get_tim", "", "GET_TIME" };
        char text[128];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                expect(!tools_answer(names[i], 0, text, sizeof(text)));
}

static void what_does_not_fit_is_no_answer(void) {
        char text[8];

        expect(!tools_answer("get_time", 0, text, sizeof(text)));
}

int main(void) {
        rule("time and date are told in local time", time_and_date_are_told_in_local_time);
        rule("other tools are for the client", other_tools_are_for_the_client);
        rule("what does not fit is no answer", what_does_not_fit_is_no_answer);
        return tap_done();
}
