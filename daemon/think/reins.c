/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/reins.h"

void reins_begin(struct reins *r, unsigned max_tokens, unsigned max_thought) {
        *r = (struct reins){ .max_tokens = max_tokens, .max_thought = max_thought };
}

bool reins_has_left(const struct reins *r) {
        return r->n_tokens < r->max_tokens;
}

/* Forgets what was said, not how much. */
void reins_look_anew(struct reins *r) {
        *r = (struct reins){
                .max_tokens = r->max_tokens,
                .max_thought = r->max_thought,
                .n_tokens = r->n_tokens,
                .n_thought = r->n_thought,
        };
}

/* Whether the same was said three times in a row, the last time just now. */
static bool repeats(struct reins *r, int32_t token) {
        bool is_third = false;

        for (unsigned distance = 1; distance <= REINS_LONGEST && distance <= r->n_seen; distance++) {
                unsigned block = distance > REINS_SHORTEST ? distance : REINS_SHORTEST;
                uint16_t *n = &r->n_same[distance];

                if (r->last[(r->n_seen - distance) % REINS_LONGEST] != token)
                        *n = 0;
                else if (++*n >= 2 * block)
                        is_third = true;
        }
        r->last[r->n_seen++ % REINS_LONGEST] = token;
        return is_third;
}

/* A thought that is begun again when its budget is spent costs the answer, so that it has an end. */
enum reins_pull reins_push(struct reins *r, int32_t token, bool is_thought) {
        bool is_free = is_thought && r->n_thought < r->max_thought;
        bool is_third = repeats(r, token);

        if (is_free)
                r->n_thought++;
        else
                r->n_tokens++;
        if (!reins_has_left(r))
                return REINS_LIMIT;
        if (!is_thought)
                return is_third ? REINS_REPEATS : REINS_LOOSE;
        if (!is_third && r->n_thought < r->max_thought)
                return REINS_LOOSE;
        r->n_thought = r->max_thought;
        reins_look_anew(r);
        return REINS_THOUGHT;
}
