/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/conversation.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/wake.h"
#include "daemon/conversation-internal.h"

static_assert(FRAME_SAMPLES == SESSION_FRAME_SAMPLES, "audio/ and model/ disagree about a frame");

#define CONVERSATION_IDLE_MS 1000

/* Positions for the end of the user's turn and the first words of an answer: a text that leaves less
 * is refused, a sound is cut where there still is room for a sentence. */
#define CONVERSATION_TEXT_TAIL  16
#define CONVERSATION_SOUND_TAIL 64

/* A turn that went well and in which there was nothing to answer. */
#define NOBODY_SPOKE 1

/* What the wake phrase alone is answered with, as the pocket model does. */
#define CONVERSATION_WOKEN "call:wake{}"

void conversation_wait(struct conversation *c) {
        struct pollfd bell = { .fd = c->sounds->filled_fd, .events = POLLIN };

        if (poll(&bell, 1, CONVERSATION_IDLE_MS) > 0)
                wake_clear(bell.fd);
}

int conversation_init(struct conversation *c) {
        c->afterwards = AFTERWARDS_REST;
        c->request.turn = COMMAND_STOP; /* before the first turn nothing else ends the work */
        c->samples = calloc(c->config->batch_frames, FRAME_SAMPLES * sizeof(float));
        return c->samples ? 0 : -ENOMEM;
}

void conversation_done(struct conversation *c) {
        answer_done(&c->answer);
        c->dialogue = dialogue_close(c->dialogue);
        c->gate = gate_close(c->gate);
        free(c->samples);
        c->samples = NULL;
        text_done(&c->heard);
        text_done(&c->answered);
}

/* The pre-roll is older than the request. */
static double since_request(const struct conversation *c, uint64_t ns) {
        return ns > c->request.asked_ns ? clock_ms(ns - c->request.asked_ns) : 0;
}

static size_t max_text(const struct conversation *c) {
        return (size_t) c->config->max_text_kib * 1024;
}

/* Models of ours answer with what they understood, and then with a call. */
static bool is_transcriber(const struct conversation *c) {
        return engine_answers_with_transcript(dialogue_engine(c->dialogue));
}

static int fail(struct conversation *c, enum fault fault, int r, const char *reason) {
        c->fault = fault;
        return because(&c->why, r, "%s", reason);
}

/* To be asked between any two steps that take time. */
static int look_up(struct conversation *c) {
        return command_ends(c->command, c->request.turn) ? -ECANCELED : 0;
}

static struct event event_of(const struct conversation *c, enum event_kind kind) {
        return (struct event){
                .kind = kind,
                .turn = c->request.turn,
                .position = dialogue_position(c->dialogue),
        };
}

static int refused(struct conversation *c, int r) {
        if (r == -ENOBUFS)
                return fail(c, FAULT_MODEL, r, "the answer came faster than it was taken");
        return r;
}

static int emit(struct conversation *c, enum event_kind kind) {
        struct event event = event_of(c, kind);

        return refused(c, event_push(c->events, &event));
}

/* is_last: nothing of this kind follows. */
static int emit_text(
        struct conversation *c, enum event_kind kind, const char *text, size_t size, bool is_last) {
        struct event like = event_of(c, kind);

        like.is_last = is_last;
        return refused(c, event_push_text(c->events, &like, text, size));
}

int conversation_tell_transcript(struct conversation *c) {
        return emit_text(c, EVENT_TRANSCRIPT, text_data(&c->heard), c->heard.size, true);
}

/* Clients may know of the turn. */
static int announce(struct conversation *c) {
        if (c->is_told)
                return 0;
        c->is_told = true;
        return emit(c, EVENT_STARTED);
}

static int ignore(struct conversation *c) {
        c->is_ignored = true;
        return NOBODY_SPOKE;
}

/* A transcriber hears the phrase by itself, with all the rest. */
static bool needs_gate(const struct conversation *c) {
        return c->request.needs_phrase && !is_transcriber(c);
}

static int feed(struct conversation *c) {
        int r;

        do {
                r = look_up(c);
                if (r < 0)
                        return r;
                r = dialogue_feed(c->dialogue);
        } while (r > 0);
        return r;
}

static int warm_up(struct conversation *c, bool thinking) {
        int r;

        do {
                r = look_up(c);
                if (r < 0)
                        return r;
                r = dialogue_warm(c->dialogue, thinking);
        } while (r > 0);
        return r;
}

