/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/common/answer.h"

#include <errno.h>
#include <stdlib.h>

int answer_init(struct answer *a, const struct tokenizer *tokenizer) {
        size_t room = TEXT_STREAM_SIZE(tokenizer_longest_piece(tokenizer));

        *a = (struct answer){
                .tokenizer = tokenizer,
                .piece = malloc(room),
                .piece_room = room,
        };
        return a->piece ? 0 : -ENOMEM;
}

void answer_done(struct answer *a) {
        text_done(&a->call);
        free(a->piece);
        a->piece = NULL;
}

void answer_begin(struct answer *a, bool in_thought) {
        a->stream = (struct text_stream){};
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

/* Token ids of markers that the vocabulary lacks are -1, which no token is. */
static bool open_or_close(struct answer *a, int32_t token, int *ret) {
        const struct special_tokens *special = tokenizer_special(a->tokenizer);

        *ret = ANSWER_NOTHING;
        if (token == special->channel_begin) {
                a->where = ANSWER_IN_THOUGHT;
                return true;
        }
        if (token == special->channel_end) {
                a->where = ANSWER_IN_TEXT;
                return true;
        }
        if (token == special->call_begin) {
                a->where = ANSWER_IN_CALL;
                text_clear(&a->call);
                return true;
        }
        if (token == special->call_end) {
                if (a->where == ANSWER_IN_CALL)
                        *ret = ANSWER_CALL;
                a->where = ANSWER_IN_TEXT;
                return true;
        }
        return false;
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

        r = text_stream_push(&a->stream, a->tokenizer, token, a->piece, a->piece_room);
        if (r < 0)
                return r;
        a->piece_size = (size_t) r;

        switch (a->where) {
        case ANSWER_IN_TEXT:
                return r > 0 ? ANSWER_TEXT : ANSWER_NOTHING;
        case ANSWER_IN_THOUGHT:
                return ANSWER_NOTHING;
        case ANSWER_IN_CALL:
                return append_to_call(a, a->piece, a->piece_size);
        }
        return ANSWER_NOTHING;
}

int answer_end(struct answer *a) {
        int r;

        if (a->where == ANSWER_IN_CALL)
                return -EBADMSG;

        r = text_stream_finish(&a->stream, a->piece, a->piece_room);
        if (r < 0)
                return r;
        a->piece_size = (size_t) r;
        return r > 0 && a->where == ANSWER_IN_TEXT ? ANSWER_TEXT : ANSWER_NOTHING;
}
