/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/desktop.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "desktop/tools.h"

static void on_call(struct call *call, void *userdata) {
        const struct tool *tool = tools_find(call_name(call));

        if (tool)
                tool->run(userdata, call);
        else
                call_fail(call, "There is no tool '%.60s'.", call_name(call));
}

static int socket_path(char *ret, size_t size, const char *configured, struct why *why) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        int n;

        if (configured)
                n = snprintf(ret, size, "%s", configured);
        else if (runtime && *runtime == '/')
                n = snprintf(ret, size, "%s/gemmad/io.gemmad.Assistant", runtime);
        else
                return because(why, -ENOENT, "XDG_RUNTIME_DIR is not set; --socket helps");
        if (n < 0 || (size_t) n >= size)
                return because(why, -ENAMETOOLONG, "the path of the socket is too long");
        return 0;
}

static int open_link(struct desktop *d, const struct desktop_setup *setup, struct why *why) {
        _cleanup_(json_decrefp) json_t *tools = tools_describe();
        char path[PATH_MAX];
        struct link_config config = {
                .loop = d->loop,
                .path = path,
                .tools = tools,
                .call = on_call,
                .userdata = d,
        };
        int r;

        if (!tools)
                return because(why, -ENOMEM, "out of memory");
        r = socket_path(path, sizeof(path), setup->socket_path, why);
        if (r < 0)
                return r;
        return link_new(&d->link, &config, why);
}

static int start(struct desktop *d, const struct desktop_setup *setup, struct why *why) {
        int r;

        r = sd_event_new(&d->loop);
        if (r >= 0)
                r = sd_event_set_signal_exit(d->loop, true);
        if (r >= 0)
                r = sound_new(&d->sound, d->loop);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        return open_link(d, setup, why);
}

/* In the reverse order of start(). */
static void stop(struct desktop *d) {
        d->link = link_free(d->link);
        d->sound = sound_free(d->sound);
        d->loop = sd_event_unref(d->loop);
}

int desktop_run(const struct desktop_setup *setup) {
        struct desktop d = {};
        struct why why = {};
        int r;

        r = start(&d, setup, &why);
        if (r < 0) {
                log_error("%s", why.text);
        } else {
                (void) sd_event_set_watchdog(d.loop, true);
                (void) sd_notify(0, "READY=1");
                r = sd_event_loop(d.loop);
        }
        stop(&d);
        return r;
}
