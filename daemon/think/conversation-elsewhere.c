/* SPDX-License-Identifier: Apache-2.0 */
/* A turn that a server answers (remote/link.h): its text and its calls become the same events as those of a model
 * that is here, and the results of the calls go back to it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/wake.h"
#include "base/wipe.h"
#include "daemon/common/markers.h"
#include "daemon/think/conversation-internal.h"
#include "model/toolcall.h"

/* Who asks servers for us says itself that nobody answers; should it hang, it has so much longer. */
#define SLACK_NS UINT64_C(2000000000)

#define LONGEST_WAIT_MS 1000

/* So many events a message of the link becomes at most, in pieces that are cut between characters; and between
 * two looks at whether there is room for them. */
#define MESSAGE_EVENTS ((LINK_MAX_TEXT + MARKERS_LONGEST) / (EVENT_TEXT_SIZE - 4) + 4)
#define ROOM_WAIT_MS   5

/* Where the question was when it was not written down. */
#define UNHEARD "(spoken)"

/* One answer: the words of one round. */
struct round {
        struct markers markers;
        struct text said;      /* owned */
        uint64_t fallback_ns;  /* nobody answers by then; UINT64_MAX: somebody has begun to */
        uint64_t end_ns;
        bool is_after_words;   /* a space belongs between what was said before the calls and this */
};

static void note_counters(struct conversation *c) {
        const struct link_answer *a = &c->elsewhere.answer;

        (void) snprintf(c->remote.server, sizeof(c->remote.server), "%s", a->server);
        c->remote.n_sent = c->remote_sent_before + a->n_sent;
        c->remote.n_received = c->remote_received_before + a->n_received;
}

static int tell_remote(struct conversation *c, bool is_sent) {
        struct event event = {
                .kind = EVENT_REMOTE,
                .turn = c->request.turn,
                .position = dialogue_position(c->dialogue),
                .is_last = !is_sent,
                .remote = c->remote,
        };

        return event_push(c->events, &event);
}

static int on_sent(struct conversation *c) {
        if (c->remote.asked < 0)
                c->remote.asked = conversation_since_request(c, clock_now_ns());
        return tell_remote(c, true);
}

static void on_begun(struct conversation *c, struct round *round) {
        round->fallback_ns = UINT64_MAX;
        if (c->remote.first < 0)
                c->remote.first = conversation_since_request(c, clock_now_ns());
}

static void note_first(struct conversation *c) {
        if (c->timings.n_tokens++ == 0)
                c->timings.first_token = conversation_since_request(c, clock_now_ns());
}

static int say(struct conversation *c, struct round *round, const char *text, size_t size) {
        size_t most = (size_t) c->config->max_text_kib * 1024;
        int r = 0;

        if (size == 0)
                return 0;
        if (round->is_after_words) {
                round->is_after_words = false;
                r = conversation_emit_text(c, EVENT_TOKEN, " ", 1, false);
                if (r >= 0)
                        r = text_append(&c->answered, " ", 1, most);
        }
        if (r >= 0)
                r = text_append(&round->said, text, size, most);
        if (r >= 0)
                r = text_append(&c->answered, text, size, most);
        if (r == -EFBIG)
                return conversation_fail(c, FAULT_MODEL, r, "the answer is longer than MaxTextKiB");
        return r < 0 ? r : conversation_emit_text(c, EVENT_TOKEN, text, size, false);
}

static int on_text(struct conversation *c, struct round *round) {
        const struct link_answer *a = &c->elsewhere.answer;
        char text[LINK_MAX_TEXT + MARKERS_LONGEST];

        note_first(c);
        return say(c, round, text, markers_push(&round->markers, a->text, a->text_size, text));
}

static int on_call(struct conversation *c) {
        const struct link_answer *a = &c->elsewhere.answer;
        json_t *call = json_loadb(a->text, a->text_size, 0, NULL);
        int r = 0;

        note_first(c);
        if (json_is_string(json_object_get(call, "id")) && json_is_string(json_object_get(call, "name")) &&
            json_is_object(json_object_get(call, "arguments")))
                r = elsewhere_note_call(&c->elsewhere, call);
        json_decref(call);
        return r;
}

/* As the answers of a model here end. */
static int on_end(struct conversation *c, struct round *round) {
        char text[MARKERS_LONGEST];
        int r = say(c, round, text, markers_finish(&round->markers, text));

        if (c->elsewhere.answer.finish == LINK_LENGTH)
                c->outcome = OUTCOME_CUT;
        if (r >= 0 && round->said.size > 0)
                r = elsewhere_note_text(&c->elsewhere, text_data(&round->said), round->said.size);
        return r;
}

