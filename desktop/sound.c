/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/sound.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "desktop/pulse-loop.h"

#define CONNECT_USEC UINT64_C(3000000)
#define MAX_WAITING  32

struct waiting {
        sound_ready *ready;
        void *userdata;
};

struct sound {
        struct pulse_loop *pulse;  /* owned */
        pa_context *context;       /* owned; NULL: not connected */
        sd_event_source *deadline; /* owned; of connecting */
        struct waiting waiting[MAX_WAITING];
        unsigned n_waiting;
};

static void tell_waiting(struct sound *s, pa_context *context, const char *missing) {
        while (s->n_waiting > 0) {
                struct waiting w = s->waiting[--s->n_waiting];

                w.ready(context, missing, w.userdata);
        }
}

static void drop(struct sound *s, const char *missing) {
        pa_context *context = s->context;

        s->context = NULL;
        (void) sd_event_source_set_enabled(s->deadline, SD_EVENT_OFF);
        if (context) {
                pa_context_set_state_callback(context, NULL, NULL);
                pa_context_disconnect(context);
                pa_context_unref(context);
        }
        tell_waiting(s, NULL, missing);
}

static void on_state(pa_context *context, void *userdata) {
        struct sound *s = userdata;

        switch (pa_context_get_state(context)) {
        case PA_CONTEXT_READY:
                (void) sd_event_source_set_enabled(s->deadline, SD_EVENT_OFF);
                tell_waiting(s, context, NULL);
                return;
        case PA_CONTEXT_FAILED:
        case PA_CONTEXT_TERMINATED:
                log_debug("The sound server: %s", pa_strerror(pa_context_errno(context)));
                drop(s, "There is no sound server.");
                return;
        case PA_CONTEXT_UNCONNECTED:
        case PA_CONTEXT_CONNECTING:
        case PA_CONTEXT_AUTHORIZING:
        case PA_CONTEXT_SETTING_NAME:
                return;
        }
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        drop(userdata, "The sound server does not answer.");
        return 0;
}

static bool start_connecting(struct sound *s) {
        pa_proplist *properties = pa_proplist_new();

        if (!properties)
                return false;
        (void) pa_proplist_sets(properties, PA_PROP_APPLICATION_ID, "io.gemmad.Assistant");
        (void) pa_proplist_sets(properties, PA_PROP_APPLICATION_ICON_NAME,
                                "audio-input-microphone");
        s->context = pa_context_new_with_proplist(pulse_loop_api(s->pulse), "gemmad-desktop",
                                                  properties);
        pa_proplist_free(properties);
        if (!s->context)
                return false;

        pa_context_set_state_callback(s->context, on_state, s);
        (void) sd_event_source_set_time_relative(s->deadline, CONNECT_USEC);
        (void) sd_event_source_set_enabled(s->deadline, SD_EVENT_ONESHOT);
        /* Never starts one.  A failure is told to on_state() as well. */
        (void) pa_context_connect(s->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL);
        return true;
}

int sound_new(struct sound **ret, sd_event *loop) {
        _cleanup_(sound_freep) struct sound *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        r = pulse_loop_new(&s->pulse, loop);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(loop, &s->deadline, CLOCK_MONOTONIC, 0, 0, on_deadline, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(s->deadline, SD_EVENT_OFF);

        *ret = TAKE_PTR(s);
        return 0;
}

struct sound *sound_free(struct sound *s) {
        if (!s)
                return NULL;

        drop(s, "The program ends.");
        (void) sd_event_source_disable_unref(s->deadline);
        (void) pulse_loop_free(s->pulse);
        free(s);
        return NULL;
}

void sound_with(struct sound *s, sound_ready *ready, void *userdata) {
        if (s->context && pa_context_get_state(s->context) == PA_CONTEXT_READY) {
                ready(s->context, NULL, userdata);
                return;
        }
        if (s->n_waiting == MAX_WAITING) {
                ready(NULL, "Too many wait for the sound server.", userdata);
                return;
        }
        s->waiting[s->n_waiting++] = (struct waiting){ ready, userdata };
        if (!s->context && !start_connecting(s))
                drop(s, "There is no memory left.");
}
