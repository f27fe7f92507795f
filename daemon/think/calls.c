/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/why.h"
#include "daemon/think/declared.h"
#include "daemon/think/tools.h"
#include "model/toolcall-notation.h"
#include "model/toolcall.h"

#define RESULT_SIZE 128

static void drop_kept(struct calls *c) {
        for (unsigned i = 0; i < c->n_kept; i++)
                free(c->kept[i].answer);
        c->n_kept = 0;
}

void calls_clear(struct calls *c) {
        drop_kept(c);
        *c = (struct calls){};
}

static enum calls_kind pass_on(struct calls *c) {
        c->has_others = true;
        return CALLS_OTHER;
}

static enum calls_kind keep(struct calls *c, const char *name, bool is_own, char *answer) {
        (void) snprintf(c->kept[c->n_kept].name, sizeof(c->kept[0].name), "%s", name);
        c->kept[c->n_kept].is_own = is_own;
        c->kept[c->n_kept++].answer = answer;
        return is_own ? CALLS_OWN : CALLS_AWAITED;
}

/* What of a call that can not be read was probably to be its name. */
static void guess_name(const char *text, size_t size, char *ret, size_t ret_size) {
        static const char word[] = "call:";
        const char *at = memmem(text, size, word, strlen(word));
        size_t n = 0;

        at = at ? at + strlen(word) : text;
        while (at < text + size && *at == ' ')
                at++;
        for (; at < text + size && notation_is_word_character(*at) && n + 1 < ret_size; at++)
                ret[n++] = *at;
        (void) snprintf(ret + n, ret_size - n, "%s", n == 0 ? "unknown" : "");
}

/* The model gets a reason in the place of a result, and may try again. */
static enum calls_kind
keep_bad(struct calls *c, const char *text, size_t size, const struct why *why) {
        char name[CALLS_MAX_NAME + 1], reason[sizeof(*why) + 80];
        json_t *result;
        char *bad;

        if (c->n_bad == CALLS_MAX_BAD || c->n_rounds == CALLS_MAX_ROUNDS)
                return pass_on(c);
        guess_name(text, size, name, sizeof(name));
        (void) snprintf(reason, sizeof(reason), "%s. Nothing was done. Write the call again.",
                        why->text);
        result = json_pack("{s:s}", "error", reason);
        bad = json_dumps(result, JSON_COMPACT);
        json_decref(result);
        if (!bad)
                return pass_on(c);
        c->n_bad++;
        return keep(c, name, true, bad);
}

enum calls_kind
calls_keep(struct calls *c, const struct dialogue *d, const char *text, size_t size) {
        _cleanup_(freep) char *name = NULL;
        char *found = NULL;
        json_t *arguments;
        struct why why = {};

        if (c->has_others || c->n_kept == CALLS_MAX)
                return pass_on(c);
        /* What the model can not be told any more is complained of by whoever reads it for the client. */
        if (toolcall_parse(text, size, &name, &arguments, &why) < 0)
                return keep_bad(c, text, size, &why);
        if (strcmp(name, DECLARED_FIND) == 0 && dialogue_owns_tool(d, name))
                found = dialogue_find_tools(d, arguments);
        json_decref(arguments);
        if (found)
                return keep(c, name, true, found);
        if (strlen(name) > CALLS_MAX_NAME ||
            (!dialogue_owns_tool(d, name) && c->n_rounds == CALLS_MAX_ROUNDS))
                return pass_on(c);
        return keep(c, name, dialogue_owns_tool(d, name), NULL);
}

bool calls_can_respond(const struct calls *c) {
        return c->n_kept > 0 && !c->has_others && c->n_rounds < CALLS_MAX_ROUNDS;
}

int calls_respond(struct calls *c, struct dialogue *d, unsigned index, const char *result_json) {
        const char *name = c->kept[index].name, *answer = c->kept[index].answer;
        char result[RESULT_SIZE];

        if (answer || result_json)
                return dialogue_respond(d, name, answer ? answer : result_json);
        if (!tools_answer(name, TOOLS_RESULT, time(NULL), result, sizeof(result)))
                return -EOVERFLOW;
        return dialogue_respond(d, name, result);
}

int calls_reopen(struct calls *c, struct dialogue *d, bool thinking) {
        drop_kept(c);
        c->n_rounds++;
        return dialogue_reopen_model(d, thinking);
}

size_t calls_take(struct calls *c, char *out, size_t out_size) {
        for (unsigned i = 0; i < c->n_kept; i++) {
                if (!c->kept[i].is_own || c->kept[i].answer)
                        continue;
                c->kept[i].is_own = false;
                (void) snprintf(out, out_size, "call:%s{}", c->kept[i].name);
                return strlen(out);
        }
        drop_kept(c);
        return 0;
}