/* Nothing was said yet, so that somebody else may answer. */
static int nobody(struct conversation *c, const char *reason) {
        (void) snprintf(c->remote.error, sizeof(c->remote.error), "%.*s", (int) sizeof(c->remote.error) - 1, reason);
        if (c->timings.n_tokens == 0)
                return CONVERSATION_NOBODY_ELSEWHERE;
        return conversation_fail(c, FAULT_MODEL, -EPIPE, c->remote.error);
}

static int broken(struct conversation *c, const char *reason) {
        char text[sizeof(c->why.text)];

        (void) snprintf(text, sizeof(text), "the answer of a server broke off: %.240s", reason);
        (void) snprintf(c->remote.error, sizeof(c->remote.error), "%.*s", (int) sizeof(c->remote.error) - 1, reason);
        return conversation_fail(c, FAULT_MODEL, -EPIPE, text);
}

/* The question has not gone out, whatever the reason. */
static int not_sent(struct conversation *c, int r) {
        char text[sizeof(c->remote.error)];

        if (r == -EPIPE || r == -EAGAIN)
                return nobody(c, "gemmad-remote is not there");
        (void) snprintf(text, sizeof(text), "the question can not be sent: %s", strerror(-r));
        return nobody(c, text);
}

/* A message of the answer.  1: more follow. */
static int take(struct conversation *c, struct round *round) {
        char reason[sizeof(c->remote.error)];
        int r = 0;

        note_counters(c);
        switch ((enum link_answer_word) c->elsewhere.answer.word) {
        case LINK_SENT:
                r = on_sent(c);
                break;
        case LINK_BEGUN:
                on_begun(c, round);
                break;
        case LINK_TEXT:
                r = on_text(c, round);
                break;
        case LINK_CALL:
                r = on_call(c);
                break;
        case LINK_DONE:
                return on_end(c, round);
        case LINK_NOBODY:
        case LINK_BROKEN:
                (void) snprintf(reason, sizeof(reason), "%.*s", (int) c->elsewhere.answer.text_size,
                                c->elsewhere.answer.text);
                return c->elsewhere.answer.word == LINK_NOBODY ? nobody(c, reason) : broken(c, reason);
        }
        return r < 0 ? r : 1;
}

static void wait_for_more(struct conversation *c) {
        struct pollfd fds[] = {
                { .fd = c->sounds->filled_fd, .events = POLLIN },
                { .fd = c->elsewhere.link_fd, .events = POLLIN },
        };

        (void) poll(fds, 2, LONGEST_WAIT_MS);
        if (fds[0].revents)
                wake_clear(fds[0].fd);
}

/* A server may say more at once than the main thread takes in that time.  What it says stays in the link until
 * then, and who fills that waits, too. */
static int wait_for_room(struct conversation *c) {
        int r = conversation_look_up(c);

        while (r >= 0 && event_room(c->events) < MESSAGE_EVENTS) {
                (void) poll(NULL, 0, ROOM_WAIT_MS);
                r = conversation_look_up(c);
        }
        return r;
}

/* What of the answer does not have to be waited for.  1: it goes on. */
static int take_all(struct conversation *c, struct round *round) {
        int r, found;

        for (;;) {
                r = wait_for_room(c);
                if (r < 0)
                        return r;
                found = elsewhere_next(&c->elsewhere);
                if (found == -EPIPE)
                        return round->said.size > 0 || c->timings.n_tokens > 0
                                       ? broken(c, "gemmad-remote has ended")
                                       : nobody(c, "gemmad-remote has ended");
                if (found <= 0)
                        return found < 0 ? found : 1;
                r = take(c, round);
                if (r != 1)
                        return r;
        }
}

static int await(struct conversation *c, struct round *round) {
        for (;;) {
                int r = take_all(c, round);

                if (r != 1)
                        return r;
                r = conversation_look_up(c);
                if (r < 0)
                        return r;
                if (clock_now_ns() >= round->fallback_ns)
                        return nobody(c, "gemmad-remote does not answer");
                if (clock_now_ns() >= round->end_ns)
                        return broken(c, "it took longer than AnswerSeconds");
                wait_for_more(c);
        }
}

