/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_CAPTURE_H
#define AUDIO_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/* The live microphone: float samples at the device's own rate, of one channel or, interleaved, of two.  PortAudio's thread only copies
 * them into a ring and rings a doorbell; everything declared here belongs to one other thread,
 * which reads them.  A full ring refuses the newest samples and counts them. */
struct capture;

struct capture_config {
        /* A microphone's name, or a part of it, with a sound server as the server calls it.  NULL or
         * "default": the system's choice, but never a Bluetooth microphone, because opening one
         * spoils the sound of its headset. */
        const char *device;
        unsigned ring_ms; /* how much the ring holds */
        int wake_fd;      /* rung when samples came and when the stream ended; not owned */
};

/* Opens and starts.  -ENODEV: there is no such microphone, or none at all; else what stood in the
 * way; with a reason.  Each attempt asks PortAudio anew what devices there are (0.1 to 0.2 s), so
 * that trying again finds one that was plugged in since. */
int capture_open(struct capture **ret, const struct capture_config *config, struct why *why);

/* Does not wait for a stalled device, except as long as its sound server is frozen. */
struct capture *capture_close(struct capture *c);

/* Up to n samples of each channel, oldest first; returns how many there were.  Never waits. */
size_t capture_read(struct capture *c, float *samples, size_t n);

unsigned capture_rate(const struct capture *c);
unsigned capture_channels(const struct capture *c); /* at most CAPTURE_CHANNELS_MAX */
#define CAPTURE_CHANNELS_MAX 2
const char *capture_device(const struct capture *c);

/* What the sound server calls it, "" when it is not heard through one. */
const char *capture_source(const struct capture *c);

/* How many samples were lost since the opening, at least.  When it has moved, the samples read
 * since do not follow upon one another. */
uint64_t capture_lost(const struct capture *c);

/* Nanoseconds since the device last gave samples (or since the opening).  A frozen sound server, a
 * suspended source, and sometimes a device that is gone, show nowhere else: after a second or two
 * without samples close it, and open again.  Do close it: until then PortAudio's thread may spin
 * on a device that is gone. */
uint64_t capture_age(const struct capture *c);

/* What a machine has to listen with. */
struct capture_device {
        char name[128];
        unsigned rate, n_channels;
        bool is_default;   /* what is opened when no name is given */
        bool is_bluetooth; /* never opened unless it is named */
};

/* Writes at most size of the microphones there are; how many it wrote, or what stood in the way.
 * While a microphone is open these are the ones there were when it was opened. */
int capture_list(struct capture_device *devices, size_t size, struct why *why);

/* False when the stream has ended by itself: the device is gone.  True proves nothing. */
bool capture_is_active(const struct capture *c);

#endif
