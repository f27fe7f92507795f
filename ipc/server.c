/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ipc/conn.h"
#include "ipc/interface.h"
#include "ipc/varlink.h"

/* How long a process that has run out of descriptors leaves new clients in the queue. */
#define ACCEPT_PAUSE_USEC 100000

/* Told to a client before it is dropped. */
#define BAD_MESSAGE "io.gemmad.Assistant.BadMessage"

static const char service_interface[] =
        "# What every Varlink service offers.\n"
        "interface " VARLINK_SERVICE "\n"
        "\n"
        "# Who this is and which interfaces it has.\n"
        "method GetInfo() -> (\n"
        "  vendor: string,\n"
        "  product: string,\n"
        "  version: string,\n"
        "  url: string,\n"
        "  interfaces: []string\n"
        ")\n"
        "\n"
        "# The text of one interface.\n"
        "method GetInterfaceDescription(interface: string) -> (description: string)\n"
        "\n"
        "error InterfaceNotFound (interface: string)\n"
        "error MethodNotFound (method: string)\n"
        "error MethodNotImplemented (method: string)\n"
        "error InvalidParameter (parameter: string)\n"
        "error PermissionDenied ()\n"
        "error ExpectedMore ()\n";

/* A client as the server sees it. */
struct peer {
        LIST_ENTRY(peer) link;
        struct server *server; /* not owned */
        struct conn *conn;     /* owned */
        struct call *call;     /* owned; the one that the next one waits for */
        uint64_t idle_ns;      /* since when there is none */
        pid_t pid;             /* who connected; 0: somebody of another namespace */
};

struct call {
        LIST_ENTRY(call) link;
        struct server *server; /* not owned */
        struct peer *peer;     /* not owned; NULL: nobody waits for an answer */
        struct peer *sender;   /* not owned; NULL: has left */
        struct conn_fds fds;
        bool wants_more, is_oneway;
        void (*gone)(struct call *call, void *userdata);
        void *gone_userdata;
};

struct server {
        struct server_config config;   /* what it points to is not owned; no interfaces */
        sd_event *loop;                /* owned reference */
        sd_event_source *listening;    /* owned; NULL once stopped */
        sd_event_source *pause;        /* owned; NULL once stopped */
        sd_event_source *forgive;      /* owned; behind all others */
        int listen_fd;                 /* owned; -1 once stopped */
        struct interface **interfaces; /* owned; org.varlink.service first */
        size_t n_interfaces;
        LIST_HEAD(, peer) peers;
        LIST_HEAD(, call) calls;
        struct server_counters counters;
        bool is_full; /* the last one who came found max_clients, which was told */

        /* The call that is being handled and its client, NULL as soon as it has ended: a handler
         * may end both. */
        struct call *current_call;
        struct peer *current_peer;
};

DEFINE_CLEANUP(struct server *, server_free)

static int call_new(struct call **ret, struct peer *p, const struct varlink_call *m) {
        struct call *call;

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;

        call->server = p->server;
        call->wants_more = m->more && !m->oneway;
        LIST_INSERT_HEAD(&p->server->calls, call, link);
        call->is_oneway = m->oneway;
        call->sender = p;
        if (!m->oneway) {
                call->peer = p;
                p->call = call;
                conn_set_held(p->conn, true);
        }
        *ret = call;
        return 0;
}

static void call_free(struct call *call) {
        LIST_REMOVE(call, link);
        if (call->server->current_call == call)
                call->server->current_call = NULL;
        if (call->peer) {
                call->peer->call = NULL;
                call->peer->idle_ns = clock_now_ns();
        }
        conn_fds_close(&call->fds);
        free(call);
}

/* Ends a call whose answer nobody will read. */
static void call_lose(struct call *call) {
        void (*gone)(struct call *, void *) = call->gone;

        call->gone = NULL;
        if (gone)
                gone(call, call->gone_userdata);
        call_free(call);
}

/* A oneway call of this client that has been kept. */
static struct call *find_left(const struct peer *p) {
        struct call *call;

        LIST_FOREACH(call, &p->server->calls, link) {
                if (call->sender == p && call != p->server->current_call)
                        return call;
        }
        return NULL;
}

