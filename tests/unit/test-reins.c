/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/reins.h"

#include "tests/tap.h"

static struct reins reins;

/* Tokens that are all different. */
static int32_t fresh(void) {
        static int32_t next = 1000000;

        return next++;
}

static enum reins_pull say(unsigned n, bool is_thought) {
        enum reins_pull pull = REINS_LOOSE;

        while (n-- > 0 && pull == REINS_LOOSE)
                pull = reins_push(&reins, fresh(), is_thought);
        return pull;
}

/* How many tokens it takes until the same block is seen again and again; 0: it is not. */
static unsigned n_until_seen(unsigned block, unsigned times) {
        for (unsigned i = 0; i < block * times; i++)
                if (reins_push(&reins, (int32_t) (i % block), false) == REINS_REPEATS)
                        return i + 1;
        return 0;
}

static void the_limit_is_met_at_its_token(void) {
        reins_begin(&reins, 5, 1);
        expect(say(4, false) == REINS_LOOSE && reins_has_left(&reins));
        expect(say(1, false) == REINS_LIMIT && !reins_has_left(&reins));
}

static void thoughts_have_a_budget_of_their_own(void) {
        reins_begin(&reins, 5, 20);
        expect(say(19, true) == REINS_LOOSE);
        expect(say(1, true) == REINS_THOUGHT);
        expect(say(4, false) == REINS_LOOSE);
        expect(say(1, false) == REINS_LIMIT);
}

static void a_thought_that_comes_back_has_an_end(void) {
        unsigned n = 0;

        reins_begin(&reins, 50, 20);
        expect(say(20, true) == REINS_THOUGHT);
        while (say(1, true) == REINS_THOUGHT)
                n++;
        expect(n == 49 && !reins_has_left(&reins));
}

static void the_third_time_is_too_often(void) {
        static const unsigned blocks[] = { 30, 31, 40, 64, 100, 128 };

        for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
                reins_begin(&reins, 32768, 1);
                expect(say(77, false) == REINS_LOOSE);
                expect(n_until_seen(blocks[i], 10) == 3 * blocks[i]);
        }
        /* What is shorter makes a block of many. */
        for (unsigned block = 1; block < 30; block++) {
                reins_begin(&reins, 32768, 1);
                expect(n_until_seen(block, 200) == 60 + block);
        }
}

static void twice_is_a_way_to_say_something(void) {
        for (unsigned block = 30; block <= 128; block++) {
                reins_begin(&reins, 32768, 1);
                expect(n_until_seen(block, 2) == 0);
                expect(say(1, false) == REINS_LOOSE);
                expect(n_until_seen(block, 2) == 0);
        }
}

static void a_thought_that_repeats_itself_ends(void) {
        enum reins_pull pull = REINS_LOOSE;

        reins_begin(&reins, 100, 1000);
        for (unsigned i = 0; i < 90; i++) {
                expect(pull == REINS_LOOSE);
                pull = reins_push(&reins, (int32_t) (i % 30), true);
        }
        expect(pull == REINS_THOUGHT);
        /* The answer may begin as the thought ended. */
        for (unsigned i = 0; i < 60; i++)
                expect(reins_push(&reins, (int32_t) (i % 30), false) == REINS_LOOSE);
}

int main(void) {
        rule("the limit is met at its token", the_limit_is_met_at_its_token);
        rule("thoughts have a budget of their own", thoughts_have_a_budget_of_their_own);
        rule("a thought that comes back has an end", a_thought_that_comes_back_has_an_end);
        rule("the third time is too often", the_third_time_is_too_often);
        rule("twice is a way to say something", twice_is_a_way_to_say_something);
        rule("a thought that repeats itself ends", a_thought_that_repeats_itself_ends);
        return tap_done();
}
