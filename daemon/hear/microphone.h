/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_MICROPHONE_H
#define DAEMON_HEAR_MICROPHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/capture.h"
#include "audio/frame.h"
#include "audio/framer.h"
#include "audio/highpass.h"
#include "audio/resample.h"
#include "base/why.h"
#include "daemon/hear/device.h"

/* The live microphone as a stream of frames, for as long as it is wanted.  It is opened again,
 * with pauses that grow, whenever it is lost: when its stream ended, when it has given nothing for
 * too long, when it gives digital zeros only (a dummy that a sound server puts in the place of one
 * that is gone) or any other value without change, and when this process slept, because what was said meanwhile is late by then.
 * Owned by the pipeline thread; never waits. */
enum microphone_state {
        MICROPHONE_CLOSED,
        MICROPHONE_OPENING,
        MICROPHONE_LIVE,
        MICROPHONE_SILENT, /* gives one value only, mostly zero: switched off, or not really there */
        MICROPHONE_LOST,   /* or could not be opened; it is tried again */
};

struct microphone {
        struct device *device; /* not owned */
        void (*on_frame)(const struct frame *frame, void *userdata);
        void (*on_state)(void *userdata); /* state, name or why have changed */
        void (*on_listed)(const struct device_result *result, void *userdata);
        void *userdata;

        enum microphone_state state;
        char name[128]; /* of the device, "" while none is open */
        struct why why; /* of being lost */
        bool is_wanted; /* set by the owner */
        bool list_is_wanted;

        struct capture *capture;   /* owned while the device's thread does not have it */
        bool is_busy;              /* the device's thread has a task of ours */
        struct resample *resample; /* owned; for the rate below */
        unsigned rate;
        struct highpass highpass;
        struct framer framer;
        float last_sample; /* as it came from the device */
        float offset;      /* what its samples are on the average, of full scale */
        uint64_t n_lost;       /* capture_lost() when last looked */
        uint64_t retry_ns;     /* not to be opened before */
        uint64_t pause_ns;     /* until the next attempt but one */
        uint64_t last_boot_ns; /* when microphone_step() was last called */
        uint64_t captured_ns;  /* of the last frame */
        uint64_t zeros_ns;     /* since when there was one value only; 0: there are others */
        uint64_t patience_ns;  /* with that */
        uint64_t first_ns;     /* how long the first sample is waited for */
        bool has_sounded;      /* samples came since it was opened */
};

/* The fields up to userdata are the caller's to fill in before. */
void microphone_init(struct microphone *m);

/* The capture goes to the device's thread, which ends after that. */
void microphone_done(struct microphone *m);

/* To be called whenever the doorbell of the capture rang, and now and then, with the time of both
 * clocks. */
void microphone_step(struct microphone *m, uint64_t now_ns, uint64_t boot_ns);

/* Whether a device is open, or about to be opened or closed. */
bool microphone_has_device(const struct microphone *m);

const char *microphone_state_name(enum microphone_state state);

#endif
