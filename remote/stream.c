/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "remote/buffer.h"

/* How much of what a server says of its own failure is told. */
#define REASON_SIZE 200

enum form {
        FORM_UNKNOWN, /* nothing has come but white space */
        FORM_EVENTS,
        FORM_WHOLE, /* one JSON object */
};

struct call {
        struct buffer id, name, arguments;
};

struct stream {
        struct stream_handler handler;
        enum form form;
        struct buffer line; /* of events: the line that is not over; else all */
        struct buffer data; /* of the event that is not over */
        size_t n_bytes;
        bool has_begun, has_said, is_over;
        bool is_done; /* the server has said that nothing follows */
        enum stream_finish finish;
        struct call calls[STREAM_MAX_CALLS];
        unsigned n_calls;
};

int stream_new(struct stream **ret, const struct stream_handler *handler) {
        struct stream *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->handler = *handler;
        *ret = s;
        return 0;
}

struct stream *stream_free(struct stream *s) {
        if (!s)
                return NULL;

        for (size_t i = 0; i < STREAM_MAX_CALLS; i++) {
                buffer_done(&s->calls[i].id);
                buffer_done(&s->calls[i].name);
                buffer_done(&s->calls[i].arguments);
        }
        buffer_done(&s->line);
        buffer_done(&s->data);
        free(s);
        return NULL;
}

static int too_large(struct why *why, const char *what) {
        return because(why, -EFBIG, "%s is longer than anything that is meant", what);
}

/* {"message": ...}, or a text; whatever stands there, a line of it. */
static int failed(const json_t *error, struct why *why) {
        const char *message = json_string_value(error);
        char reason[REASON_SIZE];
        size_t n;

        if (json_is_object(error))
                message = json_string_value(json_object_get(error, "message"));
        n = (size_t) snprintf(reason, sizeof(reason), "%.*s", REASON_SIZE - 1, message ? message : "no reason");
        for (size_t i = 0; i < n && i < sizeof(reason); i++)
                if ((unsigned char) reason[i] < 0x20 || (unsigned char) reason[i] >= 0x7f)
                        reason[i] = ' ';
        return because(why, -EREMOTEIO, "it says: %s", reason);
}

bool stream_read_error(const char *body, size_t size, struct why *why) {
        json_t *object = size > 0 ? json_loadb(body, size, 0, NULL) : NULL;
        const json_t *error = json_object_get(object, "error");

        if (!error)
                error = json_object_get(object, "message");
        if (error)
                (void) failed(error, why);
        json_decref(object);
        return error != NULL;
}

static int take_text(struct stream *s, const json_t *text) {
        size_t size = json_string_length(text);

        if (!json_is_string(text) || size == 0)
                return 0;
        s->has_said = true;
        return s->handler.text(json_string_value(text), size, s->handler.userdata);
}

static int append(struct buffer *b, const json_t *text, size_t max, struct why *why) {
        if (!json_is_string(text))
                return 0;
        if (buffer_append(b, json_string_value(text), json_string_length(text), max) < 0)
                return too_large(why, "a call");
        return 0;
}

/* Which call a piece belongs to.  Some servers leave the index out and send each call whole. */
static int index_of(const struct stream *s, const json_t *piece, unsigned position) {
        const json_t *index = json_object_get(piece, "index");

        if (json_is_integer(index))
                return json_integer_value(index) >= 0 && json_integer_value(index) < STREAM_MAX_CALLS
                               ? (int) json_integer_value(index)
                               : -1;
        if (json_is_string(json_object_get(piece, "id")) || s->n_calls == 0)
                position = s->n_calls;
        else
                position = s->n_calls - 1;
        return position < STREAM_MAX_CALLS ? (int) position : -1;
}

/* Arguments are a JSON text; some servers send the object that it should be the text of. */
static int take_arguments(struct call *call, const json_t *arguments, struct why *why) {
        char *text;
        int r;

        if (!json_is_object(arguments))
                return append(&call->arguments, arguments, STREAM_MAX_ARGUMENTS, why);
        text = json_dumps(arguments, JSON_COMPACT);
        if (!text)
                return because(why, -ENOMEM, "out of memory");
        r = buffer_append(&call->arguments, text, strlen(text), STREAM_MAX_ARGUMENTS);
        free(text);
        return r < 0 ? too_large(why, "a call") : 0;
}

