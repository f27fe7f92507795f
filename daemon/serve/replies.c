/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/replies.h"

#include <string.h>

#include "base/cleanup.h"

/* What did not happen is left out. */
static void set_time(json_t *object, const char *key, double ms) {
        if (ms >= 0)
                (void) json_object_set_new(object, key, json_real(ms));
}

static json_t *reply_timings(const struct timings *t) {
        json_t *object;

        /* clang-format off */
        object = json_pack("{s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}",
                   "audio", t->audio,
                   "done", t->done,
                   "framing", t->framing,
                   "caching", t->caching,
                   "frames", (json_int_t) t->n_frames,
                   "prompt_positions", (json_int_t) t->n_prompt_positions,
                   "tokens", (json_int_t) t->n_tokens,
                   "largest_backlog", (json_int_t) t->largest_backlog);
        /* clang-format on */
        if (!object)
                return NULL;

        set_time(object, "first_frame", t->first_frame);
        set_time(object, "end_of_speech", t->end_of_speech);
        set_time(object, "prefilled", t->prefilled);
        set_time(object, "first_token", t->first_token);
        return object;
}

/* A reason may have been cut inside a character, and what comes back from the store may have been
 * changed there by other hands: where it is not UTF-8, only its ASCII is kept. */
json_t *reply_text(const char *text, size_t size) {
        _cleanup_(freep) char *ascii = NULL;
        json_t *string = json_stringn(text, size);

        if (string)
                return string;
        ascii = malloc(size + 1);
        if (!ascii)
                return json_string("");

        for (size_t i = 0; i < size; i++)
                ascii[i] = (char) ((unsigned char) text[i] < 0x80 ? text[i] : '?');
        return json_stringn(ascii, size);
}

json_t *reply_string(const char *text) {
        return reply_text(text, strlen(text));
}

static json_t *reply_remote(const struct remote_record *remote) {
        json_t *object = json_pack("{s:o, s:I, s:I}", "server", reply_string(remote->server), "sent",
                                   (json_int_t) remote->n_sent, "received", (json_int_t) remote->n_received);

        if (!object)
                return NULL;
        set_time(object, "asked", remote->asked);
        set_time(object, "first", remote->first);
        if (remote->error[0])
                (void) json_object_set_new(object, "error", reply_string(remote->error));
        return object;
}

static json_t *reply_calls(const char *calls_json) {
        json_t *calls = json_loads(calls_json, 0, NULL);

        if (json_is_array(calls))
                return calls;
        json_decref(calls);
        return json_array();
}

json_t *reply_turn(const struct record *turn) {
        json_t *object;

        /* clang-format off */
        object = json_pack("{s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:s, s:o, s:o}",
                   "id", (json_int_t) turn->id,
                   "session", (json_int_t) turn->session,
                   "began", (json_int_t) turn->began_us,
                   "source", origin_name(turn->origin),
                   "heard", reply_text(turn->heard, turn->heard_size),
                   "answered", reply_text(turn->answered, turn->answered_size),
                   "calls", reply_calls(turn->calls_json),
                   "outcome", outcome_name(turn->outcome),
                   "model", reply_string(turn->model),
                   "timings", reply_timings(&turn->timings));
        /* clang-format on */
        if (object && turn->error)
                (void) json_object_set_new(object, "error", reply_string(turn->error));
        if (object && turn->unanswered != UNANSWERED_NOT)
                (void) json_object_set_new(object, "unanswered",
                                           json_string(unanswered_name(turn->unanswered)));
        if (object && turn->hint)
                (void) json_object_set_new(object, "hint", reply_string(turn->hint));
        if (object && turn->ending != ENDING_NONE)
                (void) json_object_set_new(object, "ending", json_string(ending_name(turn->ending)));
        if (object && turn->is_cut)
                (void) json_object_set_new(object, "cut", json_true());
        if (object && turn->is_unkept)
                (void) json_object_set_new(object, "unkept", json_true());
        if (object && (turn->remote.server[0] || turn->remote.error[0]))
                (void) json_object_set_new(object, "remote", reply_remote(&turn->remote));
        return object;
}

static json_t *reply_done(const struct turns *turns, const struct turn *turn) {
        _cleanup_(freep) char *calls = NULL;
        struct record record;

        if (turns_record(turns, turn, &record, &calls) < 0)
                return NULL;
        return reply_turn(&record);
}

json_t *reply_event(const struct turns *turns, const struct news *news) {
        static const char *const kinds[] = {
                [NEWS_STARTED] = "started",       [NEWS_HEARD] = "heard",
                [NEWS_TOKEN] = "token",           [NEWS_CALL] = "call",
                [NEWS_RESULT] = "result",         [NEWS_DONE] = "done",
                [NEWS_TRANSCRIPT] = "transcript", [NEWS_REMOTE] = "remote",
        };
        json_t *event;

        event = json_pack("{s:s, s:I}", "kind", kinds[news->kind], "id", (json_int_t) news->id);
        if (!event)
                return NULL;

        switch (news->kind) {
        case NEWS_STARTED:
                (void) json_object_set_new(event, "source",
                                           json_string(origin_name(news->turn->origin)));
                break;
        case NEWS_HEARD:
        case NEWS_TOKEN:
        case NEWS_TRANSCRIPT:
        case NEWS_REMOTE:
                (void) json_object_set_new(event, "text", reply_text(news->text, news->text_size));
                break;
        case NEWS_CALL:
                (void) json_object_set(event, "call", news->call);
                break;
        case NEWS_RESULT:
                (void) json_object_set(event, "call", news->call);
                if (news->text)
                        (void) json_object_set_new(event, news->is_error ? "error" : "text",
                                                   reply_text(news->text, news->text_size));
                break;
        case NEWS_DONE:
                (void) json_object_set_new(event, "turn", reply_done(turns, news->turn));
                break;
        }
        return json_pack("{s:o}", "event", event);
}

json_t *reply_reason(const char *reason) {
        return json_pack("{s:o}", "reason", reply_string(reason));
}

const char *activity_name(enum activity activity) {
        static const char *const names[] = {
                [ACTIVITY_LOADING] = "loading",     [ACTIVITY_IDLE] = "idle",
                [ACTIVITY_LISTENING] = "listening", [ACTIVITY_THINKING] = "thinking",
                [ACTIVITY_ANSWERING] = "answering",
        };

        return names[activity];
}
