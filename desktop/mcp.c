/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/mcp.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "desktop/desktop.h"

#define PROTOCOL "2024-11-05"

#define MAX_LINE      (1u << 20)
#define MAX_PENDING   32
#define MAX_TOOLS     64
#define MAX_PAGES     8
#define MAX_WORDS     64
#define MAX_NAME      64
#define MAX_SCHEMA    8000 /* bytes, written down; as gemmad takes them */
#define MAX_DEPTH     7
#define MAX_DESCRIBED 1000
#define MAX_SAID      500
#define MAX_OUTPUT    8192

#define FIRST_WAIT_USEC UINT64_C(1000000)
#define MAX_WAIT_USEC   UINT64_C(960000000)

/* A server that says so little within this has a program that hangs. */
#define START_USEC UINT64_C(30000000)

enum kind { KIND_INITIALIZE, KIND_LIST, KIND_CALL };

struct pending {
        json_int_t id; /* 0: free */
        enum kind kind;
        struct call *call; /* owned reference, of a call */
};

struct mcp {
        struct mcp_config config;
        char *name;       /* owned */
        json_t *command;  /* owned; its words */
        json_t *extra;    /* owned; variables of its environment, or NULL */
        bool has_confirm, confirm; /* as configured, whatever the server says */

        pid_t pid; /* 0: does not run */
        int fd;    /* owned; -1: not connected */
        sd_event_source *io, *child, *again, *deadline; /* owned */
        uint64_t wait_usec;
        char reason[80]; /* that was said last; "": it went well since */
        char *line; /* owned, [MAX_LINE] */
        size_t size;

        struct pending pending[MAX_PENDING];
        json_int_t last_id;
        unsigned n_pages;
        json_t *listed; /* owned; tools of the pages so far, as the server has them */
        json_t *tools;  /* owned; by the name that they have here */
};

static void try_later(struct mcp *m, const char *reason);

static int send_message(struct mcp *m, json_t *message) {
        _cleanup_(freep) char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
        size_t size;
        ssize_t n;

        json_decref(message);
        if (!text || m->fd < 0)
                return text ? -ENOTCONN : -ENOMEM;
        size = strlen(text);
        text[size] = '\n';
        /* Its end is told by the child's end; one that does not read is as good as gone. */
        n = send(m->fd, text, size + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return n == (ssize_t) size + 1 ? 0 : -EPIPE;
}

static struct pending *find_pending(struct mcp *m, json_int_t id) {
        for (unsigned i = 0; i < MAX_PENDING; i++)
                if (m->pending[i].id == id)
                        return &m->pending[i];
        return NULL;
}

static void end_pending(struct pending *p) {
        (void) call_unref(p->call);
        *p = (struct pending){};
}

/* Those whose calls were answered without them are given up. */
static struct pending *new_pending(struct mcp *m) {
        for (unsigned i = 0; i < MAX_PENDING; i++)
                if (m->pending[i].call && call_is_answered(m->pending[i].call))
                        end_pending(&m->pending[i]);
        return find_pending(m, 0);
}

/* parameters is taken over. */
static int request(struct mcp *m, enum kind kind, const char *method, json_t *parameters, struct call *call) {
        struct pending *p = new_pending(m);
        int r;

        if (!p) {
                json_decref(parameters);
                return -EBUSY;
        }
        *p = (struct pending){ ++m->last_id, kind, call ? call_ref(call) : NULL };
        r = send_message(m, json_pack("{s:s, s:I, s:s, s:o}", "jsonrpc", "2.0", "id", p->id, "method",
                                      method, "params", parameters));
        if (r < 0)
                end_pending(p);
        return r;
}

static void drop_tools(struct mcp *m) {
        _cleanup_(json_decrefp) json_t *none = json_array();

        if (json_object_size(m->tools) == 0)
                return;
        (void) json_object_clear(m->tools);
        m->config.changed(m, none, m->config.userdata);
}

static void close_server(struct mcp *m) {
        m->io = sd_event_source_disable_unref(m->io);
        m->child = sd_event_source_disable_unref(m->child);
        (void) sd_event_source_set_enabled(m->deadline, SD_EVENT_OFF);
        closep(&m->fd);
        m->fd = -1;
        if (m->pid > 0) {
                (void) kill(-m->pid, SIGKILL);
                (void) waitpid(m->pid, NULL, 0);
        }
        m->pid = 0;
        m->size = 0;
        for (unsigned i = 0; i < MAX_PENDING; i++) {
                if (m->pending[i].call)
                        call_fail(m->pending[i].call, "%s has ended.", m->name);
                end_pending(&m->pending[i]);
        }
}

/* Until it goes well, or wrong in another way. */
static void say_once(struct mcp *m, const char *reason) {
        if (strcmp(m->reason, reason) == 0) {
                log_debug("The server %s: %s, again in %g s", m->name, reason, (double) m->wait_usec / 1e6);
                return;
        }
        (void) snprintf(m->reason, sizeof(m->reason), "%s", reason);
        log_warning("The server %s: %s, starting it again in %g s, then less and less often", m->name,
                    reason, (double) m->wait_usec / 1e6);
}

static void try_later(struct mcp *m, const char *reason) {
        say_once(m, reason);
        close_server(m);
        drop_tools(m);
        (void) sd_event_source_set_time_relative(m->again, m->wait_usec);
        (void) sd_event_source_set_enabled(m->again, SD_EVENT_ONESHOT);
        m->wait_usec = m->wait_usec * 2 < MAX_WAIT_USEC ? m->wait_usec * 2 : MAX_WAIT_USEC;
}

static int ask_for_tools(struct mcp *m, const char *cursor) {
        return request(m, KIND_LIST, "tools/list", json_pack("{s:s*}", "cursor", cursor), NULL);
}

static int on_initialized(struct mcp *m, json_t *result) {
        int r;

        if (!json_is_object(json_object_get(json_object_get(result, "capabilities"), "tools")))
                return -EOPNOTSUPP;
        r = send_message(m, json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method",
                                      "notifications/initialized"));
        return r < 0 ? r : ask_for_tools(m, NULL);
}

