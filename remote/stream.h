/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_STREAM_H
#define REMOTE_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"

/* Reads an answer as servers of the chat-completions protocol stream it: events (text/event-stream) of
 * JSON, with pieces of text and of calls.  A server that does not stream sends one JSON object, which
 * is taken as well.  Bytes may be cut anywhere; what they say is a stranger's, and bounded: no line,
 * text or call grows without end.  Knows no network.  Owned by one thread. */
struct stream;

#define STREAM_MAX_LINE      (256 * 1024)
#define STREAM_MAX_BYTES     (16 * 1024 * 1024) /* of an answer, with all that is around its text */
#define STREAM_MAX_CALLS     16
#define STREAM_MAX_NAME      64
#define STREAM_MAX_ID        128
#define STREAM_MAX_ARGUMENTS (16 * 1024)

enum stream_finish {
        STREAM_UNFINISHED,
        STREAM_STOP,
        STREAM_LENGTH, /* at the limit of tokens */
        STREAM_CALLS,  /* it waits for the results of its calls */
};

struct stream_handler {
        /* The next piece of the text, UTF-8 and not empty.  Negative ends the reading. */
        int (*text)(const char *text, size_t size, void *userdata);
        void *userdata;
};

int stream_new(struct stream **ret, const struct stream_handler *handler);
struct stream *stream_free(struct stream *s);
DEFINE_CLEANUP(struct stream *, stream_free)

/* The next bytes.  0; with a reason -EBADMSG: this is no such answer, -EFBIG: it is larger than anything
 * meant, -EREMOTEIO: the server says that it failed, or what the handler returned.  After that the
 * stream is over. */
int stream_push(struct stream *s, const char *bytes, size_t size, struct why *why);

/* After the last byte: 0; -EPIPE: the answer broke off, or as above. */
int stream_end(struct stream *s, struct why *why);

/* Whether the first event has come, be it an empty one: the server answers. */
bool stream_has_begun(const struct stream *s);

/* Whether it has said something: text or a call. */
bool stream_has_said(const struct stream *s);

enum stream_finish stream_finish(const struct stream *s);

/* The calls, complete after stream_end(): id and name are not empty, arguments is the text of a JSON object.
 * Borrowed. */
struct stream_call {
        const char *id, *name, *arguments;
};
unsigned stream_n_calls(const struct stream *s);
struct stream_call stream_call(const struct stream *s, unsigned index);

/* What a server says of its own failure in an answer that is none, in one line.  False: nothing that is
 * understood. */
bool stream_read_error(const char *body, size_t size, struct why *why);

#endif
