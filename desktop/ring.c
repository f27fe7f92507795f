/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/ring.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"

#define RATE       44100
#define AGAIN_USEC UINT64_C(2000000)

/* What is written ahead of what is heard, and so what is heard after a stop at most. */
#define AHEAD_SAMPLES (RATE / 5)

/* Three short tones and a pause, which begin softly and get louder. */
#define PERIOD_SAMPLES (RATE * 3 / 2)
#define TONE_SAMPLES   (RATE / 5)
#define STEP_SAMPLES   (RATE / 4)
#define EDGE_SAMPLES   (RATE / 100)
#define RISE_SAMPLES   (RATE * 8)
#define SOFT           0.15
#define LOUD           0.7

struct ring {
        struct sound *sound;    /* not owned, like the next */
        struct loudness *loudness;
        sd_event_source *again; /* owned; looks for a sound server */
        pa_stream *stream;      /* owned reference; NULL: silent */
        uint64_t position;      /* in samples since the start */
        bool is_on;
        bool is_waiting; /* for the sound server */
        bool has_complained;
};

static double loudness(uint64_t position) {
        double risen = (double) position / RISE_SAMPLES;

        return risen < 1 ? SOFT + (LOUD - SOFT) * risen : LOUD;
}

static int16_t sample_at(uint64_t position) {
        static const double tones[] = { 784.0, 988.0, 1175.0 };
        unsigned within = (unsigned) (position % PERIOD_SAMPLES);
        unsigned step = within / STEP_SAMPLES, t = within % STEP_SAMPLES;
        double edge = 1;

        if (step >= 3 || t >= TONE_SAMPLES)
                return 0;
        if (t < EDGE_SAMPLES)
                edge = (double) t / EDGE_SAMPLES;
        else if (t > TONE_SAMPLES - EDGE_SAMPLES)
                edge = (double) (TONE_SAMPLES - t) / EDGE_SAMPLES;
        return (int16_t) (32000 * edge * loudness(position) *
                          sin(2 * M_PI * tones[step] * t / RATE));
}

static void on_writable(pa_stream *stream, size_t size, void *userdata) {
        struct ring *r = userdata;
        int16_t *samples;
        void *data;

        while (size >= sizeof(*samples)) {
                size_t n_bytes = size;

                if (pa_stream_begin_write(stream, &data, &n_bytes) < 0 || !data)
                        return;
                samples = data;
                n_bytes = (n_bytes < size ? n_bytes : size) / sizeof(*samples) * sizeof(*samples);
                for (size_t i = 0; i < n_bytes / sizeof(*samples); i++)
                        samples[i] = sample_at(r->position++);
                if (pa_stream_write(stream, data, n_bytes, NULL, 0, PA_SEEK_RELATIVE) < 0)
                        return;
                size -= n_bytes;
        }
}

static void drop_stream(struct ring *r) {
        pa_stream *stream = r->stream;

        r->stream = NULL;
        if (!stream)
                return;
        pa_stream_set_state_callback(stream, NULL, NULL);
        pa_stream_set_write_callback(stream, NULL, NULL);
        (void) pa_stream_disconnect(stream);
        pa_stream_unref(stream);
}

static void try_later(struct ring *r, const char *reason) {
        if (!r->has_complained)
                log_notice("The alarm can not be heard: %s", reason);
        r->has_complained = true;
        (void) sd_event_source_set_time_relative(r->again, AGAIN_USEC);
        (void) sd_event_source_set_enabled(r->again, SD_EVENT_ONESHOT);
}

static void on_state(pa_stream *stream, void *userdata) {
        struct ring *r = userdata;
        pa_stream_state_t state = pa_stream_get_state(stream);

        if (state == PA_STREAM_READY)
                loudness_raise(r->loudness, pa_stream_get_device_index(stream));
        if (state != PA_STREAM_FAILED && state != PA_STREAM_TERMINATED)
                return;
        drop_stream(r);
        try_later(r, "the sound server has ended it");
}

static pa_stream *new_stream(pa_context *context) {
        const pa_sample_spec spec = { .format = PA_SAMPLE_S16NE, .rate = RATE, .channels = 1 };
        pa_proplist *properties = pa_proplist_new();
        pa_stream *stream;

        if (!properties)
                return NULL;
        (void) pa_proplist_sets(properties, PA_PROP_MEDIA_ROLE, "alarm");
        stream = pa_stream_new_with_proplist(context, "Alarm", &spec, NULL, properties);
        pa_proplist_free(properties);
        return stream;
}

static void on_sound(pa_context *context, const char *missing, void *userdata) {
        struct ring *r = userdata;
        pa_cvolume whole;
        const pa_buffer_attr buffer = {
                .maxlength = (uint32_t) -1,
                .tlength = AHEAD_SAMPLES * sizeof(int16_t),
                .prebuf = (uint32_t) -1,
                .minreq = (uint32_t) -1,
        };

        r->is_waiting = false;
        if (!r->is_on)
                return;
        if (!context) {
                try_later(r, missing);
                return;
        }

        r->stream = new_stream(context);
        if (!r->stream) {
                try_later(r, "the sound server takes no stream");
                return;
        }
        pa_stream_set_state_callback(r->stream, on_state, r);
        pa_stream_set_write_callback(r->stream, on_writable, r);
        /* Whatever a server remembers of alarms before. */
        (void) pa_cvolume_set(&whole, 1, PA_VOLUME_NORM);
        if (pa_stream_connect_playback(r->stream, NULL, &buffer,
                                       PA_STREAM_ADJUST_LATENCY | PA_STREAM_START_UNMUTED, &whole,
                                       NULL) >= 0)
                return;
        drop_stream(r);
        try_later(r, "the sound server takes no stream");
}

static void look_for_sound(struct ring *r) {
        if (r->is_waiting || r->stream)
                return;
        r->is_waiting = true;
        sound_with(r->sound, on_sound, r);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct ring *r = userdata;

        (void) source, (void) usec;
        if (r->is_on)
                look_for_sound(r);
        return 0;
}

int ring_new(struct ring **ret, sd_event *loop, struct sound *sound, struct loudness *loudness) {
        _cleanup_(ring_freep) struct ring *r = calloc(1, sizeof(*r));
        int result;

        if (!r)
                return -ENOMEM;
        r->sound = sound;
        r->loudness = loudness;
        result = sd_event_add_time_relative(loop, &r->again, CLOCK_MONOTONIC, 0, 0, on_again, r);
        if (result < 0)
                return result;
        (void) sd_event_source_set_enabled(r->again, SD_EVENT_OFF);

        *ret = TAKE_PTR(r);
        return 0;
}

struct ring *ring_free(struct ring *r) {
        if (!r)
                return NULL;

        ring_stop(r);
        (void) sd_event_source_disable_unref(r->again);
        free(r);
        return NULL;
}

void ring_start(struct ring *r) {
        if (r->is_on)
                return;
        r->is_on = true;
        r->has_complained = false;
        r->position = 0;
        look_for_sound(r);
}

void ring_stop(struct ring *r) {
        r->is_on = false;
        drop_stream(r);
        loudness_lower(r->loudness);
}