static void peer_free(struct peer *p) {
        struct call *call;

        if (p->call)
                call_lose(p->call);
        while ((call = find_left(p)))
                call_lose(call);
        if (p->server->current_call && p->server->current_call->sender == p)
                p->server->current_call->sender = NULL;
        if (p->server->current_peer == p)
                p->server->current_peer = NULL;
        LIST_REMOVE(p, link);
        p->server->counters.n_clients--;
        conn_free(p->conn);
        free(p);
}

static void peer_drop(struct peer *p) {
        p->server->counters.n_dropped++;
        peer_free(p);
}

/* False when this was the end of the client: it did not read, or has gone; or there was no memory for
 * all of what it is to be told, and a part of it would not be true. */
static bool peer_send(struct peer *p, const char *error, json_t *parameters, bool continues) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = varlink_format_reply(error, parameters, continues, &text, &size);
        if (r >= 0 && varlink_lacked_memory())
                r = -ENOMEM;
        if (r >= 0)
                r = conn_send(p->conn, text, size);
        if (r >= 0)
                return true;

        if (r == -EPIPE || r == -ECONNRESET)
                peer_free(p);
        else
                peer_drop(p);
        return false;
}

/* The last word on a call, whichever it is. */
static void call_end(struct call *call, const char *error, json_t *parameters) {
        _cleanup_(json_decrefp) json_t *owned = parameters;
        struct peer *p = call->peer;

        call_free(call);
        if (p && peer_send(p, error, owned, false))
                conn_set_held(p->conn, false);
}

bool call_wants_more(const struct call *call) {
        return call->wants_more;
}

bool call_is_oneway(const struct call *call) {
        return call->is_oneway;
}

pid_t call_process(const struct call *call) {
        return call->sender ? call->sender->pid : 0;
}

void call_on_gone(struct call *call,
                  void (*gone)(struct call *call, void *userdata),
                  void *userdata) {
        call->gone = gone;
        call->gone_userdata = userdata;
}

int call_take_fd(struct call *call, size_t index) {
        if (index >= call->fds.n_fds || call->fds.fds[index] < 0)
                return -ENOENT;
        return TAKE_FD(call->fds.fds[index]);
}

bool call_continue(struct call *call, json_t *parameters) {
        _cleanup_(json_decrefp) json_t *owned = parameters;

        assert(call->wants_more || !call->peer);
        return !call->peer || peer_send(call->peer, NULL, owned, true);
}

void call_reply(struct call *call, json_t *parameters) {
        call_end(call, NULL, parameters);
}

void call_error(struct call *call, const char *error, json_t *parameters) {
        call_end(call, error, parameters);
}

void call_invalid_parameter(struct call *call, const char *name) {
        call_end(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", name));
}

static const struct interface *
server_find_interface(const struct server *s, const char *name, size_t size) {
        for (size_t i = 0; i < s->n_interfaces; i++) {
                const char *candidate = interface_name(s->interfaces[i]);

                if (strlen(candidate) == size && memcmp(candidate, name, size) == 0)
                        return s->interfaces[i];
        }
        return NULL;
}

static int on_get_info(struct call *call, json_t *parameters, void *userdata) {
        struct server *s = call->server;
        _cleanup_(json_decrefp) json_t *names = json_array();

        (void) parameters;
        (void) userdata;
        for (size_t i = 0; i < s->n_interfaces; i++) {
                if (json_array_append_new(names, json_string(interface_name(s->interfaces[i]))) < 0)
                        return -ENOMEM;
        }
        call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:O}", "vendor", s->config.vendor,
                                   "product", s->config.product, "version", s->config.version,
                                   "url", s->config.url, "interfaces", names));
        return 0;
}

static int on_get_description(struct call *call, json_t *parameters, void *userdata) {
        const char *name = json_string_value(json_object_get(parameters, "interface"));
        const struct interface *i;

        (void) userdata;
        i = server_find_interface(call->server, name, strlen(name));
        if (i)
                call_reply(call, json_pack("{s:s}", "description", interface_text(i)));
        else
                call_error(call, VARLINK_SERVICE ".InterfaceNotFound",
                           json_pack("{s:s}", "interface", name));
        return 0;
}

static const struct server_method service_methods[] = {
        { VARLINK_SERVICE ".GetInfo", on_get_info },
        { VARLINK_SERVICE ".GetInterfaceDescription", on_get_description },
        { NULL, NULL },
};

