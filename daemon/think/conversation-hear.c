/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/wake.h"
#include "daemon/think/conversation-internal.h"

/* Positions for the end of the user's turn and the first words of an answer: a text that leaves less
 * is refused, a sound is cut where there still is room for a sentence. */
#define TEXT_TAIL  16
#define SOUND_TAIL 64

/* The beginning of a sentence is worth waiting for its end, a word or two may be anything. */
#define SURE_WORDS 2

static_assert(FRAME_SAMPLES == SESSION_FRAME_SAMPLES, "audio/ and model/ disagree about a frame");

static int ignore(struct conversation *c) {
        c->is_ignored = true;
        return CONVERSATION_NOBODY_SPOKE;
}

/* A transcriber hears the phrase by itself, with all the rest. */
static bool needs_gate(const struct conversation *c) {
        return c->request.needs_phrase && !conversation_is_transcriber(c);
}

/* Behind the pictures that it is about. Sound is better heard near the beginning of the context, so that it comes
 * before them. */
static int hear_text(struct conversation *c) {
        const struct request *request = &c->request;
        int r;

        r = conversation_see(c);
        if (r < 0)
                return r;
        if (c->typed)
                r = dialogue_open_text(c->dialogue, c->spoken, strlen(c->spoken), TEXT_TAIL);
        else
                r = dialogue_open_text(c->dialogue, request->text, request->text_size, TEXT_TAIL);
        if (r == -EFBIG) {
                c->fault = FAULT_TEXT;
                return because(&c->why, r, "the text is too long for the context of %u positions",
                               dialogue_max_positions(c->dialogue));
        }
        return r;
}

/* The next sound of this turn; what is left of turns before is dropped. */
static int next_sound(struct conversation *c, struct sound *ret) {
        for (;;) {
                size_t n_waiting = spsc_count(&c->sounds->queue);
                int r;

                r = conversation_look_up(c);
                if (r < 0)
                        return r;
                if (spsc_pop(&c->sounds->queue, ret, 1) == 0) {
                        conversation_wait(c);
                        continue;
                }
                wake_ring(c->sounds->room_fd);
                if (ret->turn != c->request.turn)
                        continue;

                n_waiting += ret->n_behind;
                if (n_waiting > c->timings.largest_backlog)
                        c->timings.largest_backlog = (unsigned) n_waiting;
                return 0;
        }
}

static bool is_live(const struct conversation *c) {
        return c->request.origin == ORIGIN_MICROPHONE;
}

static void note_frame(struct conversation *c, const struct frame *frame) {
        double ms = conversation_since_request(c, frame->captured_ns);
        double framing = clock_ms(frame->framed_ns - frame->captured_ns);

        if (framing > c->timings.framing)
                c->timings.framing = framing;
        if (c->timings.n_frames == 0)
                c->timings.first_frame = ms;
        c->timings.n_frames++;
        c->timings.audio += (double) frame->n_valid * 1000 / FRAME_RATE;
        /* Frames of one block are dated back by what follows them in it: a later one may be the
         * earlier by some milliseconds. */
        if (ms > c->timings.end_of_speech)
                c->timings.end_of_speech = ms;
}

/* Whoever plays a file has done at its end, and not at its last word; so has who holds the key. */
static void note_end(struct conversation *c, const struct sound *end) {
        if (end->given_ns > 0 && c->timings.n_frames > 0)
                c->timings.end_of_speech = conversation_since_request(c, end->given_ns);
}

/* A file brings whole batches.  What comes as it is spoken is appended as soon as the model is free,
 * so that a batch is as large as the model is slow. */
static bool is_batch(const struct conversation *c, const struct sound *sound, unsigned n) {
        return n == c->config->batch_frames ||
               (sound->is_live && spsc_count(&c->sounds->queue) == 0);
}

/* All n frames of the batch are in the cache now; the first of them has waited longest. */
static void note_cached(struct conversation *c) {
        double ms = clock_ms(clock_now_ns() - c->batch_ns);

        if (ms > c->timings.caching)
                c->timings.caching = ms;
}