/* "files_read_file": of letters, digits and _, beginning with the server's name. */
static void name_tool(const struct mcp *m, const char *name, char *ret, size_t size) {
        (void) snprintf(ret, size, "%s_%s", m->name, name);
        for (char *at = ret; *at; at++)
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *at))
                        *at = '_';
}

static unsigned depth_of(json_t *value) {
        unsigned deepest = 0, depth;
        const char *key;
        json_t *member;
        size_t i;

        if (!json_is_object(value) && !json_is_array(value))
                return 0;
        json_object_foreach(value, key, member) {
                depth = depth_of(member);
                deepest = depth > deepest ? depth : deepest;
        }
        json_array_foreach(value, i, member) {
                depth = depth_of(member);
                deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
}

/* Unless configured, what does not say that it only reads asks before. */
static bool needs_confirm(const struct mcp *m, json_t *tool) {
        json_t *notes = json_object_get(tool, "annotations");

        return m->has_confirm ? m->confirm : !json_is_true(json_object_get(notes, "readOnlyHint"));
}

/* As Provide takes it; NULL: it can not be offered. */
static json_t *describe(const struct mcp *m, const char *name, json_t *tool) {
        json_t *schema = json_object_get(tool, "inputSchema");
        const char *text = json_string_value(json_object_get(tool, "description"));
        const char *type = json_string_value(json_object_get(schema, "type"));
        char description[MAX_DESCRIBED + 1];
        size_t n;

        if (!type || strcmp(type, "object") != 0 || depth_of(schema) > MAX_DEPTH ||
            json_dumpb(schema, NULL, 0, JSON_COMPACT) > MAX_SCHEMA)
                return NULL;
        (void) snprintf(description, sizeof(description), "%s", text ? text : name);
        /* Cut between characters. */
        for (n = strlen(description); n == MAX_DESCRIBED && n > 0; n--)
                if (((unsigned char) text[n] & 0xc0) != 0x80)
                        break;
        description[n] = 0;
        return json_pack("{s:s, s:s, s:b, s:i, s:O}", "name", name, "description", description,
                         "confirm", (int) needs_confirm(m, tool), "timeout", MCP_SECONDS,
                         "parameters", schema);
}

static void take_tools(struct mcp *m) {
        _cleanup_(json_decrefp) json_t *described = json_array();
        json_t *tool;
        size_t i;

        (void) json_object_clear(m->tools);
        json_array_foreach(m->listed, i, tool) {
                const char *own = json_string_value(json_object_get(tool, "name"));
                char name[MAX_NAME + 1];
                json_t *description;

                if (!own || strlen(own) + strlen(m->name) + 1 > MAX_NAME ||
                    json_array_size(described) == MAX_TOOLS)
                        continue;
                name_tool(m, own, name, sizeof(name));
                description = json_object_get(m->tools, name) ? NULL : describe(m, name, tool);
                if (!description || json_array_append_new(described, description) < 0) {
                        log_warning("A tool of %s is left out: %s", m->name, own);
                        continue;
                }
                (void) json_object_set(m->tools, name, tool);
        }
        log_info("The server %s has %zu tools", m->name, json_array_size(described));
        m->wait_usec = FIRST_WAIT_USEC;
        m->reason[0] = '\0';
        (void) sd_event_source_set_enabled(m->deadline, SD_EVENT_OFF);
        m->config.changed(m, described, m->config.userdata);
}

static int on_listed(struct mcp *m, json_t *result) {
        json_t *tools = json_object_get(result, "tools");
        const char *cursor = json_string_value(json_object_get(result, "nextCursor"));

        if (!json_is_array(tools))
                return -EBADMSG;
        (void) json_array_extend(m->listed, tools);
        if (cursor && ++m->n_pages < MAX_PAGES)
                return ask_for_tools(m, cursor);
        take_tools(m);
        m->n_pages = 0;
        return json_array_clear(m->listed) < 0 ? -ENOMEM : 0;
}

/* The texts of a result, one after the other. */
static void on_called(struct call *call, json_t *result) {
        char output[MAX_OUTPUT] = "";
        size_t used = 0, i;
        json_t *part;

        json_array_foreach(json_object_get(result, "content"), i, part) {
                const char *text = json_string_value(json_object_get(part, "text"));

                if (text && used < sizeof(output))
                        used += (size_t) snprintf(output + used, sizeof(output) - used, "%s%s",
                                                  used ? "\n" : "", text);
        }
        if (json_is_true(json_object_get(result, "isError")))
                call_fail(call, "%.*s", MAX_SAID, *output ? output : "That did not work.");
        else
                call_say(call, json_pack("{s:s*}", "output", output), "%.*s", MAX_SAID,
                         *output ? output : "Done.");
}

static int on_result(struct mcp *m, struct pending *p, json_t *message) {
        json_t *error = json_object_get(message, "error"), *result = json_object_get(message, "result");
        const char *reason = json_string_value(json_object_get(error, "message"));
        struct pending done = *p;
        int r = 0;

        *p = (struct pending){};
        if (done.kind == KIND_CALL && error)
                call_fail(done.call, "%.*s", MAX_SAID, reason && *reason ? reason : "That did not work.");
        else if (done.kind == KIND_CALL)
                on_called(done.call, result);
        else if (error)
                r = -EPROTO;
        else
                r = done.kind == KIND_INITIALIZE ? on_initialized(m, result) : on_listed(m, result);
        (void) call_unref(done.call);
        return r;
}

/* What a server asks of its client: nothing that is done here, but whether it is alive. */
static int on_request(struct mcp *m, const char *method, json_t *id) {
        if (strcmp(method, "ping") == 0)
                return send_message(m, json_pack("{s:s, s:O, s:{}}", "jsonrpc", "2.0", "id", id,
                                                 "result"));
        return send_message(m, json_pack("{s:s, s:O, s:{s:i, s:s}}", "jsonrpc", "2.0", "id", id,
                                         "error", "code", -32601, "message", "not done here"));
}

static int on_message(struct mcp *m, const char *line, size_t size) {
        _cleanup_(json_decrefp) json_t *message = json_loadb(line, size, 0, NULL);
        const char *method = json_string_value(json_object_get(message, "method"));
        json_t *id = json_object_get(message, "id");
        struct pending *p;

        if (!json_is_object(message))
                return -EBADMSG;
        if (method && id)
                return on_request(m, method, id);
        if (method && strcmp(method, "notifications/tools/list_changed") == 0)
                return ask_for_tools(m, NULL);
        if (method)
                return 0;
        p = json_is_integer(id) && json_integer_value(id) > 0
                    ? find_pending(m, json_integer_value(id))
                    : NULL;
        return p ? on_result(m, p, message) : 0;
}

static int take_lines(struct mcp *m) {
        char *end;
        int r;

        while ((end = memchr(m->line, '\n', m->size))) {
                size_t size = (size_t) (end - m->line);

                r = size > 0 ? on_message(m, m->line, size) : 0;
                if (r < 0)
                        return r;
                m->size -= size + 1;
                memmove(m->line, end + 1, m->size);
        }
        return m->size == MAX_LINE ? -EMSGSIZE : 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct mcp *m = userdata;
        ssize_t n = recv(fd, m->line + m->size, MAX_LINE - m->size, MSG_DONTWAIT);
        int r = 0;

        (void) source, (void) events;
        if (n > 0) {
                m->size += (size_t) n;
                r = take_lines(m);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                r = -ECONNRESET;
        }
        if (r < 0)
                try_later(m, r == -ECONNRESET ? "it has ended" : strerror(-r));
        return 0;
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata) {
        struct mcp *m = userdata;

        (void) source, (void) info;
        m->pid = 0;
        try_later(m, "it has ended");
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source, (void) usec;
        try_later(userdata, "it does not answer");
        return 0;
}

/* Ours, and what its settings add; in one block that ends with free(). */
static char **environment(json_t *extra) {
        size_t n = 0, n_extra = json_object_size(extra), size = 0;
        const char *key;
        json_t *value;
        char **all, *at;

        while (environ[n])
                n++;
        json_object_foreach(extra, key, value)
                size += strlen(key) + strlen(json_string_value(value)) + 2;
        all = calloc(1, (n + n_extra + 1) * sizeof(char *) + size);
        if (!all)
                return NULL;
        at = (char *) (all + n + n_extra + 1);
        n = 0;
        json_object_foreach(extra, key, value) {
                all[n++] = at;
                at += sprintf(at, "%s=%s", key, json_string_value(value)) + 1;
        }
        for (size_t i = 0; environ[i]; i++)
                all[n++] = environ[i];
        return all;
}

static int spawn(struct mcp *m, int fd) {
        _cleanup_(freep) char **variables = environment(m->extra);
        char *argv[MAX_WORDS + 1] = {};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, standard;
        int r;

        if (!variables)
                return -ENOMEM;
        for (size_t i = 0; i < json_array_size(m->command); i++)
                argv[i] = (char *) json_string_value(json_array_get(m->command, i));
        (void) sigemptyset(&none);
        (void) sigemptyset(&standard);
        (void) sigaddset(&standard, SIGPIPE);
        (void) posix_spawn_file_actions_init(&actions);
        (void) posix_spawnattr_init(&attributes);
        (void) posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
        (void) posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
        (void) posix_spawnattr_setsigmask(&attributes, &none);
        (void) posix_spawnattr_setsigdefault(&attributes, &standard);
        (void) posix_spawnattr_setpgroup(&attributes, 0);
        (void) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                             POSIX_SPAWN_SETPGROUP);
        r = posix_spawnp(&m->pid, argv[0], &actions, &attributes, argv, variables);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                m->pid = 0;
        return -r;
}

