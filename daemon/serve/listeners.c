/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/listeners.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/serve/replies.h"

struct listener {
        LIST_ENTRY(listener) link;
        struct call *call; /* not owned; NULL: the client has gone */
};

static void on_gone(struct call *call, void *userdata) {
        struct listener *l = userdata;

        (void) call;
        l->call = NULL;
}

int listeners_add(struct listeners *list, struct call *call) {
        struct listener *l;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;

        l->call = call;
        LIST_INSERT_HEAD(list, l, link);
        call_on_gone(call, on_gone, l);
        return 0;
}

void listeners_tell(struct listeners *list, json_t *reply) {
        if (!reply)
                return;

        for (struct listener *l = LIST_FIRST(list); l; l = LIST_NEXT(l, link))
                if (l->call)
                        (void) call_continue(l->call, json_incref(reply));
        listeners_sweep(list);
}

void listeners_sweep(struct listeners *list) {
        struct listener *l = LIST_FIRST(list);

        while (l) {
                struct listener *next = LIST_NEXT(l, link);

                if (!l->call) {
                        LIST_REMOVE(l, link);
                        free(l);
                }
                l = next;
        }
}

/* Takes the first one out; its call, NULL when the client has gone. */
static struct call *take_first(struct listeners *list) {
        struct listener *l = LIST_FIRST(list);
        struct call *call = l->call;

        LIST_REMOVE(l, link);
        free(l);
        if (call)
                call_on_gone(call, NULL, NULL);
        return call;
}

/* An answered client may call again at once; those that are added meanwhile are not meant. */
static void take_all(struct listeners *list, struct listeners *ret) {
        *ret = *list;
        if (!LIST_EMPTY(ret))
                LIST_FIRST(ret)->link.le_prev = &LIST_FIRST(ret);
        LIST_INIT(list);
}

void listeners_answer(struct listeners *list, json_t *reply) {
        struct listeners taken;

        take_all(list, &taken);
        while (!LIST_EMPTY(&taken)) {
                struct call *call = take_first(&taken);

                if (call)
                        call_reply(call, json_incref(reply));
        }
}

void listeners_refuse(struct listeners *list, const char *error, const char *reason) {
        struct listeners taken;

        take_all(list, &taken);
        while (!LIST_EMPTY(&taken)) {
                struct call *call = take_first(&taken);

                if (call)
                        call_error(call, error, reply_reason(reason));
        }
}

bool listeners_is_empty(const struct listeners *list) {
        return LIST_EMPTY(list);
}

void listeners_done(struct listeners *list) {
        struct listener *l;

        while ((l = LIST_FIRST(list))) {
                LIST_REMOVE(l, link);
                free(l);
        }
}
