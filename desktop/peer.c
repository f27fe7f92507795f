/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/peer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "desktop/line.h"

#define FIRST_WAIT_USEC UINT64_C(250000)
#define MAX_WAIT_USEC   UINT64_C(8000000)

/* Calls that wait for their reply. */
#define MAX_WAITING 64

enum line { LINE_STATUS, LINE_EVENTS, LINE_CALLS, N_LINES };

struct waiting {
        peer_replied *replied;
        void *userdata;
};

struct peer {
        struct peer_config config;
        char *path;                          /* owned */
        struct conn *lines[N_LINES];         /* owned; all or none */
        sd_event_source *again;              /* owned; tries to connect */
        uint64_t wait_usec;
        struct waiting waiting[MAX_WAITING]; /* [n_waiting], the next reply is for the first */
        unsigned n_waiting;
        bool has_status;
};

static void on_message(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata);
static void on_ended(struct conn *c, int r, void *userdata);

static const struct conn_handler handler = { on_message, on_ended };

static void answer_first(struct peer *p, const struct varlink_reply *reply) {
        struct waiting first;

        if (p->n_waiting == 0)
                return;
        first = p->waiting[0];
        memmove(p->waiting, p->waiting + 1, --p->n_waiting * sizeof(p->waiting[0]));
        first.replied(reply, first.userdata);
}

/* What is called here may not call back: there is nobody to call. */
static void hang_up(struct peer *p) {
        unsigned n = p->n_waiting;

        for (size_t i = 0; i < N_LINES; i++)
                p->lines[i] = conn_free(p->lines[i]);
        while (n-- > 0)
                answer_first(p, NULL);
        if (p->has_status)
                p->config.status(NULL, p->config.userdata);
        p->has_status = false;
}

static void try_later(struct peer *p) {
        hang_up(p);
        (void) sd_event_source_set_time_relative(p->again, p->wait_usec);
        (void) sd_event_source_set_enabled(p->again, SD_EVENT_ONESHOT);
        p->wait_usec = p->wait_usec * 2 < MAX_WAIT_USEC ? p->wait_usec * 2 : MAX_WAIT_USEC;
}

static enum line line_of(const struct peer *p, const struct conn *c) {
        enum line line = 0;

        while (line < N_LINES - 1 && p->lines[line] != c)
                line++;
        return line;
}

/* An error on one of the two that go on for ever is its end. */
static int on_reply(struct peer *p, enum line line, const struct varlink_reply *reply) {
        json_t *event;

        if (line == LINE_CALLS) {
                answer_first(p, reply);
                return 0;
        }
        if (reply->error) {
                log_debug("gemmad does not tell what it does: %s", reply->error);
                return -EPROTO;
        }
        if (line == LINE_STATUS) {
                p->has_status = true;
                p->wait_usec = FIRST_WAIT_USEC;
                p->config.status(reply->parameters, p->config.userdata);
                return 0;
        }
        event = json_object_get(reply->parameters, "event");
        if (json_is_object(event))
                p->config.event(event, p->config.userdata);
        return 0;
}

static void
on_message(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        struct peer *p = userdata;
        struct varlink_reply reply;
        struct why why = {};
        int r;

        (void) fds;
        r = varlink_parse_reply(&reply, text, size, &why);
        if (r < 0) {
                log_debug("gemmad can not be understood: %s", why.text);
        } else {
                r = on_reply(p, line_of(p, c), &reply);
                varlink_reply_done(&reply);
        }
        if (r < 0)
                try_later(p);
}

static void on_ended(struct conn *c, int r, void *userdata) {
        (void) c, (void) r;
        try_later(userdata);
}

/* The status first, which is what makes the order of what it tells and of events. */
static int connect_all(struct peer *p) {
        struct line_config config = {
                .loop = p->config.loop,
                .path = p->path,
                .handler = &handler,
                .userdata = p,
        };
        int r = 0;

        for (size_t i = 0; i < N_LINES && r >= 0; i++) {
                config.priority = i == LINE_STATUS ? SD_EVENT_PRIORITY_NORMAL - 1
                                                   : SD_EVENT_PRIORITY_NORMAL;
                r = line_open(&p->lines[i], &config);
        }
        if (r >= 0)
                r = line_send(p->lines[LINE_STATUS], "Status", NULL, /* more= */ true);
        if (r >= 0)
                r = line_send(p->lines[LINE_EVENTS], "Watch", NULL, /* more= */ true);
        if (r < 0)
                try_later(p);
        return r;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct peer *p = userdata;
        int r;

        (void) source, (void) usec;
        if (p->lines[LINE_CALLS])
                return 0;
        r = connect_all(p);
        if (r < 0)
                log_debug("gemmad is not there: %s", strerror(-r));
        return 0;
}

int peer_new(struct peer **ret, const struct peer_config *config) {
        _cleanup_(peer_freep) struct peer *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->config = *config;
        p->wait_usec = FIRST_WAIT_USEC;
        p->path = strdup(config->path);
        if (!p->path)
                return -ENOMEM;
        r = sd_event_add_time_relative(config->loop, &p->again, CLOCK_MONOTONIC, 0, 0, on_again, p);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

struct peer *peer_free(struct peer *p) {
        if (!p)
                return NULL;

        p->has_status = false;
        hang_up(p);
        (void) sd_event_source_disable_unref(p->again);
        free(p->path);
        free(p);
        return NULL;
}

int peer_call(struct peer *p,
              const char *method,
              json_t *parameters,
              peer_replied *replied,
              void *userdata) {
        _cleanup_(json_decrefp) json_t *owned = parameters;
        int r;

        if (p->n_waiting == MAX_WAITING)
                return -EBUSY;
        if (!p->lines[LINE_CALLS] && connect_all(p) < 0)
                return -ENOTCONN;
        r = line_send(p->lines[LINE_CALLS], method, owned, /* more= */ false);
        if (r == -ENOMEM || r == -ENOBUFS)
                return r;
        if (r < 0)
                return -ENOTCONN;
        p->waiting[p->n_waiting++] = (struct waiting){ replied, userdata };
        return 0;
}
