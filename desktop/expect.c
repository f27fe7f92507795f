/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "desktop/line.h"

/* A gemmad that starts anew is told again, while there is something to tell. */
#define AGAIN_USEC UINT64_C(1000000)

struct expect {
        sd_event *loop;         /* owned reference */
        sd_event_source *again; /* owned */
        char *path;             /* owned */
        struct conn *line;      /* owned; lasts as long as what is expected; NULL: nothing is */
        const char *calls[EXPECT_MAX + 1];
};

static void
on_reply(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        (void) c, (void) text, (void) size, (void) fds, (void) userdata;
}

static void on_ended(struct conn *c, int r, void *userdata) {
        struct expect *e = userdata;

        (void) c, (void) r;
        e->line = conn_free(e->line);
        (void) sd_event_source_set_time_relative(e->again, AGAIN_USEC);
        (void) sd_event_source_set_enabled(e->again, SD_EVENT_ONESHOT);
}

static json_t *list(const struct expect *e) {
        json_t *calls = json_array();

        for (unsigned i = 0; e->calls[i]; i++)
                (void) json_array_append_new(calls, json_string(e->calls[i]));
        return json_pack("{s:o}", "calls", calls);
}

static void tell(struct expect *e) {
        static const struct conn_handler handler = { on_reply, on_ended };
        const struct line_config config = {
                .loop = e->loop,
                .path = e->path,
                .handler = &handler,
                .userdata = e,
        };
        _cleanup_(json_decrefp) json_t *parameters = NULL;
        int r;

        e->line = conn_free(e->line);
        if (!e->calls[0])
                return;
        parameters = list(e);
        r = line_open(&e->line, &config);
        if (r >= 0)
                r = line_send(e->line, "Expect", parameters, /* more= */ true);
        if (r >= 0)
                return;
        log_debug("gemmad is not told what to expect: %s", strerror(-r));
        on_ended(NULL, r, e);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct expect *e = userdata;

        (void) source, (void) usec;
        if (!e->line)
                tell(e);
        return 0;
}

int expect_new(struct expect **ret, sd_event *loop, const char *path) {
        _cleanup_(expect_freep) struct expect *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->loop = sd_event_ref(loop);
        e->path = strdup(path);
        if (!e->path)
                return -ENOMEM;
        r = sd_event_add_time_relative(loop, &e->again, CLOCK_MONOTONIC, 0, 0, on_again, e);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(e->again, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(e);
        return 0;
}

struct expect *expect_free(struct expect *e) {
        if (!e)
                return NULL;

        (void) conn_free(e->line);
        (void) sd_event_source_disable_unref(e->again);
        (void) sd_event_unref(e->loop);
        free(e->path);
        free(e);
        return NULL;
}

static bool is_same(const struct expect *e, const char *const *calls) {
        unsigned i = 0;

        while (calls[i] && e->calls[i] && strcmp(calls[i], e->calls[i]) == 0)
                i++;
        return !calls[i] && !e->calls[i];
}

void expect_set(struct expect *e, const char *const *calls) {
        unsigned n = 0;

        if (!e || is_same(e, calls))
                return;
        while (n < EXPECT_MAX && calls[n]) {
                e->calls[n] = calls[n];
                n++;
        }
        e->calls[n] = NULL;
        (void) sd_event_source_set_enabled(e->again, SD_EVENT_OFF);
        tell(e);
}
