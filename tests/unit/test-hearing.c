/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames belong to a turn.  Frames carry their number as their time, so that what comes out
 * says where it was. */
#include "daemon/hear/hearing.h"

#include <math.h>
#include <stdlib.h>

#include "tests/tap.h"

static struct hearing *h;
static uint64_t n_pushed;
static uint32_t seed;
static unsigned end_ms = 700, speculate_ms = 300;
static float volume = 1, room = 1;

static void open_world(unsigned patience_ms) {
        const struct hearing_config config = {
                .end_ms = end_ms,
                .preroll_ms = 200,
                .patience_ms = patience_ms,
                .speculate_ms = speculate_ms,
                .is_unlearned = true,
        };

        n_pushed = 0;
        seed = 1;
        expect(hearing_new(&h, &config) == 0);
}

static float noise(void) {
        seed = seed * 1664525 + 1013904223;
        return ((float) (seed >> 16) - 32767.5f) / 32768;
}

/* A buzz with a formant, four syllables a second. */
static float voice(uint64_t i) {
        float t = (float) i / FRAME_RATE, s = 0;

        for (int k = 1; k <= 20; k++)
                s += sinf(2 * (float) M_PI * 130 * (float) k * t) / (1 + fabsf((float) k - 5));
        return s * 0.08f * (0.6f + 0.4f * sinf(2 * (float) M_PI * 4 * t));
}

static void push(bool is_voice, unsigned n) {
        for (; n > 0; n--, n_pushed++) {
                struct frame frame = { .captured_ns = n_pushed, .n_valid = FRAME_SAMPLES };

                for (unsigned i = 0; i < FRAME_SAMPLES; i++)
                        frame.samples[i] =
                                volume * (0.001f * room * noise() +
                                          (is_voice ? voice(n_pushed * FRAME_SAMPLES + i) : 0));
                hearing_push(h, &frame);
        }
}

/* Takes what is there, which has to be without a hole; the first and how many. */
static unsigned take(uint64_t *ret_first) {
        struct frame frame;
        unsigned n = 0;

        while (hearing_take(h, &frame)) {
                if (n == 0)
                        *ret_first = frame.captured_ns;
                expect(frame.captured_ns == *ret_first + n);
                n++;
        }
        return n;
}

static void a_turn_is_speech_with_its_beginning(void) {
        uint64_t first = 0;
        unsigned n;

        open_world(8000);
        push(false, 100);
        hearing_begin(h, false, 750);
        push(false, 50);
        expect(hearing_n_ready(h) == 0);
        push(true, 40);
        push(false, 30);
        expect(hearing_has_ended(h));
        n = take(&first);
        expect(first >= 140 && first <= 149);
        /* Up to where the pause begins, and none of the silence that ends it. */
        expect(first + n >= 190 && first + n <= 199);
        hearing_free(h);
}

static void a_pause_is_kept_back_until_speech_goes_on(void) {
        uint64_t first = 0;
        unsigned n;

        open_world(8000);
        push(false, 100);
        hearing_begin(h, false, 750);
        push(true, 30);
        push(false, 15);
        n = take(&first);
        expect(!hearing_has_ended(h) && n > 0 && first + n < n_pushed - 3);
        push(true, 20);
        expect(!hearing_has_ended(h));
        n += take(&(uint64_t){ 0 });
        expect(first + n >= n_pushed - 1);
        hearing_free(h);
}

static void a_voice_that_was_not_found_is_faint(void) {
        open_world(8000);
        push(false, 100);
        hearing_begin(h, true, 750);
        push(false, 50);
        hearing_finish(h);
        expect(hearing_n_ready(h) > 0 && hearing_is_faint(h));
        hearing_begin(h, true, 750);
        push(true, 50);
        hearing_finish(h);
        expect(!hearing_is_faint(h));
        hearing_free(h);
}

/* Speech, and then silence until the pause is looked at; how many frames of it that took. */
static unsigned speak_until_look(unsigned n_speech, bool *ret_is_early) {
        unsigned n = 0;

        push(true, n_speech);
        (void) take(&(uint64_t){ 0 });
        while (!hearing_take_pause(h, ret_is_early) && n < 50) {
                push(false, 1);
                (void) take(&(uint64_t){ 0 });
                n++;
        }
        return n;
}

/* So many more frames of silence until the turn is over. */
static unsigned wait_for_end(void) {
        unsigned n = 0;

        while (!hearing_has_ended(h) && n < 100) {
                push(false, 1);
                n++;
        }
        return n;
}

static void open_turn(void) {
        open_world(8000);
        push(false, 100);
        hearing_begin(h, false, 750);
}

