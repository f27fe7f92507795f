/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/provide.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "daemon/serve/images.h"
#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"
#include "daemon/think/tools.h"
#include "daemon/turn/offer.h"

#define ASSISTANT "io.gemmad.Assistant"

/* Who provides without saying who it is; and who answers what nobody provides. */
#define SOMEBODY "a client"
#define OURSELF  "gemmad"

/* A call of Provide, which lasts as long as its client. */
struct supplier {
        struct call *call;         /* not owned */
        struct provider *provider; /* owned */
};

static void on_supplier_gone(struct call *call, void *userdata) {
        struct supplier *s = userdata;

        (void) call;
        provider_free(s->provider);
        free(s);
}

static void hand_over(uint64_t id, const struct errand *errand, void *userdata) {
        struct supplier *s = userdata;
        json_t *reply;

        /* clang-format off */
        reply = json_pack("{s:{s:I, s:s, s:O, s:I, s:s}}", "call",
                          "id", (json_int_t) id,
                          "name", errand->name,
                          "arguments", errand->arguments,
                          "turn", (json_int_t) errand->turn,
                          "begun", begun_name(errand->begun));
        /* clang-format on */
        if (reply && errand->sees)
                (void) json_object_set_new(json_object_get(reply, "call"), "sees", json_true());
        /* Who does not read is dropped by this, and the call fails with its provider. */
        if (reply)
                (void) call_continue(s->call, reply);
}

static void refuse_offer(struct call *call, const char *parameter, const char *reason) {
        log_warning("Tools that a client provides are refused: %s", reason);
        call_invalid_parameter(call, parameter);
}

int provide_on_provide(struct toolbox *t, struct call *call, json_t *parameters) {
        const char *name = parameter_string(parameters, "provider", NULL);
        struct provider_config config = {
                .name = name ? name : SOMEBODY,
                .tools = json_object_get(parameters, "tools"),
                .carry_out = hand_over,
        };
        struct supplier *s;
        struct why why = {};
        int r;

        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        if (!offer_is_name(config.name)) {
                refuse_offer(call, "provider", "its name is empty or too long");
                return 0;
        }
        if (offer_check(config.tools, &why) < 0) {
                refuse_offer(call, "tools", why.text);
                return 0;
        }

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->call = call;
        config.userdata = s;
        r = toolbox_provide(t, &s->provider, &config);
        if (r < 0) {
                free(s);
                call_error(call, ASSISTANT ".Busy", json_pack("{s:i}", "queued", 0));
                return 0;
        }
        call_on_gone(call, on_supplier_gone, s);
        (void) call_continue(call, json_object());
        return 0;
}

int provide_on_respond(struct toolbox *t, struct call *call, json_t *parameters) {
        struct result result = {
                .text = parameter_string(parameters, "text", NULL),
                .error = parameter_string(parameters, "error", NULL),
        };
        _cleanup_(pictures_done) struct pictures pictures = { 0 };
        const char *fault = NULL;
        json_int_t id = 0;
        int r;

        if (parameter_integer(parameters, "id", 1, INT64_MAX, &id) <= 0) {
                call_invalid_parameter(call, "id");
                return 0;
        }
        if (parameter_is_given(parameters, "result"))
                result.value = json_object_get(parameters, "result");

        if (!images_take_one(call, json_object_get(parameters, "image"), &pictures))
                return 0;
        result.pictures = &pictures;

        r = toolbox_respond(t, (uint64_t) id, &result, &fault);
        if (r == -ENOENT)
                call_error(call, ASSISTANT ".NoSuchCall", json_pack("{s:I}", "id", id));
        else if (r == -EINVAL)
                call_invalid_parameter(call, fault);
        else if (r < 0)
                return r;
        else
                call_reply(call, NULL);
        return 0;
}

