/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/follow.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/choose.h"
#include "audio/reference.h"
#include "audio/server-source.h"
#include "base/cleanup.h"
#include "base/wake.h"

#define MAX_SOURCES 32

#define FACILITIES (PA_SUBSCRIPTION_MASK_SOURCE | PA_SUBSCRIPTION_MASK_SERVER)

/* All but state is the loop's thread's. */
struct follow {
        pa_threaded_mainloop *loop; /* owned */
        pa_context *context;        /* owned */
        struct reference *reference; /* owned */
        int wake_fd;                /* not owned */
        _Atomic enum follow_state state;

        char device[256], source[256]; /* what is meant, and what was opened */
        char default_name[256];
        struct server_source sources[MAX_SOURCES];
        int n;
        bool is_asking, is_stale; /* the answer under way is not the newest any more */
};

DEFINE_CLEANUP(struct follow *, follow_stop)

static void conclude(struct follow *f) {
        enum follow_state state = FOLLOW_GONE;
        int meant = choose_source(f->sources, f->n, f->device);

        for (int i = 0; i < f->n; i++)
                if (strcmp(f->sources[i].name, f->source) == 0)
                        state = FOLLOW_SAME;
        if (state == FOLLOW_SAME && meant >= 0 && strcmp(f->sources[meant].name, f->source) != 0)
                state = FOLLOW_OTHER;
        if (atomic_exchange_explicit(&f->state, state, memory_order_acq_rel) != state)
                wake_ring(f->wake_fd);
}

static void forget_operation(pa_operation *operation) {
        if (operation)
                pa_operation_unref(operation);
}

static void on_server(pa_context *context, const pa_server_info *info, void *userdata);

static void ask(struct follow *f) {
        f->is_stale = f->is_asking;
        if (f->is_asking)
                return;
        f->is_asking = true;
        f->n = 0;
        forget_operation(pa_context_get_server_info(f->context, on_server, f));
}

static void on_source(pa_context *context, const pa_source_info *info, int end, void *userdata) {
        struct follow *f = userdata;

        (void) context;
        if (end == 0 && info && f->n < MAX_SOURCES)
                f->n += server_describe(&f->sources[f->n], info, f->default_name);
        if (end == 0)
                return;
        f->is_asking = false;
        if (end > 0 && !f->is_stale)
                conclude(f);
        else if (f->is_stale)
                ask(f);
}

static void on_server(pa_context *context, const pa_server_info *info, void *userdata) {
        struct follow *f = userdata;

        (void) snprintf(f->default_name, sizeof(f->default_name), "%s",
                        info && info->default_source_name ? info->default_source_name : "");
        if (info && info->default_sink_name)
                reference_use(f->reference, context, info->default_sink_name);
        forget_operation(pa_context_get_source_info_list(context, on_source, f));
}

static void on_change(pa_context *context,
                      pa_subscription_event_type_t type,
                      uint32_t index,
                      void *userdata) {
        (void) context;
        (void) type;
        (void) index;
        ask(userdata);
}

/* That the server is gone ends the stream, too, and is noticed there. */
static void on_state(pa_context *context, void *userdata) {
        if (pa_context_get_state(context) != PA_CONTEXT_READY)
                return;
        pa_context_set_subscribe_callback(context, on_change, userdata);
        forget_operation(pa_context_subscribe(context, FACILITIES, NULL, NULL));
        /* What has changed since it was opened. */
        ask(userdata);
}

struct follow *follow_stop(struct follow *f) {
        if (!f)
                return NULL;

        if (f->loop)
                pa_threaded_mainloop_stop(f->loop);
        if (f->reference)
                reference_drop(f->reference);
        if (f->context) {
                pa_context_disconnect(f->context);
                pa_context_unref(f->context);
        }
        if (f->loop)
                pa_threaded_mainloop_free(f->loop);
        (void) reference_free(f->reference);
        free(f);
        return NULL;
}

int follow_start(struct follow **ret, const char *device, const char *source, int wake_fd) {
        _cleanup_(follow_stopp) struct follow *f = NULL;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->wake_fd = wake_fd;
        atomic_init(&f->state, FOLLOW_SAME);
        (void) snprintf(f->device, sizeof(f->device), "%s", device ? device : "");
        (void) snprintf(f->source, sizeof(f->source), "%s", source);

        if (reference_new(&f->reference) < 0)
                return -ENOMEM;
        f->loop = pa_threaded_mainloop_new();
        if (f->loop)
                f->context = pa_context_new(pa_threaded_mainloop_get_api(f->loop), "gemmad");
        if (!f->context)
                return -ENOMEM;
        pa_context_set_state_callback(f->context, on_state, f);
        if (pa_context_connect(f->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL) < 0 ||
            pa_threaded_mainloop_start(f->loop) < 0)
                return -EIO;

        *ret = TAKE_PTR(f);
        return 0;
}

enum follow_state follow_state(const struct follow *f) {
        return atomic_load_explicit(&f->state, memory_order_acquire);
}

size_t follow_read_played(struct follow *f, float *samples, size_t n, uint64_t *ret_ns) {
        return reference_read(f->reference, samples, n, ret_ns);
}
