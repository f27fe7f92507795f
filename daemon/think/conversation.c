/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/conversation.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/wake.h"
#include "base/wipe.h"
#include "daemon/think/conversation-internal.h"

#define CONVERSATION_IDLE_MS 1000

/* How much less sure the model has to be of what somebody waits for.  Of 2,329 recordings of people who say
 * something else, none is heard as one of these with more than one word, however unsure. */
#define EXPECTED_LEEWAY 1.0f

void conversation_wait(struct conversation *c) {
        struct pollfd bell = { .fd = c->sounds->filled_fd, .events = POLLIN };

        if (poll(&bell, 1, CONVERSATION_IDLE_MS) > 0)
                wake_clear(bell.fd);
}

int conversation_init(struct conversation *c) {
        c->afterwards = AFTERWARDS_REST;
        elsewhere_init(&c->elsewhere, c->config);
        c->request.turn = COMMAND_STOP; /* before the first turn nothing else ends the work */
        c->samples = calloc(c->config->batch_frames, FRAME_SAMPLES * sizeof(float));
        return c->samples ? 0 : -ENOMEM;
}

void conversation_done(struct conversation *c) {
        answer_done(&c->answer);
        c->dialogue = dialogue_close(c->dialogue);
        c->gate = gate_close(c->gate);
        c->typed = typed_free(c->typed);
        c->shortcut = shortcut_close(c->shortcut);
        free(c->samples);
        c->samples = NULL;
        free(c->kept);
        c->kept = NULL;
        text_done(&c->heard);
        text_done(&c->answered);
        calls_clear(&c->calls);
        elsewhere_done(&c->elsewhere);
}

double conversation_since_request(const struct conversation *c, uint64_t ns) {
        return ns > c->request.asked_ns ? clock_ms(ns - c->request.asked_ns) : 0;
}

static size_t max_text(const struct conversation *c) {
        return (size_t) c->config->max_text_kib * 1024;
}

bool conversation_is_transcriber(const struct conversation *c) {
        return engine_answers_with_transcript(dialogue_engine(c->dialogue));
}

int conversation_fail(struct conversation *c, enum fault fault, int r, const char *reason) {
        c->fault = fault;
        return because(&c->why, r, "%s", reason);
}

int conversation_look_up(struct conversation *c) {
        return command_ends(c->command, c->request.turn) ? -ECANCELED : 0;
}

static struct event event_of(const struct conversation *c, enum event_kind kind) {
        return (struct event){
                .kind = kind,
                .turn = c->request.turn,
                .position = dialogue_position(c->dialogue),
                .is_expected = c->is_expected,
        };
}

static int refused(struct conversation *c, int r) {
        if (r == -ENOBUFS)
                return conversation_fail(c, FAULT_MODEL, r,
                                         "the answer came faster than it was taken");
        return r;
}

int conversation_emit(struct conversation *c, enum event_kind kind) {
        struct event event = event_of(c, kind);

        return refused(c, event_push(c->events, &event));
}

int conversation_emit_text(
        struct conversation *c, enum event_kind kind, const char *text, size_t size, bool is_last) {
        struct event like = event_of(c, kind);

        like.is_last = is_last;
        return refused(c, event_push_text(c->events, &like, text, size));
}

int conversation_tell_transcript(struct conversation *c) {
        return conversation_emit_text(c, EVENT_TRANSCRIPT, text_data(&c->heard), c->heard.size,
                                      true);
}

int conversation_announce(struct conversation *c) {
        if (c->is_told)
                return 0;
        c->is_told = true;
        return conversation_emit(c, EVENT_STARTED);
}

int conversation_feed(struct conversation *c) {
        int r;

        do {
                r = conversation_look_up(c);
                if (r < 0)
                        return r;
                r = dialogue_feed(c->dialogue);
        } while (r > 0);
        return r;
}

