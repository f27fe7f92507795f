/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/sleepers.h"

#include <errno.h>
#include <stdlib.h>

#define ASSISTANT "io.gemmad.Assistant"

struct sleeper {
        LIST_ENTRY(sleeper) link;
        struct sleepers *owner; /* not owned */
        struct call *call;      /* not owned */
        bool is_told;           /* that the microphone is closed */
};

static void on_gone(struct call *call, void *userdata) {
        struct sleeper *sleeper = userdata;
        struct sleepers *s = sleeper->owner;

        (void) call;
        LIST_REMOVE(sleeper, link);
        free(sleeper);
        if (!LIST_EMPTY(&s->list))
                return;
        s->is_closed = false;
        s->changed(false, s->userdata);
}

/* The next one first: who does not read is dropped by this, and removed. */
static void tell_all(struct sleepers *s) {
        struct sleeper *sleeper = LIST_FIRST(&s->list);

        while (sleeper) {
                struct sleeper *next = LIST_NEXT(sleeper, link);
                bool was_told = sleeper->is_told;

                sleeper->is_told = true;
                if (!was_told)
                        (void) call_continue(sleeper->call, json_object());
                sleeper = next;
        }
}

int sleepers_on_sleep(struct sleepers *s, struct call *call) {
        bool is_first = LIST_EMPTY(&s->list);
        struct sleeper *sleeper;

        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        sleeper = calloc(1, sizeof(*sleeper));
        if (!sleeper)
                return -ENOMEM;

        sleeper->owner = s;
        sleeper->call = call;
        LIST_INSERT_HEAD(&s->list, sleeper, link);
        call_on_gone(call, on_gone, sleeper);
        if (is_first)
                s->changed(true, s->userdata);
        else if (s->is_closed)
                tell_all(s);
        return 0;
}

void sleepers_on_closed(struct sleepers *s) {
        if (LIST_EMPTY(&s->list))
                return;
        s->is_closed = true;
        tell_all(s);
}
