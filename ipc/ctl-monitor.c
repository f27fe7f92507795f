/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ipc/ctl-monitor.h"
#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

/* How often the status is asked for: its memory and its uptime change without being told. */
#define STATUS_NS (UINT64_C(1000000000))

DEFINE_CLEANUP(struct client *, client_free)

enum source {
        SOURCE_WATCH,
        SOURCE_STATUS,
        SOURCE_LEVEL,
        N_SOURCES,
};

struct monitor {
        const struct ctl *ctl;
        struct client *clients[N_SOURCES]; /* owned; NULL: not asked for */
        struct view view;
        bool is_status_asked;
        uint64_t status_due_ns;
        bool is_over;
        struct why why; /* of an end that nobody wished */
};

static void monitor_done(struct monitor *m) {
        for (unsigned i = 0; i < N_SOURCES; i++)
                client_free(m->clients[i]);
        view_done(&m->view);
}

static int send(struct monitor *m, enum source source, const char *method, bool more) {
        struct client_call call = { .method = method, .more = more };
        int r = 0;

        if (!m->clients[source])
                r = client_connect(&m->clients[source], m->ctl->socket, &m->why);
        return r < 0 ? r : client_send(m->clients[source], &call, &m->why);
}

/* Where the microphone is open anyway its level is shown; else only by a key, since asking for it opens
 * the microphone. */
static void follow_level(struct monitor *m, bool is_wanted) {
        if (!is_wanted)
                m->clients[SOURCE_LEVEL] = client_free(m->clients[SOURCE_LEVEL]);
        else if (!m->clients[SOURCE_LEVEL])
                (void) send(m, SOURCE_LEVEL, "io.gemmad.Assistant.Level", true);
        m->view.has_level = m->clients[SOURCE_LEVEL] != NULL;
}

static void take_reply(struct monitor *m, enum source source, const struct varlink_reply *reply) {
        if (reply->error) {
                /* A muted microphone has no level; that is no reason to end. */
                if (source == SOURCE_LEVEL)
                        follow_level(m, false);
                return;
        }
        switch (source) {
        case SOURCE_WATCH:
                view_take_event(&m->view, json_object_get(reply->parameters, "event"));
                break;
        case SOURCE_STATUS:
                m->is_status_asked = false;
                if (view_take_status(&m->view, reply->parameters))
                        follow_level(m, m->view.is_open);
                break;
        case SOURCE_LEVEL:
                view_take_level(&m->view, reply->parameters);
                break;
        default:
                break;
        }
}

static void take_replies(struct monitor *m, enum source source) {
        struct varlink_reply reply;
        int r;

        while (m->clients[source] && (r = client_take(m->clients[source], &reply, &m->why)) != 0) {
                if (r < 0) {
                        m->is_over = source != SOURCE_LEVEL;
                        m->clients[source] = client_free(m->clients[source]);
                        return;
                }
                take_reply(m, source, &reply);
                varlink_reply_done(&reply);
        }
}

static void ask_status(struct monitor *m) {
        uint64_t now = clock_now_ns();

        if (m->is_status_asked || now < m->status_due_ns)
                return;
        m->status_due_ns = now + STATUS_NS;
        m->is_status_asked = true;
        m->is_over = send(m, SOURCE_STATUS, "io.gemmad.Assistant.Status", false) < 0;
}

static void cancel(struct monitor *m) {
        struct client_call call = { .method = "io.gemmad.Assistant.Cancel" };
        _cleanup_(client_freep) struct client *client = NULL;
        struct why why;

        if (client_connect(&client, m->ctl->socket, &why) >= 0)
                (void) client_send(client, &call, &why);
}

/* False: that is enough. */
static bool on_key(struct monitor *m) {
        switch (view_key()) {
        case 'q':
                return false;
        case 'm':
                follow_level(m, !m->view.has_level);
                return true;
        case 'c':
                cancel(m);
                return true;
        default:
                return true;
        }
}

/* Waits for a reply, a key, a signal or the next second.  False: that is enough. */
static bool wait_and_take(struct monitor *m, int signal_fd) {
        struct pollfd fds[N_SOURCES + 2];

        for (unsigned i = 0; i < N_SOURCES; i++)
                fds[i] = (struct pollfd){
                        .fd = m->clients[i] ? client_fd(m->clients[i]) : -1,
                        .events = POLLIN,
                };
        fds[N_SOURCES] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
        fds[N_SOURCES + 1] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
        if (poll(fds, N_SOURCES + 2, 1000) < 0 && errno != EINTR)
                return false;

        for (unsigned i = 0; i < N_SOURCES; i++)
                if (fds[i].revents)
                        take_replies(m, i);
        /* A terminal that is gone can be read for ever. */
        if (fds[N_SOURCES + 1].revents || (fds[N_SOURCES].revents & ~POLLIN))
                return false;
        return !fds[N_SOURCES].revents || on_key(m);
}

/* So that the terminal is put back whatever ends the program. */
static int open_signals(void) {
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run(struct monitor *m, int signal_fd) {
        view_open();
        do {
                ask_status(m);
                view_draw(&m->view);
        } while (!m->is_over && wait_and_take(m, signal_fd));
        view_close();
}

enum ctl_exit ctl_monitor(const struct ctl *c) {
        _cleanup_(monitor_done) struct monitor m = { .ctl = c };
        _cleanup_(closep) int signal_fd = -1;
        enum ctl_exit e;

        if (!c->to_terminal || !isatty(STDIN_FILENO)) {
                print_error("monitor fills a terminal; for a program: watch, status -f, meter");
                return CTL_EXIT_USAGE;
        }
        e = ctl_connect(c, &m.clients[SOURCE_WATCH]);
        if (e != CTL_EXIT_OK)
                return e;
        if (send(&m, SOURCE_WATCH, "io.gemmad.Assistant.Watch", true) < 0)
                return ctl_lost(&m.why);
        signal_fd = open_signals();
        run(&m, signal_fd);
        return m.is_over ? ctl_lost(&m.why) : CTL_EXIT_OK;
}