/* The prefix, and behind it the first n frames of the turn. */
static int hear_anew(struct conversation *c, unsigned n) {
        int r;

        r = conversation_warm_up(c, c->request.thinking);
        if (r >= 0)
                r = dialogue_open_audio(c->dialogue);
        if (r >= 0)
                r = conversation_feed(c);
        for (unsigned i = 0; r >= 0 && i < n; i += c->config->batch_frames) {
                unsigned n_batch =
                        n - i < c->config->batch_frames ? n - i : c->config->batch_frames;

                r = conversation_look_up(c);
                if (r >= 0)
                        r = dialogue_append_frames(c->dialogue, conversation_kept(c, i), n_batch);
        }
        return r;
}

/* The model is called: it hears what was said meanwhile. */
static int catch_up(struct conversation *c) {
        c->is_held_back = false;
        return hear_anew(c, c->timings.n_frames);
}

/* Who said nothing but the phrase is about to say more. */
static int get_ready(struct conversation *c) {
        c->is_held_back = false;
        conversation_wake(c);
        return 0;
}

/* What was said before gives way to what is being said, and what was heard of that moves up. */
static int make_room(struct conversation *c, unsigned n) {
        unsigned n_heard = dialogue_n_frames(c->dialogue);

        if (n_heard > CONVERSATION_MAX_KEPT || !dialogue_yield(c->dialogue, n))
                return 0;
        return hear_anew(c, n_heard);
}

static int append(struct conversation *c, unsigned *n) {
        int r;

        if (*n == 0)
                return 0;
        if (needs_gate(c)) {
                r = gate_append(c->gate, c->samples, *n);
                if (r < 0)
                        return r;
        }
        if (c->is_held_back) {
                *n = 0;
                return gate_has_phrase(c->gate) ? catch_up(c) : 0;
        }
        r = make_room(c, *n);
        if (r < 0)
                return r;
        r = dialogue_append_frames(c->dialogue, c->samples, *n);
        *n = 0;
        note_cached(c);
        return r;
}

/* What was heard behind the pause at which the turn was cut is taken back: so many frames count, the
 * last n of them are not appended. */
static int cut(struct conversation *c, unsigned n_kept, unsigned n) {
        unsigned n_surplus = c->timings.n_frames > n_kept ? c->timings.n_frames - n_kept : 0;
        unsigned n_dropped = n_surplus < n ? n_surplus : n;
        bool was_held_back = c->is_held_back;
        int r;

        c->is_cut = true;
        c->timings.n_frames -= n_surplus;
        c->timings.audio -= (double) n_surplus * FRAME_SAMPLES * 1000 / FRAME_RATE;
        n -= n_dropped;
        r = append(c, &n);
        if (r < 0 || n_surplus == n_dropped || was_held_back)
                return r;
        return dialogue_take_back(c->dialogue, n_surplus - n_dropped);
}

/* The frames that are to be appended would leave no room to answer them. */
static bool is_context_full(const struct conversation *c, unsigned n) {
        unsigned n_kept = dialogue_max_positions(c->dialogue) / 2;

        if (n_kept > CONVERSATION_MAX_KEPT)
                n_kept = CONVERSATION_MAX_KEPT;
        if (c->is_held_back)
                return c->timings.n_frames >= n_kept;
        return dialogue_position(c->dialogue) + n + SOUND_TAIL >
               dialogue_max_positions(c->dialogue);
}

/* Of uncalled speech a transcriber says at the end whether it was meant for us, and the gate whether
 * it began with the phrase. */
static bool counts_at_once(const struct conversation *c) {
        return !c->request.is_uncalled ||
               !(c->request.needs_phrase || conversation_is_transcriber(c));
}

static int fall_back(struct conversation *c) {
        if (!c->is_ahead)
                return 0;
        c->is_ahead = false;
        c->ahead = (struct heard_answer){ 0 };
        return dialogue_fall_back(c->dialogue);
}

/* Whether what was heard up to a pause is whole.  A model that is sure of the first words and not of what
 * it made of the rest has not heard the end of them; of one that is not sure of any nothing is known. */
static enum ending ending_of(const struct conversation *c) {
        const struct heard_answer *a = &c->ahead;

        if (a->call < a->n_tokens && a->n_sure == a->n_tokens)
                return typed_can_go_on(c->typed, a->tokens, a->call) ? ENDING_OPEN : ENDING_WHOLE;
        return a->n_sure >= SURE_WORDS && a->n_sure < a->call ? ENDING_UNFINISHED : ENDING_NONE;
}