static const struct server_method *find_method(const struct server_method *methods,
                                               const char *name) {
        for (const struct server_method *m = methods; m->name; m++) {
                if (strcmp(m->name, name) == 0)
                        return m;
        }
        return NULL;
}

/* Finds what a call wants and checks its parameters; NULL when it has been answered instead. */
static const struct server_method *call_resolve(struct call *call, const struct varlink_call *m) {
        const char *dot = strrchr(m->method, '.'), *fault;
        size_t size = dot ? (size_t) (dot - m->method) : strlen(m->method);
        const struct interface *i = server_find_interface(call->server, m->method, size);
        const struct server_method *method;

        if (!i) {
                call_error(call, VARLINK_SERVICE ".InterfaceNotFound",
                           json_pack("{s:s%}", "interface", m->method, size));
                return NULL;
        }
        if (!dot || !interface_has_method(i, dot + 1)) {
                call_error(call, VARLINK_SERVICE ".MethodNotFound",
                           json_pack("{s:s}", "method", m->method));
                return NULL;
        }

        method = find_method(service_methods, m->method);
        if (!method)
                method = find_method(call->server->config.methods, m->method);
        if (!method || m->upgrade) {
                call_error(call, VARLINK_SERVICE ".MethodNotImplemented",
                           json_pack("{s:s}", "method", m->method));
                return NULL;
        }
        if (interface_check(i, INTERFACE_CALL, dot + 1, m->parameters, &fault) < 0) {
                call_invalid_parameter(call, fault);
                return NULL;
        }
        return method;
}

static void peer_handle(struct peer *p, const struct varlink_call *m, struct conn_fds *fds) {
        struct server *s = p->server;
        const struct server_method *method;
        struct call *call;
        int r;

        r = call_new(&call, p, m);
        if (r < 0) {
                peer_drop(p);
                return;
        }
        call->fds = *fds;
        fds->n_fds = 0;
        method = call_resolve(call, m);
        if (!method)
                return;

        s->current_call = call;
        s->current_peer = p;
        r = method->handle(call, m->parameters, s->config.userdata);
        if (r < 0 && s->current_call)
                call_free(s->current_call);
        if (r < 0 && s->current_peer)
                peer_drop(s->current_peer);
        s->current_call = NULL;
        s->current_peer = NULL;
}

/* Tells the client what it did wrong, as far as it reads, and drops it. */
static void peer_refuse(struct peer *p, const char *reason) {
        _cleanup_(json_decrefp) json_t *parameters = NULL;

        /* A reason that quotes the message may have been cut within a character. */
        parameters = json_pack("{s:s}", "reason", reason);
        if (!parameters)
                parameters = json_pack("{s:s}", "reason", "not a Varlink call");
        if (peer_send(p, BAD_MESSAGE, parameters, false))
                peer_drop(p);
}

static void peer_on_message(
        struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        struct peer *p = userdata;
        struct varlink_call m;
        struct why why = { "" };
        int r;

        (void) c;
        r = varlink_parse_call(&m, text, size, &why);
        if (r == -ENOMEM) {
                peer_drop(p);
                return;
        }
        if (r < 0) {
                peer_refuse(p, why.text);
                return;
        }
        peer_handle(p, &m, fds);
        varlink_call_done(&m);
}

static void peer_on_ended(struct conn *c, int r, void *userdata) {
        struct peer *p = userdata;
        struct why why;

        (void) c;
        if (r == 0 || r == -ECONNRESET) {
                peer_free(p);
                return;
        }
        /* That there is no memory is no fault of the message. */
        if (p->call || r == -ENOMEM) {
                peer_drop(p);
                return;
        }
        if (r == -EMSGSIZE)
                (void) because(&why, r, "a message longer than %zu bytes",
                               p->server->config.max_message_size);
        else if (r == -EMFILE)
                (void) because(&why, r, "more than %d file descriptors", CONN_MAX_FDS);
        else
                (void) because(&why, r, "%s", strerror(-r));
        peer_refuse(p, why.text);
}

/* Root may talk to everybody's assistant, others only to their own. */
static bool is_allowed(int fd, pid_t *ret_pid) {
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return false;
        *ret_pid = credentials.pid;
        return credentials.uid == 0 || credentials.uid == geteuid();
}

