/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/end-sense.h"

/* At an end: more likely than not.  Sure of one, and sure of none. */
#define LEAST_AT_END 0.5f
#define SURE_END     0.9f
#define SURE_MIDDLE  0.05f

void end_sense_note(struct end_sense *s, float probability) {
        s->last[s->n++ % END_SENSE_TURNS] = probability;
}

bool end_sense_counts(const struct end_sense *s) {
        for (unsigned i = 0; i < END_SENSE_TURNS; i++)
                if (i >= s->n || !(s->last[i] >= LEAST_AT_END))
                        return false;
        return true;
}

enum ending end_sense_judge(const struct end_sense *s, float probability) {
        if (!end_sense_counts(s))
                return ENDING_NONE;
        if (probability >= SURE_END)
                return ENDING_WHOLE;
        if (probability >= LEAST_AT_END)
                return ENDING_OPEN;
        return probability < SURE_MIDDLE ? ENDING_UNFINISHED : ENDING_NONE;
}