int conversation_warm_up(struct conversation *c, bool thinking) {
        int r;

        conversation_wake(c);
        do {
                r = conversation_look_up(c);
                if (r < 0)
                        return r;
                r = dialogue_warm(c->dialogue, thinking);
        } while (r > 0);
        return r;
}

static int open_typed(struct conversation *c) {
        const struct engine *engine = dialogue_engine(c->dialogue);

        if (!engine_answers_with_transcript(engine) || !engine_grammar(engine))
                return 0;
        return typed_new(&c->typed, engine_grammar(engine), engine_tokenizer(engine));
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

        r = open_typed(c);
        if (r < 0)
                return because(why, r, "reading the grammar of commands: %s", strerror(-r));

        r = conversation_warm_up(c, c->config->thinking);
        if (r == -ENOSPC)
                return because(why, r,
                               "the System text does not fit into the context of %u positions",
                               dialogue_max_positions(c->dialogue));
        if (r < 0)
                return because(why, r, "the first run of the model: %s", strerror(-r));
        if (!dialogue_computes(c->dialogue)) {
                r = engine_find_damage(dialogue_engine(c->dialogue), why);
                return r < 0 ? r : because(why, -EBADMSG, "the model computes no numbers");
        }
        conversation_note_use(c);
        return 0;
}

static int keep(struct conversation *c, struct text *text) {
        if (text_append(text, c->answer.piece, c->answer.piece_size, max_text(c)) < 0)
                return conversation_fail(c, FAULT_MODEL, -EFBIG,
                                         "the answer is longer than MaxTextKiB");
        return 0;
}

/* The text of a transcriber is what it heard; asked by text, it only repeats that.  It is kept until
 * the whole answer is there, because only then is it known whether to believe it. */
static int say_text(struct conversation *c) {
        const struct answer *a = &c->answer;
        int r;

        if (conversation_is_transcriber(c))
                return c->request.origin == ORIGIN_TEXT ? 0 : keep(c, &c->heard);

        r = keep(c, &c->answered);
        if (r < 0)
                return r;
        return conversation_emit_text(c, EVENT_TOKEN, a->piece, a->piece_size, false);
}

/* Uncalled speech without words, with too few, or without the phrase where it is needed. */
static bool lacks_what_it_needs(const struct conversation *c) {
        const struct text *heard = &c->heard;

        if (!c->request.is_uncalled)
                return false;
        if (c->request.needs_phrase)
                return gate_judge(text_data(heard), heard->size) == GATE_NO;
        return heard->size == 0 ||
               (c->request.needs_words && !memchr(text_data(heard), ' ', heard->size));
}

static bool is_call_expected(const struct conversation *c) {
        const struct text *call = &c->answer.call;

        return expected_has_call(&c->request.expected, text_data(call), call->size);
}

/* Speech that lacks what it needs counts all the same when it is what somebody waits for.  "Do not lock the
 * screen" has words and no call: nobody who called says it to somebody else, but others do. */
static bool was_not_meant(struct conversation *c, bool has_call) {
        bool is_denied = c->request.is_uncalled && !c->request.needs_phrase && !has_call;

        if (!is_denied && !lacks_what_it_needs(c))
                return false;
        c->is_expected = has_call && !c->is_doubted && is_call_expected(c);
        return !c->is_expected;
}

/* One word, or the phrase alone. */
static bool is_short(const struct conversation *c) {
        const struct text *heard = &c->heard, *call = &c->answer.call;

        return !memchr(text_data(heard), ' ', heard->size) ||
               (call->size == strlen(CONVERSATION_WOKEN) &&
                memcmp(text_data(call), CONVERSATION_WOKEN, call->size) == 0);
}

/* Whether an answer that the model's grammar held together is to be believed: not when the model gave
 * it too little probability. */
static bool is_sure(const struct conversation *c, float least) {
        float log_probability = c->request.origin == ORIGIN_TEXT
                                        ? dialogue_log_probability(c->dialogue)
                                        : c->log_probability;

        return log_probability >= least;
}

