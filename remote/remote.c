/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/remote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parcel.h"
#include "ipc/client.h"
#include "remote/asking.h"
#include "remote/http.h"
#include "remote/link.h"
#include "remote/servers.h"

#define METHOD "io.gemmad.Assistant.Remote"

/* Between two tries to find gemmad: twice as long each time. */
#define FIRST_WAIT_NS UINT64_C(250000000)
#define MAX_WAIT_NS   UINT64_C(8000000000)

struct remote {
        const struct settings *settings; /* not owned, nor is the path */
        const char *socket_path;
        int signal_fd;          /* owned */
        CURLM *multi;           /* owned; what it holds belongs to the exchanges */
        struct servers servers;
        struct exchange *looks[SETTINGS_MAX_SERVERS]; /* owned; NULL: that one is not looked after now */

        struct client *gemmad;  /* owned; NULL: it is not there */
        int link_fd, state_fd;  /* owned; of the pairs, our ends */
        uint64_t connect_ns, wait_ns; /* the next try, and how far the one after it */
        bool has_complained;    /* that gemmad is not there, or does not want this */
        struct link_state told;
        struct asking *asking;  /* owned; NULL: gemmad asks nothing */
        bool stops;
};

/* ---- gemmad ---- */

static void tell_state(struct remote *m) {
        unsigned first = servers_next(&m->servers, 0, UINT64_MAX);
        struct link_state state;

        memset(&state, 0, sizeof(state));
        state.version = LINK_VERSION;
        state.is_up = first != SERVERS_NONE;
        if (first == SERVERS_NONE) {
                first = 0;
                state.why = m->servers.list[0].why;
        }
        (void) snprintf(state.server, sizeof(state.server), "%s", m->settings->servers[first].url);
        if (m->state_fd < 0 || memcmp(&state, &m->told, sizeof(state)) == 0)
                return;
        /* It keeps up with what changes once in seconds. */
        if (parcel_send(m->state_fd, &state, sizeof(state), NULL, 0) >= 0)
                m->told = state;
}

static void on_changed(void *userdata) {
        tell_state(userdata);
}

static void hang_up(struct remote *m) {
        m->asking = asking_free(m->asking);
        m->gemmad = m->gemmad ? client_free(m->gemmad) : NULL;
        closep(&m->link_fd);
        closep(&m->state_fd);
        m->link_fd = m->state_fd = -1;
        m->told = (struct link_state){ 0 };
        m->connect_ns = clock_now_ns() + m->wait_ns;
        m->wait_ns = m->wait_ns * 2 < MAX_WAIT_NS ? m->wait_ns * 2 : MAX_WAIT_NS;
}

/* Once until it goes well. */
static void complain(struct remote *m, const char *reason) {
        if (!m->has_complained)
                log_notice("gemmad does not ask (%s), trying again", reason);
        m->has_complained = true;
}

/* The call that lasts as long as gemmad may ask, with an end of each pair. */
static int call_gemmad(struct remote *m, const int fds[static 2], struct why *why) {
        json_t *parameters = json_pack("{s:i, s:i}", "link_fd", 0, "state_fd", 1);
        struct client_call call = { .method = METHOD, .parameters = parameters, .more = true, .fds = fds, .n_fds = 2 };
        struct varlink_reply reply;
        int r;

        r = parameters ? client_send(m->gemmad, &call, why) : -ENOMEM;
        json_decref(parameters);
        if (r < 0)
                return r;
        r = client_next(m->gemmad, m->signal_fd, &reply, why);
        if (r <= 0)
                return r < 0 ? r : because(why, -ECANCELED, "it takes long");
        if (reply.error)
                r = because(why, -EPERM, "%s",
                            strcmp(reply.error, "io.gemmad.Assistant.NotRemote") == 0
                                    ? "in its configuration Engine is not remote"
                                    : reply.error);
        varlink_reply_done(&reply);
        return r;
}

