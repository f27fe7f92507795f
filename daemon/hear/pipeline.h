/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_PIPELINE_H
#define DAEMON_HEAR_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/config.h"
#include "daemon/hear/lister.h"
#include "daemon/hear/microphone.h"
#include "daemon/hear/sound.h"
#include "daemon/hear/starter.h"

/* The audio thread: takes one sound after the other, from a file or from the microphone, each of which
 * is read by a process of its own (daemon/hear/ear.h), and pushes its frames into the sound queue, at the speed of the clock or as fast as there is room.  The
 * microphone is open while a turn listens, while somebody reads the meter, for LingerSeconds after
 * that, and always hands free; never while muted, nor while the machine sleeps.  All functions below
 * are for the main thread. */
struct pipeline;

struct pipeline_job {
        uint64_t turn;
        int fd; /* owned by the pipeline once it was accepted; -1: listen to the microphone */
        bool realtime;
        bool is_uncalled; /* take the speech that PIPELINE_SPEECH has told of, if it is still there */
        bool is_held;     /* listen until pipeline_finish() */
        unsigned max_frames;                 /* ... and at most so long */
        unsigned max_seconds, stall_seconds; /* of a file */
        unsigned linger_seconds;             /* of the microphone */
};

enum pipeline_event_kind {
        PIPELINE_MICROPHONE, /* its state has changed */
        PIPELINE_LEVEL,      /* while the meter is on, some eight times a second */
        PIPELINE_METERED,    /* the meter is on, once a second: does anybody still read it? */
        PIPELINE_SPEECH,     /* hands free: somebody has begun to speak and waits for a job */
        PIPELINE_CALLED,     /* ... and calls by the phrase, though a turn is still answered */
        PIPELINE_STOPPED,    /* ... or says "stop" and nothing else, while an answer is spoken */
        PIPELINE_NOT_CALLED, /* ... or has ended and did neither */
        PIPELINE_DEVICES,    /* what pipeline_list() asked for */
        PIPELINE_ASLEEP,     /* what pipeline_set_asleep() asked for: no device is open */
};

struct pipeline_microphone {
        enum microphone_state state;
        char device[128];
        struct why why; /* of being lost */
        float value;    /* the one that it gives while silent, of full scale */
};

/* In dB below full scale. */
struct pipeline_level {
        float peak, rms, noise;
        float offset; /* of full scale; what is measured above is without it */
        bool is_speaking;
};

struct pipeline_event {
        enum pipeline_event_kind kind;
        union {
                struct pipeline_microphone microphone;
                struct pipeline_level level;
                struct lister_result devices;
        };
};

/* None of it is owned.  starter: NULL where there is none; then nothing is heard, and says so. */
int pipeline_new(struct pipeline **ret,
                 const struct config *config,
                 struct sound_queue *sounds,
                 struct starter *starter);
struct pipeline *pipeline_free(struct pipeline *p);
DEFINE_CLEANUP(struct pipeline *, pipeline_free)

/* Before it starts: a microphone may give nothing for so many times as long as usual before it counts as
 * lost.  For a microphone that is played by somebody who may be kept from it. */
void pipeline_be_lenient(struct pipeline *p, unsigned times);

int pipeline_start(struct pipeline *p);

/* Tells the thread to end; pipeline_join() waits for that at most until the time of the monotonic
 * clock.  False when it still runs: then p can not be freed. */
void pipeline_stop(struct pipeline *p);
bool pipeline_join(struct pipeline *p, uint64_t until_ns);

/* -EBUSY when too many wait; the descriptor stays the caller's then. */
int pipeline_play(struct pipeline *p, const struct pipeline_job *job);

/* Ends the listening of this turn and those before it: what was said until now is all. */
void pipeline_finish(struct pipeline *p, uint64_t turn);

/* Muted, the microphone is closed, and a turn that listens hears nothing more. */
void pipeline_set_muted(struct pipeline *p, bool muted);

/* Asleep, the microphone is closed, which PIPELINE_ASLEEP tells; awake, it is opened afresh if it is
 * wanted. */
void pipeline_set_asleep(struct pipeline *p, bool is_asleep);

void pipeline_set_meter(struct pipeline *p, bool on);

/* Hands free, speech is waited for while no turn listens, and listened to for at most so many frames;
 * 0: not hands free.  What is said before the job comes is kept, as long as HEARING_BACKLOG allows. */
void pipeline_set_hands_free(struct pipeline *p, unsigned max_frames);

/* While a turn is answered: of speech that waits it is told whether it begins with the wake phrase
 * (PIPELINE_CALLED, PIPELINE_NOT_CALLED). */
void pipeline_set_answering(struct pipeline *p, bool is_answering);

/* While an answer is spoken: the same, and "stop" is told as well (PIPELINE_STOPPED). */
void pipeline_set_speaking(struct pipeline *p, bool is_speaking);

/* The speech that waits is not for us; the next is waited for. */
void pipeline_drop_speech(struct pipeline *p);

/* Wipes the sound of turns that are over, once none is under way. */
void pipeline_forget(struct pipeline *p);

/* Asks for PIPELINE_DEVICES. */
void pipeline_list(struct pipeline *p);

/* The doorbell of the events, to be polled; clear it, then take all events. */
int pipeline_events_fd(const struct pipeline *p);
bool pipeline_next_event(struct pipeline *p, struct pipeline_event *ret);

/* Nobody listens to this turn and those before it any more. */
void pipeline_end_turn(struct pipeline *p, uint64_t turn);

/* Counts up while the thread is alive, at least once a second. */
unsigned long pipeline_beat(const struct pipeline *p);

#endif