static float least_of_any(const struct conversation *c) {
        const struct engine *engine = dialogue_engine(c->dialogue);

        return c->request.origin != ORIGIN_TEXT && conversation_counts_shares(c)
                       ? engine_least_log_share(engine)
                       : engine_least_log_probability(engine);
}

/* Sounds of all kinds are heard as a short one, and more is asked of it.  Of what somebody waits for less is:
 * while an alarm rings it is likely that a person speaks to it.  One word is then judged as a sentence is. */
static float least_of(const struct conversation *c, bool has_call) {
        const struct engine *engine = dialogue_engine(c->dialogue);
        bool is_called = has_call && c->request.origin != ORIGIN_TEXT;

        if (is_called && is_short(c) && !is_call_expected(c))
                return conversation_counts_shares(c) ? engine_least_short_log_share(engine)
                                                     : engine_least_short_log_probability(engine);
        if (is_called && !is_short(c) && is_call_expected(c))
                return least_of_any(c) - EXPECTED_LEEWAY;
        return least_of_any(c);
}

/* Why there will be no answer, if there is none: a transcriber answers with calls. */
static void note_unanswered(struct conversation *c, bool has_call) {
        if ((has_call && !c->is_doubted) || c->outcome != OUTCOME_ANSWERED)
                return;
        if (c->request.origin == ORIGIN_TEXT)
                c->unanswered = UNANSWERED_NOT_UNDERSTOOD;
        else if (c->is_faint)
                c->unanswered = UNANSWERED_TOO_QUIET;
        else
                c->unanswered = has_call ? UNANSWERED_UNSURE : UNANSWERED_NOT_A_COMMAND;
}

/* What was heard is complete: with the first call, or at the end.  What the model was not sure of
 * was not meant for us. */
static int end_heard(struct conversation *c, bool has_call) {
        int r;

        if (!conversation_is_transcriber(c) || c->has_heard)
                return 0;

        c->has_heard = true;
        if (!is_sure(c, least_of(c, has_call))) {
                c->is_doubted = true;
                text_clear(&c->heard);
        }
        note_unanswered(c, has_call);
        if (c->request.origin == ORIGIN_TEXT)
                return 0;
        if (was_not_meant(c, has_call)) {
                c->is_ignored = true;
                return 0;
        }
        r = conversation_announce(c);
        if (r < 0)
                return r;
        return conversation_emit_text(c, EVENT_HEARD, text_data(&c->heard), c->heard.size, true);
}

int conversation_emit_call(struct conversation *c, const char *text, size_t size, bool is_awaited) {
        struct event like = event_of(c, EVENT_CALL);

        like.is_last = true;
        like.is_awaited = is_awaited;
        like.sees = c->remote.server[0] || conversation_can_see(c);
        return refused(c, event_push_text(c->events, &like, text, size));
}

static int say_call(struct conversation *c) {
        const struct text *call = &c->answer.call;
        enum calls_kind kind = CALLS_OTHER;

        if (dialogue_has_tools(c->dialogue))
                kind = calls_keep(&c->calls, c->dialogue, text_data(call), call->size);
        if (kind == CALLS_OWN)
                return 0;
        return conversation_emit_call(c, text_data(call), call->size, kind == CALLS_AWAITED);
}

/* What answer_push() or answer_end() returned. */
static int say(struct conversation *c, int part) {
        int r;

        if (part == -EFBIG)
                return conversation_fail(c, FAULT_MODEL, part,
                                         "the model wrote a call without end");
        if (part == -EBADMSG)
                return conversation_fail(c, FAULT_MODEL, part, "the answer ended inside a call");
        if (part < 0 || part == ANSWER_NOTHING)
                return part;
        if (part == ANSWER_TEXT)
                return say_text(c);

        r = end_heard(c, true);
        if (r < 0 || c->is_doubted || c->is_ignored || (c->is_expected && !is_call_expected(c)))
                return r;
        return say_call(c);
}

