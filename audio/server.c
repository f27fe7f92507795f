/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <alsa/asoundlib.h>
#include <pulse/pulseaudio.h>

#include "audio/server-source.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define PATIENCE_NS UINT64_C(2000000000)

struct query {
        pa_mainloop *loop;   /* owned */
        pa_context *context; /* owned */
        uint64_t until_ns;

        struct server_source *sources; /* not owned, [size] */
        size_t size, n;
        char default_name[256];
};

static bool has(const char *text, const char *part) {
        return text && strcasestr(text, part);
}

static bool is_bluetooth(const pa_source_info *info) {
        return has(info->name, "bluez") ||
               has(pa_proplist_gets(info->proplist, PA_PROP_DEVICE_BUS), "bluetooth") ||
               has(pa_proplist_gets(info->proplist, PA_PROP_DEVICE_API), "bluez");
}

/* PulseAudio's module-echo-cancel, and PipeWire's. */
static bool is_echo_free(const pa_source_info *info) {
        return has(info->driver, "echo-cancel") || has(info->name, "echo-cancel") ||
               has(info->name, "echo_cancel");
}

static void on_server(pa_context *context, const pa_server_info *info, void *userdata) {
        struct query *q = userdata;

        (void) context;
        if (info && info->default_source_name)
                (void) snprintf(q->default_name, sizeof(q->default_name), "%s",
                                info->default_source_name);
}

bool server_describe(struct server_source *ret,
                     const pa_source_info *info,
                     const char *default_name) {
        const char *master = pa_proplist_gets(info->proplist, PA_PROP_DEVICE_MASTER_DEVICE);

        if (info->monitor_of_sink != PA_INVALID_INDEX)
                return false;
        *ret = (struct server_source){
                .rate = info->sample_spec.rate,
                .n_channels = info->sample_spec.channels,
                .is_default = strcmp(info->name, default_name) == 0,
                .is_bluetooth = is_bluetooth(info),
                .is_echo_free = is_echo_free(info),
        };
        (void) snprintf(ret->name, sizeof(ret->name), "%s", info->name);
        (void) snprintf(ret->master, sizeof(ret->master), "%s", master ? master : "");
        (void) snprintf(ret->label, sizeof(ret->label), "%s",
                        info->description ? info->description : info->name);
        return true;
}

static void on_source(pa_context *context, const pa_source_info *info, int end, void *userdata) {
        struct query *q = userdata;

        (void) context;
        if (end == 0 && info && q->n < q->size)
                q->n += server_describe(&q->sources[q->n], info, q->default_name);
}

/* One round of the loop.  False when that fails, or there is no time left. */
static bool turn(struct query *q) {
        uint64_t now = clock_now_ns();

        return now < q->until_ns &&
               pa_mainloop_prepare(q->loop, (int) ((q->until_ns - now) / 1000)) >= 0 &&
               pa_mainloop_poll(q->loop) >= 0 && pa_mainloop_dispatch(q->loop) >= 0;
}

static bool connect_to_server(struct query *q) {
        /* Never starts one. */
        if (pa_context_connect(q->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL) < 0)
                return false;
        while (PA_CONTEXT_IS_GOOD(pa_context_get_state(q->context))) {
                if (pa_context_get_state(q->context) == PA_CONTEXT_READY)
                        return true;
                if (!turn(q))
                        return false;
        }
        return false;
}

/* Takes the operation over. */
static bool wait_for(struct query *q, pa_operation *operation) {
        bool is_done;

        if (!operation)
                return false;
        while (pa_operation_get_state(operation) == PA_OPERATION_RUNNING &&
               PA_CONTEXT_IS_GOOD(pa_context_get_state(q->context)) && turn(q))
                ;
        is_done = pa_operation_get_state(operation) == PA_OPERATION_DONE;
        pa_operation_unref(operation);
        return is_done;
}

static int ask(struct query *q, struct why *why) {
        q->loop = pa_mainloop_new();
        q->context = q->loop ? pa_context_new(pa_mainloop_get_api(q->loop), "gemmad") : NULL;
        if (!q->context)
                return because(why, -ENOMEM, "no memory");

        q->until_ns = clock_now_ns() + PATIENCE_NS;
        if (connect_to_server(q) &&
            wait_for(q, pa_context_get_server_info(q->context, on_server, q)) &&
            wait_for(q, pa_context_get_source_info_list(q->context, on_source, q)))
                return (int) q->n;
        if (clock_now_ns() >= q->until_ns)
                return because(why, -ETIMEDOUT, "the sound server does not answer");
        return because(why, -ENOTCONN, "no sound server");
}

int server_list(struct server_source *sources, size_t size, struct why *why) {
        struct query q = { .sources = sources, .size = size };
        int r;

        r = ask(&q, why);
        if (q.context) {
                pa_context_disconnect(q.context);
                pa_context_unref(q.context);
        }
        if (q.loop)
                pa_mainloop_free(q.loop);
        return r;
}

/* In ALSA's notation a string may hold anything but its own quotes. */
static bool is_quotable(const char *source) {
        return !strpbrk(source, "\"\\\n");
}

int server_define(const char *source) {
        char text[512];
        snd_config_t *device;
        int r;

        if (!is_quotable(source))
                return -EINVAL;
        (void) snprintf(text, sizeof(text), "pcm.%s { type pulse device \"%s\" }", SERVER_DEVICE,
                        source);
        r = snd_config_update();
        if (r < 0)
                return r;
        r = snd_config_load_string(&device, text, 0);
        if (r < 0)
                return r;
        return snd_config_merge(snd_config, device, /* override= */ 0);
}
