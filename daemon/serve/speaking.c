/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/speaking.h"

#include <errno.h>
#include <stdlib.h>

#define ASSISTANT "io.gemmad.Assistant"

struct speaking_call {
        LIST_ENTRY(speaking_call) link;
        struct speaking *owner; /* not owned, nor is the call */
        struct call *call;
};

static void on_gone(struct call *call, void *userdata) {
        struct speaking_call *c = userdata;
        struct speaking *s = c->owner;

        (void) call;
        LIST_REMOVE(c, link);
        free(c);
        if (LIST_EMPTY(&s->list))
                s->changed(false, s->userdata);
}

int speaking_on_speaking(struct speaking *s, struct call *call) {
        bool is_first = LIST_EMPTY(&s->list);
        struct speaking_call *c;

        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->owner = s;
        c->call = call;
        LIST_INSERT_HEAD(&s->list, c, link);
        call_on_gone(call, on_gone, c);
        if (is_first)
                s->changed(true, s->userdata);
        (void) call_continue(call, json_pack("{s:b}", "interrupted", 0));
        return 0;
}

void speaking_interrupt(struct speaking *s) {
        struct speaking_call *c = LIST_FIRST(&s->list);

        while (c) {
                struct speaking_call *next = LIST_NEXT(c, link);

                /* One that is gone already goes from the list by on_gone(). */
                (void) call_continue(c->call, json_pack("{s:b}", "interrupted", 1));
                c = next;
        }
}
