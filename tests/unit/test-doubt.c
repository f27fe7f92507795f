/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doubt.h"

#include <math.h>

#include "tests/tap.h"

#define NO_CHOICE (-INFINITY)

static void the_likeliest_come_first(void) {
        static const float shares[] = { -0.1f, -0.2f, -0.9f, -1.0f, -1.0f };
        static const float odds[] = { -2.5f, -1.0f, -0.2f, NO_CHOICE, -0.4f };
        unsigned places[DOUBT_MAX];

        /* -2.6, -1.2, -1.1, none, -1.4: however many of them are looked at. */
        expect(doubt_find(shares, odds, 1, places) == 1 && places[0] == 0);
        expect(doubt_find(shares, odds, 2, places) == 2 && places[0] == 1 && places[1] == 0);
        expect(doubt_find(shares, odds, 3, places) == 2 && places[0] == 2 && places[1] == 1);
        expect(doubt_find(shares, odds, 5, places) == 2 && places[0] == 2 && places[1] == 1);
}

static void what_has_next_to_nothing_is_none(void) {
        static const float shares[] = { 0, -3.0f, -5.0f };
        static const float odds[] = { -6.0f, -0.5f, -0.1f };
        unsigned places[DOUBT_MAX];

        expect(doubt_find(shares, odds, 3, places) == 1 && places[0] == 1);
        expect(doubt_find(shares, odds, 0, places) == 0);
        expect(doubt_find(shares, (const float[]){ NO_CHOICE }, 1, places) == 0);
}

int main(void) {
        rule("the likeliest come first", the_likeliest_come_first);
        rule("what has next to nothing is none", what_has_next_to_nothing_is_none);
        return tap_done();
}
