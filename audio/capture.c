/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/capture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <portaudio.h>

#include "audio/choose.h"
#include "audio/frame.h"
#include "audio/headset.h"
#include "audio/quiet.h"
#include "audio/resample.h"
#include "audio/server.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/spsc.h"
#include "base/wake.h"

/* A frame each: more of them would wake this machine, and the sound server, for nothing. */
#define BLOCKS_PER_SECOND FRAMES_PER_SECOND

#define CAPTURE_LATENCY 0.08 /* s */

#define MAX_SOURCES  32
#define MAX_HEADSETS 8

struct capture {
        PaStream *stream; /* owned */
        bool is_initialized;
        unsigned rate, n_channels;
        int wake_fd; /* not owned */
        char device[128];
        char source[256]; /* what the sound server calls it; empty: it is none of a server */
        struct headset headset; /* whose profile was changed for this */

        struct spsc ring; /* owned; a float of each channel */
        atomic_uint_least64_t last_ns;
        atomic_uint_least64_t n_overflows;
        atomic_bool has_ended;
};

/* Runs on PortAudio's thread, which may be a real-time one.  Nothing here may lock, allocate, print
 * or fail: tests/unit/test-capture.c watches it. */
static int on_audio(const void *input,
                    void *output,
                    unsigned long n,
                    const PaStreamCallbackTimeInfo *time,
                    PaStreamCallbackFlags flags,
                    void *userdata) {
        struct capture *c = userdata;

        (void) output;
        (void) time;

        if (flags & paInputOverflow)
                atomic_fetch_add_explicit(&c->n_overflows, 1, memory_order_relaxed);
        if (input)
                (void) spsc_push(&c->ring, input, n);
        atomic_store_explicit(&c->last_ns, clock_now_ns(), memory_order_relaxed);
        wake_ring(c->wake_fd);
        return paContinue;
}

static void on_end(void *userdata) {
        struct capture *c = userdata;

        atomic_store_explicit(&c->has_ended, true, memory_order_release);
        wake_ring(c->wake_fd);
}

static int errno_from_pa(PaError error) {
        switch (error) {
        case paNoError:
                return 0;
        case paInsufficientMemory:
                return -ENOMEM;
        case paInvalidDevice:
                return -ENODEV;
        case paDeviceUnavailable:
                return -EBUSY;
        case paInvalidSampleRate:
        case paInvalidChannelCount:
        case paSampleFormatNotSupported:
                return -ENOTSUP;
        case paTimedOut:
                return -ETIMEDOUT;
        default:
                return -EIO;
        }
}

static int because_pa(struct why *why, PaError error, const char *what, const char *device) {
        const char *text = Pa_GetErrorText(error);

        if (error == paUnanticipatedHostError) {
                const PaHostErrorInfo *info = Pa_GetLastHostErrorInfo();

                if (info && info->errorText && info->errorText[0])
                        text = info->errorText;
        }
        return because(why, errno_from_pa(error), "%s '%.100s': %s", what, device, text);
}

static bool is_bluetooth(const char *name) {
        return strcasestr(name, "bluez") || strcasestr(name, "bluealsa");
}

/* The device if it can record, else NULL. */
static const PaDeviceInfo *microphone(PaDeviceIndex index) {
        const PaDeviceInfo *info = index < 0 ? NULL : Pa_GetDeviceInfo(index);

        return info && info->maxInputChannels > 0 && info->name ? info : NULL;
}

/* What ALSA knows a sound server by, which gives any rate.  It is only listed while it runs. */
static bool is_server(const char *name) {
        return strcmp(name, SERVER_DEVICE) == 0 || strcmp(name, "pulse") == 0 ||
               strcmp(name, "pipewire") == 0;
}

/* The microphone of the sound server that is meant, into ret.  1: it is; 0: there is no server, or it
 * knows none with that name, which some other device may have. */
static int find_source(struct server_source *ret, const char *name, struct why *why) {
        struct server_source sources[MAX_SOURCES];
        int n, found;

        n = server_list(sources, MAX_SOURCES, why);
        if (n == -ENOTCONN)
                return 0;
        if (n < 0)
                return n;
        found = choose_source(sources, n, name);
        if (found < 0 && choose_is_default(name))
                return because(why, -ENODEV, "no microphone%s",
                               n > 0 ? " but a Bluetooth headset" : "");
        if (found < 0)
                return 0;
        *ret = sources[found];
        return 1;
}

/* ... which a headset of that name has, if it is made to.  The same. */
static int take_headset(struct capture *c, struct server_source *ret, const char *name, struct why *why) {
        char source[256];
        int r;

        r = headset_take(&c->headset, name, source);
        if (r < 0)
                return because(why, r, "the headset '%.100s' gives no microphone: %s", name, strerror(-r));
        return r > 0 ? find_source(ret, source, why) : 0;
}