static int connect_gemmad(struct remote *m, struct why *why) {
        _cleanup_(closep) int link_fd = -1, state_fd = -1;
        int pair[2], other[2], r;

        r = client_connect(&m->gemmad, m->socket_path, why);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return because(why, -errno, "%s", strerror(errno));
        m->link_fd = pair[0];
        link_fd = pair[1];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, other) < 0)
                return because(why, -errno, "%s", strerror(errno));
        m->state_fd = other[0];
        state_fd = other[1];
        return call_gemmad(m, (int[]){ link_fd, state_fd }, why);
}

static void try_to_connect(struct remote *m) {
        struct why why = { 0 };

        if (connect_gemmad(m, &why) < 0) {
                complain(m, why.text);
                hang_up(m);
                return;
        }
        m->wait_ns = FIRST_WAIT_NS;
        m->has_complained = false;
        log_notice("Ready: gemmad may ask");
        tell_state(m);
}

/* Nothing follows the first reply but the end. */
static void on_gemmad(struct remote *m) {
        struct varlink_reply reply;
        struct why why = { 0 };
        int r = client_take(m->gemmad, &reply, &why);

        if (r == 0)
                return;
        if (r > 0)
                varlink_reply_done(&reply);
        complain(m, r > 0 ? "it has ended the call" : why.text);
        hang_up(m);
}

/* ---- questions ---- */

static void take_question(struct remote *m, const struct link_question *question, const int *fds) {
        const struct asking_config config = {
                .multi = m->multi,
                .settings = m->settings,
                .servers = &m->servers,
                .link_fd = m->link_fd,
                .changed = on_changed,
                .userdata = m,
        };

        /* One that is not answered yet is not waited for any more. */
        m->asking = asking_free(m->asking);
        if (question->word == LINK_ASK)
                (void) asking_start(&m->asking, &config, question, fds, clock_now_ns());
}

static void on_link(struct remote *m) {
        struct link_question question;
        int fds[PARCEL_MAX_FDS], n;
        size_t n_fds = PARCEL_MAX_FDS;

        n = parcel_receive(m->link_fd, &question, sizeof(question), fds, &n_fds);
        if (n == -EAGAIN)
                return;
        if (n <= 0 || !link_check_question(&question, (size_t) n, n_fds)) {
                complain(m, n == 0 ? "it has hung up" : "it is of another version");
                hang_up(m);
        } else {
                take_question(m, &question, fds);
        }
        while (n_fds > 0)
                closep(&fds[--n_fds]);
}

/* ---- servers ---- */

static void look_after(struct remote *m, unsigned index, uint64_t now_ns) {
        const struct exchange_config config = {
                .multi = m->multi,
                .server = &m->settings->servers[index],
                .settings = m->settings,
        };
        struct why why = { 0 };

        servers_note_look(&m->servers, index, now_ns);
        if (!m->looks[index])
                (void) exchange_start(&m->looks[index], &config, &why);
}

static void on_look_done(struct remote *m, unsigned index, CURLcode result, uint64_t now_ns) {
        const char *url = m->settings->servers[index].url;
        bool was_down = m->servers.list[index].is_down;
        struct why why = { 0 };
        enum exchange_end end = exchange_finish(m->looks[index], result, &why);

        if (end == EXCHANGE_WELL)
                servers_note_up(&m->servers, index, now_ns);
        else
                servers_note_failure(&m->servers, index, true, &why, now_ns);
        if (end == EXCHANGE_WELL && was_down)
                log_notice("%s: it is there again", url);
        else if (end != EXCHANGE_WELL && !was_down)
                log_warning("%s: %s; it is not asked until that is over", url, why.text);
        m->looks[index] = exchange_free(m->looks[index]);
        tell_state(m);
}

static void on_done(struct remote *m, CURL *curl, CURLcode result) {
        uint64_t now_ns = clock_now_ns();

        if (m->asking && asking_on_done(m->asking, curl, result, now_ns))
                return;
        for (unsigned i = 0; i < m->servers.n; i++)
                if (m->looks[i] && exchange_of(curl) == m->looks[i]) {
                        on_look_done(m, i, result, now_ns);
                        return;
                }
}