static void add_tool(const struct tool_info *info, void *userdata) {
        json_t *tool;

        /* clang-format off */
        tool = json_pack("{s:s, s:s, s:O, s:b, s:s}",
                         "name", info->name,
                         "description", info->description,
                         "parameters", info->parameters,
                         "confirm", (int) info->needs_confirmation,
                         "provider", info->provider);
        /* clang-format on */
        if (tool)
                (void) json_array_append_new(userdata, tool);
}

/* What we answer ourselves where nobody else does. */
static void add_own(const struct toolbox *t, json_t *list) {
        size_t n;
        const struct tool *own = tools_declared(&n);

        for (size_t i = 0; i < n; i++) {
                struct tool_info info = {
                        .name = own[i].name,
                        .description = own[i].description,
                        .provider = OURSELF,
                };

                if (toolbox_has(t, own[i].name))
                        continue;
                info.parameters = json_loads(own[i].parameters_json, 0, NULL);
                if (info.parameters)
                        add_tool(&info, list);
                json_decref(info.parameters);
        }
}

int provide_on_tools(struct toolbox *t, struct call *call) {
        json_t *list = json_array();

        if (!list)
                return -ENOMEM;
        add_own(t, list);
        toolbox_list(t, add_tool, list);
        call_reply(call, json_pack("{s:o}", "tools", list));
        return 0;
}

/* A call of Call, until its result comes. */
struct caller {
        struct toolbox *toolbox; /* not owned */
        struct call *call;       /* not owned */
        uint64_t id;
};

static void on_caller_gone(struct call *call, void *userdata) {
        struct caller *c = userdata;

        (void) call;
        toolbox_forget(c->toolbox, c->id);
        free(c);
}

static json_t *reply_result(const char *text, json_t *value) {
        json_t *reply = json_object();

        if (reply && text)
                (void) json_object_set_new(reply, "text", reply_string(text));
        if (reply && value)
                (void) json_object_set(reply, "result", value);
        return reply;
}

static void on_called(const struct result *result, void *userdata) {
        struct caller *c = userdata;
        struct call *call = c->call;

        free(c);
        call_on_gone(call, NULL, NULL);
        if (result->error)
                call_error(call, ASSISTANT ".ToolFailed", reply_reason(result->error));
        else
                call_reply(call, reply_result(result->text, result->value));
}

/* False: it is none of ours. */
static bool answer_own(struct call *call, const char *name, const json_t *arguments) {
        char sentence[128], result[128];
        time_t now = time(NULL);
        json_t *value;

        /* We know the time here and the day today; a place or another day is for others. */
        if (json_object_size(arguments) > 0 ||
            !tools_answer(name, TOOLS_SENTENCE, now, sentence, sizeof(sentence)) ||
            !tools_answer(name, TOOLS_RESULT, now, result, sizeof(result)))
                return false;
        value = json_loads(result, 0, NULL);
        call_reply(call, reply_result(sentence, value));
        json_decref(value);
        return true;
}

static void refuse_call(struct call *call, const char *name, const json_t *arguments, int r) {
        if (r == -ENOENT && answer_own(call, name, arguments))
                return;
        if (r == -ENOENT)
                call_error(call, ASSISTANT ".NoSuchTool", json_pack("{s:s}", "name", name));
        else
                call_error(call, ASSISTANT ".ToolFailed",
                           reply_reason(r == -EBUSY ? "Too much is being done at once."
                                                    : strerror(-r)));
}

int provide_on_call(struct toolbox *t, struct call *call, json_t *parameters) {
        struct errand errand = {
                .name = parameter_string(parameters, "name", NULL),
                .arguments = json_object_get(parameters, "arguments"),
                .begun = BEGUN_CALL,
                .done = on_called,
        };
        struct caller *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (struct caller){ .toolbox = t, .call = call };
        errand.userdata = c;
        call_on_gone(call, on_caller_gone, c);
        r = toolbox_call(t, &errand, &c->id);
        if (r >= 0)
                return 0;
        call_on_gone(call, NULL, NULL);
        free(c);
        refuse_call(call, errand.name, errand.arguments, r);
        return 0;
}