static int take_call(struct stream *s, const json_t *piece, unsigned position, struct why *why) {
        const json_t *function = json_object_get(piece, "function");
        int index = index_of(s, piece, position), r;
        struct call *call;

        if (index < 0)
                return because(why, -EFBIG, "there are more than %d calls", STREAM_MAX_CALLS);
        call = &s->calls[index];
        if ((unsigned) index >= s->n_calls)
                s->n_calls = (unsigned) index + 1;
        s->has_said = true;
        /* Each piece may repeat them. */
        r = call->id.size ? 0 : append(&call->id, json_object_get(piece, "id"), STREAM_MAX_ID, why);
        if (r >= 0 && call->name.size == 0)
                r = append(&call->name, json_object_get(function, "name"), STREAM_MAX_NAME, why);
        return r < 0 ? r : take_arguments(call, json_object_get(function, "arguments"), why);
}

static void take_finish(struct stream *s, const json_t *reason) {
        const char *word = json_string_value(reason);

        if (!word)
                return;
        if (strcmp(word, "length") == 0)
                s->finish = STREAM_LENGTH;
        else if (strcmp(word, "tool_calls") == 0 || strcmp(word, "function_call") == 0)
                s->finish = STREAM_CALLS;
        else
                s->finish = STREAM_STOP;
}

/* One JSON object: a chunk of a stream, or all of an answer. */
static int take_object(struct stream *s, const json_t *object, struct why *why) {
        const json_t *error = json_object_get(object, "error");
        const json_t *choice = json_array_get(json_object_get(object, "choices"), 0);
        const json_t *message = json_object_get(choice, "delta"), *calls, *piece;
        size_t i;
        int r;

        if (error && !json_is_null(error))
                return failed(error, why);
        if (!json_is_array(json_object_get(object, "choices")))
                return because(why, -EBADMSG, "what the server sends is not the answer of a chat");
        s->has_begun = true;
        if (!json_is_object(message))
                message = json_object_get(choice, "message");
        r = take_text(s, json_object_get(message, "content"));
        if (r < 0)
                return because(why, r, "the answer is not taken");
        calls = json_object_get(message, "tool_calls");
        json_array_foreach(calls, i, piece) {
                r = take_call(s, piece, (unsigned) i, why);
                if (r < 0)
                        return r;
        }
        take_finish(s, json_object_get(choice, "finish_reason"));
        return 0;
}

static int take_json(struct stream *s, const char *text, size_t size, struct why *why) {
        json_t *object = json_loadb(text, size, 0, NULL);
        int r;

        if (!json_is_object(object))
                r = because(why, -EBADMSG, "what the server sends is not JSON");
        else
                r = take_object(s, object, why);
        json_decref(object);
        return r;
}

/* An empty line: the event is over. */
static int take_event(struct stream *s, struct why *why) {
        int r = 0;

        if (s->data.size == 0)
                return 0;
        if (strcmp(s->data.data, "[DONE]") == 0)
                s->is_done = true;
        else if (!s->is_done)
                r = take_json(s, s->data.data, s->data.size, why);
        buffer_clear(&s->data);
        return r;
}