static void what_was_said_tells_how_long_to_wait(void) {
        static const struct {
                enum ending judged, ending;
                unsigned least, most; /* frames of silence in all */
        } cases[] = {
                { ENDING_WHOLE, ENDING_WHOLE, 5, 8 },
                { ENDING_OPEN, ENDING_OPEN, 12, 14 },
                { ENDING_NONE, ENDING_SILENCE, 17, 19 },
                { ENDING_UNFINISHED, ENDING_UNFINISHED, 49, 52 },
        };

        speculate_ms = 200;
        for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                bool is_early = false;
                unsigned n;

                open_turn();
                n = speak_until_look(30, &is_early);
                expect(is_early);
                hearing_judge(h, cases[i].judged);
                n += wait_for_end();
                expect(n >= cases[i].least && n <= cases[i].most);
                expect(hearing_ending(h) == cases[i].ending);
                hearing_free(h);
        }
        speculate_ms = 300;
}

/* What the model has heard up to the look is all it has to have heard. */
static void silence_behind_a_whole_sentence_is_not_handed_over(void) {
        bool is_early = false;

        speculate_ms = 200;
        open_turn();
        (void) speak_until_look(30, &is_early);
        push(false, 2);
        expect(hearing_n_ready(h) == 0);
        hearing_judge(h, ENDING_OPEN);
        push(false, 2);
        expect(hearing_n_ready(h) == 0 && !hearing_take_pause(h, &is_early));
        /* If it goes on after all, none of it is lost. */
        push(true, 8);
        expect(hearing_n_ready(h) >= 12 && !hearing_has_ended(h));
        hearing_free(h);
        speculate_ms = 300;
}

static void a_pause_of_which_nothing_is_known_is_told_again(void) {
        bool is_early = false;

        speculate_ms = 200;
        open_turn();
        (void) speak_until_look(30, &is_early);
        expect(is_early);
        push(false, 2);
        expect(hearing_n_ready(h) == 0 && !hearing_take_pause(h, &is_early));
        push(false, 2);
        expect(take(&(uint64_t){ 0 }) >= 3);
        expect(hearing_take_pause(h, &is_early) && !is_early);
        push(false, 2);
        expect(!hearing_take_pause(h, &is_early));
        hearing_free(h);
        speculate_ms = 300;
}

static void a_verdict_is_of_one_pause(void) {
        bool is_early = false;

        speculate_ms = 200;
        open_turn();
        hearing_judge(h, ENDING_WHOLE);
        (void) speak_until_look(30, &is_early);
        push(true, 10);
        hearing_judge(h, ENDING_WHOLE);
        (void) take(&(uint64_t){ 0 });
        push(false, 6);
        expect(!hearing_has_ended(h));
        expect(wait_for_end() >= 10 && hearing_ending(h) == ENDING_SILENCE);
        /* One that was ended otherwise has no such end. */
        hearing_begin(h, false, 750);
        push(true, 20);
        hearing_finish(h);
        expect(hearing_has_ended(h) && hearing_ending(h) == ENDING_NONE);
        hearing_free(h);
        speculate_ms = 300;
}

static void a_pause_that_may_be_the_end_is_told_once(void) {
        uint64_t first;

        open_world(8000);
        push(false, 100);
        hearing_begin(h, false, 750);
        expect(!hearing_take_pause(h, &(bool){ false }));
        push(true, 30);
        (void) take(&first);
        expect(!hearing_take_pause(h, &(bool){ false }));
        push(false, 3);
        (void) take(&first);
        expect(!hearing_take_pause(h, &(bool){ false }));
        push(false, 9);
        expect(hearing_n_ready(h) == 0 || !hearing_take_pause(h, &(bool){ false }));
        (void) take(&first);
        expect(hearing_take_pause(h, &(bool){ false }));
        push(false, 1);
        expect(!hearing_take_pause(h, &(bool){ false }));

        /* Speech goes on, and pauses again. */
        push(true, 20);
        push(false, 12);
        (void) take(&first);
        expect(hearing_take_pause(h, &(bool){ false }));
        push(false, 20);
        expect(hearing_has_ended(h) && !hearing_take_pause(h, &(bool){ false }));
        hearing_free(h);
}

/* The first word may come whenever it likes. */
static void speech_that_nobody_called_for_is_waited_for(void) {
        uint64_t first = 0;

        open_world(2000);
        hearing_wait(h, 750);
        push(false, 2000);
        expect(!hearing_has_ended(h) && !hearing_has_begun(h));
        push(true, 40);
        expect(hearing_has_begun(h));
        push(false, 30);
        expect(hearing_has_ended(h));
        /* What was said waits for whoever takes it. */
        push(false, 3000);
        expect(take(&first) >= 40 && first >= 1990 && first < 2000);
        hearing_free(h);
}

