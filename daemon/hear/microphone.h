/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_MICROPHONE_H
#define DAEMON_HEAR_MICROPHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/frame.h"
#include "base/why.h"
#include "daemon/hear/ear.h"

/* The live microphone as a stream of frames, for as long as it is wanted.  Each opening is a process of
 * its own (daemon/hear/ear.h), which is killed and another one started, with pauses that grow, whenever
 * the microphone is lost: when its stream ended, when it has given nothing for
 * too long, when it gives digital zeros only (a dummy that a sound server puts in the place of one
 * that is gone) or any other value without change, and when this process slept, because what was said meanwhile is late by then.
 * When another microphone has become the system's choice, it is the one from then on.
 * Owned by the pipeline thread; never waits. */
enum microphone_state {
        MICROPHONE_CLOSED,
        MICROPHONE_OPENING,
        MICROPHONE_LIVE,
        MICROPHONE_SILENT, /* gives one value only, mostly zero: switched off, or not really there */
        MICROPHONE_LOST,   /* or could not be opened; it is tried again */
};

struct microphone {
        struct starter *starter; /* not owned; NULL: there is none, and so no microphone */
        const char *device;      /* not owned; as in struct capture_config */
        void (*on_frame)(const struct frame *frame, void *userdata);
        void (*on_state)(void *userdata); /* state, name or why have changed */
        void *userdata;

        enum microphone_state state;
        char name[128]; /* of the device, "" while none is open */
        struct why why; /* of being lost */
        bool is_wanted; /* set by the owner */
        bool is_needed; /* ... this very one, because somebody speaks into it */
        unsigned leniency; /* ... so many times as long as usual it may give nothing */

        struct ear *ear;       /* owned; NULL: nothing is open, or being opened or closed */
        bool is_open;          /* ... frames come from it */
        bool is_ending;        /* ... it was asked to end */
        bool is_other;         /* ... another microphone is the system's choice by now */
        bool is_first;         /* ... the next frame is the first one */
        bool was_interrupted;  /* ... before which something was lost */
        unsigned n_crashes;    /* how often such a process ended unasked, ever */
        float last_sample;     /* as it came from the device */
        float offset;          /* what its samples are on the average, of full scale */
        uint64_t begun_ns;     /* when the opening began; when it was open */
        uint64_t heard_ns;     /* when the last frame came */
        uint64_t retry_ns;     /* not to be opened before */
        uint64_t pause_ns;     /* until the next attempt but one */
        uint64_t last_boot_ns; /* when microphone_step() was last called */
        uint64_t zeros_ns;     /* since when there was one value only; 0: there are others */
        uint64_t patience_ns;  /* with that */
        uint64_t first_ns;     /* how long the first sample is waited for */
        bool has_sounded;      /* samples came since it was opened */
};

/* The fields up to userdata are the caller's to fill in before. */
void microphone_init(struct microphone *m);

/* What is open is killed. */
void microphone_done(struct microphone *m);

/* To be called whenever what microphone_poll() names has something to say, and now and then, with the time
 * of both clocks. */
void microphone_step(struct microphone *m, uint64_t now_ns, uint64_t boot_ns);
size_t microphone_poll(const struct microphone *m, struct pollfd fds[static EAR_MAX_POLLED]);

/* Whether a device is open, or about to be opened or closed. */
bool microphone_has_device(const struct microphone *m);

const char *microphone_state_name(enum microphone_state state);

#endif
