/* SPDX-License-Identifier: Apache-2.0 */
/* What the inference thread tells, and what becomes of it in the turn that runs. */
#include "daemon/turn/turns.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/turn/by-name.h"
#include "daemon/turn/nobody.h"
#include "daemon/turn/place.h"
#include "daemon/turn/turns-internal.h"
#include "model/toolcall.h"

static void tell_text(struct turns *t, enum news_kind kind, const char *text, size_t size) {
        struct news news = {
                .kind = kind,
                .turn = t->running,
                .text = text,
                .text_size = size,
        };

        turns_tell(t, &news);
}

void turns_spoil(struct turn *turn, const char *reason) {
        if (turn->fault != FAULT_NONE)
                return;

        turn->fault = FAULT_MODEL;
        (void) because(&turn->why, 0, "%s", reason);
}

static void on_heard(struct turns *t, const struct event *event) {
        struct turn *turn = t->running;

        if (text_append(&turn->heard, event->text, event->text_size, turns_max_text(t)) < 0)
                turns_spoil(turn, "what was heard is longer than MaxTextKiB");
        if (!event->is_last)
                return;

        turn->has_heard = true;
        text_trim(&turn->heard);
        tell_text(t, NEWS_HEARD, text_data(&turn->heard), turn->heard.size);
}

void turns_on_token(struct turns *t, const char *text, size_t size) {
        struct turn *turn = t->running;

        /* Nobody hears it any more. */
        if (turn->is_spoken_known)
                return;
        if (text_append(&turn->answered, text, size, turns_max_text(t)) < 0)
                turns_spoil(turn, "the answer is longer than MaxTextKiB");
        else
                tell_text(t, NEWS_TOKEN, text, size);
}

/* The pocket model knows that another place is meant, but not which: that stands in what was heard.  Whoever
 * tells the time may know it there; each sentence names one place. */
static void add_place(struct turns *t, json_t *call) {
        const struct turn *turn = t->running;
        const char *name = json_string_value(json_object_get(call, "name"));
        const char *what = json_string_value(json_object_get(json_object_get(call, "arguments"), "what"));
        char place[PLACE_SIZE];

        if (!name || strcmp(name, "cannot") != 0 || !what || strcmp(what, "place") != 0 ||
            json_array_size(turn->calls) > 0 || !t->config.toolbox ||
            !toolbox_has_provider(t->config.toolbox, NOBODY_DESKTOP) ||
            !place_read(text_data(&turn->heard), turn->heard.size, place))
                return;
        (void) json_object_set_new(call, "name", json_string("get_time"));
        (void) json_object_set_new(call, "arguments", json_pack("{s:s}", "place", place));
}

/* Whether a tool was typed by its name, as no tool that ships is called: then the model may find another
 * meaning in the name, which is none. */
static bool is_named(const struct turns *t, char name[BY_NAME_SIZE]) {
        const struct turn *turn = t->running;

        return turn->origin == ORIGIN_TEXT && t->config.toolbox &&
               by_name_find(t->config.toolbox, text_data(&turn->heard), turn->heard.size, NOBODY_DESKTOP,
                            name);
}

static void add_call(struct turns *t, bool is_awaited) {
        _cleanup_(freep) char *name = NULL;
        struct turn *turn = t->running;
        struct news news = { .kind = NEWS_CALL, .turn = turn };
        char own[BY_NAME_SIZE];
        json_t *arguments;
        struct why why = {};
        int r;

        turn->calls_size += turn->call.size;
        if (turn->calls_size > turns_max_text(t)) {
                turns_spoil(turn, "the calls are longer than MaxTextKiB");
                return;
        }
        r = toolcall_parse(text_data(&turn->call), turn->call.size, &name, &arguments, &why);
        if (r < 0) {
                (void) because_in(&why, r, "the model wrote a call that can not be read");
                turns_spoil(turn, why.text);
                return;
        }

        if (!is_awaited && is_named(t, own)) {
                json_decref(arguments);
                if (json_array_size(turn->calls) > 0)
                        return;
                news.call = json_pack("{s:s, s:{}}", "name", own, "arguments");
        } else {
                news.call = json_pack("{s:s, s:o}", "name", name, "arguments", arguments);
        }
        if (news.call)
                add_place(t, news.call);
        if (!news.call || json_array_append_new(turn->calls, news.call) < 0) {
                turns_spoil(turn, "out of memory");
                return;
        }
        turn->n_awaited += is_awaited;
        turns_tell(t, &news);
        turns_carry_on(t);
}

static void on_call(struct turns *t, const struct event *event) {
        struct turn *turn = t->running;

        if (text_append(&turn->call, event->text, event->text_size, turns_max_text(t)) < 0)
                turns_spoil(turn, "a call is longer than MaxTextKiB");
        if (!event->is_last)
                return;

        turn->is_expected = event->is_expected;
        turn->sees = event->sees;
        add_call(t, event->is_awaited);
        text_clear(&turn->call);
}

static bool is_blank(const char *text, size_t size) {
        utf8_trim(&text, &size);
        return size == 0;
}

/* What the model says after its calls takes the place of what came of them. */
static void on_words(struct turns *t, const struct event *event) {
        if (!is_blank(event->text, event->text_size))
                text_clear(&t->running->unsaid);
        turns_on_token(t, event->text, event->text_size);
}

static void on_remote(struct turns *t, const struct event *event) {
        t->running->remote = event->remote;
        if (event->is_last)
                return;
        t->activity = ACTIVITY_THINKING;
        tell_text(t, NEWS_REMOTE, event->remote.server, strlen(event->remote.server));
}

