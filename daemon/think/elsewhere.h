/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_ELSEWHERE_H
#define DAEMON_THINK_ELSEWHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/why.h"
#include "daemon/common/config.h"
#include "daemon/common/pictures.h"
#include "daemon/think/tools.h"
#include "remote/link.h"

/* gemmad's end of the way to a server (remote/link.h): the question that is on its way, its answer as it comes, and the
 * exchanges that a server is reminded of, which are those that servers have answered and no others.  Embedded by
 * value; owned by the inference thread. */
#define ELSEWHERE_MAX_EXCHANGES 16

struct elsewhere {
        const struct config *config; /* not owned */
        int link_fd;                 /* owned; -1: nobody asks servers for us */
        uint32_t number;             /* of the last question */

        json_t *messages; /* owned; of the turn; NULL: there is none */
        json_t *calls;    /* owned; those of the answer at hand, [{id, name, arguments}] */
        json_t *seen;     /* owned; what their results show, [{type, index}] */
        int sound_fd;     /* owned; -1: none; memory of sound_size bytes of samples */
        size_t sound_size;
        struct pictures pictures; /* owned copies: of the turn and of results */
        struct link_answer answer; /* room for what comes */

        struct {
                char *heard, *answered; /* owned */
        } exchanges[ELSEWHERE_MAX_EXCHANGES]; /* the oldest first */
        unsigned n_exchanges;
};

void elsewhere_init(struct elsewhere *e, const struct config *config);
void elsewhere_done(struct elsewhere *e);

/* Another link takes the place of the one that there is; taken over. */
void elsewhere_set_link(struct elsewhere *e, int link_fd);
bool elsewhere_is_there(const struct elsewhere *e);

/* Begins a turn, of which elsewhere_end() is the end: its text (NULL: none), or its sound as frames of
 * FRAME_SAMPLES, and its pictures, which stay the caller's.  -ENOMEM or what the system says. */
struct elsewhere_turn {
        const char *text;
        size_t text_size;
        const float *frames;
        size_t n_frames;
        const struct pictures *pictures;
};
int elsewhere_begin(struct elsewhere *e, const struct elsewhere_turn *turn);
void elsewhere_end(struct elsewhere *e);

/* Sends what is known of the turn: the question, and, after the first round, the results of calls.  -EPIPE: nobody
 * is there any more. */
int elsewhere_ask(struct elsewhere *e, const struct toolset *tools, unsigned max_tokens);

/* The next message of the answer, in e->answer.  1: there is one, 0: none yet; -EPIPE: nobody is there any more. */
int elsewhere_next(struct elsewhere *e);

/* What came so far is no longer waited for. */
void elsewhere_leave(struct elsewhere *e);

/* Notes what the answer said, and its calls ({id, name, arguments}), which are e->calls until the next question; then
 * their results in the same order, whose pictures come along as far as there is room.  -ENOMEM. */
int elsewhere_note_text(struct elsewhere *e, const char *text, size_t size);
int elsewhere_note_call(struct elsewhere *e, json_t *call);
int elsewhere_note_result(struct elsewhere *e, const char *id, const char *result_json, const struct pictures *pictures);

/* An exchange that servers are reminded of, until HistoryKiB holds no more; and all of them taken out. */
void elsewhere_remember(struct elsewhere *e, const char *heard, const char *answered);
void elsewhere_forget(struct elsewhere *e);

#endif
