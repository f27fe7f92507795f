/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/answer.h"

#include <errno.h>
#include <stdlib.h>

int answer_init(struct answer *a, const struct tokenizer *tokenizer) {
        size_t room = TEXT_STREAM_SIZE(tokenizer_longest_piece(tokenizer));

        *a = (struct answer){
                .tokenizer = tokenizer,
                .raw = malloc(room),
                .piece = malloc(room + MARKERS_LONGEST),
                .piece_room = room,
        };
        return a->raw && a->piece ? 0 : -ENOMEM;
}

void answer_done(struct answer *a) {
        text_done(&a->call);
        free(a->raw);
        free(a->piece);
        a->raw = a->piece = NULL;
}

void answer_begin(struct answer *a, bool in_thought) {
        a->stream = (struct text_stream){};
        a->markers = (struct markers){};
        a->where = in_thought ? ANSWER_IN_THOUGHT : ANSWER_IN_TEXT;
        a->piece_size = 0;
        text_clear(&a->call);
}

bool answer_is_thinking(const struct answer *a) {
        return a->where == ANSWER_IN_THOUGHT;
}

static int append_to_call(struct answer *a, const char *data, size_t size) {
        int r;

        r = text_append(&a->call, data, size, ANSWER_MAX_CALL);
        return r < 0 ? r : ANSWER_NOTHING;
}

/* What could have become a marker and is followed by something else. */
static int let_go(struct answer *a) {
        a->piece_size = markers_finish(&a->markers, a->piece);
        return a->piece_size > 0 ? ANSWER_TEXT : ANSWER_NOTHING;
}

/* Token ids of markers that the vocabulary lacks are -1, which no token is.  What could have become a
 * marker is text when a part begins behind it. */
static bool open_or_close(struct answer *a, int32_t token, int *ret) {
        const struct special_tokens *special = tokenizer_special(a->tokenizer);
        bool begins_thought = token == special->channel_begin,
             begins_call = token == special->call_begin, ends_call = token == special->call_end;

        if (!begins_thought && !begins_call && !ends_call && token != special->channel_end)
                return false;
        *ret = ends_call && a->where == ANSWER_IN_CALL ? ANSWER_CALL : let_go(a);
        if (begins_call)
                text_clear(&a->call);
        a->where = begins_thought ? ANSWER_IN_THOUGHT
                   : begins_call  ? ANSWER_IN_CALL
                                  : ANSWER_IN_TEXT;
        return true;
}

static int take_text(struct answer *a, size_t size) {
        a->piece_size = markers_push(&a->markers, a->raw, size, a->piece);
        return a->piece_size > 0 ? ANSWER_TEXT : ANSWER_NOTHING;
}

int answer_push(struct answer *a, int32_t token) {
        struct gguf_string quote;
        int r;

        if (open_or_close(a, token, &r))
                return r;

        /* The quote is part of the notation, whether or not the vocabulary calls it a control
         * token, which the stream would swallow. */
        if (a->where == ANSWER_IN_CALL && token == tokenizer_special(a->tokenizer)->quote) {
                quote = tokenizer_piece(a->tokenizer, token);
                return append_to_call(a, quote.text, quote.size);
        }

        r = text_stream_push(&a->stream, a->tokenizer, token, a->raw, a->piece_room);
        if (r < 0)
                return r;
        a->piece_size = 0;

        switch (a->where) {
        case ANSWER_IN_TEXT:
                return take_text(a, (size_t) r);
        case ANSWER_IN_THOUGHT:
                return ANSWER_NOTHING;
        case ANSWER_IN_CALL:
                return append_to_call(a, a->raw, (size_t) r);
        }
        return ANSWER_NOTHING;
}

int answer_end(struct answer *a) {
        int r;

        if (a->where == ANSWER_IN_CALL)
                return -EBADMSG;

        r = text_stream_finish(&a->stream, a->raw, a->piece_room);
        if (r < 0)
                return r;
        a->piece_size = 0;
        if (a->where != ANSWER_IN_TEXT)
                return ANSWER_NOTHING;
        a->piece_size = markers_push(&a->markers, a->raw, (size_t) r, a->piece);
        a->piece_size += markers_finish(&a->markers, a->piece + a->piece_size);
        return a->piece_size > 0 ? ANSWER_TEXT : ANSWER_NOTHING;
}