/* One question, and its answer to the end. */
static int ask_once(struct conversation *c) {
        uint64_t now_ns = clock_now_ns();
        struct round round = {
                .fallback_ns = now_ns + (uint64_t) c->config->remote_fallback_ms * 1000000 + SLACK_NS,
                .end_ns = now_ns + (uint64_t) c->config->remote_answer_seconds * 1000000000,
                .is_after_words = c->answered.size > 0,
        };
        int r;

        c->remote_sent_before = c->remote.n_sent;
        c->remote_received_before = c->remote.n_received;
        r = elsewhere_ask(&c->elsewhere, dialogue_tools(c->dialogue), c->request.max_tokens);
        r = r < 0 ? not_sent(c, r) : await(c, &round);
        /* Whatever comes now comes too late. */
        if (r != 0)
                elsewhere_leave(&c->elsewhere);
        wipe(&round.markers, sizeof(round.markers));
        text_done(&round.said);
        return r;
}

/* Whether the main thread will be able to read it. */
static bool is_readable(const char *text, size_t size, struct why *why) {
        _cleanup_(freep) char *name = NULL;
        json_t *arguments;

        if (toolcall_parse(text, size, &name, &arguments, why) < 0)
                return false;
        json_decref(arguments);
        return true;
}

/* A call as the models here write it.  1: it was passed on, 0: it can not be, and result says so. */
static int pass_on(struct conversation *c, const json_t *call, bool is_awaited, struct why *why) {
        char *arguments = json_dumps(json_object_get(call, "arguments"), JSON_COMPACT | JSON_SORT_KEYS);
        _cleanup_(freep) char *text = NULL;
        int r, n = -1;

        if (arguments)
                n = asprintf(&text, "call:%s%s", json_string_value(json_object_get(call, "name")), arguments);
        free(arguments);
        if (n < 0)
                return -ENOMEM;
        if (!is_readable(text, (size_t) n, why))
                return 0;
        r = conversation_emit_call(c, text, (size_t) n, is_awaited);
        return r < 0 ? r : 1;
}

static int note_refusal(struct conversation *c, const char *id, const struct why *why) {
        const struct pictures none = { 0 };
        json_t *object = json_pack("{s:s}", "error", why->text);
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        int r = text ? elsewhere_note_result(&c->elsewhere, id, text, &none) : -ENOMEM;

        free(text);
        json_decref(object);
        return r;
}

static int respond_to(struct conversation *c, const char *id) {
        struct response response = {};
        int r = conversation_next_response(c, &response);

        if (r >= 0)
                r = elsewhere_note_result(&c->elsewhere, id, response.result_json, &response.pictures);
        response_done(&response);
        return r;
}

/* All calls of the answer are told before the first result is waited for. */
static int carry_out(struct conversation *c, bool is_awaited) {
        bool is_told[CALLS_MAX] = {};
        struct why whys[CALLS_MAX] = {};
        json_t *call;
        size_t i;
        int r = 0;

        json_array_foreach(c->elsewhere.calls, i, call) {
                if (i == CALLS_MAX)
                        break;
                r = wait_for_room(c);
                if (r < 0)
                        return r;
                r = pass_on(c, call, is_awaited, &whys[i]);
                if (r < 0)
                        return r;
                is_told[i] = r == 1;
        }
        if (!is_awaited)
                return 0;
        r = 0;
        json_array_foreach(c->elsewhere.calls, i, call) {
                const char *id = json_string_value(json_object_get(call, "id"));

                if (i >= CALLS_MAX)
                        (void) because(&whys[0], 0, "These are too many calls at once; this one was not done.");
                if (r >= 0)
                        r = i < CALLS_MAX && is_told[i] ? respond_to(c, id)
                                                         : note_refusal(c, id, &whys[i < CALLS_MAX ? i : 0]);
        }
        return r;
}

/* The frames of the turn that can be heard again. */
static unsigned n_kept(const struct conversation *c) {
        return c->timings.n_frames < CONVERSATION_MAX_KEPT ? c->timings.n_frames : CONVERSATION_MAX_KEPT;
}

static int ask(struct conversation *c) {
        const struct elsewhere_turn turn = {
                .text = c->request.text,
                .text_size = c->request.text_size,
                .frames = c->kept ? conversation_kept(c, 0) : NULL,
                .n_frames = n_kept(c),
                .pictures = &c->request.pictures,
        };
        bool goes_on = true;
        int r;

        r = elsewhere_begin(&c->elsewhere, &turn);
        if (r < 0)
                return not_sent(c, r);
        for (unsigned n_rounds = 0; r == 0 && goes_on; n_rounds++) {
                r = ask_once(c);
                if (r != 0)
                        return r;
                goes_on = json_array_size(c->elsewhere.calls) > 0 && n_rounds < CALLS_MAX_ROUNDS;
                if (json_array_size(c->elsewhere.calls) > 0)
                        r = carry_out(c, goes_on);
        }
        if (r == 0 && c->timings.n_tokens == 0)
                return nobody(c, "the server answered nothing");
        return r;
}