/* A call of which the end is missing because the answer was ended is none; one that the model did not
 * end may be complete, and if it is not, the model can be told. */
static int say_end(struct conversation *c) {
        int part = answer_end(&c->answer);

        if (part == -EBADMSG && c->outcome != OUTCOME_ANSWERED)
                return 0;
        if (part == -EBADMSG && dialogue_has_tools(c->dialogue))
                part = ANSWER_CALL;
        return say(c, part);
}

/* There is no room for more of it: what has been said is the answer, and not all of it. */
static int end_of_context(struct conversation *c) {
        c->outcome = OUTCOME_CUT;
        return 0;
}

/* The thought is closed for the model, which goes on with the answer. */
static int end_thought(struct conversation *c) {
        int r;

        r = dialogue_close_thought(c->dialogue);
        if (r >= 0)
                r = conversation_feed(c);
        answer_begin(&c->answer, false);
        if (r == -ENOSPC)
                return end_of_context(c);
        return r < 0 ? r : 1;
}

/* The answer may be complete just here. */
static int end_at_limit(struct conversation *c) {
        int32_t token;
        int r;

        r = dialogue_next(c->dialogue, conversation_is_transcriber(c), &token);
        if (r < 0 && r != -ENOSPC)
                return r;
        if (r != 0)
                c->outcome = OUTCOME_CUT;
        return 0;
}

/* What is to be done after a token.  1: go on. */
static int hold(struct conversation *c, enum reins_pull pull) {
        switch (pull) {
        case REINS_LOOSE:
                break;
        case REINS_THOUGHT:
                return end_thought(c);
        case REINS_LIMIT:
                return end_at_limit(c);
        case REINS_REPEATS:
                c->outcome = OUTCOME_REPEATED;
                return 0;
        }
        return 1;
}

/* One token.  1: go on, 0: the model has finished, or has to. */
static int speak_once(struct conversation *c) {
        bool is_thought;
        int32_t token;
        int r;

        r = conversation_look_up(c);
        if (r < 0)
                return r;
        r = dialogue_next(c->dialogue, conversation_is_transcriber(c), &token);
        if (r == -ENOSPC && c->timings.n_tokens > 0)
                return end_of_context(c);
        if (r <= 0)
                return r;

        if (c->timings.n_tokens++ == 0)
                c->timings.first_token = conversation_since_request(c, clock_now_ns());
        r = say(c, answer_push(&c->answer, token));
        if (r < 0)
                return r;
        is_thought = answer_is_thinking(&c->answer);
        return hold(c, reins_push(&c->reins, token, is_thought));
}

/* Until the model has finished, or waits for the results of its calls. */
static int speak_on(struct conversation *c) {
        int r;

        do
                r = speak_once(c);
        while (r > 0);
        return r < 0 ? r : say_end(c);
}

/* What the model said before its calls and what it says after them are not one word. */
static int separate(struct conversation *c) {
        if (c->answered.size == 0 || c->answered.data[c->answered.size - 1] == ' ')
                return 0;
        c->answer.piece[0] = ' ';
        c->answer.piece_size = 1;
        return say_text(c);
}

void response_done(struct response *r) {
        free(r->result_json);
        pictures_done(&r->pictures);
}

/* The next result for this turn; what is left of turns before is dropped.  The main thread sends one
 * for every call that is awaited, or ends the turn. */
int conversation_next_response(struct conversation *c, struct response *ret) {
        for (;;) {
                int r = conversation_look_up(c);

                if (r < 0)
                        return r;
                if (spsc_pop(c->responses, ret, 1) == 0) {
                        conversation_wait(c);
                        continue;
                }
                if (ret->turn == c->request.turn)
                        return 0;
                response_done(ret);
        }
}

static int respond_to(struct conversation *c, unsigned index) {
        struct response response = {};
        int r;

        r = c->calls.kept[index].is_own ? 0 : conversation_next_response(c, &response);
        if (r >= 0)
                r = calls_respond(&c->calls, c->dialogue, index, response.result_json);
        if (r >= 0)
                r = conversation_see_result(c, &response.pictures);
        response_done(&response);
        return r;
}