/* If a microphone of the sound server is meant, it becomes a device, and so does the name. */
static int define_source(struct capture *c, const char **name, struct why *why) {
        struct server_source source;
        int r;

        r = find_source(&source, *name, why);
        if (r == 0)
                r = take_headset(c, &source, *name, why);
        if (r <= 0)
                return r;
        r = server_define(source.name);
        if (r < 0)
                return because(why, r, "cannot make a device of '%.100s'", source.name);
        (void) snprintf(c->device, sizeof(c->device), "%s", source.label);
        (void) snprintf(c->source, sizeof(c->source), "%s", source.name);
        c->n_channels = source.n_channels;
        *name = SERVER_DEVICE;
        return 0;
}

static PaDeviceIndex choose_default_device(void) {
        PaDeviceIndex index = Pa_GetDefaultInputDevice();
        const PaDeviceInfo *info = microphone(index);

        if (info && !is_bluetooth(info->name))
                return index;

        for (index = 0; index < Pa_GetDeviceCount(); index++) {
                info = microphone(index);
                if (info && !is_bluetooth(info->name))
                        return index;
        }
        return paNoDevice;
}

/* As choose_source() does it. */
static PaDeviceIndex choose_named_device(const char *name) {
        PaDeviceIndex found = paNoDevice;

        for (PaDeviceIndex index = 0; index < Pa_GetDeviceCount(); index++) {
                const PaDeviceInfo *info = microphone(index);

                if (!info)
                        continue;
                if (strcmp(info->name, name) == 0)
                        return index;
                if (found == paNoDevice && strcasestr(info->name, name))
                        found = index;
        }
        return found;
}

static int choose_device(PaDeviceIndex *ret, const char *name, struct why *why) {
        PaDeviceIndex index =
                choose_is_default(name) ? choose_default_device() : choose_named_device(name);

        if (index == paNoDevice && choose_is_default(name))
                return because(why, -ENODEV, "no microphone");
        if (index == paNoDevice)
                return because(why, -ENODEV, "no microphone named '%.100s'", name);

        *ret = index;
        return 0;
}

static int open_stream(struct capture *c, PaDeviceIndex index, const PaDeviceInfo *info) {
        PaStreamParameters parameters = {
                .device = index,
                .channelCount = (int) c->n_channels,
                .sampleFormat = paFloat32,
                .suggestedLatency = info->defaultLowInputLatency,
        };
        PaStream *stream;
        PaError error;

        /* What devices call low is too short for a machine that is busy with a model. */
        if (parameters.suggestedLatency < CAPTURE_LATENCY)
                parameters.suggestedLatency = CAPTURE_LATENCY;

        error = Pa_OpenStream(&stream, &parameters,
                              /* outputParameters= */ NULL, c->rate, c->rate / BLOCKS_PER_SECOND,
                              paNoFlag, on_audio, c);
        if (error != paNoError)
                return error;
        c->stream = stream;
        error = Pa_SetStreamFinishedCallback(c->stream, on_end);
        if (error != paNoError)
                return error;
        return Pa_StartStream(c->stream);
}

static int open_device(struct capture *c,
                       const struct capture_config *config,
                       const char *name,
                       struct why *why) {
        const PaDeviceInfo *info;
        PaDeviceIndex index = paNoDevice;
        PaError error;
        int r;

        r = choose_device(&index, name, why);
        if (r < 0)
                return r;
        info = microphone(index);
        if (!c->device[0])
                (void) snprintf(c->device, sizeof(c->device), "%s", info->name);
        if (!(info->defaultSampleRate >= RESAMPLE_RATE_MIN &&
              info->defaultSampleRate <= RESAMPLE_RATE_MAX))
                return because(why, -ENOTSUP, "'%s' has a rate of %.0f Hz", c->device,
                               info->defaultSampleRate);
        /* What a server calls its own rate is none: it would resample, and so would we, which takes
         * most of the time that waiting for speech costs. */
        /* Who takes several for one hears nothing of two that are opposite; a server's own device has any
         * number. */
        if (!c->source[0])
                c->n_channels = (unsigned) info->maxInputChannels;
        if (c->n_channels > CAPTURE_CHANNELS_MAX)
                c->n_channels = CAPTURE_CHANNELS_MAX;
        if (c->n_channels == 0 || (is_server(info->name) && !c->source[0]))
                c->n_channels = 1;
        c->rate = is_server(info->name) ? FRAME_RATE : (unsigned) info->defaultSampleRate;

        r = spsc_init(&c->ring, ((size_t) config->ring_ms * c->rate + 999) / 1000,
                      c->n_channels * sizeof(float));
        if (r < 0)
                return because(why, r, "no memory for %u ms of sound", config->ring_ms);

        atomic_store(&c->last_ns, clock_now_ns());
        error = open_stream(c, index, info);
        return error == paNoError ? 0 : because_pa(why, error, "cannot open", c->device);
}

struct capture *capture_close(struct capture *c) {
        if (!c)
                return NULL;

        /* Never Pa_StopStream(): it waits for a device that is lost to play out. */
        if (c->stream) {
                (void) Pa_AbortStream(c->stream);
                (void) Pa_CloseStream(c->stream);
        }
        if (c->is_initialized)
                (void) Pa_Terminate();
        headset_give_back(&c->headset);
        spsc_done(&c->ring);
        free(c);
        return NULL;
}

