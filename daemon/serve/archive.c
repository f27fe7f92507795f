/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"
#include "ipc/limits.h"

#define ASSISTANT "io.gemmad.Assistant"

#define ARCHIVE_TURNS 20

static void refuse(struct call *call, const struct why *why) {
        call_error(call, ASSISTANT ".TurnFailed", reply_reason(why->text));
}

/* A history that is off, or can not be opened, may be there all the same: nobody may be told that it
 * is empty, or that something in it was forgotten.  True: the call has been answered. */
static bool is_missing(const struct archive *a, struct call *call) {
        if (a->store || !a->missing.text[0])
                return false;

        refuse(call, &a->missing);
        return true;
}

/* Turns as they are read.  Fewer than asked for when more would not fit into what may be unsent, and
 * never none when there are some: the client goes on with `before`. */
struct page {
        json_t *turns; /* owned */
        size_t size;   /* of the JSON text so far */
        size_t max_size;
};

static void page_done(struct page *page) {
        json_decref(page->turns);
}

static int add_turn(const struct record *record, void *userdata) {
        struct page *page = userdata;
        json_t *turn = reply_turn(record);
        size_t size;

        if (!turn)
                return -ENOMEM;
        size = json_dumpb(turn, NULL, 0, 0);
        if (page->size > 0 && page->size + size > page->max_size) {
                json_decref(turn);
                return 1;
        }

        page->size += size;
        return json_array_append_new(page->turns, turn) < 0 ? -ENOMEM : 0;
}

static struct page new_page(const struct archive *a) {
        return (struct page){
                .turns = json_array(),
                .max_size = (size_t) a->config->max_unsent_kib * 1024 / 2,
        };
}

static void reply_page(struct call *call, struct page *page, int r, const struct why *why) {
        if (r < 0)
                refuse(call, why);
        else
                call_reply(call, json_pack("{s:o}", "turns", TAKE_PTR(page->turns)));
}

/* ret keeps what it has when nothing is said.  False: the call has been answered. */
static bool read_limit(struct call *call, json_t *parameters, json_int_t *ret) {
        if (parameter_integer(parameters, "limit", 0, LIMIT_TURNS, ret) >= 0)
                return true;

        call_invalid_parameter(call, "limit");
        return false;
}

int archive_on_history(struct archive *a, struct call *call, json_t *parameters) {
        _cleanup_(page_done) struct page page = new_page(a);
        struct store_visitor visitor = { add_turn, &page };
        json_int_t limit = ARCHIVE_TURNS;
        json_int_t before = 0;
        struct why why = {};
        int r = 0;

        if (!page.turns)
                return -ENOMEM;
        if (!read_limit(call, parameters, &limit))
                return 0;
        if (parameter_integer(parameters, "before", 1, INT64_MAX, &before) < 0) {
                call_invalid_parameter(call, "before");
                return 0;
        }

        if (is_missing(a, call))
                return 0;
        if (a->store)
                r = store_history(a->store, (uint64_t) before, (unsigned) limit, &visitor, &why);
        reply_page(call, &page, r, &why);
        return 0;
}

int archive_on_search(struct archive *a, struct call *call, json_t *parameters) {
        _cleanup_(page_done) struct page page = new_page(a);
        struct store_visitor visitor = { add_turn, &page };
        const char *words = parameter_string(parameters, "words", NULL);
        json_int_t limit = ARCHIVE_TURNS;
        struct why why = {};
        int r = 0;

        if (!page.turns)
                return -ENOMEM;
        if (!read_limit(call, parameters, &limit))
                return 0;

        if (is_missing(a, call))
                return 0;
        if (a->store)
                r = store_search(a->store, words, (unsigned) limit, &visitor, &why);
        if (r == -EINVAL)
                call_invalid_parameter(call, "words");
        else
                reply_page(call, &page, r, &why);
        return 0;
}

static void refuse_unknown(struct call *call, json_int_t id) {
        call_error(call, ASSISTANT ".NoSuchTurn", json_pack("{s:I}", "id", id));
}

int archive_on_show(struct archive *a, struct call *call, json_t *parameters) {
        _cleanup_(page_done) struct page page = new_page(a);
        struct store_visitor visitor = { add_turn, &page };
        struct why why = {};
        json_int_t id;
        int r = 0;

        if (!page.turns)
                return -ENOMEM;
        if (parameter_integer(parameters, "id", 1, INT64_MAX, &id) <= 0) {
                call_invalid_parameter(call, "id");
                return 0;
        }

        if (is_missing(a, call))
                return 0;
        if (a->store)
                r = store_show(a->store, (uint64_t) id, &visitor, &why);
        if (r < 0)
                refuse(call, &why);
        else if (json_array_size(page.turns) == 0)
                refuse_unknown(call, id);
        else
                call_reply(call, json_pack("{s:O}", "turn", json_array_get(page.turns, 0)));
        return 0;
}

static int span_of_last(const struct archive *a, struct store_span *span, struct why *why) {
        uint64_t last;
        int r;

        r = store_last_turn(a->store, &last, why);
        if (r < 0)
                return r;
        span->first_id = span->last_id = last;
        return 0;
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

/* A call that waits until the turns are gone. */
struct forgetting {
        struct call *call; /* not owned; NULL: its client is gone */
        json_int_t id;     /* of the turn that was named; 0: none was */
};

static void on_gone(struct call *call, void *userdata) {
        struct forgetting *f = userdata;

        (void) call;
        f->call = NULL;
}

static void
answer_forget(struct call *call, json_int_t id, int r, uint64_t n, const struct why *why) {
        if (r < 0)
                refuse(call, why);
        else if (id > 0 && n == 0)
                refuse_unknown(call, id);
        else
                call_reply(call, json_pack("{s:I}", "forgotten", (json_int_t) n));
}

static void on_erased(int r, uint64_t n, const struct why *why, void *userdata) {
        struct forgetting *f = userdata;

        if (f->call) {
                call_on_gone(f->call, NULL, NULL);
                answer_forget(f->call, f->id, r, n, why);
        }
        free(f);
}

/* span: which turns, but for "last". */
static int begin_forgetting(struct archive *a,
                            struct forgetting *f,
                            bool only_last,
                            const struct store_span *given,
                            struct why *why) {
        const struct upkeep_waiter waiter = { on_erased, f };
        struct store_span span = *given;
        int r = 0;

        if (only_last)
                r = span_of_last(a, &span, why);
        return r < 0 ? r : upkeep_forget(a->upkeep, &span, &waiter, why);
}

static void forget(struct archive *a,
                   struct call *call,
                   json_int_t id,
                   bool only_last,
                   const struct store_span *span) {
        struct forgetting *f = malloc(sizeof(*f));
        struct why why = {};

        if (!f) {
                (void) because(&why, -ENOMEM, "out of memory");
                refuse(call, &why);
                return;
        }
        *f = (struct forgetting){ call, id };
        call_on_gone(call, on_gone, f);
        if (begin_forgetting(a, f, only_last, span, &why) >= 0)
                return;
        log_warning("What was to be forgotten is still in the history: %s", why.text);
        call_on_gone(call, NULL, NULL);
        refuse(call, &why);
        free(f);
}

/* What is remembered elsewhere is forgotten also without a history. */
static bool forget_elsewhere(struct archive *a, struct call *call) {
        if (a->store)
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
        forget(a, call, id, parameter_flag(parameters, "last", false), &span);
        return 0;
}