/* The prefix is part of loading: a system text that does not fit should end the start. */
int conversation_load(struct conversation *c, struct why *why) {
        int r;

        r = dialogue_open(&c->dialogue, c->config, why);
        if (r < 0)
                return r;
        r = answer_init(&c->answer, engine_tokenizer(dialogue_engine(c->dialogue)));
        if (r < 0)
                return because(why, r, "out of memory");

        r = warm_up(c, c->config->thinking);
        if (r == -ENOSPC)
                return because(why, r,
                               "the System text does not fit into the context of %u positions",
                               dialogue_max_positions(c->dialogue));
        if (r < 0)
                return because(why, r, "the first run of the model: %s", strerror(-r));
        return 0;
}

static int hear_text(struct conversation *c) {
        const struct request *request = &c->request;
        int r;

        r = dialogue_open_text(c->dialogue, request->text, request->text_size,
                               CONVERSATION_TEXT_TAIL);
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

                r = look_up(c);
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
        double ms = since_request(c, frame->captured_ns);
        double framing = clock_ms(frame->framed_ns - frame->captured_ns);

        if (framing > c->timings.framing)
                c->timings.framing = framing;
        if (c->timings.n_frames == 0)
                c->timings.first_frame = ms;
        c->timings.n_frames++;
        c->timings.audio += (double) frame->n_valid * 1000 / FRAME_RATE;
        /* Frames of one block are dated back by what follows them in it: a later one may be the
         * earlier by some milliseconds. */
        if ((frame->is_last || is_live(c)) && ms > c->timings.end_of_speech)
                c->timings.end_of_speech = ms;
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

static int append(struct conversation *c, unsigned *n) {
        int r;

        if (*n == 0)
                return 0;
        if (needs_gate(c)) {
                r = gate_append(c->gate, c->samples, *n);
                if (r < 0)
                        return r;
        }
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
        int r;

        c->is_cut = true;
        c->timings.n_frames -= n_surplus;
        c->timings.audio -= (double) n_surplus * FRAME_SAMPLES * 1000 / FRAME_RATE;
        n -= n_dropped;
        r = append(c, &n);
        if (r < 0 || n_surplus == n_dropped)
                return r;
        return dialogue_take_back(c->dialogue, n_surplus - n_dropped);
}

/* The frames that are to be appended would leave no room to answer them. */
static bool is_context_full(const struct conversation *c, unsigned n) {
        return dialogue_position(c->dialogue) + n + CONVERSATION_SOUND_TAIL >
               dialogue_max_positions(c->dialogue);
}

/* Of uncalled speech a transcriber says at the end whether it was meant for us, and the gate whether
 * it began with the phrase. */
static bool counts_at_once(const struct conversation *c) {
        return !c->request.is_uncalled || !(c->request.needs_phrase || is_transcriber(c));
}

static int fall_back(struct conversation *c) {
        if (!c->is_ahead)
                return 0;
        c->is_ahead = false;
        return dialogue_fall_back(c->dialogue);
}

/* A pause that may be the end: what comes after the end is computed already, unless the pause is
 * over by now.  Whatever is not done when the end comes is done then. */
static int run_ahead(struct conversation *c) {
        int r;

        if (c->is_ahead || spsc_count(&c->sounds->queue) > 0)
                return 0;
        c->is_ahead = true;
        r = dialogue_run_ahead(c->dialogue, c->request.thinking);
        while (r >= 0 && spsc_count(&c->sounds->queue) == 0) {
                r = look_up(c);
                if (r < 0)
                        return r;
                r = dialogue_feed(c->dialogue);
                if (r == 0) {
                        dialogue_foresee(c->dialogue);
                        return 0;
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
                        return fail(c, fault, -EBADMSG, sound.why.text);
                if (sound.kind == SOUND_END && sound.n_kept > 0) {
                        r = fall_back(c);
                        return r < 0 ? r : cut(c, sound.n_kept, n);
                }
                if (sound.kind == SOUND_END)
                        return append(c, &n);
                if (sound.kind == SOUND_PAUSE) {
                        r = append(c, &n);
                        if (r >= 0)
                                r = run_ahead(c);
                        if (r < 0)
                                return r;
                        continue;
                }

                r = fall_back(c);
                if (r < 0)
                        return r;
                if (is_context_full(c, n + 1))
                        return cut(c, c->timings.n_frames, n);
                r = counts_at_once(c) ? announce(c) : 0;
                if (r < 0)
                        return r;
                note_frame(c, &sound.frame);
                if (n == 0)
                        c->batch_ns = sound.given_ns;
                memcpy(c->samples + (size_t) n * FRAME_SAMPLES, sound.frame.samples,
                       sizeof(sound.frame.samples));
                n++;
                if (sound.frame.is_last)
                        return append(c, &n);
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
                return fail(c, FAULT_MODEL, r, why.text);
        return gate_begin(c->gate);
}

/* The phrase alone calls for no answer, but whoever said it wants to know that it was heard. */
static int answer_phrase(struct conversation *c) {
        int r;

        r = emit_text(c, EVENT_HEARD, GATE_PHRASE, sizeof(GATE_PHRASE) - 1, true);
        if (r < 0)
                return r;
        r = emit_text(c, EVENT_CALL, CONVERSATION_WOKEN, sizeof(CONVERSATION_WOKEN) - 1, true);
        return r < 0 ? r : NOBODY_SPOKE;
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
                return ignore(c);
        r = announce(c);
        if (r < 0)
                return r;
        return verdict == GATE_PHRASE_ALONE ? answer_phrase(c) : 0;
}

static int hear_nobody(struct conversation *c) {
        int r;

        if (c->request.is_uncalled)
                return ignore(c);
        r = emit_text(c, EVENT_HEARD, "", 0, true);
        return r < 0 ? r : NOBODY_SPOKE;
}

/* NOBODY_SPOKE when there was nothing to hear, or to answer. */
static int hear_sound(struct conversation *c) {
        int r;

        if (!engine_hears(dialogue_engine(c->dialogue)))
                return fail(c, FAULT_DEAF, -EOPNOTSUPP, "the model can not hear");

        r = dialogue_open_audio(c->dialogue);
        if (r < 0)
                return r;
        r = feed(c);
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
        return c->is_told ? emit(c, EVENT_END_OF_SPEECH) : 0;
}

/* Everything up to the model's turn, which does not come after NOBODY_SPOKE. */
static int hear(struct conversation *c) {
        int r;

        r = c->request.is_uncalled ? 0 : announce(c);
        if (r < 0)
                return r;
        r = warm_up(c, c->request.thinking);
        if (r < 0)
                return r;
        r = c->request.origin == ORIGIN_TEXT ? hear_text(c) : hear_sound(c);
        if (r != 0)
                return r;
        r = c->is_ahead ? 0 : dialogue_close_user(c->dialogue, c->request.thinking);
        if (r < 0)
                return r;
        r = feed(c);
        if (r < 0)
                return r;

        c->timings.prefilled = since_request(c, clock_now_ns());
        c->timings.n_prompt_positions = dialogue_position(c->dialogue);
        return 0;
}

static int keep(struct conversation *c, struct text *text) {
        if (text_append(text, c->answer.piece, c->answer.piece_size, max_text(c)) < 0)
                return fail(c, FAULT_MODEL, -EFBIG, "the answer is longer than MaxTextKiB");
        return 0;
}

/* The text of a transcriber is what it heard; asked by text, it only repeats that.  It is kept until
 * the whole answer is there, because only then is it known whether to believe it. */
static int say_text(struct conversation *c) {
        const struct answer *a = &c->answer;
        int r;

        if (is_transcriber(c))
                return c->request.origin == ORIGIN_TEXT ? 0 : keep(c, &c->heard);

        r = keep(c, &c->answered);
        if (r < 0)
                return r;
        return emit_text(c, EVENT_TOKEN, a->piece, a->piece_size, false);
}

/* Uncalled speech without words, or without the phrase where it is needed. */
static bool was_not_meant(const struct conversation *c) {
        const struct text *heard = &c->heard;

        if (!c->request.is_uncalled)
                return false;
        if (c->request.needs_phrase)
                return gate_judge(text_data(heard), heard->size) == GATE_NO;
        return heard->size == 0;
}

/* What was heard is complete: with the first call, or at the end.  What the model was not sure of
 * was not meant for us. */
static int end_heard(struct conversation *c) {
        int r;

        if (!is_transcriber(c) || c->has_heard)
                return 0;

        c->has_heard = true;
        if (!dialogue_is_sure(c->dialogue)) {
                c->is_doubted = true;
                text_clear(&c->heard);
        }
        if (c->request.origin == ORIGIN_TEXT)
                return 0;
        if (was_not_meant(c)) {
                c->is_ignored = true;
                return 0;
        }
        r = announce(c);
        if (r < 0)
                return r;
        return emit_text(c, EVENT_HEARD, text_data(&c->heard), c->heard.size, true);
}

/* What answer_push() or answer_end() returned. */
static int say(struct conversation *c, int part) {
        int r;

        if (part == -EFBIG)
                return fail(c, FAULT_MODEL, part, "the model wrote a call without end");
        if (part == -EBADMSG)
                return fail(c, FAULT_MODEL, part, "the answer ended inside a call");
        if (part < 0 || part == ANSWER_NOTHING)
                return part;
        if (part == ANSWER_TEXT)
                return say_text(c);

        r = end_heard(c);
        if (r < 0 || c->is_doubted || c->is_ignored)
                return r;
        if (dialogue_has_tools(c->dialogue) &&
            calls_keep(&c->calls, text_data(&c->answer.call), c->answer.call.size))
                return 0;
        return emit_text(c, EVENT_CALL, text_data(&c->answer.call), c->answer.call.size, true);
}

/* One token.  1: go on, 0: the model has finished. */
static int speak_once(struct conversation *c) {
        int32_t token;
        int r;

        r = look_up(c);
        if (r < 0)
                return r;
        r = dialogue_next(c->dialogue, is_transcriber(c), &token);
        if (r <= 0)
                return r;

        if (c->timings.n_tokens++ == 0)
                c->timings.first_token = since_request(c, clock_now_ns());
        r = say(c, answer_push(&c->answer, token));
        return r < 0 ? r : 1;
}

/* Until the model has finished, or waits for the results of its calls. */
static int speak_on(struct conversation *c) {
        int r;

        do
                r = speak_once(c);
        while (r > 0 && c->timings.n_tokens < c->request.max_tokens);
        return r < 0 ? r : say(c, answer_end(&c->answer));
}

/* What the model said before its calls and what it says after them are not one word. */
static int separate(struct conversation *c) {
        if (c->answered.size == 0 || c->answered.data[c->answered.size - 1] == ' ')
                return 0;
        c->answer.piece[0] = ' ';
        c->answer.piece_size = 1;
        return say_text(c);
}

/* 1: the model has got the results that it waited for and goes on. */
static int respond(struct conversation *c) {
        char call[64];
        size_t size;
        int r;

        if (calls_can_respond(&c->calls) && c->timings.n_tokens < c->request.max_tokens) {
                r = separate(c);
                if (r >= 0)
                        r = calls_respond(&c->calls, c->dialogue, c->request.thinking);
                if (r >= 0)
                        r = feed(c);
                answer_begin(&c->answer, c->request.thinking);
                return r < 0 ? r : 1;
        }
        while ((size = calls_take(&c->calls, call, sizeof(call))) > 0) {
                r = emit_text(c, EVENT_CALL, call, size, true);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int speak(struct conversation *c) {
        int r;

        c->calls = (struct calls){};
        answer_begin(&c->answer, false);
        do {
                r = speak_on(c);
                if (r >= 0)
                        r = respond(c);
        } while (r > 0);
        return r < 0 ? r : end_heard(c);
}

/* A reason for what came without one from below. */
static void explain(struct conversation *c, int r) {
        if (c->fault != FAULT_NONE)
                return;

        c->fault = FAULT_MODEL;
        if (r == -ENOSPC)
                (void) because(&c->why, r,
                               "the conversation is longer than the context of %u positions",
                               dialogue_max_positions(c->dialogue));
        else
                (void) because(&c->why, r, "the model failed: %s", strerror(-r));
}

static void end_turn(struct conversation *c, int r) {
        struct event event = event_of(c, EVENT_DONE);

        c->afterwards = AFTERWARDS_WARM;
        if (r == -ECANCELED) {
                event.done.outcome = OUTCOME_CANCELLED;
        } else if (r < 0) {
                explain(c, r);
                event.done.outcome = OUTCOME_FAILED;
                event.done.fault = c->fault;
                event.done.why = c->why;
        } else {
                event.done.outcome = OUTCOME_ANSWERED;
                if (r != NOBODY_SPOKE)
                        c->afterwards = AFTERWARDS_REMEMBER;
                if (r != NOBODY_SPOKE && c->request.origin != ORIGIN_TEXT && !is_transcriber(c))
                        c->afterwards = AFTERWARDS_ASK;
        }

        event.done.is_ignored = c->is_ignored;
        c->timings.done = since_request(c, clock_now_ns());
        event.done.timings = c->timings;
        event.done.is_cut = c->is_cut;
        event_push_always(c->events, &event);
}

void conversation_run(struct conversation *c, const struct request *request) {
        int r;

        conversation_forget_exchanges(c);
        conversation_interrupt_work(c);
        c->request = *request;
        c->timings = timings_none();
        c->fault = FAULT_NONE;
        c->why = (struct why){};
        c->is_told = c->is_ignored = c->is_ahead = false;
        c->has_heard = false;
        c->is_doubted = false;
        c->is_cut = false;
        text_clear(&c->heard);
        text_clear(&c->answered);
        if (c->request.origin == ORIGIN_TEXT)
                (void) text_append(&c->heard, c->request.text, c->request.text_size,
                                   c->request.text_size);

        r = hear(c);
        if (r == 0)
                r = speak(c);
        end_turn(c, r);

        free(c->request.text);
        c->request.text = NULL;
}
