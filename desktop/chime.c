/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/chime.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define RATE         44100
#define EDGE_SAMPLES (RATE / 125)
#define LOUDNESS     6000.0

/* Two tones at most: up for what was heard, down for what was not understood. */
struct tune {
        const char *name;
        double tones[2]; /* in Hz; 0: none */
        unsigned n_samples; /* of each */
};

static const struct tune woken = { "Woken", { 659.0, 880.0 }, RATE * 7 / 100 };
static const struct tune heard = { "Heard", { 880.0, 0 }, RATE * 6 / 100 };
static const struct tune not_understood = { "Not understood", { 392.0, 311.0 }, RATE * 11 / 100 };

struct chime {
        struct sound *sound; /* not owned */
        const struct tune *tune;
        pa_stream *stream; /* owned reference; NULL: silent */
        unsigned position; /* in samples */
        bool is_waiting;   /* for the sound server */
        json_int_t turn;   /* that was begun at the microphone; 0: none */
        bool has_heard;    /* ... and of which that was told already */
};

static unsigned length(const struct tune *tune) {
        return tune->tones[1] > 0 ? 2 * tune->n_samples : tune->n_samples;
}

static int16_t sample_at(const struct tune *tune, unsigned position) {
        unsigned t = position % tune->n_samples;
        double tone = tune->tones[position / tune->n_samples], edge = 1;

        if (t < EDGE_SAMPLES)
                edge = (double) t / EDGE_SAMPLES;
        else if (t > tune->n_samples - EDGE_SAMPLES)
                edge = (double) (tune->n_samples - t) / EDGE_SAMPLES;
        return (int16_t) (LOUDNESS * edge * sin(2 * M_PI * tone * t / RATE));
}

static void drop_stream(struct chime *c) {
        pa_stream *stream = c->stream;

        c->stream = NULL;
        if (!stream)
                return;
        pa_stream_set_state_callback(stream, NULL, NULL);
        pa_stream_set_write_callback(stream, NULL, NULL);
        (void) pa_stream_disconnect(stream);
        pa_stream_unref(stream);
}

static void on_drained(pa_stream *stream, int is_success, void *userdata) {
        struct chime *c = userdata;

        (void) is_success;
        if (c->stream == stream)
                drop_stream(c);
}

static void on_writable(pa_stream *stream, size_t size, void *userdata) {
        struct chime *c = userdata;
        size_t n = size / sizeof(int16_t), left = length(c->tune) - c->position;
        int16_t samples[1024];
        pa_operation *operation;

        if (left == 0)
                return;
        n = n < left ? n : left;
        while (n > 0) {
                size_t part = n < 1024 ? n : 1024;

                for (size_t i = 0; i < part; i++)
                        samples[i] = sample_at(c->tune, c->position++);
                if (pa_stream_write(stream, samples, part * sizeof(*samples), NULL, 0,
                                    PA_SEEK_RELATIVE) < 0)
                        return;
                n -= part;
        }
        if (c->position < length(c->tune))
                return;
        operation = pa_stream_drain(stream, on_drained, c);
        if (operation)
                pa_operation_unref(operation);
}

static void on_state(pa_stream *stream, void *userdata) {
        pa_stream_state_t state = pa_stream_get_state(stream);

        if (state == PA_STREAM_FAILED || state == PA_STREAM_TERMINATED)
                drop_stream(userdata);
}

static void on_sound(pa_context *context, const char *missing, void *userdata) {
        const pa_sample_spec spec = { .format = PA_SAMPLE_S16NE, .rate = RATE, .channels = 1 };
        struct chime *c = userdata;
        pa_proplist *properties;

        c->is_waiting = false;
        if (!context) {
                log_debug("No sound for '%s': %s", c->tune->name, missing);
                return;
        }
        properties = pa_proplist_new();
        if (!properties)
                return;
        (void) pa_proplist_sets(properties, PA_PROP_MEDIA_ROLE, "event");
        c->position = 0;
        c->stream = pa_stream_new_with_proplist(context, c->tune->name, &spec, NULL, properties);
        pa_proplist_free(properties);
        if (!c->stream)
                return;
        pa_stream_set_state_callback(c->stream, on_state, c);
        pa_stream_set_write_callback(c->stream, on_writable, c);
        if (pa_stream_connect_playback(c->stream, NULL, NULL, PA_STREAM_NOFLAGS, NULL, NULL) < 0)
                drop_stream(c);
}

/* The newest one counts. */
static void play(struct chime *c, const struct tune *tune) {
        drop_stream(c);
        c->tune = tune;
        if (c->is_waiting)
                return;
        c->is_waiting = true;
        sound_with(c->sound, on_sound, c);
}

int chime_new(struct chime **ret, struct sound *sound) {
        struct chime *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->sound = sound;
        c->tune = &heard;
        *ret = c;
        return 0;
}

struct chime *chime_free(struct chime *c) {
        if (!c)
                return NULL;

        drop_stream(c);
        free(c);
        return NULL;
}

static bool is_named(json_t *object, const char *key, const char *value) {
        const char *text = json_string_value(json_object_get(object, key));

        return text && strcmp(text, value) == 0;
}

/* Answers without words of their own: the phrase alone, and what nobody has understood. */
static void on_done(struct chime *c, json_t *turn) {
        if (json_object_get(turn, "unanswered") && !is_named(turn, "unanswered", "nobody_spoke"))
                play(c, &not_understood);
        c->turn = 0;
}

void chime_on_event(struct chime *c, json_t *event) {
        json_int_t turn = json_integer_value(json_object_get(event, "id"));

        if (!c)
                return;
        if (is_named(event, "kind", "started")) {
                c->turn = is_named(event, "source", "microphone") ? turn : 0;
                c->has_heard = false;
        } else if (turn != c->turn || turn == 0) {
                return;
        } else if (is_named(event, "kind", "call") && !c->has_heard) {
                play(c, is_named(json_object_get(event, "call"), "name", "wake") ? &woken : &heard);
                c->has_heard = true;
        } else if (is_named(event, "kind", "done")) {
                on_done(c, json_object_get(event, "turn"));
        }
}
