/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/link.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "base/log.h"
#include "desktop/line.h"
#include "ipc/varlink.h"

#define FIRST_WAIT_USEC UINT64_C(250000)
#define MAX_WAIT_USEC   UINT64_C(8000000)

/* After tools that were refused. */
#define REFUSED_WAIT_USEC UINT64_C(60000000)

/* Calls that are being carried out. */
#define MAX_CALLS 64

/* Of the object that a call gives, written down: what gemmad takes. */
#define MAX_RESULT_SIZE 16384

enum line { LINE_CALLS, LINE_ANSWERS, N_LINES };

struct link {
        struct link_config config;
        char *path; /* owned */
        json_t *tools;              /* owned reference */
        struct conn *lines[N_LINES]; /* owned; all or none */
        sd_event_source *again;     /* owned; tries to connect */
        uint64_t wait_usec;
        struct call *calls[MAX_CALLS]; /* not owned, [n_calls]; answered before they end */
        unsigned n_calls;
        bool is_accepted;
        bool has_complained; /* about the attempts since the last success */
};

static void on_message(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata);
static void on_ended(struct conn *c, int r, void *userdata);

static const struct conn_handler handler = { on_message, on_ended };

/* An answer to this gemmad must not reach the next one, whose calls may have the same numbers. */
static void forget_calls(struct link *l) {
        while (l->n_calls > 0)
                call_forget(l->calls[--l->n_calls]);
}

static void hang_up(struct link *l) {
        forget_calls(l);
        for (size_t i = 0; i < N_LINES; i++)
                l->lines[i] = conn_free(l->lines[i]);
        if (l->is_accepted && l->config.connected)
                l->config.connected(false, l->config.userdata);
        l->is_accepted = false;
}

static void try_later(struct link *l) {
        hang_up(l);
        (void) sd_event_source_set_time_relative(l->again, l->wait_usec);
        (void) sd_event_source_set_enabled(l->again, SD_EVENT_ONESHOT);
        l->wait_usec = l->wait_usec * 2 < MAX_WAIT_USEC ? l->wait_usec * 2 : MAX_WAIT_USEC;
}

/* One line for all attempts until the next success. */
static void complain(struct link *l, const char *reason) {
        if (l->has_complained)
                log_debug("gemmad does not take the tools of %s: %s", l->config.provider, reason);
        else
                log_notice("gemmad does not take the tools of %s (%s), trying again",
                           l->config.provider, reason);
        l->has_complained = true;
}

static void end_call(struct link *l, uint64_t id) {
        for (unsigned i = 0; i < l->n_calls; i++)
                if (call_id(l->calls[i]) == id) {
                        l->calls[i] = l->calls[--l->n_calls];
                        return;
                }
}

/* -EAGAIN: not now, but without the picture. */
static int send_shown(struct link *l, json_t *parameters, const struct picture *picture) {
        json_t *shown = json_copy(parameters);
        int r = -ENOMEM;

        if (shown && json_object_set_new(shown, "image",
                                         json_pack("{s:i, s:I, s:I}", "fd", 0, "width",
                                                   (json_int_t) picture->width, "height",
                                                   (json_int_t) picture->height)) == 0)
                r = line_send_fd(l->lines[LINE_ANSWERS], "Respond", shown, picture->fd);
        json_decref(shown);
        return r;
}

static void send_answer(const struct call_answer *a, void *userdata) {
        struct link *l = userdata;
        _cleanup_(json_decrefp) json_t *parameters = NULL;
        json_t *result = NULL;
        int r = -ENOMEM;

        /* What is too large for gemmad would never be an answer. */
        if (a->result && json_dumpb(a->result, NULL, 0, JSON_COMPACT) <= MAX_RESULT_SIZE)
                result = a->result;
        parameters = json_pack("{s:I, s:s*, s:O*, s:s*}", "id", (json_int_t) a->id, "text", a->text,
                               "result", result, "error", a->error);
        if (parameters && a->picture)
                r = send_shown(l, parameters, a->picture);
        if (parameters && (!a->picture || r == -EAGAIN))
                r = line_send(l->lines[LINE_ANSWERS], "Respond", parameters, /* more= */ false);
        end_call(l, a->id);
        if (r >= 0)
                return;
        log_warning("The answer to a call could not be sent: %s", strerror(-r));
        try_later(l);
}

static int take_call(struct link *l, json_t *description) {
        _cleanup_(call_unrefp) struct call *call = NULL;
        struct call_config config = { .loop = l->config.loop, .answered = send_answer, .userdata = l };
        const char *begun;
        json_int_t id;

        if (json_unpack(description, "{s:I, s:s, s:o, s:s}", "id", &id, "name", &config.name,
                        "arguments", &config.arguments, "begun", &begun) < 0 ||
            !json_is_object(config.arguments) || !begun_from_name(begun, &config.begun) || id < 0)
                return -EBADMSG;
        config.id = (uint64_t) id;
        config.sees = json_is_true(json_object_get(description, "sees"));
        if (call_new(&call, &config) < 0)
                return -ENOMEM;

        log_debug("Call of %s", config.name);
        if (l->n_calls == MAX_CALLS) {
                call_fail(call, "Too many things are going on.");
                return 0;
        }
        l->calls[l->n_calls++] = call;
        l->config.call(call, l->config.userdata);
        return 0;
}