static int respond_to_all(struct conversation *c) {
        int r = separate(c);

        for (unsigned i = 0; r >= 0 && i < c->calls.n_kept; i++)
                r = respond_to(c, i);
        if (r >= 0)
                r = calls_reopen(&c->calls, c->dialogue, c->request.thinking);
        if (r >= 0)
                r = conversation_feed(c);
        answer_begin(&c->answer, c->request.thinking);
        reins_look_anew(&c->reins);
        return r;
}

/* 1: the model has got the results that it waited for and goes on. */
static int respond(struct conversation *c) {
        char call[CALLS_MAX_NAME + 8];
        size_t size;
        int r;

        if (calls_can_respond(&c->calls) && c->outcome == OUTCOME_ANSWERED) {
                if (reins_has_left(&c->reins)) {
                        r = respond_to_all(c);
                        if (r == -ENOSPC)
                                return end_of_context(c);
                        return r < 0 ? r : 1;
                }
                c->outcome = OUTCOME_CUT;
        }
        while ((size = calls_take(&c->calls, call, sizeof(call))) > 0) {
                r = conversation_emit_call(c, call, size, false);
                if (r < 0)
                        return r;
        }
        return 0;
}

int conversation_say(struct conversation *c, const int32_t *tokens, unsigned n_tokens) {
        int r;

        answer_begin(&c->answer, false);
        for (unsigned i = 0; i < n_tokens; i++) {
                r = say(c, answer_push(&c->answer, tokens[i]));
                if (r < 0)
                        return r;
        }
        return say_end(c);
}

/* Two calls are as likely as each other: whoever called is asked which, and all others are not heard. */
static int ask_back(struct conversation *c,
                    const struct ballot *ballot,
                    const struct typed_command *command) {
        char sentence[TYPED_MAX_SENTENCE], question[2 * TYPED_MAX_SENTENCE];
        size_t size = typed_sentence(c->typed, ballot->tokens, ballot->n_tokens, sentence,
                                     sizeof(sentence));
        int r;

        c->has_heard = c->is_settled = true;
        c->unanswered = UNANSWERED_UNSURE;
        r = text_append(&c->heard, sentence, size, sizeof(sentence));
        if (r < 0)
                return r;
        if ((c->request.is_uncalled && !c->request.needs_phrase) || lacks_what_it_needs(c)) {
                c->is_ignored = true;
                return 0;
        }
        size = typed_question(c->typed, ballot->tokens, ballot->n_tokens, &ballot->rival, question,
                              sizeof(question));
        conversation_note_question(c, command, &ballot->rival);
        r = conversation_announce(c);
        if (r >= 0)
                r = conversation_emit_text(c, EVENT_HEARD, text_data(&c->heard), c->heard.size, true);
        return r < 0 ? r : conversation_emit_text(c, EVENT_TOKEN, question, size, false);
}

/* The words of a ballot, without its call. */
static unsigned n_words_of(const struct conversation *c, const struct ballot *ballot) {
        const int32_t call_begin =
                tokenizer_special(engine_tokenizer(dialogue_engine(c->dialogue)))->call_begin;
        unsigned n = 0;

        while (n < ballot->n_tokens && ballot->tokens[n] != call_begin)
                n++;
        return n;
}

