/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_EVENT_H
#define DAEMON_THINK_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/spsc.h"
#include "base/why.h"
#include "daemon/common/record.h"

/* What the inference thread tells the loop.  Travels by value through a bounded queue; a long text
 * comes in several events, is_last on the last of them. */
enum event_kind {
        EVENT_LOADED,        /* the model is there, the first or another one */
        EVENT_LOAD_FAILED,   /* the first never will be; why */
        EVENT_NOT_LOADED,    /* another one could not be loaded, and the old one goes on; why */
        EVENT_RESTING,       /* the model's memory has been given back, or (rests) is in use again */
        EVENT_STARTED,       /* the turn has the model */
        EVENT_END_OF_SPEECH, /* the last frame has been appended */
        EVENT_HEARD,         /* text: what was heard, before done */
        EVENT_TOKEN,         /* text: the next piece of the answer */
        EVENT_CALL,          /* text: a call in the model's notation */
        EVENT_REMOTE,        /* remote: the turn goes out to a server; is_last: what came of that */
        EVENT_DONE,          /* done; nothing but a transcript comes after it */
        EVENT_TRANSCRIPT,    /* text: what was heard, found out after done */
};

/* Why a turn failed; decides which error the one who asked gets. */
enum fault {
        FAULT_NONE,
        FAULT_AUDIO, /* the sound was not to be used */
        FAULT_TEXT,  /* the text was not to be used */
        FAULT_IMAGE, /* a picture was not to be used */
        FAULT_DEAF,  /* the model can not hear */
        FAULT_BLIND, /* ... or not see */
        FAULT_MICROPHONE,
        FAULT_MODEL, /* all that is not the fault of the one who asked */
        FAULT_STOPPING,
};

struct event_loaded {
        char model[128];
        char kernels[32];
        unsigned n_threads;
        unsigned max_positions;
        bool hears, sees;
        bool has_drafter;
        char drafter_error[200]; /* why there is none although there should be; else empty */
        json_t *help; /* taken over by whoever pops the event: what can be said, [{name, sentences}]; or NULL */
};

/* A sentence that was probably meant. */
#define EVENT_HINT_SIZE 240

/* What a drafter was good for up to now, as session_drafting() says. */
struct event_drafting {
        uint64_t n_guessed, n_right;
        double acceptance, gain;
};

struct event_done {
        enum outcome outcome;
        enum fault fault;
        enum unanswered unanswered;
        char hint[EVENT_HINT_SIZE]; /* UTF-8; empty: there is none */
        enum ending ending;
        bool is_cut;
        bool is_ignored; /* uncalled speech that does not count: nobody is to know */
        struct timings timings;
        struct event_drafting drafting; /* zeros without one */
        struct why why;
};

#define EVENT_TEXT_SIZE 480

struct event {
        enum event_kind kind;
        uint64_t turn;
        unsigned position; /* positions in the cache by then */
        bool is_last;
        bool rests;
        bool is_awaited; /* of a call: the model waits for what comes of it */
        bool sees;       /* ... and looks at a picture that comes with that */
        bool is_expected; /* the turn only counts because this was expected */
        uint16_t text_size;
        union {
                char text[EVENT_TEXT_SIZE]; /* UTF-8, cut between characters */
                struct event_loaded loaded;
                struct event_done done;
                struct remote_record remote;
                struct why why;
        };
};

/* The way of the events from the inference thread (producer) to the main thread (consumer).  The
 * loop takes microseconds for an event that took the model milliseconds; when the queue is full all
 * the same, event_push() refuses and the turn is given up rather than cut out of.  A server may be faster than
 * the loop: what it says waits until there is room. */
#define EVENT_QUEUE_SIZE    1024
#define EVENT_QUEUE_RESERVE 8 /* places that only event_push_always() takes */

struct event_queue {
        struct spsc queue; /* of struct event */
        int bell_fd;       /* owned; polled by the main thread */
};

int event_queue_init(struct event_queue *q);
void event_queue_done(struct event_queue *q);

/* Producer.  How many events event_push() takes now, at least. */
size_t event_room(const struct event_queue *q);

/* Producer.  0 or -ENOBUFS; for the one event of a turn that may not get lost, always. */
int event_push(struct event_queue *q, const struct event *event);
void event_push_always(struct event_queue *q, const struct event *event);

/* The text in as many events as it takes, like the given one; is_last there says that nothing of
 * this kind follows. */
int event_push_text(struct event_queue *q, const struct event *like, const char *text, size_t size);

/* Consumer. */
bool event_pop(struct event_queue *q, struct event *ret);

#endif