/* The answer to a pause, and what the audio thread may know of it. */
static int answer_ahead(struct conversation *c, const struct sound *pause) {
        enum ending ending;
        int r;

        if (!c->typed)
                return 0;
        r = conversation_read_answer(c, /* while_quiet= */ true, &c->ahead);
        if (r != 0)
                return r < 0 ? r : 0;
        ending = ending_of(c);
        if (ending != ENDING_NONE)
                sound_judge(c->sounds, pause->turn, pause->pause, ending);
        return 0;
}

/* What the model makes of a pause, where it has learnt to tell. */
static int judge_end(struct conversation *c, const struct sound *pause) {
        enum ending ending;
        float probability;
        int r;

        r = dialogue_foresee_end(c->dialogue, &probability);
        if (r < 0)
                return r;
        ending = end_sense_judge(&c->end_sense, probability);
        if (ending != ENDING_NONE)
                sound_judge(c->sounds, pause->turn, pause->pause, ending);
        return 0;
}

/* A pause that may be the end: what comes after the end is computed already, unless the pause is
 * over by now.  Whatever is not done when the end comes is done then. */
static int run_ahead(struct conversation *c, const struct sound *pause) {
        int r;

        /* Pictures come between the sound and the end of the turn. */
        if (c->request.pictures.n > 0 || c->is_ahead || c->is_held_back ||
            spsc_count(&c->sounds->queue) > 0)
                return 0;
        c->is_ahead = true;
        r = dialogue_run_ahead(c->dialogue, c->request.thinking);
        if (r >= 0 && end_sense_counts(&c->end_sense))
                r = judge_end(c, pause);
        while (r >= 0 && spsc_count(&c->sounds->queue) == 0) {
                r = conversation_look_up(c);
                if (r < 0)
                        return r;
                r = dialogue_feed(c->dialogue);
                if (r == 0) {
                        dialogue_foresee(c->dialogue);
                        return answer_ahead(c, pause);
                }
        }
        /* If there is no room for the answer, the end will tell. */
        if (r == -ENOSPC)
                return fall_back(c);
        return r < 0 ? r : 0;
}

/* Frames up to the last one, appended in micro-batches as they come. */
static int hear_frames(struct conversation *c) {
        enum fault fault = is_live(c) ? FAULT_MICROPHONE : FAULT_AUDIO;
        struct sound sound;
        unsigned n = 0;
        int r;

        for (;;) {
                r = next_sound(c, &sound);
                if (r < 0)
                        return r;
                if (sound.kind == SOUND_FAILED)
                        return conversation_fail(c, fault, -EBADMSG, sound.why.text);
                if (sound.kind == SOUND_END) {
                        note_end(c, &sound);
                        c->ending = sound.ending;
                        c->is_faint = sound.is_faint;
                        if (sound.n_kept == 0)
                                return append(c, &n);
                        r = fall_back(c);
                        return r < 0 ? r : cut(c, sound.n_kept, n);
                }
                if (sound.kind == SOUND_PAUSE) {
                        /* A large model is not asked for every pause between two words. */
                        r = sound.is_early && !c->typed ? 0 : append(c, &n);
                        if (r >= 0 && !(sound.is_early && !c->typed))
                                r = run_ahead(c, &sound);
                        if (r < 0)
                                return r;
                        continue;
                }

                r = fall_back(c);
                if (r < 0)
                        return r;
                if (is_context_full(c, n + 1))
                        return cut(c, c->timings.n_frames, n);
                r = counts_at_once(c) ? conversation_announce(c) : 0;
                if (r < 0)
                        return r;
                r = conversation_keep_frame(c, c->timings.n_frames, sound.frame.samples);
                if (r < 0)
                        return r;
                note_frame(c, &sound.frame);
                if (n == 0)
                        c->batch_ns = sound.given_ns;
                memcpy(c->samples + (size_t) n * FRAME_SAMPLES, sound.frame.samples,
                       sizeof(sound.frame.samples));
                n++;
                r = is_batch(c, &sound, n) ? append(c, &n) : 0;
                if (r < 0)
                        return r;
        }
}

static int open_gate(struct conversation *c) {
        struct why why = {};
        int r;

        if (!needs_gate(c))
                return 0;
        r = c->gate ? 0 : gate_open(&c->gate, &why);
        if (r < 0)
                return conversation_fail(c, FAULT_MODEL, r, why.text);
        return gate_begin(c->gate, false);
}