static void remember(struct conversation *c) {
        if (c->answered.size == 0)
                return;
        elsewhere_remember(&c->elsewhere,
                           c->request.text             ? c->request.text
                           : c->heard.size > 0 ? c->heard.data
                                               : UNHEARD,
                           c->answered.data);
}

bool conversation_may_ask_elsewhere(struct conversation *c) {
        int link_fd = atomic_exchange_explicit(c->link_fd, -1, memory_order_acquire);

        if (link_fd >= 0)
                elsewhere_set_link(&c->elsewhere, link_fd);
        return c->config->is_remote && elsewhere_is_there(&c->elsewhere);
}

static int ask_elsewhere(struct conversation *c) {
        unsigned n_tokens = c->timings.n_tokens;
        double first_token = c->timings.first_token;
        int r;

        c->timings.n_tokens = 0;
        c->timings.first_token = TIME_NEVER;
        r = ask(c);
        if (r == 0)
                remember(c);
        if (r == CONVERSATION_NOBODY_ELSEWHERE) {
                c->timings.n_tokens = n_tokens;
                c->timings.first_token = first_token;
        } else if (r == 0) {
                c->unanswered = UNANSWERED_NOT;
                wipe(c->hint, sizeof(c->hint));
        }
        if (tell_remote(c, false) < 0 && r >= 0)
                r = conversation_fail(c, FAULT_MODEL, -ENOBUFS, "the answer came faster than it was taken");
        elsewhere_end(&c->elsewhere);
        return r;
}

/* Speech that nobody has called for goes out with the wake phrase only: what the television says is nobody's
 * business, nor is what could not be looked at.  A model that answers freely was not even asked before its gate had
 * heard the phrase; a transcriber, which has understood nothing, has not looked for it. */
static bool may_go_out(struct conversation *c) {
        struct why why = {};
        int r;

        if (!conversation_may_ask_elsewhere(c))
                return false;
        if (!c->request.is_uncalled)
                return true;
        if (!c->request.needs_phrase || !conversation_is_transcriber(c))
                return c->request.needs_phrase;
        r = c->gate ? 0 : gate_open(&c->gate, &why);
        if (r >= 0)
                r = gate_begin(c->gate, false);
        if (r >= 0)
                r = gate_append(c->gate, conversation_kept(c, 0), n_kept(c));
        if (r >= 0)
                r = gate_decide(c->gate);
        return r == GATE_PHRASE_FIRST;
}

int conversation_answer_elsewhere(struct conversation *c) {
        if (conversation_is_transcriber(c) || !may_go_out(c))
                return CONVERSATION_NOBODY_ELSEWHERE;
        return ask_elsewhere(c);
}

/* What the commands of this model do not cover, and what it was not sure of. */
static bool is_left_over(const struct conversation *c) {
        if (c->is_settled || !conversation_is_transcriber(c) || c->outcome != OUTCOME_ANSWERED)
                return false;
        if (c->request.origin == ORIGIN_TEXT)
                return c->unanswered == UNANSWERED_NOT_UNDERSTOOD;
        return c->unanswered == UNANSWERED_NOT_A_COMMAND || c->unanswered == UNANSWERED_UNSURE;
}

/* Nobody was told of speech that did not count; now it does. */
static int count_after_all(struct conversation *c) {
        int r;

        if (!c->is_ignored)
                return 0;
        c->is_ignored = false;
        r = conversation_announce(c);
        return r < 0 ? r : conversation_emit_text(c, EVENT_HEARD, text_data(&c->heard), c->heard.size, true);
}

/* r is what came of the turn here, which it stays when nobody else answers. */
int conversation_ask_about_rest(struct conversation *c, int r) {
        int may;

        if (!is_left_over(c) || !may_go_out(c))
                return r;
        may = count_after_all(c);
        if (may >= 0)
                may = ask_elsewhere(c);
        /* Of its own prefix a transcriber is reminded of nothing. */
        return may < 0 ? may : may == CONVERSATION_NOBODY_ELSEWHERE ? r : CONVERSATION_TYPED;
}

/* A picture that the model here can not see. */
int conversation_show_elsewhere(struct conversation *c) {
        int r = c->request.origin == ORIGIN_TEXT ? conversation_announce(c) : conversation_hear(c);

        if (r != 0)
                return r;
        r = ask_elsewhere(c);
        if (r == CONVERSATION_NOBODY_ELSEWHERE)
                return conversation_fail(c, FAULT_BLIND, -EOPNOTSUPP, "no server has looked at the picture");
        return r < 0 ? r : CONVERSATION_TYPED;
}
