/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_TURNS_H
#define DAEMON_TURN_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/common/config.h"
#include "daemon/common/record.h"
#include "daemon/hear/pipeline.h"
#include "daemon/store/keeper.h"
#include "daemon/think/event.h"
#include "daemon/think/inference.h"
#include "daemon/turn/toolbox.h"
#include "daemon/turn/turn.h"

/* The turns of the assistant: those that wait, in order, and the one that runs.  Belongs to the main
 * thread.  Nothing here calls notify() for a turn from within the function that asked or cancelled:
 * what follows from it happens in a later round of the loop. */
struct turns;

enum news_kind {
        NEWS_STARTED,
        NEWS_HEARD,
        NEWS_TOKEN,
        NEWS_CALL,
        NEWS_RESULT,     /* of a call: carried out, or not */
        NEWS_REMOTE,     /* the turn goes out to a server, text says to which */
        NEWS_DONE,       /* the turn is freed afterwards */
        NEWS_TRANSCRIPT, /* what was heard, found out when the turn was over and freed */
};

/* What happens in a turn, for those who listen.  Valid in the call only. */
struct news {
        enum news_kind kind;
        uint64_t id;
        const struct turn *turn; /* NULL for a transcript */
        const char *text;        /* of heard, token, result, remote and transcript; of a result NULL, too */
        size_t text_size;
        json_t *call;  /* borrowed */
        bool is_error; /* of a result: it was not carried out, and text says why */
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
        struct keeper *keeper;   /* NULL: no history */
        uint64_t last_id;        /* the largest number that a turn ever had; store_last_number() */
        bool lacks_store;        /* ... which there should be, but can not be opened */
        struct toolbox *toolbox; /* NULL: nobody provides anything */
        void (*notify)(const struct news *news, void *userdata);
        void (*interrupt)(void *userdata);    /* what speaks is to be silent; may be NULL, like the next */
        void (*heard_itself)(void *userdata); /* answers have begun turns, again */
        void *userdata;
};

int turns_new(struct turns **ret, const struct turns_config *config);
struct turns *turns_free(struct turns *t);
DEFINE_CLEANUP(struct turns *, turns_free)

/* What a drafter was good for, up to the last turn. */
struct event_drafting turns_drafting(const struct turns *t);

/* The model is there: waiting turns may run.  Or another one is, in the place of the first. */
void turns_set_loaded(struct turns *t, const struct event *event);

/* Queues a turn.  -EBUSY when MaxQueuedTurns wait, -ESHUTDOWN after turns_stop(). */
int turns_ask(struct turns *t, const struct ask *ask, struct turn **ret);

/* Ends the turn with this id, or for 0 the one that runs.  False when there is none. */
bool turns_cancel(struct turns *t, uint64_t id);

/* Ends the listening, not the turn, of the one that listens or waits to.  False when none does. */
bool turns_finish(struct turns *t);

/* Hands free: from now on speech that nobody has called for is a turn, or none; see enum mode. */
void turns_set_mode(struct turns *t, enum mode mode);
enum mode turns_mode(const struct turns *t);

/* What counts from now on although nobody has called for it, and without the wake phrase. */
void turns_set_expected(struct turns *t, const struct expected *expected);

/* An answer is spoken: until that is over, and for half a second more, only who calls by the phrase, or says
 * "stop", is heard. */
void turns_set_speaking(struct turns *t, bool is_speaking);

/* Of the answer of that turn only so much was spoken, and the history keeps no more.  0: done; 1: the waiter
 * is told what becomes of it; -ENOENT: there is no such turn. */
int turns_set_spoken(struct turns *t,
                     uint64_t id,
                     const char *text,
                     size_t size,
                     const struct keeper_waiter *waiter,
                     struct why *why);

/* PIPELINE_CALLED: the answer to what was spoken before is ended.  PIPELINE_NOT_CALLED: what waits is
 * dropped, if it needs the phrase. */
void turns_on_called(struct turns *t);
void turns_on_not_called(struct turns *t);

/* PIPELINE_STOPPED: the voice is silent, and the answer ended. */
void turns_on_stopped(struct turns *t);

/* Somebody has begun to speak and nobody listens; PIPELINE_SPEECH. */
void turns_on_speech(struct turns *t);

/* Segments of speech that were not meant for us. */
uint64_t turns_n_ignored(const struct turns *t);

/* Cancels all turns that listen or wait to. */
void turns_cancel_live(struct turns *t);

/* Whoever asked is gone: nobody is to be told, and the turn goes on, or is cancelled. */
void turns_leave(struct turn *turn);
void turns_disown(struct turns *t, struct turn *turn);

/* One event of the inference thread, other than those about loading. */
void turns_on_event(struct turns *t, const struct event *event);

/* Ends all turns at once, without waiting for the threads, and takes no more.  Of the one that is being
 * written down those who wait are told when the keeper has been stopped. */
void turns_stop(struct turns *t);

/* ... or now, where the disk does not answer. */
void turns_give_up_keeping(struct turns *t);

/* Whether a turn runs that the model is done with: its calls are still being carried out. */
bool turns_is_carrying_out(const struct turns *t);

enum activity turns_activity(const struct turns *t);
unsigned turns_n_waiting(const struct turns *t);
uint64_t turns_n_done(const struct turns *t);
uint64_t turns_n_cut(const struct turns *t); /* of which not all was heard */
unsigned turns_position(const struct turns *t);

/* The turn as it is now; points into it and to calls_json, which the caller frees. */
int turns_record(const struct turns *t,
                 const struct turn *turn,
                 struct record *ret,
                 char **ret_calls_json);

#endif