/* The phrase alone calls for no answer, but whoever said it wants to know that it was heard. */
static int answer_phrase(struct conversation *c) {
        int r;

        r = conversation_emit_text(c, EVENT_HEARD, GATE_PHRASE, sizeof(GATE_PHRASE) - 1, true);
        if (r < 0)
                return r;
        r = conversation_emit_text(c, EVENT_CALL, CONVERSATION_WOKEN, sizeof(CONVERSATION_WOKEN) - 1, true);
        return r < 0 ? r : CONVERSATION_NOBODY_SPOKE;
}

/* What somebody waits for counts without the phrase, as the pocket model has heard it. */
static int answer_expected(struct conversation *c) {
        const struct text *heard, *call;
        int r;

        if (expected_is_empty(&c->request.expected))
                return ignore(c);
        r = gate_take_for(c->gate, &heard, &call);
        if (r < 0)
                return r;
        if (r == 0 || !expected_has_call(&c->request.expected, text_data(call), call->size))
                return ignore(c);

        c->is_expected = true;
        r = conversation_announce(c);
        if (r >= 0)
                r = conversation_emit_text(c, EVENT_HEARD, text_data(heard), heard->size, true);
        if (r < 0)
                return r;
        r = conversation_emit_text(c, EVENT_CALL, text_data(call), call->size, true);
        return r < 0 ? r : CONVERSATION_NOBODY_SPOKE;
}

/* 0 when the turn goes on. */
static int pass_gate(struct conversation *c) {
        int verdict, r;

        if (!needs_gate(c))
                return 0;
        verdict = gate_decide(c->gate);
        if (verdict < 0)
                return verdict;
        if (verdict == GATE_NO)
                return answer_expected(c);
        r = conversation_announce(c);
        if (r >= 0 && c->is_held_back)
                r = verdict == GATE_PHRASE_ALONE ? get_ready(c) : catch_up(c);
        if (r < 0)
                return r;
        return verdict == GATE_PHRASE_ALONE ? answer_phrase(c) : 0;
}

static int hear_nobody(struct conversation *c) {
        int r;

        if (c->request.is_uncalled)
                return ignore(c);
        c->unanswered = UNANSWERED_NOBODY_SPOKE;
        r = conversation_emit_text(c, EVENT_HEARD, "", 0, true);
        return r < 0 ? r : CONVERSATION_NOBODY_SPOKE;
}

/* CONVERSATION_NOBODY_SPOKE when there was nothing to hear, or to answer. */
static int hear_sound(struct conversation *c) {
        int r;

        if (!engine_hears(dialogue_engine(c->dialogue)))
                return conversation_fail(c, FAULT_DEAF, -EOPNOTSUPP, "the model can not hear");

        r = c->is_held_back ? 0 : dialogue_open_audio(c->dialogue);
        if (r < 0)
                return r;
        r = c->is_held_back ? 0 : conversation_feed(c);
        if (r < 0)
                return r;
        r = open_gate(c);
        if (r < 0)
                return r;
        r = hear_frames(c);
        if (r < 0)
                return r;
        if (c->timings.n_frames == 0)
                return hear_nobody(c);
        r = pass_gate(c);
        if (r != 0)
                return r;
        r = c->is_ahead ? 0 : dialogue_close_audio(c->dialogue);
        if (r < 0)
                return r;
        return c->is_told ? conversation_emit(c, EVENT_END_OF_SPEECH) : 0;
}

/* Everything up to the model's turn, which does not come after CONVERSATION_NOBODY_SPOKE. */
int conversation_hear(struct conversation *c) {
        int r;

        r = c->request.is_uncalled ? 0 : conversation_announce(c);
        if (r < 0)
                return r;
        c->is_held_back = c->is_resting && needs_gate(c);
        r = c->is_held_back ? 0 : conversation_warm_up(c, c->request.thinking);
        if (r < 0)
                return r;
        r = c->request.origin == ORIGIN_TEXT ? hear_text(c) : hear_sound(c);
        if (r == 0 && c->request.origin != ORIGIN_TEXT)
                r = conversation_see(c);
        if (r != 0)
                return r;
        r = c->is_ahead ? 0 : dialogue_close_user(c->dialogue, c->request.thinking);
        if (r < 0)
                return r;
        r = conversation_feed(c);
        if (r < 0)
                return r;

        c->timings.prefilled = conversation_since_request(c, clock_now_ns());
        c->timings.n_prompt_positions = dialogue_position(c->dialogue);
        return 0;
}
