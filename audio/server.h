/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIO_SERVER_H
#define AUDIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/why.h"

/* The microphones of a sound server: PulseAudio, or PipeWire in its place.  ALSA, and so PortAudio,
 * knows the server as one device and can not tell which microphone is behind it, whether it belongs
 * to a Bluetooth headset, or whether it is the sound of a loudspeaker.  So the server itself is
 * asked.  To be called by one thread. */
struct server_source {
        char name[256];  /* the server's own, by which it is opened */
        char label[128]; /* for people */
        unsigned rate, n_channels;
        char master[256]; /* the one behind it, "": none that is told */
        bool is_default, is_bluetooth;
        bool is_echo_free; /* the server takes out of it what it plays */
};

/* Writes at most size of them, and not what a loudspeaker plays; how many it wrote.  -ENOTCONN: no
 * server runs; -ETIMEDOUT: one does, but does not answer.  Takes at most two seconds. */
int server_list(struct server_source *sources, size_t size, struct why *why);

/* The name of the ALSA device that server_define() makes. */
#define SERVER_DEVICE "gemmad"

/* Makes an ALSA device of this process that records from the source with that name, or from another
 * one than before.  PortAudio sees it the next time that it is initialised, and drops it when it is
 * terminated. */
int server_define(const char *source);

#endif