static void nobody_speaks(void) {
        open_world(2000);
        hearing_begin(h, false, 750);
        push(false, 49);
        expect(!hearing_has_ended(h));
        push(false, 1);
        expect(hearing_has_ended(h) && hearing_n_ready(h) == 0);
        hearing_free(h);
}

/* Of the silence before and after it as much as of any turn, however late the key is let go. */
static void a_held_key_takes_what_is_said(void) {
        uint64_t first = 0;
        unsigned n;

        open_world(2000);
        push(false, 100);
        hearing_begin(h, true, 750);
        push(false, 60);
        expect(hearing_n_ready(h) == 0);
        push(true, 20);
        push(false, 60);
        push(true, 20);
        push(false, 60);
        expect(!hearing_has_ended(h));
        hearing_finish(h);
        expect(hearing_has_ended(h));
        push(false, 10);
        n = take(&first);
        expect(first >= 145 && first < 160 && first + n >= 262 && first + n < 280);
        hearing_free(h);
}

/* It may be a voice that is too faint. */
static void a_held_key_without_a_word_takes_everything(void) {
        uint64_t first = 0;

        open_world(2000);
        push(false, 100);
        hearing_begin(h, true, 750);
        push(false, 100);
        hearing_finish(h);
        expect(take(&first) == 105 && first == 95);
        hearing_abandon(h);

        /* ... also up to the limit. */
        hearing_begin(h, true, 100);
        push(false, 200);
        expect(hearing_has_ended(h) && take(&first) == 100 && first == 195);
        hearing_free(h);
}

static void long_silence_while_the_key_is_held_counts_after_all(void) {
        uint64_t first = 0;
        unsigned n;

        open_world(2000);
        hearing_begin(h, true, 2000);
        push(false, 370);
        expect(hearing_n_ready(h) == 0);
        push(false, 10);
        n = take(&first);
        expect(first == 0 && n >= 375);
        /* The first word takes nothing twice. */
        push(false, 20);
        push(true, 10);
        n += take(&(uint64_t){ 0 });
        push(false, 400);
        n += take(&(uint64_t){ 0 });
        expect(n >= 780 && !hearing_has_ended(h));
        push(true, 10);
        hearing_finish(h);
        n += take(&(uint64_t){ 0 });
        expect(n == n_pushed);
        hearing_free(h);
}

/* An endpointer that knows no room yet takes the first syllables of a faint voice for it, and what was
 * said as the key was pressed is too little for it. */
static void the_first_word_is_found_where_it_began(void) {
        uint64_t first = 0;

        volume = 0.03f;
        open_world(2000);
        hearing_begin(h, true, 750);
        push(true, 60);
        hearing_finish(h);
        expect(take(&first) == 60 && first == 0);
        hearing_free(h);
        volume = 1;

        open_world(2000);
        push(false, 100);
        push(true, 8);
        hearing_begin(h, true, 750);
        push(true, 2);
        push(false, 30);
        push(true, 20);
        hearing_finish(h);
        expect(take(&first) >= 55 && first == 103);
        hearing_free(h);

        /* Nor is it looked for in what is much fainter than it, as loud as that is for the room. */
        open_world(2000);
        hearing_begin(h, true, 750);
        push(false, 100);
        volume = 10;
        push(false, 2);
        volume = 1;
        push(false, 30);
        push(true, 20);
        hearing_finish(h);
        expect(take(&first) >= 20 && first > 110);
        hearing_free(h);

        /* ... nor in a loud room itself. */
        room = 50;
        open_world(2000);
        hearing_begin(h, true, 750);
        push(false, 100);
        push(true, 40);
        hearing_finish(h);
        expect(take(&first) >= 40 && first > 80);
        hearing_free(h);
        room = 1;
}

/* However soon a silence ends what is not held. */
static void the_tail_of_a_held_key_does_not_depend_on_the_end(void) {
        uint64_t first = 0;
        unsigned n[2];

        for (unsigned i = 0; i < 2; i++) {
                end_ms = i ? 200 : 700;
                open_world(2000);
                hearing_begin(h, true, 750);
                push(true, 40);
                push(false, 40);
                hearing_finish(h);
                n[i] = take(&first);
                hearing_free(h);
        }
        end_ms = 700;
        expect(n[0] == n[1] && n[0] > 44 && n[0] < 60);
}