/* What was typed is no sentence that the model has, but the name of a tool. */
static void call_by_name(struct turns *t) {
        struct turn *turn = t->running;
        struct news news = { .kind = NEWS_CALL, .turn = turn };
        char name[BY_NAME_SIZE];

        if (turn->origin != ORIGIN_TEXT || turn->unanswered != UNANSWERED_NOT_UNDERSTOOD ||
            json_array_size(turn->calls) > 0 || turn->answered.size > 0 || !t->config.toolbox ||
            !by_name_find(t->config.toolbox, text_data(&turn->heard), turn->heard.size, /* except= */ NULL,
                          name))
                return;
        news.call = json_pack("{s:s, s:{}}", "name", name, "arguments");
        if (!news.call || json_array_append_new(turn->calls, news.call) < 0)
                return;
        turn->unanswered = UNANSWERED_NOT;
        turn->hint[0] = '\0';
        turns_tell(t, &news);
}

static void on_done(struct turns *t, const struct event_done *done) {
        struct turn *turn = t->running;

        turn->timings = done->timings;
        t->drafting = done->drafting;
        turn->unanswered = done->unanswered;
        (void) memcpy(turn->hint, done->hint, sizeof(turn->hint));
        turn->ending = done->ending;
        turn->is_cut = done->is_cut;
        t->n_cut += done->is_cut;
        turn->outcome = done->outcome;
        t->handsfree.n_ignored += done->is_ignored && done->timings.n_frames > 0;
        if (done->outcome == OUTCOME_FAILED) {
                turn->fault = done->fault;
                turn->why = done->why;
        } else if (done->outcome == OUTCOME_CANCELLED && turn->fault != FAULT_NONE &&
                   !turn->is_cancelled) {
                turn->outcome = OUTCOME_FAILED;
        } else if (done->outcome == OUTCOME_CANCELLED) {
                turn->fault = FAULT_NONE;
                turn->why = (struct why){};
        }
        text_trim(&turn->heard);
        if (!outcome_is_good(done->outcome)) {
                turns_finish_running(t);
                return;
        }
        call_by_name(t);
        turn->is_model_done = true;
        turns_carry_on(t);
}

/* What was heard in a turn, until the history has it. */
struct late {
        struct turns *turns; /* not owned */
        uint64_t id;
        struct text text;
};

/* What was forgotten in between is not told any more. */
static void on_late_kept(int r, uint64_t n, const struct why *why, void *userdata) {
        struct late *late = userdata;
        struct news news = {
                .kind = NEWS_TRANSCRIPT,
                .id = late->id,
                .text = text_data(&late->text),
                .text_size = late->text.size,
        };

        (void) n;
        if (r != -ENOENT) {
                turns_note_store(late->turns, r, why);
                turns_tell(late->turns, &news);
        }
        text_done(&late->text);
        free(late);
}

static void keep_transcript(struct turns *t, uint64_t id) {
        struct late *late = calloc(1, sizeof(*late));
        struct why why = {};
        int r = 0;

        if (!late)
                return;
        late->turns = t;
        late->id = id;
        late->text = t->transcript;
        t->transcript = (struct text){};
        if (t->config.keeper)
                r = keeper_set_heard(t->config.keeper, id, late->text.data, late->text.size,
                                     &(struct keeper_waiter){ on_late_kept, late }, &why);
        if (!t->config.keeper || r < 0)
                on_late_kept(r, 0, &why, late);
}

/* Comes after the turn is over and freed; only its id is left. */
static void on_transcript(struct turns *t, const struct event *event) {
        if (event->turn != t->transcript_turn)
                text_clear(&t->transcript);
        t->transcript_turn = event->turn;

        if (text_append(&t->transcript, event->text, event->text_size, turns_max_text(t)) < 0)
                return;
        if (event->is_last && t->running && t->running->id == event->turn) {
                /* Its calls are still being carried out: it comes with the end of the turn. */
                (void) text_append(&t->running->heard, text_data(&t->transcript),
                                   t->transcript.size, turns_max_text(t));
                return;
        }
        if (event->is_last && event->turn == t->beside_turn)
                turns_look_for_itself(t, text_data(&t->transcript));
        if (event->is_last && t->transcript.size > 0)
                keep_transcript(t, event->turn);
}

void turns_on_event(struct turns *t, const struct event *event) {
        struct news started = { .kind = NEWS_STARTED, .turn = t->running };

        t->position = event->position;
        if (event->kind == EVENT_TRANSCRIPT) {
                on_transcript(t, event);
                return;
        }
        if (!t->running || event->turn != t->running->id)
                return;

        switch (event->kind) {
        case EVENT_STARTED:
                if (t->running->is_hidden) {
                        t->activity = ACTIVITY_LISTENING;
                        turns_show_running(t);
                }
                t->running->is_hidden = false;
                turns_tell(t, &started);
                break;
        case EVENT_END_OF_SPEECH:
                t->activity = ACTIVITY_THINKING;
                break;
        case EVENT_HEARD:
                t->activity = ACTIVITY_ANSWERING;
                on_heard(t, event);
                break;
        case EVENT_TOKEN:
                t->activity = ACTIVITY_ANSWERING;
                on_words(t, event);
                break;
        case EVENT_CALL:
                t->activity = ACTIVITY_ANSWERING;
                on_call(t, event);
                break;
        case EVENT_REMOTE:
                on_remote(t, event);
                break;
        case EVENT_DONE:
                on_done(t, &event->done);
                break;
        case EVENT_LOADED:
        case EVENT_LOAD_FAILED:
        case EVENT_RESTING:
        case EVENT_NOT_LOADED:
        case EVENT_TRANSCRIPT:
                break;
        }
}