DEFINE_CLEANUP(struct capture *, capture_close)

int capture_open(struct capture **ret, const struct capture_config *config, struct why *why) {
        _cleanup_(capture_closep) struct capture *c = NULL;
        const char *name = config->device;
        PaError error;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c)
                return because(why, -ENOMEM, "no memory");
        c->wake_fd = config->wake_fd;

        quiet_libraries();
        r = define_source(c, &name, why);
        if (r < 0)
                return r;
        error = Pa_Initialize();
        if (error != paNoError)
                return because_pa(why, error, "cannot start", "PortAudio");
        c->is_initialized = true;
        /* Without ALSA's plugin for the server there is no such device, but maybe another one. */
        if (c->device[0] && choose_named_device(name) == paNoDevice) {
                c->device[0] = c->source[0] = '\0';
                name = config->device;
        }

        r = open_device(c, config, name, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(c);
        return 0;
}

static void
describe_source(struct capture_device *ret, const struct server_source *source, bool is_default) {
        *ret = (struct capture_device){
                .rate = source->rate,
                .n_channels = source->n_channels,
                .is_default = is_default,
                .is_bluetooth = source->is_bluetooth,
        };
        (void) snprintf(ret->name, sizeof(ret->name), "%s", source->label);
}

/* The microphones that headsets would have. */
static size_t list_headsets(struct capture_device *devices, size_t size) {
        char names[MAX_HEADSETS][128];
        int n = headset_list(names, MAX_HEADSETS);
        size_t n_listed = 0;

        for (int i = 0; i < n && n_listed < size; i++) {
                struct capture_device *d = &devices[n_listed++];

                *d = (struct capture_device){ .rate = FRAME_RATE, .n_channels = 1, .is_bluetooth = true };
                (void) snprintf(d->name, sizeof(d->name), "%.127s", names[i]);
        }
        return n_listed;
}

static void describe_device(struct capture_device *ret, const PaDeviceInfo *info, bool is_default) {
        bool has_rate =
                info->defaultSampleRate >= 0 && info->defaultSampleRate <= RESAMPLE_RATE_MAX;

        *ret = (struct capture_device){
                .rate = has_rate ? (unsigned) info->defaultSampleRate : 0,
                .n_channels = (unsigned) info->maxInputChannels,
                .is_default = is_default,
                .is_bluetooth = is_bluetooth(info->name),
        };
        (void) snprintf(ret->name, sizeof(ret->name), "%s", info->name);
}

/* Behind these is what the server has been asked for. */
static bool is_alias(const char *name) {
        return is_server(name) || strcmp(name, "default") == 0;
}

int capture_list(struct capture_device *devices, size_t size, struct why *why) {
        struct server_source sources[MAX_SOURCES];
        PaDeviceIndex chosen;
        int n_sources, chosen_source;
        size_t n = 0;
        PaError error;

        quiet_libraries();
        n_sources = server_list(sources, MAX_SOURCES, why);
        /* PortAudio would wait for it, too, and longer. */
        if (n_sources < 0 && n_sources != -ENOTCONN)
                return n_sources;
        chosen_source = choose_source(sources, n_sources, NULL);
        for (int i = 0; i < n_sources && n < size; i++)
                describe_source(&devices[n++], &sources[i], i == chosen_source);
        if (n_sources >= 0)
                n += list_headsets(&devices[n], size - n);

        error = Pa_Initialize();
        if (error != paNoError)
                return because_pa(why, error, "cannot start", "PortAudio");
        chosen = n_sources < 0 ? choose_default_device() : paNoDevice;
        for (PaDeviceIndex index = 0; index < Pa_GetDeviceCount() && n < size; index++) {
                const PaDeviceInfo *info = microphone(index);

                if (info && !(n_sources >= 0 && is_alias(info->name)))
                        describe_device(&devices[n++], info, index == chosen);
        }
        (void) Pa_Terminate();
        return (int) n;
}

size_t capture_read(struct capture *c, float *samples, size_t n) {
        return spsc_pop(&c->ring, samples, n);
}

unsigned capture_rate(const struct capture *c) {
        return c->rate;
}

unsigned capture_channels(const struct capture *c) {
        return c->n_channels;
}

const char *capture_device(const struct capture *c) {
        return c->device;
}

const char *capture_source(const struct capture *c) {
        return c->source;
}

uint64_t capture_lost(const struct capture *c) {
        return spsc_refused(&c->ring) + atomic_load_explicit(&c->n_overflows, memory_order_relaxed);
}

uint64_t capture_age(const struct capture *c) {
        uint64_t last_ns = atomic_load_explicit(&c->last_ns, memory_order_relaxed);
        uint64_t now_ns = clock_now_ns();

        /* The callback may have come between the two. */
        return now_ns > last_ns ? now_ns - last_ns : 0;
}

bool capture_is_active(const struct capture *c) {
        return !atomic_load_explicit(&c->has_ended, memory_order_acquire) &&
               Pa_IsStreamActive(c->stream) == 1;
}