/* Whoever spoke already when he pressed it is not cut short. */
static void the_preroll_of_a_held_key_is_kept(void) {
        uint64_t first = 0;

        open_world(2000);
        push(false, 100);
        push(true, 5);
        hearing_begin(h, true, 750);
        push(true, 20);
        hearing_finish(h);
        expect(take(&first) == 25 && first == 100);
        hearing_free(h);
}

static void finish_ends_speech_at_once(void) {
        uint64_t first = 0;
        unsigned n;

        open_world(8000);
        push(false, 50);
        hearing_begin(h, false, 750);
        push(true, 30);
        push(false, 8);
        hearing_finish(h);
        n = take(&first);
        expect(hearing_has_ended(h) && first + n == n_pushed);

        /* Before the first word there is nothing to be had. */
        hearing_begin(h, false, 750);
        hearing_finish(h);
        expect(hearing_has_ended(h) && hearing_n_ready(h) == 0);
        hearing_free(h);
}

static void no_preroll_from_before_a_gap(void) {
        struct frame gap = { .has_gap = 1, .n_valid = FRAME_SAMPLES, .captured_ns = 100 };
        uint64_t first = 0;

        open_world(8000);
        push(false, 100);
        hearing_push(h, &gap);
        n_pushed++;
        push(false, 2);
        hearing_begin(h, true, 750);
        push(false, 1);
        hearing_finish(h);
        expect(take(&first) == 4 && first == 100);
        hearing_free(h);
}

static void push_hole(unsigned ms) {
        struct frame frame = { .has_gap = 1,
                               .gap_ms = (uint16_t) ms,
                               .n_valid = FRAME_SAMPLES,
                               .captured_ns = n_pushed };

        hearing_push(h, &frame);
        n_pushed++;
}

static void what_was_said_with_a_hole_is_known(void) {
        for (unsigned is_held = 0; is_held < 2; is_held++) {
                open_world(8000);
                push(false, 100);
                hearing_begin(h, is_held, 750);
                push(false, 20);
                push_hole(300);
                push(false, 40);
                /* In silence nothing was lost. */
                push(true, 20);
                expect(hearing_n_torn_ms(h) == 0);
                /* Nor by a frame's length. */
                push_hole(40);
                push(true, 5);
                expect(hearing_n_torn_ms(h) == 0);
                push_hole(41);
                expect(hearing_n_torn_ms(h) == 41);
                push(true, 20);
                expect(hearing_n_torn_ms(h) == 41);
                hearing_abandon(h);

                /* The beginning of the first word. */
                hearing_begin(h, is_held, 750);
                expect(hearing_n_torn_ms(h) == 0);
                push(false, 50);
                push_hole(300);
                push(true, 20);
                expect(hearing_n_torn_ms(h) == 300);
                hearing_free(h);
        }
}

/* The microphone was closed, and is opened only after the turn has begun. */
static void no_preroll_from_before_the_microphone_was_closed(void) {
        uint64_t first = 0;

        open_world(8000);
        push(true, 100);
        hearing_forget(h);
        hearing_begin(h, true, 750);
        expect(hearing_n_ready(h) == 0);
        push(false, 3);
        /* Lost within the turn, it only has a gap. */
        hearing_forget(h);
        push(false, 2);
        hearing_finish(h);
        expect(take(&first) == 5 && first == 100);
        hearing_free(h);
}

/* What a held key took is over; nothing of it may be found in memory when something is forgotten. */
static void what_was_heard_is_wiped_when_nobody_waits_for_it(void) {
        const struct frame *frame;
        uint64_t first = 0;

        open_world(8000);
        push(true, 20);
        hearing_begin(h, true, 750);
        push(true, 20);
        frame = hearing_peek(h, 0);
        expect(frame);
        if (!frame)
                return;
        expect(frame->samples[1] != 0);
        hearing_wipe(h);
        expect(frame->samples[1] != 0);
        hearing_finish(h);
        expect(take(&first) > 5);
        hearing_abandon(h);
        hearing_wipe(h);
        for (unsigned i = 0; i < FRAME_SAMPLES; i++)
                expect(frame->samples[i] == 0);
        hearing_begin(h, true, 750);
        expect(hearing_n_ready(h) == 0);
        hearing_free(h);
}

