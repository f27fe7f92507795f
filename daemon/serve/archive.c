/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"
#include "ipc/limits.h"
#include "ipc/varlink.h"

#define ASSISTANT "io.gemmad.Assistant"

#define ARCHIVE_TURNS 20

static void refuse(struct call *call, const struct why *why) {
        call_error(call, ASSISTANT ".TurnFailed", reply_reason(why->text));
}

/* A history that is off, or can not be opened, may be there all the same: nobody may be told that it
 * is empty, or that something in it was forgotten.  True: the call has been answered. */
static bool is_missing(const struct archive *a, struct call *call) {
        if (a->keeper || !a->missing.text[0])
                return false;

        refuse(call, &a->missing);
        return true;
}

/* A call that waits for turns that are read, or forgotten. */
struct pending {
        struct call *call; /* not owned; NULL: its client is gone */
        json_int_t id;     /* of the turn that was named; 0: none was */
        bool shows_one;

        /* Turns as they are read, by another thread until that is done.  Fewer than asked for when more would
         * not fit into what may be unsent, and never none when there are some: the client goes on with
         * `before`. */
        json_t *turns; /* owned */
        size_t size;   /* of the JSON text so far */
        size_t max_size;
};

static void on_gone(struct call *call, void *userdata) {
        struct pending *pending = userdata;

        (void) call;
        pending->call = NULL;
}

static struct pending *pending_new(const struct archive *a, struct call *call) {
        struct pending *pending = calloc(1, sizeof(*pending));

        if (!pending)
                return NULL;
        pending->call = call;
        pending->turns = json_array();
        pending->max_size = (size_t) a->config->max_unsent_kib * 1024 / 2;
        if (!pending->turns) {
                free(pending);
                return NULL;
        }
        call_on_gone(call, on_gone, pending);
        return pending;
}

static void pending_free(struct pending *pending) {
        if (pending->call)
                call_on_gone(pending->call, NULL, NULL);
        json_decref(pending->turns);
        free(pending);
}

/* On the thread that reads; a part of a turn would not be true. */
static int add_turn(const struct record *record, void *userdata) {
        struct pending *pending = userdata;
        json_t *turn;
        size_t size;

        varlink_forgive();
        turn = reply_turn(record);
        if (!turn || varlink_lacked_memory()) {
                json_decref(turn);
                return -ENOMEM;
        }
        size = json_dumpb(turn, NULL, 0, 0);
        if (pending->size > 0 && pending->size + size > pending->max_size) {
                json_decref(turn);
                return 1;
        }

        pending->size += size;
        return json_array_append_new(pending->turns, turn) < 0 ? -ENOMEM : 0;
}

static void refuse_unknown(struct call *call, json_int_t id) {
        call_error(call, ASSISTANT ".NoSuchTurn", json_pack("{s:I}", "id", id));
}

static void reply_turns(struct pending *pending, struct call *call) {
        json_t *first = json_array_get(pending->turns, 0);

        if (!pending->shows_one)
                call_reply(call, json_pack("{s:O}", "turns", pending->turns));
        else if (first)
                call_reply(call, json_pack("{s:O}", "turn", first));
        else
                refuse_unknown(call, pending->id);
}

static void on_read(int r, uint64_t n, const struct why *why, void *userdata) {
        struct pending *pending = userdata;
        struct call *call = pending->call;

        (void) n;
        if (call)
                call_on_gone(call, NULL, NULL);
        if (call && r == -EINVAL)
                call_invalid_parameter(call, "words");
        else if (call && r < 0)
                refuse(call, why);
        else if (call)
                reply_turns(pending, call);
        pending->call = NULL;
        pending_free(pending);
}

/* Answers with the turns that the query finds. */
static int read_turns(struct archive *a, struct call *call, const struct store_query *query) {
        struct pending *pending;
        struct why why = {};
        int r;

        /* Nobody would see it, and others would wait for it. */
        if (call_is_oneway(call)) {
                call_reply(call, NULL);
                return 0;
        }
        if (is_missing(a, call))
                return 0;
        pending = pending_new(a, call);
        if (!pending)
                return -ENOMEM;
        pending->shows_one = query->kind == STORE_SHOW;
        pending->id = (json_int_t) query->id;
        if (!a->keeper) {
                on_read(0, 0, &why, pending);
                return 0;
        }
        r = keeper_read(a->keeper, query, &(struct store_visitor){ add_turn, pending },
                        &(struct keeper_waiter){ on_read, pending }, &why);
        if (r < 0)
                on_read(r, 0, &why, pending);
        return 0;
}