static void take_done(struct remote *m) {
        CURLMsg *message;
        int n_left;

        while ((message = curl_multi_info_read(m->multi, &n_left)))
                if (message->msg == CURLMSG_DONE)
                        on_done(m, message->easy_handle, message->data.result);
}

/* ---- the loop ---- */

static void step(struct remote *m) {
        uint64_t now_ns = clock_now_ns();
        unsigned due;

        if (!m->gemmad && now_ns >= m->connect_ns)
                try_to_connect(m);
        /* Nobody is looked after as long as nobody may ask. */
        while (m->gemmad && (due = servers_due(&m->servers, now_ns)) != SERVERS_NONE)
                look_after(m, due, now_ns);
        if (m->asking && !asking_step(m->asking, now_ns))
                m->asking = asking_free(m->asking);
}

static int timeout_ms(const struct remote *m) {
        uint64_t now_ns = clock_now_ns(), at = m->gemmad ? servers_next_look(&m->servers) : m->connect_ns;

        if (m->asking && asking_deadline(m->asking) < at)
                at = asking_deadline(m->asking);
        if (at <= now_ns)
                return 0;
        return at - now_ns > UINT64_C(60000000000) ? 60000 : (int) ((at - now_ns) / 1000000) + 1;
}

static short waits_for_room(const struct remote *m) {
        return m->asking && asking_waits(m->asking) ? CURL_WAIT_POLLOUT : 0;
}

static void wait_for_more(struct remote *m) {
        struct curl_waitfd fds[3] = { { .fd = m->signal_fd, .events = CURL_WAIT_POLLIN } };
        unsigned n = 1;

        if (m->gemmad) {
                fds[n++] = (struct curl_waitfd){ .fd = client_fd(m->gemmad), .events = CURL_WAIT_POLLIN };
                fds[n++] = (struct curl_waitfd){ .fd = m->link_fd, .events = CURL_WAIT_POLLIN | waits_for_room(m) };
        }
        (void) curl_multi_poll(m->multi, fds, n, timeout_ms(m), NULL);
        m->stops = fds[0].revents != 0;
        if (n > 1 && (fds[2].revents & ~CURL_WAIT_POLLOUT))
                on_link(m);
        if (n > 1 && m->gemmad && fds[1].revents)
                on_gemmad(m);
}

static int init(struct remote *m) {
        uint64_t seed = 0;
        sigset_t signals;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGINT);
        m->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (m->signal_fd < 0)
                return -errno;
        m->multi = curl_multi_init();
        if (!m->multi)
                return -ENOMEM;
        (void) getrandom(&seed, sizeof(seed), 0);
        servers_init(&m->servers, m->settings->n_servers, m->settings->check_seconds, seed);
        return 0;
}

static void done(struct remote *m) {
        hang_up(m);
        for (unsigned i = 0; i < SETTINGS_MAX_SERVERS; i++)
                m->looks[i] = exchange_free(m->looks[i]);
        if (m->multi)
                (void) curl_multi_cleanup(m->multi);
        closep(&m->signal_fd);
}

int remote_run(const struct settings *settings, const char *socket_path) {
        struct remote m = {
                .settings = settings,
                .socket_path = socket_path,
                .signal_fd = -1,
                .link_fd = -1,
                .state_fd = -1,
                .wait_ns = FIRST_WAIT_NS,
        };
        int n_running, r;

        r = init(&m);
        while (r >= 0 && !m.stops) {
                step(&m);
                if (curl_multi_perform(m.multi, &n_running) != CURLM_OK)
                        r = -EIO;
                take_done(&m);
                if (m.asking && !asking_step(m.asking, clock_now_ns()))
                        m.asking = asking_free(m.asking);
                if (r >= 0)
                        wait_for_more(&m);
        }
        done(&m);
        return r;
}
