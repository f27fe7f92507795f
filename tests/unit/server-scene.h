/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_SERVER_SCENE_H
#define TESTS_UNIT_SERVER_SCENE_H

/* A server on a socket of its own and clients in the same thread, for tests of both ends.  The
 * static parts of the server are looked at too: whether it is still listening is invisible from
 * outside. */
#include "ipc/server.c"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/tap.h"

#define MAX_CLIENTS 4
#define MAX_MESSAGE 4096
#define MAX_UNSENT  8192

static const char description[] = "interface org.example.test\n"
                                  "method Echo(text: string, times: ?int) -> (text: string)\n"
                                  "method Keep() -> (n: int)\n"
                                  "method Unwritten() -> ()\n"
                                  "method Fail() -> ()\n"
                                  "method FailLate() -> ()\n"
                                  "method Fds() -> (first: bool, second: bool, again: bool)\n"
                                  "error Refused (n: int)\n";

struct scene {
        char directory[32], path[64];
        sd_event *loop;
        struct server *server;
        struct call *kept[8];
        size_t n_kept;
        int n_gone, n_handled, n_full;
};

static inline int on_echo(struct call *call, json_t *parameters, void *userdata) {
        json_t *times = json_object_get(parameters, "times");
        struct scene *s = userdata;

        s->n_handled++;
        for (json_int_t i = 1; call_wants_more(call) && i < json_integer_value(times); i++) {
                if (!call_continue(call, json_incref(parameters)))
                        return -EPIPE;
        }
        call_reply(call, json_incref(parameters));
        return 0;
}

static inline void on_gone(struct call *call, void *userdata) {
        struct scene *s = userdata;

        (void) call;
        s->n_gone++;
}

static inline int on_keep(struct call *call, json_t *parameters, void *userdata) {
        struct scene *s = userdata;

        (void) parameters;
        call_on_gone(call, on_gone, s);
        s->kept[s->n_kept++ % 8] = call;
        return 0;
}

static inline int on_fail(struct call *call, json_t *parameters, void *userdata) {
        (void) parameters;
        call_on_gone(call, on_gone, userdata);
        return -EIO;
}

static inline int on_fail_late(struct call *call, json_t *parameters, void *userdata) {
        (void) parameters;
        (void) userdata;
        call_reply(call, NULL);
        return -EIO;
}

static inline int on_fds(struct call *call, json_t *parameters, void *userdata) {
        _cleanup_(closep) int first = call_take_fd(call, 0), second = call_take_fd(call, 1);

        (void) parameters;
        (void) userdata;
        call_reply(call, json_pack("{s:b, s:b, s:b}", "first", first >= 0, "second", second >= 0,
                                   "again", call_take_fd(call, 0) != -ENOENT));
        return 0;
}

static const struct server_method methods[] = {
        { "org.example.test.Echo", on_echo }, { "org.example.test.Keep", on_keep },
        { "org.example.test.Fail", on_fail }, { "org.example.test.FailLate", on_fail_late },
        { "org.example.test.Fds", on_fds },   { NULL, NULL },
};

static void on_full(void *userdata) {
        struct scene *s = userdata;

        s->n_full++;
}

static const char *const interfaces[] = { description, NULL };

static inline struct server_config scene_config(struct scene *s, int fd) {
        return (struct server_config){
                .listen_fd = fd,
                .interfaces = interfaces,
                .methods = methods,
                .userdata = s,
                .vendor = "V",
                .product = "P",
                .version = "1",
                .url = "U",
                .max_clients = MAX_CLIENTS,
                .idle_seconds = 3600,
                .max_message_size = MAX_MESSAGE,
                .max_unsent_size = MAX_UNSENT,
                .on_full = on_full,
        };
}

static inline void scene_open(struct scene *s) {
        struct server_config config;
        struct why why = { "" };
        int fd;

        *s = (struct scene){ .directory = "/tmp/test-server-XXXXXX" };
        expect(mkdtemp(s->directory));
        (void) snprintf(s->path, sizeof(s->path), "%s/run/socket", s->directory);
        expect(sd_event_new(&s->loop) >= 0);
        fd = server_listen(s->path, &why);
        expect(fd >= 0);
        config = scene_config(s, fd);
        expect(server_new(&s->server, s->loop, &config, &why) == 0);
        if (why.text[0])
                printf("# %s\n", why.text);
}

static inline void scene_close(struct scene *s) {
        char directory[48];

        server_free(s->server);
        sd_event_unref(s->loop);
        (void) snprintf(directory, sizeof(directory), "%s/run", s->directory);
        expect(unlink(s->path) == 0);
        expect(rmdir(directory) == 0);
        expect(rmdir(s->directory) == 0);
}

static inline void settle(struct scene *s) {
        int n = 0;

        while (n < 20000 && sd_event_run(s->loop, 0) > 0)
                n++;
        expect(n < 20000);
}

static inline int dial(struct scene *s) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(address.sun_path, s->path);
        expect(connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0);
        settle(s);
        return fd;
}

static inline void say(int fd, const char *text) {
        expect(send(fd, text, strlen(text) + 1, MSG_NOSIGNAL) == (ssize_t) strlen(text) + 1);
}

static inline void tell(struct scene *s, int fd, const char *text) {
        say(fd, text);
        settle(s);
}

/* All that is to be read, a '|' for each zero byte and '$' at the end of the stream. */
static const char *hear(int fd) {
        static char text[65536];
        ssize_t n;

        n = recv(fd, text, sizeof(text) - 2, MSG_DONTWAIT);
        if (n <= 0)
                return n == 0 || errno == ECONNRESET ? "$" : "";
        for (ssize_t i = 0; i < n; i++)
                text[i] = text[i] ? text[i] : '|';
        text[n] = 0;
        if (recv(fd, text + n + 1, 1, MSG_DONTWAIT | MSG_PEEK) == 0 || errno == ECONNRESET)
                strcat(text, "$");
        return text;
}

static inline bool hears(int fd, const char *expected) {
        const char *heard = hear(fd);

        if (strcmp(heard, expected) == 0)
                return true;
        printf("# %s\n# instead of %s\n", heard, expected);
        return false;
}

static inline int count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

#endif
