/* SPDX-License-Identifier: Apache-2.0 */
#include "model/speculate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Float products of more rows may sum in another order: see matmul.c. */
_Static_assert(SPECULATE_MAX_ROWS <= KERNELS_MAX_QUERIES, "rows");

DEFINE_CLEANUP(struct speculation *, speculation_free)

int speculation_new(struct speculation **ret,
                    const struct engine *e,
                    struct kvcache *cache,
                    unsigned n_fixed) {
        _cleanup_(speculation_freep) struct speculation *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->engine = e;
        s->cache = cache;
        s->n_fixed = n_fixed < PACE_MAX_GUESSES ? n_fixed : PACE_MAX_GUESSES;
        s->logits = calloc(e->params.n_vocab, sizeof(float));
        s->states = calloc((size_t) SPECULATE_MAX_ROWS * e->params.width, sizeof(float));
        if (!s->logits || !s->states)
                return -ENOMEM;
        r = draft_init(&s->draft, e->drafter, e->kernels, e->pool, &e->weights, cache);
        if (r < 0)
                return r;
        pace_init(&s->pace);

        *ret = TAKE_PTR(s);
        return 0;
}

struct speculation *speculation_free(struct speculation *s) {
        if (!s)
                return NULL;

        if (s->draft.drafter)
                draft_done(&s->draft);
        free(s->logits);
        free(s->states);
        free(s);
        return NULL;
}

unsigned speculation_ahead(const struct speculation *s) {
        return s->n_guesses - s->n_held;
}

bool speculation_holds(struct speculation *s, int32_t token) {
        bool held;

        if (speculation_ahead(s) == 0)
                return false;
        held = s->guesses[s->n_held] == token;
        pace_note_outcome(&s->pace, s->n_held, held);
        s->counts.n_judged++;
        if (held) {
                s->counts.n_held++;
                s->n_held++;
        }
        return held;
}

void speculation_drop(struct speculation *s) {
        /* So few positions can always be taken back. */
        (void) kvcache_rewind(s->cache, s->cache->n - speculation_ahead(s));
        s->n_guesses = s->n_held = 0;
}

static void suppress(const struct engine *e, float *logits) {
        for (size_t i = 0; i < e->n_suppressed; i++)
                logits[e->suppressed[i]] = -INFINITY;
}

unsigned speculation_guess(struct speculation *s,
                           const struct sampler *sampler,
                           int32_t token,
                           const float *state,
                           unsigned most) {
        unsigned wanted = pace_choose(&s->pace, most), n;

        if (s->n_fixed > 0)
                wanted = s->n_fixed < most ? s->n_fixed : most;
        s->counts.n_wanted = wanted;
        s->counts.n_passes++;
        if (wanted > 0)
                draft_begin(&s->draft, state);

        for (n = 0; n < wanted; n++) {
                uint64_t began = clock_now_ns();

                draft_step(&s->draft, token, s->logits);
                suppress(s->engine, s->logits);
                token = sampler_guess(sampler, s->logits, n);
                pace_note_guess(&s->pace, clock_now_ns() - began);
                /* Nothing comes behind the end of a turn, and it is chosen without a position. */
                if (engine_is_stop(s->engine, token))
                        break;
                s->guesses[n] = token;
        }
        s->n_guesses = n;
        s->n_held = 0;
        s->counts.n_guessed += n;
        return n;
}