/* Fields of an event that say nothing here; the line is ended by a NUL. */
static bool is_other_field(const char *line) {
        static const char *const names[] = { "event:", "id:", "retry:" };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (strncmp(line, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

/* The fields of an event that mean something here; comments keep a connection alive. */
static int take_line(struct stream *s, const char *line, size_t size, struct why *why) {
        if (size > 0 && line[size - 1] == '\r')
                size--;
        if (size == 0)
                return take_event(s, why);
        if (line[0] == ':') {
                s->form = FORM_EVENTS;
                return 0;
        }
        if (size < 5 || memcmp(line, "data:", 5) != 0) {
                if (is_other_field(line))
                        return 0;
                return because(why, -EBADMSG, "what the server sends is no stream of events");
        }
        line += 5;
        size -= 5;
        if (size > 0 && *line == ' ') {
                line++;
                size--;
        }
        if (s->data.size > 0 && buffer_append(&s->data, "\n", 1, STREAM_MAX_LINE) < 0)
                return too_large(why, "an event");
        return buffer_append(&s->data, line, size, STREAM_MAX_LINE) < 0 ? too_large(why, "an event") : 0;
}

static int push_events(struct stream *s, const char *bytes, size_t size, struct why *why) {
        while (size > 0) {
                const char *end = memchr(bytes, '\n', size);
                size_t n = end ? (size_t) (end - bytes) : size;
                int r;

                if (buffer_append(&s->line, bytes, n, STREAM_MAX_LINE) < 0)
                        return too_large(why, "a line");
                bytes += n;
                size -= n;
                if (!end)
                        return 0;
                bytes++;
                size--;
                r = take_line(s, s->line.data, s->line.size, why);
                buffer_clear(&s->line);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* By the first byte that is none of white space; the mark that may stand in front is none either. */
static void find_form(struct stream *s, const char **bytes, size_t *size) {
        while (s->form == FORM_UNKNOWN && *size > 0) {
                if (!strchr(" \t\r\n\xef\xbb\xbf", **bytes) || **bytes == '\0')
                        s->form = **bytes == '{' ? FORM_WHOLE : FORM_EVENTS;
                else {
                        (*bytes)++;
                        (*size)--;
                }
        }
}

static int push(struct stream *s, const char *bytes, size_t size, struct why *why) {
        s->n_bytes += size;
        if (s->n_bytes > STREAM_MAX_BYTES)
                return too_large(why, "the answer");
        find_form(s, &bytes, &size);
        if (s->form == FORM_EVENTS)
                return push_events(s, bytes, size, why);
        if (buffer_append(&s->line, bytes, size, 4 * STREAM_MAX_LINE) < 0)
                return too_large(why, "the answer");
        return 0;
}

int stream_push(struct stream *s, const char *bytes, size_t size, struct why *why) {
        int r;

        if (s->is_over)
                return because(why, -EBADMSG, "the answer is over");
        r = push(s, bytes, size, why);
        s->is_over = r < 0;
        return r;
}

/* A call without arguments has an empty object; anything else that is none is not to be carried out. */
static int complete_call(struct call *call, unsigned index, struct why *why) {
        json_t *arguments;
        char id[32];
        int r = 0;

        if (call->name.size == 0)
                return because(why, -EBADMSG, "a call has no name");
        if (call->arguments.size == 0)
                r = buffer_append(&call->arguments, "{}", 2, STREAM_MAX_ARGUMENTS);
        if (r >= 0 && call->id.size == 0) {
                (void) snprintf(id, sizeof(id), "call_%u", index);
                r = buffer_append(&call->id, id, strlen(id), STREAM_MAX_ID);
        }
        if (r < 0)
                return because(why, r, "out of memory");
        arguments = json_loadb(call->arguments.data, call->arguments.size, 0, NULL);
        if (!json_is_object(arguments))
                r = because(why, -EBADMSG, "the arguments of a call are no JSON object");
        json_decref(arguments);
        return r;
}

static int end(struct stream *s, struct why *why) {
        int r = 0;

        if (s->form == FORM_WHOLE) {
                r = take_json(s, s->line.data, s->line.size, why);
                if (r >= 0 && s->finish == STREAM_UNFINISHED)
                        s->finish = STREAM_STOP;
        } else if (s->line.size > 0) {
                r = because(why, -EPIPE, "the answer broke off in the middle");
        } else {
                r = take_event(s, why);
        }
        if (r >= 0 && !s->has_begun)
                r = because(why, -EPIPE, "the server sent nothing");
        if (r >= 0 && !s->is_done && s->finish == STREAM_UNFINISHED)
                r = because(why, -EPIPE, "the answer broke off before its end");
        for (unsigned i = 0; r >= 0 && i < s->n_calls; i++)
                r = complete_call(&s->calls[i], i, why);
        return r;
}

int stream_end(struct stream *s, struct why *why) {
        int r;

        if (s->is_over)
                return because(why, -EBADMSG, "the answer is over");
        s->is_over = true;
        r = end(s, why);
        if (r >= 0 && s->finish == STREAM_UNFINISHED)
                s->finish = STREAM_STOP;
        return r;
}

bool stream_has_begun(const struct stream *s) {
        return s->has_begun;
}

bool stream_has_said(const struct stream *s) {
        return s->has_said;
}

enum stream_finish stream_finish(const struct stream *s) {
        return s->finish;
}

unsigned stream_n_calls(const struct stream *s) {
        return s->n_calls;
}

struct stream_call stream_call(const struct stream *s, unsigned index) {
        const struct call *call = &s->calls[index];

        return (struct stream_call){ call->id.data, call->name.data, call->arguments.data };
}