/* What was said is heard, and what it makes of the question before is done.  False: it is no answer. */
static bool answers(struct conversation *c, const struct ballot *ballot, int *ret) {
        char sentence[TYPED_MAX_SENTENCE];
        size_t size = typed_sentence(c->typed, ballot->tokens, ballot->n_tokens, sentence,
                                     sizeof(sentence));
        struct typed_command command;
        enum typed_verdict verdict;

        if (wording_read(&c->wording, sentence, size) < 0)
                return false;
        verdict = typed_answer(c->typed, &c->asked, &c->wording, &command);
        if (verdict != TYPED_COMMANDS && verdict != TYPED_TAKEN_BACK)
                return false;
        c->is_settled = true;
        *ret = text_append(&c->heard, sentence, size, sizeof(sentence));
        if (*ret >= 0)
                *ret = verdict == TYPED_TAKEN_BACK
                               ? conversation_say(c, NULL, 0)
                               : conversation_say(c, command.tokens + command.call,
                                                  command.n_tokens - command.call);
        if (*ret >= 0)
                *ret = end_heard(c, false);
        return true;
}

/* Of a command nothing is told before it is certain: so the model may hear it several times. */
static int speak_voted(struct conversation *c) {
        struct typed_command command;
        struct ballot ballot;
        int r;

        r = conversation_vote(c, &ballot);
        if (r < 0)
                return r;
        c->log_probability = ballot.log_probability;
        c->timings.n_tokens = ballot.n_tokens;
        if (ballot.n_tokens > 0)
                c->timings.first_token = conversation_since_request(c, clock_now_ns());

        /* One word is all that answers a question. */
        if (c->typed && is_sure(c, least_of_any(c))) {
                /* Of two numbers in an answer none is to be guessed either. */
                if (ballot.rival.n_tokens == 0 && answers(c, &ballot, &r))
                        return r;
                if (typed_command_of(c->typed, ballot.tokens, n_words_of(c, &ballot), &command)) {
                        if (ballot.rival.n_tokens > 0)
                                return ask_back(c, &ballot, &command);
                        conversation_note_question(c, &command, NULL);
                }
        }
        r = conversation_say(c, ballot.tokens, ballot.n_tokens);
        return r < 0 ? r : end_heard(c, false);
}

