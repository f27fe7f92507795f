/* SPDX-License-Identifier: Apache-2.0 */
#include "model/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "model/toolcall-notation.h"
#include "model/toolcall.h"

/* Appends to a prompt.  The first failure sticks and makes everything after it nothing, so that the
 * layout below reads as the layout; writer_end() then takes back what was appended. */
struct writer {
        struct prompt *p;
        const struct tokenizer *t;
        const struct special_tokens *special;
        size_t begin; /* ids when the writer began */
        int r;
};

static struct writer writer_begin(struct prompt *p, const struct tokenizer *t) {
        return (struct writer){
                .p = p,
                .t = t,
                .special = tokenizer_special(t),
                .begin = p->n_ids,
        };
}

static int writer_end(struct writer *w) {
        if (w->r < 0)
                w->p->n_ids = w->begin;
        return w->r;
}

/* id is -1 where the vocabulary has no such marker. */
static void put_marker(struct writer *w, int32_t id) {
        int32_t *ids;

        if (w->r >= 0 && id < 0)
                w->r = -ENOTSUP;
        if (w->r < 0)
                return;

        ids = realloc(w->p->ids, (w->p->n_ids + 1) * sizeof(*ids));
        if (!ids) {
                w->r = -ENOMEM;
                return;
        }
        ids[w->p->n_ids++] = id;
        w->p->ids = ids;
}

/* A run of text without markers.  What is not divided by a marker in the layout must come as one
 * run, or newlines and words at the joint would be other tokens. */
static void put_run(struct writer *w, const char *text, size_t size) {
        if (w->r >= 0)
                w->r = tokenizer_encode(w->t, TOKENIZER_PLAIN, text, size, &w->p->ids,
                                        &w->p->n_ids);
}

static void put_text(struct writer *w, const char *text) {
        put_run(w, text, strlen(text));
}

/* A turn's opening.  As text is trimmed, the newline never joins one of the text, so that the text
 * may follow as a run of its own. */
static void put_turn(struct writer *w, const char *role) {
        put_marker(w, w->special->turn_begin);
        put_text(w, role);
}

static void put_turn_end(struct writer *w) {
        put_marker(w, w->special->turn_end);
        put_text(w, "\n");
}

static void put_thought(struct writer *w) {
        put_marker(w, w->special->channel_begin);
        put_text(w, "thought\n");
}

static void put_trimmed(struct writer *w, const char *text, size_t size) {
        utf8_trim(&text, &size);
        put_run(w, text, size);
}

/* The tools' notation: only the quote is a marker, whatever else the strings between quotes
 * hold. */
static void put_notation(struct writer *w, const char *text) {
        const char *quote;

        while ((quote = strstr(text, NOTATION_QUOTE))) {
                put_run(w, text, (size_t) (quote - text));
                put_marker(w, w->special->quote);
                text = quote + strlen(NOTATION_QUOTE);
        }
        put_text(w, text);
}

static int missing_marker(int r, struct why *why) {
        if (r == -ENOTSUP)
                return because(why, r, "the model's vocabulary lacks a marker of the chat layout");
        return r;
}

void prompt_done(struct prompt *p) {
        free(p->ids);
        *p = (struct prompt){ 0 };
}

void prompt_clear(struct prompt *p) {
        p->n_ids = 0;
}

static void put_tool(struct writer *w, const struct tool *tool, struct why *why) {
        _cleanup_(json_decrefp) json_t *parameters = NULL;
        _cleanup_(freep) char *text = NULL;
        json_error_t error;

        if (w->r < 0)
                return;

        if (tool->parameters_json) {
                parameters = json_loads(tool->parameters_json, JSON_REJECT_DUPLICATES, &error);
                if (!parameters) {
                        w->r = because(why, -EBADMSG, "tool '%s': %s", tool->name, error.text);
                        return;
                }
        }
        w->r = toolcall_write_declaration(&text, tool->name, tool->description, parameters, why);
        if (w->r == -ENOMEM) {
                (void) because(why, w->r, "%s: out of memory", tool->name);
                return;
        }
        if (w->r < 0) {
                (void) because_in(why, w->r, tool->name);
                return;
        }

        put_marker(w, w->special->tool_begin);
        put_notation(w, text);
        put_marker(w, w->special->tool_end);
}

