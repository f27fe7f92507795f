/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serve/remote.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/parcel.h"
#include "daemon/serve/parameters.h"
#include "daemon/serve/replies.h"

#define ASSISTANT "io.gemmad.Assistant"

static void hang_up(struct remote_desk *d) {
        d->source = sd_event_source_disable_unref(d->source);
        if (d->call)
                closep(&d->state_fd);
        d->state_fd = -1;
        d->call = NULL;
        d->has_state = false;
}

static void on_gone(struct call *call, void *userdata) {
        struct remote_desk *d = userdata;

        (void) call;
        hang_up(d);
        log_notice("gemmad-remote has gone: nothing is asked elsewhere");
        d->changed(d->userdata);
}

/* Where things go is said in the log whenever that changes. */
static void log_state(const struct link_state *state) {
        if (state->is_up)
                log_notice("What is not understood here is asked at %s", state->server);
        else
                log_notice("No server is there (%s: %s): nothing is asked elsewhere", state->server,
                           state->why.text);
}

static int on_state(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct remote_desk *d = userdata;
        struct link_state state;
        size_t n_fds = 0;
        int n;

        (void) revents;
        n = parcel_receive(fd, &state, sizeof(state), NULL, &n_fds);
        if (n == -EAGAIN)
                return 0;
        /* The call ends, too, or it says nothing that is understood. */
        if (n <= 0 || !link_check_state(&state, (size_t) n))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        d->state = state;
        d->has_state = true;
        log_state(&state);
        d->changed(d->userdata);
        return 0;
}

/* A pair that keeps messages apart, which no network has. */
static bool is_pair(int fd) {
        int type = 0, domain = 0;
        socklen_t size = sizeof(type);

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
                return false;
        size = sizeof(domain);
        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/* False: the call has been answered. */
static bool take_fd(struct call *call, const json_t *parameters, const char *name, int *ret) {
        json_int_t index;

        if (parameter_integer(parameters, name, 0, INT_MAX, &index) == 1)
                *ret = call_take_fd(call, (size_t) index);
        if (*ret >= 0 && is_pair(*ret))
                return true;
        call_invalid_parameter(call, name);
        return false;
}

static int begin(struct remote_desk *d, struct call *call, int *state_fd) {
        int r;

        if (d->call) {
                call_on_gone(d->call, NULL, NULL);
                call_error(d->call, ASSISTANT ".Stopping", NULL);
                hang_up(d);
        }
        r = sd_event_add_io(d->loop, &d->source, *state_fd, EPOLLIN, on_state, d);
        if (r < 0)
                return r;
        d->state_fd = TAKE_FD(*state_fd);
        d->call = call;
        return 0;
}

int remote_on_remote(struct remote_desk *d, struct call *call, const json_t *parameters) {
        _cleanup_(closep) int link_fd = -1, state_fd = -1;
        int r;

        if (!call_wants_more(call)) {
                call_error(call, ASSISTANT ".NeedsMore", NULL);
                return 0;
        }
        if (!d->config->is_remote) {
                call_error(call, ASSISTANT ".NotRemote", NULL);
                return 0;
        }
        if (!take_fd(call, parameters, "link_fd", &link_fd) || !take_fd(call, parameters, "state_fd", &state_fd))
                return 0;
        r = begin(d, call, &state_fd);
        if (r < 0)
                return r;
        d->take_link(TAKE_FD(link_fd), d->userdata);
        call_on_gone(call, on_gone, d);
        (void) call_continue(call, json_object());
        d->changed(d->userdata);
        return 0;
}

bool remote_is_up(const struct remote_desk *d) {
        return d->call && d->has_state && d->state.is_up;
}

void remote_add_status(const struct remote_desk *d, json_t *status) {
        const char *error = NULL;

        (void) json_object_set_new(status, "engine", json_string(d->config->is_remote ? "remote" : "local"));
        if (!d->config->is_remote)
                return;
        if (!d->call)
                error = "gemmad-remote is not running";
        else if (!d->has_state)
                error = "gemmad-remote has not said yet where it asks";
        else if (!d->state.is_up)
                error = d->state.why.text;
        if (d->has_state)
                (void) json_object_set_new(status, "remote_server", reply_string(d->state.server));
        if (error)
                (void) json_object_set_new(status, "remote_error", reply_string(error));
}

void remote_done(struct remote_desk *d) {
        hang_up(d);
}
