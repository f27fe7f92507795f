/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/handsfree.h"

#include "audio/frame.h"
#include "base/clock.h"

void handsfree_on_speech(struct handsfree *h, bool is_busy, bool is_undecided) {
        if (h->mode == MODE_PUSH)
                return;
        /* Told again, it is the same speech. */
        if (h->is_waiting)
                return;
        h->is_waiting = true;
        h->is_undecided = is_undecided;
        h->is_beside = h->is_speaking;
        h->is_called = false;
        h->follows_up = !is_busy && !h->is_beside && clock_now_ns() < h->follow_until_ns;
}

void handsfree_begin_speaking(struct handsfree *h) {
        if (!h->is_speaking)
                h->speaking_ns = clock_now_ns();
        h->is_speaking = true;
}

static uint64_t follow_until(const struct handsfree *h) {
        return clock_now_ns() + (uint64_t) h->config->follow_up_seconds * 1000000000;
}

void handsfree_end_speaking(struct handsfree *h) {
        /* The answer was to something that can be followed up. */
        if (h->follow_until_ns > h->speaking_ns)
                h->follow_until_ns = follow_until(h);
}

bool handsfree_is_judged(const struct handsfree *h) {
        return h->is_waiting && h->is_beside && !h->is_called;
}

/* An alarm rings on while an answer is spoken; a question is not answered by itself. */
static struct expected expected_beside(const struct expected *all) {
        static const char *const names[] = { "stop", "snooze" };
        struct expected some = {};

        for (unsigned i = 0; i < 2; i++)
                if (expected_has(all, names[i]))
                        (void) expected_add(&some, names[i]);
        return some;
}

bool handsfree_take(struct handsfree *h, struct ask *ret) {
        if (!h->is_waiting || handsfree_is_judged(h))
                return false;

        h->is_waiting = false;
        *ret = (struct ask){
                .audio_fd = -1,
                .is_live = true,
                .is_uncalled = true,
                .needs_phrase = h->mode == MODE_WAKE && !h->follows_up,
                /* Among all that is said in a room, one word is too little to go by. */
                .needs_words = h->mode == MODE_OPEN && !h->follows_up && !h->is_beside,
                .expected = h->is_beside ? expected_beside(&h->expected) : h->expected,
                .is_beside = h->is_beside,
                .max_frames = h->config->max_seconds * FRAMES_PER_SECOND,
                .thinking = h->config->thinking,
                .max_tokens = h->config->max_tokens,
        };
        return true;
}

bool handsfree_drop(struct handsfree *h) {
        if (handsfree_is_judged(h)) {
                const struct expected expected = expected_beside(&h->expected);

                h->is_called = !expected_is_empty(&expected);
                h->is_waiting = h->is_called;
                h->n_ignored += !h->is_called;
                return !h->is_called;
        }
        if (!h->is_waiting || h->mode != MODE_WAKE || h->follows_up || h->is_undecided ||
            !expected_is_empty(&h->expected))
                return false;
        h->is_waiting = false;
        h->n_ignored++;
        return true;
}

/* Who typed or played a file does not sit there waiting to speak, nor does who said nothing. */
void handsfree_on_done(struct handsfree *h, const struct turn *turn) {
        if (turn->origin != ORIGIN_MICROPHONE || !outcome_is_good(turn->outcome) ||
            turn->timings.n_frames == 0)
                return;
        /* What began before it was known that this counted follows it all the same. */
        if (h->is_waiting && h->is_undecided)
                h->follows_up = true;
        h->follow_until_ns = follow_until(h);
}