int prompt_begin(struct prompt *p,
                 const struct tokenizer *t,
                 const char *system_text,
                 const struct tool *tools,
                 size_t n_tools,
                 bool thinking,
                 struct why *why) {
        struct writer w = writer_begin(p, t);
        size_t size = system_text ? strlen(system_text) : 0;

        if (size > 0)
                utf8_trim(&system_text, &size);
        put_marker(&w, w.special->bos);
        if (size == 0 && n_tools == 0 && !thinking)
                return missing_marker(writer_end(&w), why);

        put_turn(&w, "system\n");
        if (thinking) {
                put_marker(&w, w.special->think);
                put_text(&w, "\n");
        }
        put_run(&w, system_text, size);
        for (size_t i = 0; i < n_tools; i++)
                put_tool(&w, &tools[i], why);
        put_turn_end(&w);
        return missing_marker(writer_end(&w), why);
}

/* The text without the thoughts in it, an unclosed one reaching to the end; size bytes are enough
 * for it.  Returns its size. */
static size_t drop_thoughts(char *ret, const char *text) {
        static const char begin[] = "<|channel>", end[] = "<channel|>";
        size_t size = 0;

        while (*text) {
                const char *part_end = strstr(text, end), *thought;
                size_t n = part_end ? (size_t) (part_end - text) : strlen(text);

                thought = memmem(text, n, begin, strlen(begin));
                memcpy(ret + size, text, thought ? (size_t) (thought - text) : n);
                size += thought ? (size_t) (thought - text) : n;
                text += part_end ? n + strlen(end) : n;
        }
        return size;
}

int prompt_add_exchange(struct prompt *p,
                        const struct tokenizer *t,
                        const char *user_text,
                        const char *model_text) {
        struct writer w = writer_begin(p, t);
        _cleanup_(freep) char *said = NULL;

        said = malloc(strlen(model_text) + 1);
        if (!said)
                return -ENOMEM;

        put_turn(&w, "user\n");
        put_trimmed(&w, user_text, strlen(user_text));
        put_turn_end(&w);
        put_turn(&w, "model\n");
        put_trimmed(&w, said, drop_thoughts(said, model_text));
        put_turn_end(&w);
        return writer_end(&w);
}

int prompt_open_user(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_turn(&w, "user\n");
        return writer_end(&w);
}

int prompt_add_user_text(struct prompt *p,
                         const struct tokenizer *t,
                         const char *text,
                         size_t size) {
        struct writer w = writer_begin(p, t);

        put_trimmed(&w, text, size);
        return writer_end(&w);
}

int prompt_open_audio(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_marker(&w, w.special->audio_begin);
        return writer_end(&w);
}

int prompt_close_audio(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_marker(&w, w.special->audio_end);
        return writer_end(&w);
}

int prompt_open_image(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_marker(&w, w.special->image_begin);
        return writer_end(&w);
}

int prompt_close_image(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_marker(&w, w.special->image_end);
        return writer_end(&w);
}

int prompt_close_user(struct prompt *p, const struct tokenizer *t, bool thinking) {
        struct writer w = writer_begin(p, t);

        put_turn_end(&w);
        put_turn(&w, "model\n");
        if (!thinking) {
                put_thought(&w);
                put_marker(&w, w.special->channel_end);
        }
        return writer_end(&w);
}

int prompt_add_tool_response(struct prompt *p,
                             const struct tokenizer *t,
                             const char *name,
                             const char *result_json,
                             struct why *why) {
        struct writer w = writer_begin(p, t);
        _cleanup_(json_decrefp) json_t *result = NULL;
        _cleanup_(freep) char *text = NULL;
        json_error_t error;
        int r;

        result = json_loads(result_json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
        if (!result)
                return because(why, -EBADMSG, "the result of tool '%s': %s", name, error.text);
        r = toolcall_write_response(&text, name, result, why);
        if (r < 0)
                return r;

        put_marker(&w, w.special->response_begin);
        put_notation(&w, text);
        put_marker(&w, w.special->response_end);
        return missing_marker(writer_end(&w), why);
}

int prompt_open_thought(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_thought(&w);
        return writer_end(&w);
}

int prompt_close_thought(struct prompt *p, const struct tokenizer *t) {
        struct writer w = writer_begin(p, t);

        put_text(&w, "\n");
        put_marker(&w, w.special->channel_end);
        return writer_end(&w);
}
