/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/speaking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "desktop/line.h"

struct speaking {
        struct speaking_config config;
        char *path;        /* owned */
        struct conn *line; /* owned; lasts as long as the voice; NULL: it is silent, or gemmad not there */
};

static void
on_reply(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        _cleanup_(json_decrefp) json_t *reply = json_loadb(text, size, 0, NULL);
        json_t *parameters = json_object_get(reply, "parameters");
        struct speaking *s = userdata;

        (void) c, (void) fds;
        if (json_is_true(json_object_get(parameters, "interrupted")))
                s->config.interrupted(s->config.userdata);
}

static void on_ended(struct conn *c, int r, void *userdata) {
        struct speaking *s = userdata;

        (void) c, (void) r;
        s->line = conn_free(s->line);
}

int speaking_new(struct speaking **ret, const struct speaking_config *config) {
        _cleanup_(speaking_freep) struct speaking *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->config = *config;
        s->config.loop = sd_event_ref(config->loop);
        s->path = strdup(config->path);
        if (!s->path)
                return -ENOMEM;
        *ret = TAKE_PTR(s);
        return 0;
}

struct speaking *speaking_free(struct speaking *s) {
        if (!s)
                return NULL;

        (void) conn_free(s->line);
        (void) sd_event_unref(s->config.loop);
        free(s->path);
        free(s);
        return NULL;
}

void speaking_set(struct speaking *s, bool is_speaking) {
        static const struct conn_handler handler = { on_reply, on_ended };
        const struct line_config config = {
                .loop = s->config.loop,
                .path = s->path,
                .handler = &handler,
                .userdata = s,
        };
        int r;

        if (is_speaking == (s->line != NULL))
                return;
        if (!is_speaking) {
                s->line = conn_free(s->line);
                return;
        }
        r = line_open(&s->line, &config);
        if (r >= 0)
                r = line_send(s->line, "Speaking", NULL, /* more= */ true);
        if (r >= 0)
                return;
        log_debug("gemmad is not told of the voice: %s", strerror(-r));
        s->line = conn_free(s->line);
}
