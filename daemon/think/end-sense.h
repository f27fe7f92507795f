/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_END_SENSE_H
#define DAEMON_THINK_END_SENSE_H

#include <stdbool.h>

#include "daemon/common/record.h"

/* What a model that answers freely knows of the end of a sentence: the probability that it gives to the end
 * of the user's turn behind what was said so far.  Not every model has learnt to tell; so it is believed
 * only after it was right about the last turns, whose ends are known.  Embedded by value; owned by the
 * inference thread. */
#define END_SENSE_TURNS 4

struct end_sense {
        float last[END_SENSE_TURNS]; /* probabilities at ends that were ends */
        unsigned n;
};

/* The end of a turn, found by a silence and not by the model's word, with the probability that the model gave it. */
void end_sense_note(struct end_sense *s, float probability);

/* Whether its word counts. */
bool end_sense_counts(const struct end_sense *s);

/* What a pause is that has this probability of being the end: ENDING_NONE when that can not be said. */
enum ending end_sense_judge(const struct end_sense *s, float probability);

#endif
