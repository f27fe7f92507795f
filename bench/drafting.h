/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DRAFTING_H
#define BENCH_DRAFTING_H

#include <stdbool.h>

#include "model/engine.h"

struct drafting_config {
        struct engine *engine;  /* with a drafter or without */
        const char *texts_path; /* one text a line, \n in it for the end of one; NULL: none */
        unsigned n_tokens;      /* that follow each text */
        unsigned n_repeats;     /* of each pass */
        bool json;
};

/* What passes over 1 to 8 positions take with the logits of all, and from which share of right
 * guesses on so many of them pay; with a drafter and texts, what it gains on these.  0; -errno, and the reason
 * is printed. */
int measure_drafting(const struct drafting_config *config);

#endif
