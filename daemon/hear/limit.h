/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_LIMIT_H
#define DAEMON_HEAR_LIMIT_H

#include <stdbool.h>

#include "audio/endpoint.h"

/* How long a turn may listen, and what is kept of one that is longer: up to the last pause in its
 * last fifth, because half a word says something else than no word.  The pause is only known to have
 * been the last one when the limit comes, and the model has heard what follows it by then, so that
 * has to be taken back.  Embedded by value; owned by the pipeline thread. */
struct limit {
        unsigned max_frames;
        unsigned n_frames;
        unsigned n_pause; /* frames up to the last pause, 0: there was none */
        bool has_spoken, is_quiet;
};

static inline struct limit limit_of(unsigned max_frames) {
        return (struct limit){ .max_frames = max_frames };
}

/* The next frame of the turn.  True when it is the last that is allowed. */
static inline bool limit_push(struct limit *l, enum endpoint_verdict verdict) {
        bool is_quiet = verdict != ENDPOINT_START && verdict != ENDPOINT_SPEECH;

        l->n_frames++;
        l->has_spoken |= !is_quiet;
        if (is_quiet && l->has_spoken && l->n_frames >= l->max_frames / 5 * 4 &&
            (!l->is_quiet || l->n_pause == 0))
                l->n_pause = l->n_frames;
        l->is_quiet = is_quiet;
        return l->n_frames >= l->max_frames;
}

/* How many frames are kept of a turn that is cut here: all of them while nobody speaks. */
static inline unsigned limit_kept(const struct limit *l) {
        return l->n_pause > 0 && !l->is_quiet ? l->n_pause : l->n_frames;
}

#endif
