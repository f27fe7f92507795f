/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pace.h"

#include "tests/tap.h"
#include "tests/unit/random.h"

/* Times and outcomes are invented here: no clock is read. */

enum { MS = 1000000 };

/* A machine whose passes take `row_percent` of one more with each row, and whose guesses take
 * `guess_percent` of one. */
struct machine {
        unsigned row_percent, guess_percent;
};

static uint64_t pass_ns(const struct machine *m, unsigned n_rows) {
        return (100 + (n_rows - 1) * m->row_percent) * (uint64_t) MS;
}

/* Runs n passes, of whose guesses one in `miss` does not hold (0: all do, 1: none). Returns how many
 * there were to a pass in the second half. */
static double run(struct pace *p, const struct machine *m, unsigned n, unsigned miss) {
        static struct random rng = { 5 };
        unsigned guesses = 0, total = 0;

        for (unsigned i = 0; i < n; i++) {
                guesses = pace_choose(p, PACE_MAX_GUESSES);
                for (unsigned j = 0; j < guesses; j++)
                        pace_note_guess(p, m->guess_percent * (uint64_t) MS);
                pace_note_pass(p, guesses + 1, pass_ns(m, guesses + 1));
                for (unsigned j = 0; j < guesses; j++) {
                        bool held = miss == 0 || random_bits(&rng) % miss != 0;

                        pace_note_outcome(p, j, held);
                        if (!held)
                                break;
                }
                total += i >= n / 2 ? guesses : 0;
        }
        return (double) total / (n - n / 2);
}

/* Passes with guesses among n. */
static unsigned count_tries(struct pace *p, const struct machine *m, unsigned n, unsigned miss) {
        unsigned tries = 0;

        for (unsigned i = 0; i < n; i++)
                tries += run(p, m, 1, miss) > 0;
        return tries;
}

static void length_follows(void) {
        const struct machine cheap = { 5, 3 }, dear = { 30, 10 };
        double always, mostly, seldom;
        struct pace p;

        pace_init(&p);
        expect(pace_choose(&p, 7) == 0); /* what a pass takes is not known yet */
        always = run(&p, &cheap, 400, 0);
        mostly = run(&p, &cheap, 400, 4);
        seldom = run(&p, &cheap, 400, 2);
        printf("# guesses to a pass: %.1f, %.1f, %.1f\n", always, mostly, seldom);
        expect(always > PACE_MAX_GUESSES - 0.2);
        expect(mostly < always && mostly >= 2);
        expect(seldom < mostly && seldom >= 1);
        expect(run(&p, &cheap, 400, 0) > PACE_MAX_GUESSES - 0.5);

        pace_init(&p);
        expect(run(&p, &dear, 400, 4) < mostly);
        expect(pace_choose(&p, 1) <= 1 && pace_choose(&p, 0) == 0);
}

static void off_where_it_loses(void) {
        const struct machine slow = { 95, 20 }, fast = { 5, 3 };
        struct pace p;

        /* Nothing holds: it is tried less and less often. */
        pace_init(&p);
        (void) run(&p, &fast, 200, 1);
        expect(count_tries(&p, &fast, 2000, 1) <= 8);
        expect(pace_gain(&p, 1) < 1.03 && pace_acceptance(&p) < 0.2);

        /* ... and taken up again when guesses hold. */
        (void) run(&p, &fast, 2000, 0);
        expect(run(&p, &fast, 10, 0) > PACE_MAX_GUESSES - 2);

        /* All hold, but a row costs as much as a pass. */
        pace_init(&p);
        (void) run(&p, &slow, 200, 0);
        expect(count_tries(&p, &slow, 2000, 0) <= 8);
}

static void gain(void) {
        const struct machine m = { 10, 5 };
        struct pace p;

        pace_init(&p);
        expect(pace_gain(&p, 3) == 0);
        (void) run(&p, &m, 400, 0);
        /* Eight tokens for a pass of eight and seven guesses. */
        expect(pace_gain(&p, 7) > 8 / 2.05 * 0.97 && pace_gain(&p, 7) < 8 / 2.05 * 1.03);
        expect(pace_gain(&p, 0) == 1);
}

static void surprises(void) {
        const struct machine m = { 10, 5 };
        struct pace p;

        pace_init(&p);
        (void) run(&p, &m, 100, 4);
        /* Once the machine was busy with something else. */
        pace_note_pass(&p, 3, 100 * pass_ns(&m, 3));
        pace_note_guess(&p, 100 * (uint64_t) MS);
        expect(run(&p, &m, 40, 4) >= 1.5);
}

int main(void) {
        rule("the length of a draft follows what holds and what it costs", length_follows);
        rule("where guessing loses it is off, but not for ever", off_where_it_loses);
        rule("the gain is tokens over time", gain);
        rule("a time out of line changes little", surprises);
        return tap_done();
}
