/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/think/tools.h"
#include "model/toolcall.h"

#define RESULT_SIZE 128

bool calls_keep(struct calls *c, const char *text, size_t size) {
        _cleanup_(freep) char *name = NULL;
        const char *own = NULL;
        json_t *arguments;

        /* What can not be read is complained of by whoever reads it for the client. */
        if (toolcall_parse(text, size, &name, &arguments, NULL) >= 0) {
                json_decref(arguments);
                own = tools_find(name);
        }
        if (!own || c->n_own == CALLS_MAX) {
                c->has_others = true;
                return false;
        }

        c->own[c->n_own++] = own;
        return true;
}

bool calls_can_respond(const struct calls *c) {
        return c->n_own > 0 && !c->has_others && c->n_rounds < CALLS_MAX_ROUNDS;
}

int calls_respond(struct calls *c, struct dialogue *d, bool thinking) {
        time_t now = time(NULL);
        char result[RESULT_SIZE];
        int r;

        for (unsigned i = 0; i < c->n_own; i++) {
                if (!tools_answer(c->own[i], TOOLS_RESULT, now, result, sizeof(result)))
                        return -EOVERFLOW;
                r = dialogue_respond(d, c->own[i], result);
                if (r < 0)
                        return r;
        }
        c->n_own = 0;
        c->n_rounds++;
        return dialogue_reopen_model(d, thinking);
}

size_t calls_take(struct calls *c, char *out, size_t out_size) {
        if (c->n_own == 0)
                return 0;

        (void) snprintf(out, out_size, "call:%s{}", c->own[0]);
        c->n_own--;
        memmove(c->own, c->own + 1, c->n_own * sizeof(c->own[0]));
        return strlen(out);
}
