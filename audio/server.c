/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <alsa/asoundlib.h>
#include <pulse/pulseaudio.h>

#include "audio/server-link.h"
#include "audio/server-source.h"

#define PATIENCE_NS UINT64_C(2000000000)

struct query {
        struct server_link link;
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

int server_list(struct server_source *sources, size_t size, struct why *why) {
        struct query q = { .sources = sources, .size = size };
        int r;

        r = server_link_open(&q.link, PATIENCE_NS);
        if (r >= 0 &&
            !(server_link_wait(&q.link, pa_context_get_server_info(q.link.context, on_server, &q)) &&
              server_link_wait(&q.link,
                               pa_context_get_source_info_list(q.link.context, on_source, &q))))
                r = server_link_error(&q.link);
        server_link_close(&q.link);
        switch (r) {
        case 0:
                return (int) q.n;
        case -ENOMEM:
                return because(why, r, "no memory");
        case -ETIMEDOUT:
                return because(why, r, "the sound server does not answer");
        default:
                return because(why, r, "no sound server");
        }
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
