/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_COMMON_ANSWER_H
#define DAEMON_COMMON_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/common/markers.h"
#include "daemon/common/text.h"
#include "model/tokenizer.h"

/* Tells the parts of what the model says apart: text, thoughts (which nobody sees) and calls.  Markers
 * that mean nothing where they stand are left out of the text.
 * Owned by the inference thread. */
enum answer_part {
        ANSWER_NOTHING, /* a marker, a thought, or half a character */
        ANSWER_TEXT,    /* the next piece of text, in piece */
        ANSWER_CALL,    /* a call is complete, in call */
};

/* A call that is longer than this can not be meant. */
#define ANSWER_MAX_CALL (16 * 1024)

struct answer {
        const struct tokenizer *tokenizer; /* not owned */
        struct text_stream stream;
        enum { ANSWER_IN_TEXT, ANSWER_IN_THOUGHT, ANSWER_IN_CALL } where;
        struct markers markers;
        struct text call; /* owned */
        char *raw;        /* owned; room for the longest token */
        char *piece;      /* owned; ... and for what was held back before it */
        size_t piece_room;
        size_t piece_size;
};

int answer_init(struct answer *a, const struct tokenizer *tokenizer);
void answer_done(struct answer *a);

/* Before the first token of a turn, or the next one after what was appended to it. */
void answer_begin(struct answer *a, bool in_thought);

/* Whether the last token was one of a thought. */
bool answer_is_thinking(const struct answer *a);

/* One token.  An enum answer_part, or -EFBIG when a call is too long, -ENOMEM. */
int answer_push(struct answer *a, int32_t token);

/* After the last token: ANSWER_TEXT when there was half a character left, or something that could have
 * become a marker, ANSWER_NOTHING, or
 * -EBADMSG when a call was not ended. */
int answer_end(struct answer *a);

#endif
