/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_SOUND_H
#define DAEMON_HEAR_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/frame.h"
#include "base/spsc.h"
#include "base/why.h"
#include "daemon/common/record.h"

/* The way of the sound from the pipeline thread (producer) to the inference thread (consumer).
 * When it is full the pipeline waits for room: a file loses nothing by that, and what the microphone
 * gives meanwhile waits in daemon/hear/hearing.c. */
#define SOUND_QUEUE_FRAMES 64 /* 2.56 s */

enum sound_kind {
        SOUND_FRAME,
        SOUND_PAUSE,  /* the last frame may have been the last of all */
        SOUND_END,    /* no more frames will come */
        SOUND_FAILED, /* no more frames will come; why */
};

/* Travels by value.  The turn tells what is left over from one that has ended. */
struct sound {
        enum sound_kind kind;
        uint64_t turn;
        bool is_live;      /* it comes at the speed of speech */
        unsigned n_behind; /* frames that wait behind this one, not in this queue */
        unsigned pause;    /* of a pause: its number, for sound_judge() */
        bool is_early;     /* ... and none of its silence is there yet that a model may want */
        enum ending ending; /* of an end */
        bool is_faint;      /* ... no word was found in what came before it */
        unsigned n_kept;   /* of an end: the turn was cut after so many frames; 0: it was not */
        uint64_t given_ns; /* when a frame was known to belong to the turn, or somebody ended it */
        union {
                struct frame frame;
                struct why why;
        };
};

struct sound_queue {
        struct spsc queue; /* of struct sound */
        int filled_fd;     /* owned; the inference thread's only doorbell */
        int room_fd;       /* owned; the pipeline thread's only doorbell */

        /* The one word that goes back: what is known of the last pause.  Written by the consumer. */
        _Atomic uint64_t judged;
};

/* Consumer: what was said up to this pause of the turn. */
void sound_judge(struct sound_queue *q, uint64_t turn, unsigned pause, enum ending ending);

/* Producer: what it was, ENDING_NONE as long as nothing is known of that pause. */
enum ending sound_judged(const struct sound_queue *q, uint64_t turn, unsigned pause);

int sound_queue_init(struct sound_queue *q);
void sound_queue_done(struct sound_queue *q);

#endif