static int peer_new(struct server *s, int fd, pid_t pid) {
        static const struct conn_handler handler = { peer_on_message, peer_on_ended };
        struct conn_config config = {
                .fd = fd,
                .max_message_size = s->config.max_message_size,
                .max_unsent_size = s->config.max_unsent_size,
                .handler = &handler,
        };
        _cleanup_(freep) struct peer *p = NULL;
        struct peer *kept;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->server = s;
        p->pid = pid;
        p->idle_ns = clock_now_ns();
        config.userdata = p;
        r = conn_new(&p->conn, s->loop, &config);
        if (r < 0)
                return r;

        kept = TAKE_PTR(p);
        LIST_INSERT_HEAD(&s->peers, kept, link);
        s->counters.n_clients++;
        s->counters.n_accepted++;
        return 0;
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata) {
        struct server *s = userdata;

        (void) source;
        (void) usec;
        return sd_event_source_set_enabled(s->listening, SD_EVENT_ON);
}

/* The listening socket stays readable while there is no descriptor for the client, so the loop
 * would spin. */
static void pause_accepting(struct server *s) {
        int r;

        r = sd_event_source_set_time_relative(s->pause, ACCEPT_PAUSE_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->pause, SD_EVENT_ONESHOT);
        /* Without the timer the socket would never be watched again: rather spin. */
        if (r >= 0)
                (void) sd_event_source_set_enabled(s->listening, SD_EVENT_OFF);
}

/* Who has waited longest without asking anything; NULL when nobody has for long. */
static struct peer *find_idle(const struct server *s) {
        uint64_t now = clock_now_ns(), limit = (uint64_t) s->config.idle_seconds * 1000000000;
        struct peer *p, *longest = NULL;

        LIST_FOREACH(p, &s->peers, link) {
                if (p->call || now - p->idle_ns < limit)
                        continue;
                if (!longest || p->idle_ns < longest->idle_ns)
                        longest = p;
        }
        return longest;
}

static unsigned count_of(const struct server *s, pid_t pid) {
        struct peer *p;
        unsigned n = 0;

        LIST_FOREACH(p, &s->peers, link) {
                n += p->pid == pid;
        }
        return n;
}

/* Whose connections are more than half of all, if anybody's are: who is left over when two of different
 * processes cancel each other out. */
static bool find_greedy(const struct server *s, pid_t *ret) {
        struct peer *p;
        unsigned n = 0;

        LIST_FOREACH(p, &s->peers, link) {
                if (n == 0)
                        *ret = p->pid;
                n = n == 0 || p->pid == *ret ? n + 1 : n - 1;
        }
        return n > 0 && count_of(s, *ret) > s->config.max_clients / 2;
}

/* A connection of a process that has more than half of them, while another process has none: the one that has
 * asked nothing for longest, or the newest.  NULL: there is no such process. */
static struct peer *find_surplus(const struct server *s, pid_t newcomer) {
        struct peer *p, *found = NULL;
        pid_t greedy;

        if (s->config.max_clients < 2 || !find_greedy(s, &greedy) || greedy == newcomer)
                return NULL;
        LIST_FOREACH(p, &s->peers, link) {
                if (p->pid != greedy)
                        continue;
                if (!found || (!p->call && (found->call || p->idle_ns < found->idle_ns)))
                        found = p;
        }
        return found;
}

/* False when there is no room, and nobody who could make some. */
static bool make_room(struct server *s, pid_t newcomer) {
        struct peer *p;

        if (s->counters.n_clients < s->config.max_clients)
                return true;
        p = find_idle(s);
        if (!p)
                p = find_surplus(s, newcomer);
        if (!p)
                return false;
        peer_drop(p);
        return true;
}

/* Takes the descriptor over when it returns 0. */
static int admit(struct server *s, int fd) {
        pid_t pid;

        if (!is_allowed(fd, &pid))
                return -EPERM;
        if (!make_room(s, pid)) {
                if (!s->is_full && s->config.on_full)
                        s->config.on_full(s->config.userdata);
                s->is_full = true;
                return -EUSERS;
        }
        s->is_full = false;
        return peer_new(s, fd, pid);
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct server *s = userdata;
        _cleanup_(closep) int client_fd = -1;

        (void) source;
        (void) revents;
        client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client_fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        pause_accepting(s);
                return 0;
        }

        if (admit(s, client_fd) < 0)
                s->counters.n_refused++;
        else
                (void) TAKE_FD(client_fd);
        return 0;
}

