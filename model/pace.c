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

/* Passes after which one guess more is made than seems best: nothing else would show that a depth
 * which failed once does so no longer. */
#define CURIOSITY 24u

void pace_init(struct pace *p) {
        *p = (struct pace){ .patience = FIRST_PATIENCE };
        for (unsigned i = 0; i < PACE_MAX_GUESSES; i++) {
                p->depths[i].tried = FIRST_TRIED;
                p->depths[i].held = FIRST_HELD;
        }
}

static void note_time(double *mean, uint64_t ns) {
        double new = (double) ns;

        if (*mean > 0 && new > MOST_SURPRISE **mean)
                new = MOST_SURPRISE **mean;
        *mean = *mean > 0 ? TIME_DECAY * *mean + (1 - TIME_DECAY) * new : new;
}

void pace_note_pass(struct pace *p, unsigned n_rows, uint64_t ns) {
        note_time(&p->pass_ns[n_rows], ns);
}

void pace_note_guess(struct pace *p, uint64_t ns) {
        note_time(&p->guess_ns, ns);
}

void pace_note_outcome(struct pace *p, unsigned depth, bool held) {
        p->depths[depth].tried = OUTCOME_DECAY * p->depths[depth].tried + 1;
        p->depths[depth].held = OUTCOME_DECAY * p->depths[depth].held + held;
}

/* What another row adds to a pass of one, from the nearest number of rows that was measured. */
static double slope(const struct pace *p, unsigned n_rows) {
        for (unsigned off = 0; off <= PACE_MAX_GUESSES; off++) {
                unsigned more = n_rows + off, fewer = n_rows > off ? n_rows - off : 0;

                if (more <= PACE_MAX_GUESSES + 1 && p->pass_ns[more] > 0)
                        return (p->pass_ns[more] / p->pass_ns[1] - 1) / (more - 1);
                if (fewer > 1 && p->pass_ns[fewer] > 0)
                        return (p->pass_ns[fewer] / p->pass_ns[1] - 1) / (fewer - 1);
        }
        return FIRST_SLOPE;
}

double pace_gain(const struct pace *p, unsigned n) {
        double tokens = 1, chance = 1, ns;

        if (p->pass_ns[1] <= 0)
                return 0;
        ns = p->pass_ns[1];
        if (n > 0)
                ns += ns * slope(p, n + 1) * n + p->guess_ns * n;
        for (unsigned i = 0; i < n; i++) {
                chance *= p->depths[i].held / p->depths[i].tried;
                tokens += chance;
        }
        return tokens * p->pass_ns[1] / ns;
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
                if (++p->n_same < CURIOSITY || best == most)
                        return best;
                p->n_same = 0;
                return best + 1;
        }
        if (p->pass_ns[1] <= 0 || most == 0 || ++p->n_idle < p->patience)
                return 0;

        p->n_idle = 0;
        p->patience = 2 * p->patience < LAST_PATIENCE ? 2 * p->patience : LAST_PATIENCE;
        return 1;
}
