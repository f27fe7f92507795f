/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_TURN_H
#define DAEMON_TURN_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/expected.h"
#include "daemon/common/pictures.h"
#include "daemon/common/record.h"
#include "daemon/common/text.h"
#include "daemon/think/event.h"

/* One turn, from the question to the end of the answer.  Belongs to the main thread. */
struct turn {
        uint64_t id;
        uint64_t began_us; /* since 1970 */
        uint64_t asked_ns; /* monotonic */
        enum origin origin;
        int audio_fd; /* owned, -1 when there is none or the pipeline has it */
        struct pictures pictures; /* owned, until the model has them */
        bool realtime;
        bool is_held;        /* of the microphone: until turns_finish() */
        bool is_finished;    /* ... which was called while it waited */
        unsigned max_frames; /* ... and at most so long */
        bool is_uncalled;    /* made of speech, not by a client */
        bool needs_phrase;   /* ... and counts only with the wake phrase */
        bool needs_words;    /* ... and counts only with more than one word */
        struct expected expected; /* ... but these calls count without either */
        bool is_expected;         /* ... as one of which it does count */
        bool is_beside;      /* ... which began while an answer was spoken */
        bool is_hidden;      /* ... and no client knows of it, because it may not count */
        bool thinking;
        unsigned max_tokens;

        struct text heard, answered;
        bool is_spoken_known; /* answered is what of the answer was spoken */
        bool has_heard;   /* heard is complete */
        struct text call; /* in the model's notation, as it comes */
        size_t calls_size;
        json_t *calls;      /* owned, array of {name, arguments} */
        bool sees;          /* who asked for the last of them looks at a picture that comes with its result */
        size_t n_awaited;   /* the first of them, whose results the model waits for */
        size_t n_carried;   /* the first of them, of which it is known what came of them */
        uint64_t errand;    /* the next one, which is being carried out; 0: it is not */
        struct text unsaid; /* what came of those that the model has not spoken after */
        bool is_model_done; /* only calls are left to be carried out */
        bool was_kept_up;   /* ... and for some of them it was waited */

        enum outcome outcome;
        enum fault fault;
        struct why why; /* empty unless it failed */
        struct timings timings;
        struct remote_record remote;
        enum unanswered unanswered;
        char hint[EVENT_HINT_SIZE]; /* empty: there is none */
        enum ending ending;
        bool is_cut;    /* the sound was longer than what was heard of it */
        bool is_unkept; /* the history, which there is, could not be written */

        /* Once it has ended, which is told when it is written: another model may be there by then. */
        char model[sizeof(((struct event_loaded *) NULL)->model)];
        uint64_t session; /* of the history; 0: not known then */

        bool has_run;
        bool is_cancelled;
        void *owner; /* whoever asked, NULL when he is gone; not owned */
        pid_t who;   /* his process; 0: nobody in particular */
        struct turn *next;
};

/* What makes a turn. */
struct ask {
        const char *text; /* NULL for sound */
        size_t text_size;
        int audio_fd; /* taken over on success, and so are the pictures */
        struct pictures pictures;
        bool realtime;
        bool is_live; /* neither text nor audio_fd, but the microphone */
        bool is_held; /* ... until turns_finish() */
        bool is_uncalled, needs_phrase, needs_words, is_beside;
        struct expected expected;
        unsigned max_frames;
        bool thinking;
        unsigned max_tokens;
        void *owner;
        pid_t who; /* the process that asks, which may not have all of the queue; 0: nobody in particular */
};

/* Without an id and without the sound, which is the caller's to hand over.  -ENOMEM, or -EFBIG for a
 * text that is longer than allowed. */
int turn_new(struct turn **ret, const struct ask *ask, size_t max_text);
struct turn *turn_free(struct turn *turn);
DEFINE_CLEANUP(struct turn *, turn_free)

#endif
