/* SPDX-License-Identifier: Apache-2.0 */
/* A typed command, for a model that answers freely: what the pocket model knows of commands is enough, and the large
 * one is not asked, nor waked.  It remembers what was said and what came of it. */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "daemon/think/conversation-internal.h"

static bool is_for_a_shortcut(const struct conversation *c) {
        return !c->typed && c->request.origin == ORIGIN_TEXT && c->request.pictures.n == 0 &&
               dialogue_has_tools(c->dialogue);
}

/* False: everything is for the model then, as if there were none. */
static bool open_shortcut(struct conversation *c) {
        struct why why = {};

        return c->shortcut || shortcut_open(&c->shortcut, &why) >= 0;
}

/* What came of a call, in words, as far as there are any. */
static int note_result(struct conversation *c, const char *result_json) {
        json_t *result = json_loads(result_json, 0, NULL);
        const char *text = json_string_value(json_object_get(result, "text"));
        const size_t most = (size_t) c->config->max_text_kib * 1024;
        int r = 0;

        if (!text)
                text = json_string_value(json_object_get(result, "error"));
        if (!text)
                text = "Done.";
        if (c->answered.size > 0)
                r = text_append(&c->answered, " ", 1, most);
        if (r >= 0)
                r = text_append(&c->answered, text, strlen(text), most);
        json_decref(result);
        return r;
}

static int wait_for_result(struct conversation *c) {
        struct response response = {};
        int r = conversation_next_response(c, &response);

        if (r >= 0)
                r = note_result(c, response.result_json);
        response_done(&response);
        return r;
}

static int call(struct conversation *c, const struct shortcut_calls *calls) {
        int r = conversation_announce(c);

        c->timings.prefilled = c->timings.first_token = conversation_since_request(c, clock_now_ns());
        c->timings.n_tokens = 0;
        for (unsigned i = 0; r >= 0 && i < calls->n; i++)
                r = conversation_emit_call(c, calls->texts[i], strlen(calls->texts[i]), /* is_awaited= */ true);
        for (unsigned i = 0; r >= 0 && i < calls->n; i++)
                r = wait_for_result(c);
        if (r < 0)
                return r;
        c->is_shortcut = true;
        return CONVERSATION_TYPED;
}

int conversation_take_shortcut(struct conversation *c) {
        _cleanup_(shortcut_calls_done) struct shortcut_calls calls = { 0 };
        const struct shortcut_tools tools = {
                .provided = dialogue_tools(c->dialogue),
                .expected = &c->request.expected,
        };
        int r;

        if (!is_for_a_shortcut(c) || !open_shortcut(c))
                return 0;
        r = shortcut_read(c->shortcut, c->request.text, c->request.text_size, &tools, &calls);
        return r < 0 || calls.n == 0 ? r : call(c, &calls);
}