/* The first reply says that the tools are taken; every other one is a call. */
static int on_calls(struct link *l, const struct varlink_reply *reply) {
        json_t *call = json_object_get(reply->parameters, "call");

        if (!l->is_accepted) {
                l->is_accepted = true;
                l->has_complained = false;
                l->wait_usec = FIRST_WAIT_USEC;
                log_notice("gemmad has taken %zu tools of %s", json_array_size(l->tools),
                           l->config.provider);
                if (l->config.connected)
                        l->config.connected(true, l->config.userdata);
        }
        return json_is_object(call) ? take_call(l, call) : 0;
}

/* What is refused on the line of answers concerns one call; on the others it is the end. */
static int on_error(struct link *l, enum line line, const char *error) {
        if (line == LINE_ANSWERS) {
                log_info("gemmad took an answer for nothing: %s", error);
                return 0;
        }
        complain(l, error);
        /* It will not like them better soon. */
        if (strcmp(error, VARLINK_SERVICE ".InvalidParameter") == 0)
                l->wait_usec = REFUSED_WAIT_USEC;
        return -EPROTO;
}

static int on_reply(struct link *l, enum line line, const struct varlink_reply *reply) {
        if (reply->error)
                return on_error(l, line, reply->error);
        return line == LINE_CALLS ? on_calls(l, reply) : 0;
}

static enum line line_of(const struct link *l, const struct conn *c) {
        enum line line = 0;

        while (line < N_LINES - 1 && l->lines[line] != c)
                line++;
        return line;
}

static void
on_message(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        struct link *l = userdata;
        struct varlink_reply reply;
        struct why why = {};
        int r;

        (void) fds;
        r = varlink_parse_reply(&reply, text, size, &why);
        if (r < 0) {
                complain(l, why.text);
        } else {
                r = on_reply(l, line_of(l, c), &reply);
                varlink_reply_done(&reply);
        }
        if (r < 0)
                try_later(l);
}

static void on_ended(struct conn *c, int r, void *userdata) {
        struct link *l = userdata;

        (void) c;
        complain(l, r < 0 ? strerror(-r) : "it has closed the connection");
        try_later(l);
}

static int connect_all(struct link *l) {
        _cleanup_(json_decrefp) json_t *parameters = json_pack("{s:O, s:s}", "tools", l->tools, "provider",
                                                                 l->config.provider);
        const struct line_config config = {
                .loop = l->config.loop,
                .path = l->path,
                .handler = &handler,
                .userdata = l,
        };
        int r = 0;

        if (!parameters)
                return -ENOMEM;
        for (size_t i = 0; i < N_LINES && r >= 0; i++)
                r = line_open(&l->lines[i], &config);
        if (r >= 0)
                r = line_send(l->lines[LINE_CALLS], "Provide", parameters, /* more= */ true);
        return r;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct link *l = userdata;
        int r;

        (void) source, (void) usec;
        if (json_array_size(l->tools) == 0)
                return 0;
        r = connect_all(l);
        if (r < 0) {
                complain(l, strerror(-r));
                try_later(l);
        }
        return 0;
}

int link_new(struct link **ret, const struct link_config *config, struct why *why) {
        _cleanup_(link_freep) struct link *l = NULL;
        int r;

        if (strlen(config->path) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
                return because(why, -ENAMETOOLONG, "%s: too long for a socket's path", config->path);
        l = calloc(1, sizeof(*l));
        if (!l)
                return because(why, -ENOMEM, "out of memory");

        l->config = *config;
        l->path = strdup(config->path);
        if (!l->path)
                return because(why, -ENOMEM, "out of memory");
        l->tools = json_incref(config->tools);
        l->wait_usec = FIRST_WAIT_USEC;
        r = sd_event_add_time_relative(config->loop, &l->again, CLOCK_MONOTONIC, 0, 0, on_again, l);
        if (r < 0)
                return because(why, r, "timer: %s", strerror(-r));

        *ret = TAKE_PTR(l);
        return 0;
}

struct link *link_free(struct link *l) {
        if (!l)
                return NULL;

        l->config.connected = NULL;
        hang_up(l);
        (void) sd_event_source_disable_unref(l->again);
        json_decref(l->tools);
        free(l->path);
        free(l);
        return NULL;
}

void link_set_tools(struct link *l, json_t *tools) {
        json_decref(l->tools);
        l->tools = json_incref(tools);
        hang_up(l);
        (void) sd_event_source_set_time_relative(l->again, 0);
        (void) sd_event_source_set_enabled(l->again, SD_EVENT_ONESHOT);
}
