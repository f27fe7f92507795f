/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/think/tools.h"
#include "model/toolcall.h"

#define RESULT_SIZE 128

enum calls_kind
calls_keep(struct calls *c, const struct dialogue *d, const char *text, size_t size) {
        _cleanup_(freep) char *name = NULL;
        json_t *arguments;

        /* What can not be read is complained of by whoever reads it for the client. */
        if (toolcall_parse(text, size, &name, &arguments, NULL) >= 0)
                json_decref(arguments);
        if (c->has_others || !name || strlen(name) > CALLS_MAX_NAME || c->n_kept == CALLS_MAX) {
                c->has_others = true;
                return CALLS_OTHER;
        }
        if (!dialogue_owns_tool(d, name) && c->n_rounds == CALLS_MAX_ROUNDS) {
                c->has_others = true;
                return CALLS_OTHER;
        }

        (void) strcpy(c->kept[c->n_kept].name, name);
        c->kept[c->n_kept].is_own = dialogue_owns_tool(d, name);
        return c->kept[c->n_kept++].is_own ? CALLS_OWN : CALLS_AWAITED;
}

bool calls_can_respond(const struct calls *c) {
        return c->n_kept > 0 && !c->has_others && c->n_rounds < CALLS_MAX_ROUNDS;
}

int calls_respond(struct calls *c, struct dialogue *d, unsigned index, const char *result_json) {
        const char *name = c->kept[index].name;
        char result[RESULT_SIZE];

        if (result_json)
                return dialogue_respond(d, name, result_json);
        if (!tools_answer(name, TOOLS_RESULT, time(NULL), result, sizeof(result)))
                return -EOVERFLOW;
        return dialogue_respond(d, name, result);
}

int calls_reopen(struct calls *c, struct dialogue *d, bool thinking) {
        c->n_kept = 0;
        c->n_rounds++;
        return dialogue_reopen_model(d, thinking);
}

size_t calls_take(struct calls *c, char *out, size_t out_size) {
        for (unsigned i = 0; i < c->n_kept; i++) {
                if (!c->kept[i].is_own)
                        continue;
                c->kept[i].is_own = false;
                (void) snprintf(out, out_size, "call:%s{}", c->kept[i].name);
                return strlen(out);
        }
        c->n_kept = 0;
        return 0;
}
