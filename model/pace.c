/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pace.h"

/* Before anything is known: guesses are good, and a row more costs an eighth of a pass, as memory is
 * what a single row waits for. */
#define FIRST_TRIED 4.0
#define FIRST_HELD  3.0
#define FIRST_SLOPE 0.125

/* What is left of the weight of an outcome after the next, and of a time after the next. */
#define OUTCOME_DECAY 0.97
#define TIME_DECAY    0.9

/* A time that is so many times what is usual had another cause, and counts as that at most. */
#define MOST_SURPRISE 3.0

/* Guessing has to be better by so much, as what is measured wavers. */
#define LEAST_GAIN 1.03

#define FIRST_PATIENCE 16u
#define LAST_PATIENCE  512u

/* Passes after which one guess more is made than seems best, and each fourth time none: nothing else
 * would show that a depth which failed once does so no longer, or what a pass without guesses takes. */
#define CURIOSITY 24u

void pace_init(struct pace *p) {
        *p = (struct pace){ .patience = FIRST_PATIENCE };
        for (unsigned i = 0; i < PACE_MAX_GUESSES; i++) {
                p->depths[i].tried = FIRST_TRIED;
                p->depths[i].held = FIRST_HELD;
        }
}

static void note_time(struct pace_time *mean, uint64_t ns) {
        double new = (double) ns, share = 1 - TIME_DECAY;

        if (mean->n > 0 && new > MOST_SURPRISE * mean->ns)
                new = MOST_SURPRISE * mean->ns;
        /* The first ones count alike, for the very first may have waited for the disk. */
        if (share * ++mean->n < 1)
                share = 1.0 / mean->n;
        mean->ns += share * (new - mean->ns);
}

void pace_note_pass(struct pace *p, unsigned n_rows, uint64_t ns) {
        note_time(&p->passes[n_rows], ns);
}

void pace_note_guess(struct pace *p, uint64_t ns) {
        note_time(&p->guess, ns);
}

void pace_note_outcome(struct pace *p, unsigned depth, bool held) {
        p->depths[depth].tried = OUTCOME_DECAY * p->depths[depth].tried + 1;
        p->depths[depth].held = OUTCOME_DECAY * p->depths[depth].held + held;
}

/* What another row adds to a pass of one, from the number of rows: never less than nothing. */
static double slope_of(const struct pace *p, unsigned n_rows) {
        double slope = (p->passes[n_rows].ns / p->passes[1].ns - 1) / (n_rows - 1);

        return slope > 0 ? slope : 0;
}

/* ... or from the nearest number that was measured. */
static double slope(const struct pace *p, unsigned n_rows) {
        for (unsigned off = 0; off <= PACE_MAX_GUESSES; off++) {
                if (n_rows + off <= PACE_MAX_GUESSES + 1 && p->passes[n_rows + off].n > 0)
                        return slope_of(p, n_rows + off);
                if (n_rows > off + 1 && p->passes[n_rows - off].n > 0)
                        return slope_of(p, n_rows - off);
        }
        return FIRST_SLOPE;
}

double pace_gain(const struct pace *p, unsigned n) {
        double tokens = 1, chance = 1, ns = p->passes[1].ns;

        if (p->passes[1].n == 0)
                return 0;
        if (n > 0)
                ns += ns * slope(p, n + 1) * n + p->guess.ns * n;
        for (unsigned i = 0; i < n; i++) {
                chance *= p->depths[i].held / p->depths[i].tried;
                tokens += chance;
        }
        return tokens * p->passes[1].ns / ns;
}

double pace_acceptance(const struct pace *p) {
        return p->depths[0].held / p->depths[0].tried;
}

unsigned pace_choose(struct pace *p, unsigned most) {
        double best_gain = LEAST_GAIN;
        unsigned best = 0;

        if (most > PACE_MAX_GUESSES)
                most = PACE_MAX_GUESSES;
        for (unsigned n = 1; n <= most; n++) {
                double gain = pace_gain(p, n);

                if (gain > best_gain) {
                        best_gain = gain;
                        best = n;
                }
        }
        if (best > 0) {
                p->n_idle = 0;
                p->patience = FIRST_PATIENCE;
                if (++p->n_busy % CURIOSITY)
                        return best;
                if (p->n_busy % (4 * CURIOSITY) == 0)
                        return 0;
                return best < most ? best + 1 : best;
        }
        if (p->passes[1].n == 0 || most == 0 || ++p->n_idle < p->patience)
                return 0;

        p->n_idle = 0;
        p->patience = 2 * p->patience < LAST_PATIENCE ? 2 * p->patience : LAST_PATIENCE;
        return 1;
}