static void a_long_turn_is_cut(void) {
        uint64_t first = 0;

        open_world(8000);
        hearing_begin(h, true, 100);
        push(true, 99);
        expect(!hearing_has_ended(h));
        push(true, 50);
        expect(hearing_has_ended(h) && take(&first) == 100);

        expect(hearing_n_kept(h) == 100);

        /* ... rather at a pause. */
        push(false, 100);
        hearing_begin(h, false, 100);
        push(true, 85);
        push(false, 8);
        expect(!hearing_has_ended(h));
        push(true, 20);
        expect(hearing_has_ended(h) && hearing_n_kept(h) >= 85 && hearing_n_kept(h) < 99);
        expect(take(&first) == 100);
        hearing_free(h);
}

static void who_has_done_before_the_limit_is_not_cut(void) {
        open_world(8000);
        hearing_begin(h, false, 100);
        push(true, 85);
        push(false, 30);
        expect(hearing_has_ended(h) && hearing_n_kept(h) == 0);

        /* Nor is a key that is held for longer than anybody speaks. */
        push(false, 100);
        hearing_begin(h, true, 100);
        push(true, 50);
        push(false, 60);
        expect(hearing_has_ended(h) && hearing_n_kept(h) == 0);
        hearing_free(h);
}

static void what_a_slow_model_leaves_is_bounded(void) {
        uint64_t first = 0;

        open_world(8000);
        hearing_begin(h, true, 100000);
        push(true, HEARING_BACKLOG + 10);
        expect(hearing_has_ended(h) && hearing_n_kept(h) == HEARING_BACKLOG);
        push(false, 2000);
        expect(take(&first) == HEARING_BACKLOG && first == 0);

        /* The next turn is as any. */
        hearing_abandon(h);
        hearing_begin(h, true, 100);
        push(false, 10);
        hearing_finish(h);
        expect(take(&first) >= 10 && hearing_n_ready(h) == 0);
        hearing_free(h);
}

static void a_second_turn_begins_anew(void) {
        uint64_t first = 0;

        open_world(8000);
        push(false, 100);
        hearing_begin(h, false, 750);
        push(true, 30);
        hearing_abandon(h);
        expect(hearing_n_ready(h) == 0 && hearing_has_ended(h));
        push(false, 30);
        hearing_begin(h, false, 750);
        expect(!hearing_has_ended(h));
        push(true, 30);
        expect(take(&first) >= 25 && first >= 150);
        hearing_free(h);
}

int main(void) {
        rule("a pause that may be the end is told once", a_pause_that_may_be_the_end_is_told_once);
        rule("a voice that was not found is told as faint", a_voice_that_was_not_found_is_faint);
        rule("what was said tells how long a silence is the end",
             what_was_said_tells_how_long_to_wait);
        rule("silence behind a whole sentence is not handed over",
             silence_behind_a_whole_sentence_is_not_handed_over);
        rule("a pause of which nothing is known is told again",
             a_pause_of_which_nothing_is_known_is_told_again);
        rule("what is known of a pause is of no other", a_verdict_is_of_one_pause);
        rule("speech that nobody called for is waited for",
             speech_that_nobody_called_for_is_waited_for);
        rule("a turn is speech with its beginning", a_turn_is_speech_with_its_beginning);
        rule("a pause is kept back until speech goes on",
             a_pause_is_kept_back_until_speech_goes_on);
        rule("when nobody speaks it ends with nothing", nobody_speaks);
        rule("a held key takes what is said, however late it is let go",
             a_held_key_takes_what_is_said);
        rule("a held key without a word takes everything, pre-roll too",
             a_held_key_without_a_word_takes_everything);
        rule("long silence while the key is held counts after all",
             long_silence_while_the_key_is_held_counts_after_all);
        rule("the first word is found where it began", the_first_word_is_found_where_it_began);
        rule("the tail of a held key does not depend on EndSilenceMs",
             the_tail_of_a_held_key_does_not_depend_on_the_end);
        rule("the pre-roll of a held key is kept", the_preroll_of_a_held_key_is_kept);
        rule("finish ends speech at once", finish_ends_speech_at_once);
        rule("what was said with a hole in it is known", what_was_said_with_a_hole_is_known);
        rule("no pre-roll from before a gap", no_preroll_from_before_a_gap);
        rule("no pre-roll from before the microphone was closed",
             no_preroll_from_before_the_microphone_was_closed);
        rule("what was heard is wiped when nobody waits for it",
             what_was_heard_is_wiped_when_nobody_waits_for_it);
        rule("a long turn is cut", a_long_turn_is_cut);
        rule("who has done before the limit is not cut", who_has_done_before_the_limit_is_not_cut);
        rule("what a slow model leaves is bounded", what_a_slow_model_leaves_is_bounded);
        rule("a second turn begins anew", a_second_turn_begins_anew);
        return tap_done();
}
