/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/gguf.h"

/* Text to token ids and back, of the kind `gemma4`: ranked merges over code points with byte
 * fallback.  Built once from a GGUF file, which must stay open as long as the tokenizer, since the
 * texts are not copied; immutable afterwards: any thread may use it. */
struct tokenizer;

/* Ids that the prompt needs, found by their text; -1 where the vocabulary has none. */
struct special_tokens {
        int32_t bos, eos, pad, unk;
        int32_t turn_begin, turn_end;                /* <|turn> <turn|> */
        int32_t audio_begin, audio_frame, audio_end; /* <|audio> <|audio|> <audio|> */
        int32_t image_begin, image_end;              /* <|image> <image|> */
        int32_t channel_begin, channel_end;          /* <|channel> <channel|> */
        int32_t tool_begin, tool_end;                /* <|tool> <tool|> */
        int32_t call_begin, call_end;                /* <|tool_call> <tool_call|> */
        int32_t response_begin, response_end;        /* <|tool_response> <tool_response|> */
        int32_t quote;                               /* <|"|> */
        int32_t think;                               /* <|think|> */
};

enum tokenizer_mode {
        TOKENIZER_PLAIN,   /* what a user said or wrote: markers in it are ordinary text */
        TOKENIZER_MARKERS, /* text of our own: control and user-defined tokens match as units */
};

/* 0, -ENOMEM, or -EBADMSG or -ENOTSUP with a reason that names the file and the key. */
int tokenizer_new(struct tokenizer **ret, const struct gguf *g, struct why *why);
struct tokenizer *tokenizer_free(struct tokenizer *t);

size_t tokenizer_n_tokens(const struct tokenizer *t);
const struct special_tokens *tokenizer_special(const struct tokenizer *t);

/* Encodes size bytes of UTF-8 (no bos is added) and appends the ids to *ids, which is grown with
 * realloc() and stays the caller's (start with NULL, 0).  Invalid UTF-8 goes through as byte
 * tokens.  Ordinary text never becomes a control or user-defined token, in neither mode.  0,
 * -ENOMEM or -E2BIG (2 GiB); then *ids is unchanged.  Time grows as n log n, so that a megabyte of
 * text is no attack. */
int tokenizer_encode(const struct tokenizer *t,
                     enum tokenizer_mode mode,
                     const char *text,
                     size_t size,
                     int32_t **ids,
                     size_t *n_ids);

/* The text of a token as stored in the file; an empty string for an id out of range. */
struct gguf_string tokenizer_piece(const struct tokenizer *t, int32_t id);
bool tokenizer_is_control(const struct tokenizer *t, int32_t id);

/* Streaming decode.  Byte tokens and pieces are held back until they complete a UTF-8 character, so
 * that half a character is never emitted; bytes that can not become one turn into U+FFFD, and so
 * does a NUL.  Start with a zeroed struct. */
struct text_stream {
        unsigned char held[4]; /* the beginning of a character */
        unsigned n_held;
};

/* Longest output of one call: TEXT_STREAM_SIZE(bytes of the longest piece). */
#define TEXT_STREAM_SIZE(piece_size) (3 * (piece_size) + 16)

/* Appends one token and writes the text that is now complete to out, NUL-terminated; returns its
 * length, or -ENOBUFS when out_size can not hold it (then nothing changed).  Control tokens give
 * nothing; user-defined markers give their text. */
int text_stream_push(
        struct text_stream *s, const struct tokenizer *t, int32_t id, char *out, size_t out_size);

/* The end of the text: what is still held becomes U+FFFD. */
int text_stream_finish(struct text_stream *s, char *out, size_t out_size);

/* Bytes of the longest piece of the vocabulary. */
size_t tokenizer_longest_piece(const struct tokenizer *t);

#endif
