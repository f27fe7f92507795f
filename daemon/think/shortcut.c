/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/think/shortcut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wipe.h"
#include "daemon/common/answer.h"
#include "model/pocket.h"
#include "model/toolcall.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

struct shortcut {
        struct gguf *file;           /* owned; in the program itself */
        struct tokenizer *tokenizer; /* owned */
        struct grammar *grammar;     /* owned */
        struct typed *typed;         /* owned */
};

int shortcut_open(struct shortcut **ret, struct why *why) {
        _cleanup_(shortcut_closep) struct shortcut *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return because(why, -ENOMEM, "out of memory");
        r = gguf_open_memory(&s->file, pocket_begin, (size_t) (pocket_end - pocket_begin),
                             "the embedded pocket model", why);
        if (r >= 0)
                r = tokenizer_new(&s->tokenizer, s->file, why);
        if (r >= 0)
                r = grammar_read(&s->grammar, s->file, tokenizer_n_tokens(s->tokenizer), why);
        if (r < 0)
                return r;
        r = typed_new(&s->typed, s->grammar, s->tokenizer);
        if (r < 0)
                return because(why, r, "reading the grammar of commands: %s", strerror(-r));
        *ret = TAKE_PTR(s);
        return 0;
}

struct shortcut *shortcut_close(struct shortcut *s) {
        if (!s)
                return NULL;

        typed_free(s->typed);
        if (s->grammar)
                grammar_free(s->grammar);
        if (s->tokenizer)
                tokenizer_free(s->tokenizer);
        if (s->file)
                gguf_close(s->file);
        free(s);
        return NULL;
}

void shortcut_calls_done(struct shortcut_calls *calls) {
        for (unsigned i = 0; i < calls->n; i++)
                free(calls->texts[i]);
        calls->n = 0;
}

/* ---- what can be called ----------------------------------------------------------------------- */

/* What a model that answers freely says in better words, or what was no command to it; and what is one only while
 * something was asked. */
static const char *const never[] = { "ask", "cannot", "help", "wake" };
static const char *const answers[] = { "yes", "no" };

static bool is_one_of(const char *name, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return false;
}

/* Another program may have a tool of that name for something else. */
static bool takes(const struct tool *tool, json_t *arguments) {
        json_t *schema = json_loads(tool->parameters_json, 0, NULL), *name, *value;
        const json_t *properties = json_object_get(schema, "properties");
        bool fits = schema != NULL;
        const char *key;
        size_t i;

        json_object_foreach(arguments, key, value)
                fits = fits && json_object_get(properties, key);
        json_array_foreach(json_object_get(schema, "required"), i, name)
                fits = fits && json_object_get(arguments, json_string_value(name) ? json_string_value(name) : "");
        json_decref(schema);
        return fits;
}

static const struct tool *find_tool(const struct toolset *provided, const char *name) {
        size_t n;
        const struct tool *own = tools_declared(&n);

        for (size_t i = 0; provided && i < provided->n_tools; i++)
                if (strcmp(provided->tools[i].name, name) == 0)
                        return &provided->tools[i];
        for (size_t i = 0; i < n; i++)
                if (strcmp(own[i].name, name) == 0)
                        return &own[i];
        return NULL;
}

static bool can_be_called(const struct shortcut_tools *tools, const struct text *call) {
        _cleanup_(freep) char *name = NULL;
        const struct tool *tool = NULL;
        json_t *arguments = NULL;
        bool can;

        if (toolcall_parse(text_data(call), call->size, &name, &arguments, NULL) < 0)
                return false;
        if (!is_one_of(name, never, N(never)) &&
            (!is_one_of(name, answers, N(answers)) || expected_has(tools->expected, name)))
                tool = find_tool(tools->provided, name);
        can = tool && takes(tool, arguments);
        json_decref(arguments);
        return can;
}

/* ---- what a text is --------------------------------------------------------------------------- */

/* 1; 0: it can not be called. */
static int take(const struct shortcut *s,
                const struct typed_command *command,
                const struct shortcut_tools *tools,
                struct shortcut_calls *ret) {
        _cleanup_(answer_done) struct answer answer = { 0 };
        int r = answer_init(&answer, s->tokenizer);

        if (r >= 0)
                answer_begin(&answer, /* in_thought= */ false);
        for (unsigned i = command->call; r >= 0 && i < command->n_tokens; i++)
                r = answer_push(&answer, command->tokens[i]);
        if (r < 0)
                return r;
        if (r != ANSWER_CALL || !can_be_called(tools, &answer.call))
                return 0;
        ret->texts[ret->n] = strndup(text_data(&answer.call), answer.call.size);
        return ret->texts[ret->n++] ? 1 : -ENOMEM;
}

static int take_all(const struct shortcut *s,
                    const struct typed_result *result,
                    const struct shortcut_tools *tools,
                    struct shortcut_calls *ret) {
        int r = 1;

        for (unsigned i = 0; r > 0 && i < result->n_commands; i++)
                r = take(s, &result->commands[i], tools, ret);
        if (r <= 0)
                shortcut_calls_done(ret);
        return r;
}

int shortcut_read(const struct shortcut *s,
                  const char *text,
                  size_t size,
                  const struct shortcut_tools *tools,
                  struct shortcut_calls *ret) {
        struct typed_result result;
        struct wording wording;
        int r = 0;

        *ret = (struct shortcut_calls){ 0 };
        if (wording_read(&wording, text, size) >= 0 && wording.n_words > 0 &&
            typed_parse(s->typed, &wording, &result) == TYPED_COMMANDS &&
            !typed_beyond(s->typed, &wording, result.commands, result.n_commands))
                r = take_all(s, &result, tools, ret);
        wipe(&wording, sizeof(wording));
        wipe(&result, sizeof(result));
        return r < 0 ? r : 0;
}
