/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_LINK_H
#define REMOTE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/* What stands between gemmad, which has no network, and gemmad-remote, which has nothing else:
 *
 *   gemmad                                  gemmad-remote
 *   daemon/serve/remote.c   ←─ Varlink: Remote, with two descriptors ──  remote/remote.c connects, again and again
 *   daemon/think/elsewhere.c ── a question, as a memory ──────────────→  remote/request.c → libcurl → a server
 *                           ←─ pieces of the answer, calls, its end ────  remote/stream.c
 *   daemon/serve/remote.c   ←─ which server would be asked ─────────────  remote/servers.c
 *
 * gemmad-remote is a program of its own and not a child of gemmad: a child would have what gemmad's unit leaves
 * it (no network, no address but Unix ones), and gemmad would have to give all of that up in order to start it,
 * or to start it again.  So it is started as gemmad-desktop is, by a unit with a confinement of its own or by
 * hand, connects to gemmad's socket and brings along two pairs of sockets, of which gemmad keeps an end each;
 * everything further goes through those.  gemmad takes them only when Engine=remote.  Who is asked, and with what key, is in
 * gemmad-remote's own file: gemmad can neither read nor change where anything goes.
 *
 * A question is one JSON object {messages, tools, max_tokens} in the form of the chat-completions protocol, with
 * {"type":"sound"} and {"type":"picture","index":n} in the place of what is no text; behind it in the same memory
 * the sound, 16-bit little-endian samples at 16 kHz, one channel; the pictures are descriptors of their own, of
 * three bytes a pixel.  Each side checks what comes from the other and believes none of its numbers. */

#define LINK_VERSION 1

#define LINK_MAX_PICTURES 4 /* of the question, and of results */
#define LINK_MAX_JSON     (1024 * 1024)
#define LINK_MAX_SOUND    (960 * 1024) /* 30 s */
#define LINK_SOUND_RATE   16000
#define LINK_MAX_TEXT     (16 * 1024 + 512) /* a call's arguments, and what is around them */
#define LINK_MAX_SERVER   160

struct link_picture {
        uint32_t width, height;
};

enum link_question_word {
        LINK_ASK,
        LINK_LEAVE, /* nobody waits for the answer to this question any more */
};

/* With descriptors: the memory, and the pictures. */
struct link_question {
        uint32_t version;
        uint32_t word;
        uint32_t number; /* of the question, by which its answer is known */
        uint32_t json_size, sound_size;
        uint32_t patience_ms; /* until an answer has begun; then nobody answers */
        uint32_t n_pictures;
        struct link_picture pictures[LINK_MAX_PICTURES];
};

enum link_answer_word {
        LINK_SENT,   /* the question is on its way to this server */
        LINK_BEGUN,  /* the server answers */
        LINK_TEXT,   /* the next piece */
        LINK_CALL,   /* a call, {id, name, arguments} */
        LINK_DONE,   /* the end, of which finish says what it is */
        LINK_NOBODY, /* the end: no server has begun to answer; text says why */
        LINK_BROKEN, /* the end: it broke off; text says why */
};

enum link_finish { LINK_STOP, LINK_LENGTH, LINK_CALLS };

struct link_answer {
        uint32_t word;
        uint32_t number;
        uint32_t finish;
        uint32_t text_size;
        uint64_t n_sent, n_received; /* bytes of this question and its answer, up to now */
        char server[LINK_MAX_SERVER]; /* the last one that it was sent to */
        char text[LINK_MAX_TEXT];    /* only text_size bytes of it travel */
};

/* On the other pair, whenever it changes. */
struct link_state {
        uint32_t version;
        uint32_t is_up;               /* a server is there */
        char server[LINK_MAX_SERVER]; /* the one that would be asked first, or would have been */
        struct why why;               /* why none is there */
};

/* Brings what was received within its bounds: numbers, and texts that can be shown.  False when there is no
 * such message. */
bool link_check_question(const struct link_question *q, size_t size, size_t n_fds);
bool link_check_answer(struct link_answer *a, size_t size);
bool link_check_state(struct link_state *s, size_t size);

/* How much of an answer is sent. */
size_t link_answer_size(const struct link_answer *a);

#endif