static int start(struct mcp *m) {
        int fds[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        m->fd = fds[0];
        r = spawn(m, fds[1]);
        (void) close(fds[1]);
        if (r >= 0)
                r = sd_event_add_io(m->config.loop, &m->io, m->fd, EPOLLIN, on_io, m);
        if (r >= 0)
                r = sd_event_add_child(m->config.loop, &m->child, m->pid, WEXITED, on_child, m);
        if (r < 0)
                return r;
        (void) json_array_clear(m->listed);
        m->n_pages = 0;
        (void) sd_event_source_set_time_relative(m->deadline, START_USEC);
        (void) sd_event_source_set_enabled(m->deadline, SD_EVENT_ONESHOT);
        return request(m, KIND_INITIALIZE, "initialize",
                       json_pack("{s:s, s:{}, s:{s:s, s:s}}", "protocolVersion", PROTOCOL,
                                 "capabilities", "clientInfo", "name", "gemmad-desktop", "version",
                                 "1"),
                       NULL);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct mcp *m = userdata;
        char reason[sizeof(m->reason)];
        int r;

        (void) source, (void) usec;
        r = start(m);
        if (r >= 0)
                return 0;
        (void) snprintf(reason, sizeof(reason), "%.40s: %.32s",
                        json_string_value(json_array_get(m->command, 0)), strerror(-r));
        try_later(m, reason);
        return 0;
}

static int read_settings(struct mcp *m, json_t *settings, struct why *why) {
        json_t *confirm = json_object_get(settings, "confirm"), *value;
        const char *key;
        size_t i;

        m->command = json_incref(json_object_get(settings, "command"));
        m->extra = json_incref(json_object_get(settings, "environment"));
        m->has_confirm = confirm != NULL;
        m->confirm = json_is_true(confirm);
        if (!json_is_array(m->command) || json_array_size(m->command) == 0 ||
            json_array_size(m->command) > MAX_WORDS)
                return because(why, -EINVAL, "command is no array of words");
        json_array_foreach(m->command, i, value)
                if (!json_is_string(value))
                        return because(why, -EINVAL, "command is no array of words");
        if (confirm && !json_is_boolean(confirm))
                return because(why, -EINVAL, "confirm is not true or false");
        if (m->extra && !json_is_object(m->extra))
                return because(why, -EINVAL, "environment is no table");
        json_object_foreach(m->extra, key, value)
                if (!json_is_string(value))
                        return because(why, -EINVAL, "environment.%s is no text", key);
        json_object_foreach(settings, key, value)
                if (strcmp(key, "command") != 0 && strcmp(key, "confirm") != 0 &&
                    strcmp(key, "environment") != 0)
                        return because(why, -EINVAL, "there is no '%s'", key);
        return 0;
}

static bool is_name(const char *name) {
        return *name >= 'a' && *name <= 'z' && strlen(name) <= 20 &&
               name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

int mcp_new(struct mcp **ret, const struct mcp_config *config, struct why *why) {
        _cleanup_(mcp_freep) struct mcp *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return because(why, -ENOMEM, "out of memory");
        m->config = *config;
        m->fd = -1;
        m->wait_usec = FIRST_WAIT_USEC;
        m->name = strdup(config->name);
        m->line = malloc(MAX_LINE);
        m->listed = json_array();
        m->tools = json_object();
        if (!m->name || !m->line || !m->listed || !m->tools)
                return because(why, -ENOMEM, "out of memory");
        if (!is_name(config->name))
                return because(why, -EINVAL, "a name is of a - z, 0 - 9 and _");
        r = read_settings(m, config->settings, why);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(config->loop, &m->deadline, CLOCK_MONOTONIC, 0, 0, on_deadline, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->deadline, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(config->loop, &m->again, CLOCK_MONOTONIC, 0, 0, on_again, m);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));

        *ret = TAKE_PTR(m);
        return 0;
}

struct mcp *mcp_free(struct mcp *m) {
        if (!m)
                return NULL;

        close_server(m);
        (void) sd_event_source_disable_unref(m->again);
        (void) sd_event_source_disable_unref(m->deadline);
        json_decref(m->command);
        json_decref(m->extra);
        json_decref(m->listed);
        json_decref(m->tools);
        free(m->line);
        free(m->name);
        free(m);
        return NULL;
}

const char *mcp_name(const struct mcp *m) {
        return m->name;
}

/* Looked for again, as the server may have ended while a person was asked. */
static void start_call(struct mcp *m, struct call *call) {
        json_t *tool = json_object_get(m->tools, call_name(call));

        call_set_deadline(call, MCP_SECONDS - 2);
        if (!tool || request(m, KIND_CALL, "tools/call",
                             json_pack("{s:O, s:O}", "name", json_object_get(tool, "name"),
                                       "arguments", call_arguments(call)),
                             call) < 0)
                call_fail(call, "%s does not take that.", m->name);
}

static void run_confirmed(struct desktop *d, struct call *call) {
        for (unsigned i = 0; i < d->n_mcp; i++)
                if (json_object_get(d->mcp[i]->tools, call_name(call))) {
                        start_call(d->mcp[i], call);
                        return;
                }
        call_fail(call, "The server of that has ended.");
}

bool mcp_run(struct mcp *m, struct call *call) {
        json_t *tool = json_object_get(m->tools, call_name(call));
        char question[160];

        if (!tool)
                return false;
        (void) snprintf(question, sizeof(question), "Really run %s?", call_name(call));
        if (needs_confirm(m, tool))
                confirm_ask(m->config.desktop->confirm, call, question, run_confirmed);
        else
                start_call(m, call);
        return true;
}