static int server_add_interfaces(struct server *s, struct why *why) {
        const char *const *texts = s->config.interfaces;
        size_t n = 1;
        int r;

        while (texts[n - 1])
                n++;
        s->interfaces = calloc(n, sizeof(*s->interfaces));
        if (!s->interfaces)
                return because(why, -ENOMEM, "out of memory");

        for (size_t i = 0; i < n; i++) {
                r = interface_parse(&s->interfaces[i], i == 0 ? service_interface : texts[i - 1],
                                    why);
                if (r == -ENOMEM)
                        return because(why, r, "interface description: out of memory");
                if (r < 0)
                        return because_in(why, r, "interface description");
                s->n_interfaces++;
        }
        s->config.interfaces = NULL;
        return 0;
}

/* Every method of the table must be declared, or its parameters could not be checked. */
static int server_check_methods(const struct server *s, struct why *why) {
        for (const struct server_method *m = s->config.methods; m->name; m++) {
                const char *dot = strrchr(m->name, '.');
                const struct interface *i = NULL;

                if (dot)
                        i = server_find_interface(s, m->name, (size_t) (dot - m->name));
                if (!i || !interface_has_method(i, dot + 1))
                        return because(why, -EINVAL, "no interface declares '%s'", m->name);
        }
        return 0;
}

/* What was built while there was no memory has been sent, or not, by now. */
static int on_all_sent(sd_event_source *source, void *userdata) {
        (void) source;
        (void) userdata;
        varlink_forgive();
        return 0;
}

/* The timer is made here because it takes a descriptor, of which there is none when it is
 * needed. */
static int server_watch(struct server *s, struct why *why) {
        int r, flags, fd = s->config.listen_fd;

        /* A socket from systemd may be a blocking one. */
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return because(why, -errno, "listening socket: %m");

        r = sd_event_add_io(s->loop, &s->listening, fd, EPOLLIN, on_connection, s);
        if (r >= 0)
                r = sd_event_add_time(s->loop, &s->pause, CLOCK_MONOTONIC, 0, 0, on_pause_over, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->pause, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_post(s->loop, &s->forgive, on_all_sent, s);
        if (r < 0)
                return because(why, r, "listening socket: %s", strerror(-r));
        return 0;
}

int server_new(struct server **ret,
               sd_event *loop,
               const struct server_config *config,
               struct why *why) {
        _cleanup_(server_freep) struct server *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return because(why, -ENOMEM, "out of memory");
        s->listen_fd = -1;
        s->config = *config;
        s->loop = sd_event_ref(loop);

        r = server_add_interfaces(s, why);
        if (r >= 0)
                r = server_check_methods(s, why);
        if (r >= 0)
                r = server_watch(s, why);
        if (r < 0)
                return r;

        s->listen_fd = config->listen_fd;
        *ret = TAKE_PTR(s);
        return 0;
}

int server_listen_at(struct server *s, int fd) {
        sd_event_source *source;
        int r;

        r = sd_event_add_io(s->loop, &source, fd, EPOLLIN, on_connection, s);
        if (r < 0)
                return r;
        sd_event_source_disable_unref(s->listening);
        closep(&s->listen_fd);
        s->listening = source;
        s->listen_fd = fd;
        return 0;
}

void server_stop_accepting(struct server *s) {
        s->listening = sd_event_source_disable_unref(s->listening);
        s->pause = sd_event_source_disable_unref(s->pause);
        closep(&s->listen_fd);
        s->listen_fd = -1;
}

struct server *server_free(struct server *s) {
        struct call *call;
        struct peer *p;

        if (!s)
                return NULL;

        server_stop_accepting(s);
        LIST_FOREACH(p, &s->peers, link) {
                (void) conn_flush(p->conn);
        }
        while ((call = LIST_FIRST(&s->calls)))
                call_lose(call);
        while ((p = LIST_FIRST(&s->peers)))
                peer_free(p);
        for (size_t i = 0; i < s->n_interfaces; i++)
                interface_free(s->interfaces[i]);
        free(s->interfaces);
        sd_event_source_disable_unref(s->forgive);
        sd_event_unref(s->loop);
        free(s);
        return NULL;
}

struct server_counters server_counters(const struct server *s) {
        return s->counters;
}
