/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/expect.h"

#include <errno.h>
#include <stdlib.h>

#define ASSISTANT "io.gemmad.Assistant"

struct expecter {
        LIST_ENTRY(expecter) link;
        struct expectations *owner; /* not owned */
        struct expected expected;
};

static void tell(struct expectations *e) {
        struct expected all = {};
        struct expecter *expecter;

        /* More at once than there is room for: those that came first are left out. */
        LIST_FOREACH(expecter, &e->list, link)
                (void) expected_add_all(&all, &expecter->expected);
        e->changed(&all, e->userdata);
}

static void on_gone(struct call *call, void *userdata) {
        struct expecter *expecter = userdata;
        struct expectations *e = expecter->owner;

        (void) call;
        LIST_REMOVE(expecter, link);
        free(expecter);
        tell(e);
}

static int read_calls(json_t *calls, struct expected *ret) {
        size_t i;
        json_t *name;
        int r;

        json_array_foreach(calls, i, name) {
                r = expected_add(ret, json_string_value(name));
                if (r < 0)
                        return r;
        }
        return 0;
}

int expect_on_expect(struct expectations *e, struct call *call, json_t *parameters) {
        struct expecter *expecter;

        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        expecter = calloc(1, sizeof(*expecter));
        if (!expecter)
                return -ENOMEM;
        if (read_calls(json_object_get(parameters, "calls"), &expecter->expected) < 0) {
                free(expecter);
                call_invalid_parameter(call, "calls");
                return 0;
        }

        expecter->owner = e;
        LIST_INSERT_HEAD(&e->list, expecter, link);
        call_on_gone(call, on_gone, expecter);
        tell(e);
        (void) call_continue(call, json_object());
        return 0;
}