/* ret keeps what it has when nothing is said.  False: the call has been answered. */
static bool read_limit(struct call *call, json_t *parameters, json_int_t *ret) {
        if (parameter_integer(parameters, "limit", 0, LIMIT_TURNS, ret) >= 0)
                return true;

        call_invalid_parameter(call, "limit");
        return false;
}

int archive_on_history(struct archive *a, struct call *call, json_t *parameters) {
        json_int_t limit = ARCHIVE_TURNS;
        json_int_t before = 0;

        if (!read_limit(call, parameters, &limit))
                return 0;
        if (parameter_integer(parameters, "before", 1, INT64_MAX, &before) < 0) {
                call_invalid_parameter(call, "before");
                return 0;
        }
        return read_turns(a, call,
                          &(struct store_query){ .kind = STORE_HISTORY,
                                                 .id = (uint64_t) before,
                                                 .limit = (unsigned) limit });
}

int archive_on_search(struct archive *a, struct call *call, json_t *parameters) {
        json_int_t limit = ARCHIVE_TURNS;

        if (!read_limit(call, parameters, &limit))
                return 0;
        return read_turns(a, call,
                          &(struct store_query){ .kind = STORE_SEARCH,
                                                 .words = parameter_string(parameters, "words", NULL),
                                                 .limit = (unsigned) limit });
}

int archive_on_show(struct archive *a, struct call *call, json_t *parameters) {
        json_int_t id;

        if (parameter_integer(parameters, "id", 1, INT64_MAX, &id) <= 0) {
                call_invalid_parameter(call, "id");
                return 0;
        }
        return read_turns(a, call, &(struct store_query){ .kind = STORE_SHOW, .id = (uint64_t) id });
}

/* What is to be forgotten; 0 stands for what was not given.  -EINVAL when it is not said in exactly
 * one way. */
static int read_choice(json_t *parameters, json_int_t *ret_id, json_int_t *ret_since) {
        int has_id = parameter_integer(parameters, "id", 1, INT64_MAX, ret_id);
        int has_since = parameter_integer(parameters, "since", 0, INT64_MAX, ret_since);
        int n;

        if (has_id < 0 || has_since < 0)
                return -EINVAL;
        n = has_id + has_since + parameter_flag(parameters, "last", false) +
            parameter_flag(parameters, "all", false);
        return n == 1 ? 0 : -EINVAL;
}

static void on_erased(int r, uint64_t n, const struct why *why, void *userdata) {
        struct pending *pending = userdata;
        struct call *call = pending->call;

        if (call)
                call_on_gone(call, NULL, NULL);
        if (call && r < 0)
                refuse(call, why);
        else if (call && pending->id > 0 && n == 0)
                refuse_unknown(call, pending->id);
        else if (call)
                call_reply(call, json_pack("{s:I}", "forgotten", (json_int_t) n));
        pending->call = NULL;
        pending_free(pending);
}

/* span: NULL for the last turn. */
static int forget(struct archive *a, struct call *call, json_int_t id, const struct store_span *span) {
        struct pending *pending = pending_new(a, call);
        struct why why = {};
        int r;

        if (!pending)
                return -ENOMEM;
        pending->id = id;
        r = keeper_forget(a->keeper, span, &(struct keeper_waiter){ on_erased, pending }, &why);
        if (r < 0)
                on_erased(r, 0, &why, pending);
        return 0;
}

/* What is remembered elsewhere is forgotten also without a history. */
static bool forget_elsewhere(struct archive *a, struct call *call) {
        if (a->keeper)
                return false;
        if (a->forgotten)
                a->forgotten(a->userdata);
        if (!is_missing(a, call))
                call_reply(call, json_pack("{s:i}", "forgotten", 0));
        return true;
}

int archive_on_forget(struct archive *a, struct call *call, json_t *parameters) {
        struct store_span span = STORE_SPAN_ALL;
        json_int_t id = 0, since = 0;

        if (read_choice(parameters, &id, &since) < 0) {
                call_invalid_parameter(call, "last");
                return 0;
        }
        if (forget_elsewhere(a, call))
                return 0;
        if (id > 0)
                span.first_id = span.last_id = (uint64_t) id;
        span.began_from_us = (uint64_t) since;
        return forget(a, call, id, parameter_flag(parameters, "last", false) ? NULL : &span);
}