static int speak(struct conversation *c) {
        int r;

        if (conversation_is_transcriber(c) && c->request.origin != ORIGIN_TEXT)
                return speak_voted(c);
        if (c->typed)
                return conversation_take_for(c);
        r = conversation_answer_elsewhere(c);
        if (r != CONVERSATION_NOBODY_ELSEWHERE)
                return r;
        calls_clear(&c->calls);
        reins_begin(&c->reins, c->request.max_tokens, c->config->max_thought);
        answer_begin(&c->answer, false);
        do {
                r = speak_on(c);
                if (r >= 0)
                        r = respond(c);
        } while (r > 0);
        return r < 0 ? r : end_heard(c, false);
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

static struct event_drafting drafting(const struct conversation *c) {
        struct session_drafting d;

        if (!dialogue_drafting(c->dialogue, &d))
                return (struct event_drafting){ 0 };
        return (struct event_drafting){
                .n_guessed = d.n_judged,
                .n_right = d.n_held,
                .acceptance = d.acceptance,
                .gain = d.gain,
        };
}

/* Who spoke had finished, and it was not the model who said so: nothing was cut, and nobody let go of a
 * key. */
static bool was_ended_by_silence(const struct conversation *c) {
        return (c->ending == ENDING_SILENCE || c->ending == ENDING_UNFINISHED) && !c->is_cut;
}

static void end_turn(struct conversation *c, int r) {
        struct event event = event_of(c, EVENT_DONE);

        /* This turn was none of the past when that was to be forgotten. */
        (void) conversation_forget_past(c);
        conversation_keep_question(c, r >= 0);
        dialogue_restore(c->dialogue);
        /* What the television says is of no use to anybody. */
        if (!c->is_ignored && !c->is_shortcut)
                conversation_note_use(c);
        c->afterwards = AFTERWARDS_WARM;
        if (r == -ECANCELED) {
                event.done.outcome = OUTCOME_CANCELLED;
        } else if (r < 0) {
                explain(c, r);
                event.done.outcome = OUTCOME_FAILED;
                event.done.fault = c->fault;
                event.done.why = c->why;
        } else {
                event.done.outcome = c->outcome;
                if (c->outcome == OUTCOME_REPEATED)
                        text_clear(&c->answered); /* or it would go on with it in the next turn */
                if (r == 0 || c->is_shortcut)
                        c->afterwards = AFTERWARDS_REMEMBER;
                if (r == 0 && c->request.origin != ORIGIN_TEXT &&
                    !conversation_is_transcriber(c))
                        c->afterwards = was_ended_by_silence(c) ? AFTERWARDS_MEASURE : AFTERWARDS_ASK;
        }

        event.done.unanswered = r >= 0 ? c->unanswered : UNANSWERED_NOT;
        (void) memcpy(event.done.hint, c->hint, sizeof(c->hint));
        event.done.ending = c->ending;
        event.done.is_ignored = c->is_ignored;
        c->timings.done = conversation_since_request(c, clock_now_ns());
        event.done.timings = c->timings;
        event.done.drafting = drafting(c);
        event.done.is_cut = c->is_cut;
        event_push_always(c->events, &event);
}

void conversation_take_tools(struct conversation *c) {
        struct toolset *tools = atomic_exchange_explicit(c->tools, NULL, memory_order_acquire);

        if (!tools)
                return;
        dialogue_set_tools(c->dialogue, tools);
        if (c->afterwards == AFTERWARDS_REST && !c->is_resting)
                c->afterwards = AFTERWARDS_WARM;
}

/* What came too late for the turn before. */
static void drop_responses(struct conversation *c) {
        struct response response;

        while (spsc_pop(c->responses, &response, 1) == 1)
                response_done(&response);
}

/* Who shows something to a model that does not see is told so, and not answered as if there were nothing. */
static int check_pictures(struct conversation *c) {
        if (c->request.pictures.n == 0 || conversation_can_see(c) || conversation_may_ask_elsewhere(c))
                return 0;
        return conversation_fail(c, FAULT_BLIND, -EOPNOTSUPP, "the model does not see pictures");
}

static int answer(struct conversation *c) {
        int r;

        r = check_pictures(c);
        if (r == 0 && c->request.pictures.n > 0 && !conversation_can_see(c))
                return conversation_show_elsewhere(c);
        if (r == 0)
                r = conversation_type(c);
        if (r == 0)
                r = conversation_take_shortcut(c);
        if (r == 0)
                r = conversation_hear(c);
        if (r == 0)
                r = speak(c);
        return r < 0 ? r : conversation_ask_about_rest(c, r);
}

void conversation_run(struct conversation *c, const struct request *request) {

        conversation_forget_exchanges(c);
        conversation_interrupt_work(c);
        conversation_take_tools(c);
        drop_responses(c);
        c->request = *request;
        conversation_take_question(c);
        c->timings = timings_none();
        c->outcome = OUTCOME_ANSWERED;
        c->fault = FAULT_NONE;
        c->why = (struct why){};
        c->is_told = c->is_ignored = c->is_expected = c->is_ahead = c->is_held_back = false;
        c->has_heard = false;
        c->is_doubted = false;
        c->is_cut = false;
        c->is_settled = c->is_shortcut = false;
        c->remote = remote_none();
        c->unanswered = UNANSWERED_NOT;
        c->ending = ENDING_NONE;
        c->is_faint = false;
        c->ahead = (struct heard_answer){ 0 };
        c->hint[0] = '\0';
        text_clear(&c->heard);
        text_clear(&c->answered);
        if (c->request.origin == ORIGIN_TEXT)
                (void) text_append(&c->heard, c->request.text, c->request.text_size,
                                   c->request.text_size);

        end_turn(c, answer(c));
        conversation_wipe_frames(c);
        wipe(&c->wording, sizeof(c->wording));
        wipe(c->spoken, sizeof(c->spoken));
        wipe(c->hint, sizeof(c->hint));
        wipe(&c->ahead, sizeof(c->ahead));

        free(c->request.text);
        c->request.text = NULL;
        pictures_done(&c->request.pictures);
}
