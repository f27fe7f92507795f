/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/reference.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frame.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/spsc.h"

/* Asked for in pieces of 40 ms, which also bounds how long before it is heard a server makes sound. */
#define PIECE (FRAME_SAMPLES * sizeof(float))

#define RING_SAMPLES FRAME_RATE
#define MAX_SILENCE  1024

struct reference {
        pa_stream *stream; /* owned reference; the loop's, like the next */
        char sink[256];
        struct spsc ring; /* of float */
        atomic_uint_least64_t last_ns;
};

DEFINE_CLEANUP(struct reference *, reference_free)

/* What the server has nothing for is silence. */
static void push(struct reference *r, const float *samples, size_t n) {
        static const float silence[MAX_SILENCE];

        if (samples)
                (void) spsc_push(&r->ring, samples, n);
        for (; !samples && n > 0; n -= n < MAX_SILENCE ? n : MAX_SILENCE)
                (void) spsc_push(&r->ring, silence, n < MAX_SILENCE ? n : MAX_SILENCE);
}

static void on_sound(pa_stream *stream, size_t n_bytes, void *userdata) {
        struct reference *r = userdata;
        const void *samples;

        /* Before what it is the time of: a sound that seemed older than it is would count as the truth. */
        atomic_store_explicit(&r->last_ns, clock_now_ns(), memory_order_release);
        while (pa_stream_readable_size(stream) > 0 &&
               pa_stream_peek(stream, &samples, &n_bytes) >= 0 && n_bytes > 0) {
                push(r, samples, n_bytes / sizeof(float));
                (void) pa_stream_drop(stream);
        }
}

static void on_state(pa_stream *stream, void *userdata) {
        if (!PA_STREAM_IS_GOOD(pa_stream_get_state(stream)))
                reference_drop(userdata);
}

void reference_drop(struct reference *r) {
        pa_stream *stream = TAKE_PTR(r->stream);

        r->sink[0] = '\0';
        if (!stream)
                return;
        pa_stream_set_state_callback(stream, NULL, NULL);
        pa_stream_set_read_callback(stream, NULL, NULL);
        (void) pa_stream_disconnect(stream);
        pa_stream_unref(stream);
}

void reference_use(struct reference *r, pa_context *context, const char *sink) {
        const pa_sample_spec spec = { .format = PA_SAMPLE_FLOAT32NE, .rate = FRAME_RATE, .channels = 1 };
        const pa_buffer_attr buffer = { .maxlength = UINT32_MAX, .fragsize = PIECE };
        char monitor[sizeof(r->sink) + sizeof(".monitor")];

        if (strcmp(r->sink, sink) == 0)
                return;
        reference_drop(r);
        if (!*sink)
                return;
        (void) snprintf(r->sink, sizeof(r->sink), "%s", sink);
        (void) snprintf(monitor, sizeof(monitor), "%s.monitor", sink);
        r->stream = pa_stream_new(context, "What is played, to take it out of the microphone", &spec,
                                  NULL);
        if (!r->stream)
                return;
        pa_stream_set_read_callback(r->stream, on_sound, r);
        pa_stream_set_state_callback(r->stream, on_state, r);
        if (pa_stream_connect_record(r->stream, monitor, &buffer,
                                     PA_STREAM_ADJUST_LATENCY | PA_STREAM_DONT_MOVE |
                                             PA_STREAM_DONT_INHIBIT_AUTO_SUSPEND) < 0)
                reference_drop(r);
}

size_t reference_read(struct reference *r, float *samples, size_t n, uint64_t *ret_ns) {
        size_t n_read = spsc_pop(&r->ring, samples, n);

        /* After what it is the time of, for the same reason. */
        *ret_ns = atomic_load_explicit(&r->last_ns, memory_order_acquire);
        return n_read;
}

int reference_new(struct reference **ret) {
        _cleanup_(reference_freep) struct reference *r = calloc(1, sizeof(*r));
        int error;

        if (!r)
                return -ENOMEM;
        error = spsc_init(&r->ring, RING_SAMPLES, sizeof(float));
        if (error < 0)
                return error;
        *ret = TAKE_PTR(r);
        return 0;
}

struct reference *reference_free(struct reference *r) {
        if (!r)
                return NULL;

        spsc_done(&r->ring);
        free(r);
        return NULL;
}
