/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURNS_H
#define DAEMON_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/config.h"
#include "daemon/event.h"
#include "daemon/inference.h"
#include "daemon/pipeline.h"
#include "daemon/record.h"
#include "daemon/store.h"
#include "daemon/text.h"

/* The turns of the assistant: those that wait, in order, and the one that runs.  Belongs to the main
 * thread.  Nothing here calls notify() for a turn from within the function that asked or cancelled:
 * what follows from it happens in a later round of the loop. */
struct turns;

struct turn {
        uint64_t id;
        uint64_t began_us; /* since 1970 */
        uint64_t asked_ns; /* monotonic */
        enum origin origin;
        int audio_fd; /* owned, -1 when there is none or the pipeline has it */
        bool realtime;
        bool thinking;
        unsigned max_tokens;

        struct text heard, answered;
        bool has_heard;   /* heard is complete */
        struct text call; /* in the model's notation, as it comes */
        size_t calls_size;
        json_t *calls; /* owned, array of {name, arguments} */

        enum outcome outcome;
        enum fault fault;
        struct why why; /* empty unless it failed */
        struct timings timings;

        bool has_run;
        bool is_cancelled;
        void *owner; /* whoever asked, NULL when he is gone; not owned */
        struct turn *next;
};

enum news_kind {
        NEWS_STARTED,
        NEWS_HEARD,
        NEWS_TOKEN,
        NEWS_CALL,
        NEWS_DONE, /* the turn is freed afterwards */
};

/* What happens in a turn, for those who listen.  Valid in the call only. */
struct news {
        enum news_kind kind;
        const struct turn *turn;
        const char *text; /* of heard and token */
        size_t text_size;
        json_t *call; /* borrowed */
};

enum activity {
        ACTIVITY_LOADING,
        ACTIVITY_IDLE,
        ACTIVITY_LISTENING,
        ACTIVITY_THINKING,
        ACTIVITY_ANSWERING,
};

/* Nothing of it is owned. */
struct turns_config {
        const struct config *config;
        sd_event *loop;
        struct inference *inference;
        struct pipeline *pipeline;
        struct store *store; /* NULL: no history */
        void (*notify)(const struct news *news, void *userdata);
        void *userdata;
};

struct ask {
        const char *text; /* NULL for sound */
        size_t text_size;
        int audio_fd; /* taken over on success */
        bool realtime;
        bool thinking;
        unsigned max_tokens;
        void *owner;
};

int turns_new(struct turns **ret, const struct turns_config *config);
struct turns *turns_free(struct turns *t);
DEFINE_CLEANUP(struct turns *, turns_free)

/* The model is there: waiting turns may run. */
void turns_set_loaded(struct turns *t, const struct event_loaded *loaded);

/* Queues a turn.  -EBUSY when MaxQueuedTurns wait, -ESHUTDOWN after turns_stop(). */
int turns_ask(struct turns *t, const struct ask *ask, struct turn **ret);

/* Ends the turn with this id, or for 0 the one that runs.  False when there is none. */
bool turns_cancel(struct turns *t, uint64_t id);

/* Whoever asked is gone: nobody is to be told, and the turn is cancelled. */
void turns_disown(struct turns *t, struct turn *turn);

/* One event of the inference thread, other than those about loading. */
void turns_on_event(struct turns *t, const struct event *event);

/* Ends all turns at once, without waiting for the threads, and takes no more. */
void turns_stop(struct turns *t);

enum activity turns_activity(const struct turns *t);
unsigned turns_n_waiting(const struct turns *t);
uint64_t turns_n_done(const struct turns *t);
unsigned turns_position(const struct turns *t);

/* The turn as it is now; points into it and to calls_json, which the caller frees. */
int turns_record(const struct turns *t,
                 const struct turn *turn,
                 struct record *ret,
                 char **ret_calls_json);

#endif
