/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/turn.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

static uint64_t now_us(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

struct turn *turn_free(struct turn *turn) {
        if (!turn)
                return NULL;

        closep(&turn->audio_fd);
        pictures_done(&turn->pictures);
        text_done(&turn->heard);
        text_done(&turn->answered);
        text_done(&turn->call);
        text_done(&turn->unsaid);
        json_decref(turn->calls);
        free(turn);
        return NULL;
}

int turn_new(struct turn **ret, const struct ask *ask, size_t max_text) {
        _cleanup_(turn_freep) struct turn *turn = NULL;
        int r;

        turn = calloc(1, sizeof(*turn));
        if (!turn)
                return -ENOMEM;
        turn->audio_fd = -1;
        turn->timings = timings_none();
        turn->remote = remote_none();
        turn->asked_ns = clock_now_ns();
        turn->began_us = now_us();
        turn->origin = ask->text ? ORIGIN_TEXT : ask->is_live ? ORIGIN_MICROPHONE : ORIGIN_AUDIO;
        turn->realtime = ask->realtime;
        turn->is_held = ask->is_held;
        turn->is_uncalled = turn->is_hidden = ask->is_uncalled;
        turn->needs_phrase = ask->needs_phrase;
        turn->needs_words = ask->needs_words;
        turn->is_beside = ask->is_beside;
        turn->expected = ask->expected;
        turn->max_frames = ask->max_frames;
        turn->thinking = ask->thinking;
        turn->max_tokens = ask->max_tokens;
        turn->owner = ask->owner;
        turn->who = ask->who;

        turn->calls = json_array();
        if (!turn->calls)
                return -ENOMEM;
        if (ask->text) {
                r = text_append(&turn->heard, ask->text, ask->text_size, max_text);
                if (r < 0)
                        return r;
        }

        *ret = TAKE_PTR(turn);
        return 0;
}
