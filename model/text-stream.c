/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "model/tokenizer-tables.h"

#define SPACE       "\xe2\x96\x81"
#define REPLACEMENT "\xef\xbf\xbd"

/* Where text is written, with one byte kept for the NUL. */
struct output {
        char *text;
        size_t size;
        size_t room;
};

static int put(struct output *o, const char *text, size_t size) {
        if (size >= o->room - o->size)
                return -ENOBUFS;

        memcpy(o->text + o->size, text, size);
        o->size += size;
        return 0;
}

/* A NUL can not be said in a string that ends at it, so it counts as a byte that is no
 * character. */
static int put_character(struct output *o, const char *text, size_t size) {
        if (*text == '\0')
                return put(o, REPLACEMENT, strlen(REPLACEMENT));
        return put(o, text, size);
}

/* One more byte of the text.  What can not be continued by it becomes one U+FFFD, and the byte gets
 * a fresh start. */
static int push_byte(struct text_stream *s, struct output *o, char byte) {
        int n, r;

        s->held[s->n_held++] = (unsigned char) byte;
        n = utf8_character((const char *) s->held, s->n_held);
        if (n < 0 && s->n_held > 1) {
                r = put(o, REPLACEMENT, strlen(REPLACEMENT));
                if (r < 0)
                        return r;
                s->held[0] = (unsigned char) byte;
                s->n_held = 1;
                n = utf8_character((const char *) s->held, 1);
        }
        if (n == 0)
                return 0;

        s->n_held = 0;
        if (n < 0)
                return put(o, REPLACEMENT, strlen(REPLACEMENT));
        return put_character(o, (const char *) s->held, (size_t) n);
}

static int push_piece(struct text_stream *s, struct output *o, struct gguf_string piece) {
        size_t space = strlen(SPACE);
        int r = 0;

        for (size_t i = 0; i < piece.size && r >= 0; i++) {
                if (piece.size - i >= space && memcmp(piece.text + i, SPACE, space) == 0) {
                        r = push_byte(s, o, ' ');
                        i += space - 1;
                } else
                        r = push_byte(s, o, piece.text[i]);
        }
        return r;
}

static char hex_digit(char c) {
        return (char) (c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Commits the stream's new state only when all of the text fitted. */
static int finish(struct text_stream *s, const struct text_stream *next, struct output *o, int r) {
        if (r < 0)
                return r;

        o->text[o->size] = '\0';
        *s = *next;
        return (int) o->size;
}

int text_stream_push(
        struct text_stream *s, const struct tokenizer *t, int32_t id, char *out, size_t out_size) {
        struct output o = { .text = out, .room = out_size };
        struct gguf_string piece = tokenizer_piece(t, id);
        struct text_stream next = *s;
        int r = 0;

        if (out_size == 0)
                return -ENOBUFS;
        if (piece.size == 0 || tokenizer_is_control(t, id))
                return finish(s, &next, &o, 0);

        if (t->types[id] == TOKEN_BYTE) /* <0xHH>, as was checked */
                r = push_byte(&next, &o,
                              (char) (hex_digit(piece.text[3]) << 4 | hex_digit(piece.text[4])));
        else
                r = push_piece(&next, &o, piece);
        return finish(s, &next, &o, r);
}

int text_stream_finish(struct text_stream *s, char *out, size_t out_size) {
        struct output o = { .text = out, .room = out_size };
        struct text_stream next = { .n_held = 0 };
        int r = 0;

        if (out_size == 0)
                return -ENOBUFS;
        if (s->n_held > 0)
                r = put(&o, REPLACEMENT, strlen(REPLACEMENT));
        return finish(s, &next, &o, r);
}
