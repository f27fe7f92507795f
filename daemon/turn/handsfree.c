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
        h->follows_up = !is_busy && clock_now_ns() < h->follow_until_ns;
}

bool handsfree_take(struct handsfree *h, struct ask *ret) {
        if (!h->is_waiting)
                return false;

        h->is_waiting = false;
        *ret = (struct ask){
                .audio_fd = -1,
                .is_live = true,
                .is_uncalled = true,
                .needs_phrase = h->mode == MODE_WAKE && !h->follows_up,
                /* Among all that is said in a room, one word is too little to go by. */
                .needs_words = h->mode == MODE_OPEN && !h->follows_up,
                .expected = h->expected,
                .max_frames = h->config->max_seconds * FRAMES_PER_SECOND,
                .thinking = h->config->thinking,
                .max_tokens = h->config->max_tokens,
        };
        return true;
}

bool handsfree_drop(struct handsfree *h) {
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
        h->follow_until_ns = clock_now_ns() + (uint64_t) h->config->follow_up_seconds * 1000000000;
}
