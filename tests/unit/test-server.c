/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/server-scene.h"

#include <sys/resource.h>
#include <sys/wait.h>

static void test_answers(void) {
#define SERVICE "org.varlink.service."
#define TEST    "org.example.test."
        static const struct {
                const char *call, *answer;
        } cases[] = {
                { "{\"method\":\"" TEST "Echo\",\"parameters\":{\"text\":\"x\"}}",
                  "{\"parameters\":{\"text\":\"x\"}}|" },
                { "{\"method\":\"" TEST "Echo\",\"parameters\":{\"text\":\"x\",\"times\":3}}",
                  "{\"parameters\":{\"text\":\"x\",\"times\":3}}|" },
                { "{\"method\":\"" TEST "Echo\"}",
                  "{\"parameters\":{\"parameter\":\"text\"},\"error\":\"" SERVICE
                  "InvalidParameter\"}|" },
                { "{\"method\":\"" TEST "Echo\",\"parameters\":{\"text\":5}}",
                  "{\"parameters\":{\"parameter\":\"text\"},\"error\":\"" SERVICE
                  "InvalidParameter\"}|" },
                { "{\"method\":\"" TEST "Echo\",\"parameters\":{\"text\":\"\",\"tmies\":3}}",
                  "{\"parameters\":{\"parameter\":\"tmies\"},\"error\":\"" SERVICE
                  "InvalidParameter\"}|" },
                { "{\"method\":\"" TEST "None\"}",
                  "{\"parameters\":{\"method\":\"" TEST "None\"},\"error\":\"" SERVICE
                  "MethodNotFound\"}|" },
                { "{\"method\":\"" TEST "Unwritten\"}",
                  "{\"parameters\":{\"method\":\"" TEST "Unwritten\"},\"error\":\"" SERVICE
                  "MethodNotImplemented\"}|" },
                { "{\"method\":\"" TEST "Echo\",\"upgrade\":true}",
                  "{\"parameters\":{\"method\":\"" TEST "Echo\"},\"error\":\"" SERVICE
                  "MethodNotImplemented\"}|" },
                { "{\"method\":\"org.example.other.Echo\"}",
                  "{\"parameters\":{\"interface\":\"org.example.other\"},\"error\":\"" SERVICE
                  "InterfaceNotFound\"}|" },
                { "{\"method\":\"Echo\"}",
                  "{\"parameters\":{\"interface\":\"Echo\"},\"error\":\"" SERVICE
                  "InterfaceNotFound\"}|" },
                { "{\"method\":\"\"}", "{\"parameters\":{\"interface\":\"\"},\"error\":\"" SERVICE
                                       "InterfaceNotFound\"}|" },
                { "{\"method\":\"org.example.test\"}",
                  "{\"parameters\":{\"interface\":\"org.example\"},\"error\":\"" SERVICE
                  "InterfaceNotFound\"}|" },
                { "{\"method\":\"" SERVICE "GetInfo\"}",
                  "{\"parameters\":{\"vendor\":\"V\",\"product\":\"P\",\"version\":\"1\","
                  "\"url\":\"U\",\"interfaces\":[\"org.varlink.service\","
                  "\"org.example.test\"]}}|" },
                { "{\"method\":\"" SERVICE "GetInfo\",\"parameters\":{\"x\":1}}",
                  "{\"parameters\":{\"parameter\":\"x\"},\"error\":\"" SERVICE
                  "InvalidParameter\"}|" },
                { "{\"method\":\"" SERVICE
                  "GetInterfaceDescription\",\"parameters\":{\"interface\":\"no.such\"}}",
                  "{\"parameters\":{\"interface\":\"no.such\"},\"error\":\"" SERVICE
                  "InterfaceNotFound\"}|" },
                { "{\"method\":\"" TEST "Echo\",\"parameters\":{\"text\":\"x\"},\"oneway\":true}",
                  "" },
                { "{\"method\":\"" TEST "None\",\"oneway\":true}", "" },
        };
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                tell(&s, fd, cases[i].call);
                expect(hears(fd, cases[i].answer));
        }
        expect(LIST_EMPTY(&s.server->calls));
        closep(&fd);
        scene_close(&s);
}

static void test_description(void) {
        struct varlink_reply reply;
        struct why why;
        struct scene s;
        char *text;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd,
             "{\"method\":\"" SERVICE
             "GetInterfaceDescription\",\"parameters\":{\"interface\":\"org.example.test\"}}");
        text = strdup(hear(fd));
        expect(varlink_parse_reply(&reply, text, strlen(text) - 1, &why) == 0);
        expect(strcmp(json_string_value(json_object_get(reply.parameters, "description")),
                      description) == 0);
        varlink_reply_done(&reply);
        free(text);
        closep(&fd);
        scene_close(&s);
}

static void test_bad_messages(void) {
#define E_ACUTE_5  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
#define E_ACUTE_20 E_ACUTE_5 E_ACUTE_5 E_ACUTE_5 E_ACUTE_5
        static const struct {
                const char *message, *reason;
        } cases[] = {
                { "", "not JSON" },
                { "hello", "not JSON" },
                { "{\"method\":\"\xff\"}", "not JSON" },
                { "{\"method\":\"org.example.test.Keep\",\"more\":1}", "'more' is not" },
                { "{\"x" E_ACUTE_20 E_ACUTE_20 "\":1}", "not a Varlink call" },
                { "{\"method\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "more than 16 levels deep" },
        };
        struct scene s;

        scene_open(&s);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int fd = dial(&s);
                const char *heard;

                tell(&s, fd, cases[i].message);
                heard = hear(fd);
                expect(strstr(heard, "\"error\":\"io.gemmad.Assistant.BadMessage\"}|$"));
                expect(strstr(heard, cases[i].reason));
                expect(server_counters(s.server).n_dropped == i + 1);
                expect(server_counters(s.server).n_clients == 0);
                closep(&fd);
        }
        scene_close(&s);
}

static void test_oversize(void) {
        static char text[MAX_MESSAGE + 2];
        struct scene s;
        int fd;

        scene_open(&s);
        memset(text, ' ', MAX_MESSAGE + 1);
        fd = dial(&s);
        tell(&s, fd, text);
        expect(strstr(hear(fd), "a message longer than 4096 bytes"));
        expect(server_counters(s.server).n_clients == 0);
        closep(&fd);

        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\"}");
        tell(&s, fd, text);
        expect(hears(fd, ""));
        call_reply(s.kept[0], json_pack("{s:i}", "n", 1));
        settle(&s);
        expect(strncmp(hear(fd), "{\"parameters\":{\"n\":1}}|{\"parameters\":{\"reason\":", 46) ==
               0);
        closep(&fd);
        scene_close(&s);
}

static void test_more(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd,
             "{\"method\":\"org.example.test.Echo\",\"more\":true,"
             "\"parameters\":{\"text\":\"x\",\"times\":3}}");
        expect(hears(fd, "{\"parameters\":{\"text\":\"x\",\"times\":3},\"continues\":true}|"
                         "{\"parameters\":{\"text\":\"x\",\"times\":3},\"continues\":true}|"
                         "{\"parameters\":{\"text\":\"x\",\"times\":3}}|"));
        closep(&fd);
        scene_close(&s);
}

static void test_pipelined(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\",\"more\":true}");
        tell(&s, fd, "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"2\"}}");
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\"}");
        tell(&s, fd, "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"4\"}}");
        expect(s.n_kept == 1 && s.n_handled == 0);
        expect(call_continue(s.kept[0], NULL));
        expect(hears(fd, "{\"parameters\":{},\"continues\":true}|"));
        call_error(s.kept[0], "org.example.test.Refused", json_pack("{s:i}", "n", 1));
        settle(&s);
        expect(s.n_kept == 2 && s.n_handled == 1);
        expect(hears(fd, "{\"parameters\":{\"n\":1},\"error\":\"org.example.test.Refused\"}|"
                         "{\"parameters\":{\"text\":\"2\"}}|"));
        call_reply(s.kept[1], NULL);
        settle(&s);
        expect(hears(fd, "{\"parameters\":{}}|{\"parameters\":{\"text\":\"4\"}}|"));
        expect(s.n_gone == 0);
        closep(&fd);
        scene_close(&s);
}

static void test_oneway_holds_nothing_up(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\",\"oneway\":true,\"more\":true}");
        expect(!call_wants_more(s.kept[0]));
        tell(&s, fd, "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
        expect(hears(fd, "{\"parameters\":{\"text\":\"x\"}}|"));
        expect(call_continue(s.kept[0], NULL));
        call_reply(s.kept[0], NULL);
        expect(LIST_EMPTY(&s.server->calls) && s.n_gone == 0);
        closep(&fd);
        scene_close(&s);
}

/* What its sender has not waited for is still taken in, and then lost with it. */
static void test_oneway_ends_with_its_client(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        for (unsigned i = 0; i < 3; i++)
                say(fd, "{\"method\":\"org.example.test.Keep\",\"oneway\":true}");
        settle(&s);
        expect(s.n_kept == 3 && s.n_gone == 0 && call_is_oneway(s.kept[0]));
        call_reply(s.kept[1], NULL);
        say(fd, "{\"method\":\"org.example.test.Keep\",\"oneway\":true}");
        closep(&fd);
        settle(&s);
        expect(s.n_kept == 4 && s.n_gone == 3);
        expect(LIST_EMPTY(&s.server->calls));
        expect(server_counters(s.server).n_clients == 0);
        scene_close(&s);
        expect(s.n_gone == 3);
}

static bool is_closed(int fd) {
        char byte;

        return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Who asks nothing makes room, the one first that has been silent for longest; who waits for an answer
 * does not. */
static void test_idle_clients_make_room(void) {
        struct scene s;
        int fds[MAX_CLIENTS + 3];

        scene_open(&s);
        s.server->config.idle_seconds = 0;
        for (unsigned i = 0; i < MAX_CLIENTS; i++) {
                fds[i] = dial(&s);
                settle(&s);
        }
        tell(&s, fds[0], "{\"method\":\"org.example.test.Keep\"}");
        tell(&s, fds[1], "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
        expect(hears(fds[1], "{\"parameters\":{\"text\":\"x\"}}|"));
        for (unsigned i = MAX_CLIENTS; i < MAX_CLIENTS + 2; i++) {
                fds[i] = dial(&s);
                settle(&s);
        }
        expect(server_counters(s.server).n_refused == 0 && s.n_full == 0 && s.n_gone == 0);
        expect(server_counters(s.server).n_dropped == 2);
        expect(is_closed(fds[2]) && is_closed(fds[3]));
        tell(&s, fds[1], "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"y\"}}");
        expect(hears(fds[1], "{\"parameters\":{\"text\":\"y\"}}|"));
        for (unsigned i = 0; i < MAX_CLIENTS + 2; i++)
                closep(&fds[i]);
        scene_close(&s);
}

/* A process that connects so often, and stays until its end of the pipe is closed. */
static pid_t crowd(struct scene *s, unsigned n, int *ret_stay_fd) {
        int stay[2];
        pid_t pid;

        expect(pipe2(stay, O_CLOEXEC) == 0);
        (void) fflush(stdout);
        pid = fork();
        if (pid == 0) {
                char byte;

                (void) close(stay[1]);
                for (unsigned i = 0; i < n; i++)
                        (void) dial(s);
                (void) !read(stay[0], &byte, 1);
                _exit(0);
        }
        (void) close(stay[0]);
        *ret_stay_fd = stay[1];
        while (server_counters(s->server).n_accepted < n)
                (void) sd_event_run(s->loop, 1000);
        return pid;
}

/* A process may have all of the connections as long as no other one wants any. */
static void test_a_crowd_makes_room(void) {
        unsigned n_others = MAX_CLIENTS - MAX_CLIENTS / 2;
        int fds[MAX_CLIENTS], stay_fd;
        struct scene s;
        pid_t pid;

        scene_open(&s);
        pid = crowd(&s, MAX_CLIENTS, &stay_fd);
        expect(server_counters(s.server).n_clients == MAX_CLIENTS && s.n_full == 0);
        for (unsigned i = 0; i < n_others; i++) {
                fds[i] = dial(&s);
                tell(&s, fds[i], "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
                expect(hears(fds[i], "{\"parameters\":{\"text\":\"x\"}}|"));
        }
        expect(server_counters(s.server).n_dropped == n_others && s.n_full == 0);
        /* Half of them is its own. */
        fds[n_others] = dial(&s);
        settle(&s);
        expect(is_closed(fds[n_others]) && s.n_full == 1);
        for (unsigned i = 0; i <= n_others; i++)
                closep(&fds[i]);
        (void) close(stay_fd);
        expect(waitpid(pid, NULL, 0) == pid);
        settle(&s);
        scene_close(&s);
}

static void test_gone(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\"}");
        closep(&fd);
        settle(&s);
        expect(s.n_gone == 1);
        expect(LIST_EMPTY(&s.server->calls));
        expect(server_counters(s.server).n_clients == 0);
        expect(server_counters(s.server).n_dropped == 0);

        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\",\"more\":true}");
        closep(&fd);
        expect(!call_continue(s.kept[1], NULL));
        expect(s.n_gone == 2);

        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\"}");
        call_on_gone(s.kept[2], NULL, NULL);
        closep(&fd);
        settle(&s);
        expect(s.n_gone == 2);

        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\"}");
        closep(&fd);
        call_reply(s.kept[3], NULL);
        expect(s.n_gone == 2);
        settle(&s);
        scene_close(&s);
        expect(s.n_gone == 2);
}

static void test_handler_fails(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Fail\"}");
        expect(hears(fd, "$"));
        expect(server_counters(s.server).n_dropped == 1);
        closep(&fd);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Fail\",\"oneway\":true}");
        expect(hears(fd, "$"));
        expect(LIST_EMPTY(&s.server->calls));
        expect(s.n_gone == 0);
        closep(&fd);

        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.FailLate\"}");
        expect(hears(fd, "{\"parameters\":{}}|$"));
        closep(&fd);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.FailLate\",\"oneway\":true}");
        expect(hears(fd, "$"));
        closep(&fd);
        scene_close(&s);
}

static void test_never_reads(void) {
        char text[MAX_MESSAGE];
        int deaf, other, n = 0;
        struct scene s;

        scene_open(&s);
        deaf = dial(&s);
        other = dial(&s);
        tell(&s, deaf, "{\"method\":\"org.example.test.Keep\",\"more\":true}");
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = 0;
        while (call_continue(s.kept[0], json_pack("{s:s}", "text", text)) && n < 1000)
                n++;
        expect(n < 1000);
        expect(s.n_gone == 1);
        expect(server_counters(s.server).n_dropped == 1);
        expect(server_counters(s.server).n_clients == 1);

        tell(&s, other, "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
        expect(hears(other, "{\"parameters\":{\"text\":\"x\"}}|"));
        closep(&deaf);
        closep(&other);
        scene_close(&s);
}

/* The drop happens inside the handler, which has the call and the client in its hands. */
static void test_never_reads_within_handler(void) {
        struct scene s;
        char text[2000];
        int fd;

        scene_open(&s);
        fd = dial(&s);
        (void) snprintf(text, sizeof(text),
                        "{\"method\":\"org.example.test.Echo\",\"more\":true,"
                        "\"parameters\":{\"times\":100000,\"text\":\"%1500s\"}}",
                        "");
        tell(&s, fd, text);
        expect(server_counters(s.server).n_dropped == 1);
        expect(server_counters(s.server).n_clients == 0);
        closep(&fd);
        scene_close(&s);
}

static void test_stalled(void) {
        int stalled, other;
        struct scene s;

        scene_open(&s);
        stalled = dial(&s);
        other = dial(&s);
        expect(send(stalled, "{\"method\":", 10, 0) == 10);
        settle(&s);
        tell(&s, other, "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
        expect(hears(other, "{\"parameters\":{\"text\":\"x\"}}|"));
        tell(&s, stalled, "\"a.b.C\"}");
        expect(strstr(hear(stalled), "InterfaceNotFound"));
        closep(&stalled);
        closep(&other);
        scene_close(&s);
}

static void test_too_many_clients(void) {
        int fds[MAX_CLIENTS + 3], before = count_fds();
        struct scene s;

        scene_open(&s);
        for (size_t i = 0; i < MAX_CLIENTS + 3; i++)
                fds[i] = dial(&s);
        expect(server_counters(s.server).n_clients == MAX_CLIENTS);
        expect(server_counters(s.server).n_accepted == MAX_CLIENTS);
        expect(server_counters(s.server).n_refused == 3 && s.n_full == 1);
        expect(hears(fds[MAX_CLIENTS], "$"));
        tell(&s, fds[0], "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
        expect(hears(fds[0], "{\"parameters\":{\"text\":\"x\"}}|"));
        closep(&fds[1]);
        settle(&s);
        fds[1] = dial(&s);
        expect(server_counters(s.server).n_accepted == MAX_CLIENTS + 1 && s.n_full == 1);
        closep(&fds[MAX_CLIENTS]);
        fds[MAX_CLIENTS] = dial(&s);
        expect(server_counters(s.server).n_refused == 4 && s.n_full == 2);
        for (size_t i = 0; i < MAX_CLIENTS + 3; i++)
                closep(&fds[i]);
        scene_close(&s);
        expect(count_fds() == before);
}

static void test_out_of_descriptors(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct rlimit limit, low;
        struct scene s;
        int fd;

        scene_open(&s);
        strcpy(address.sun_path, s.path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        expect(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        low = limit;
        low.rlim_cur = (rlim_t) fd + 1;
        expect(setrlimit(RLIMIT_NOFILE, &low) == 0);
        expect(connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0);
        settle(&s);
        expect(server_counters(s.server).n_accepted == 0);
        expect(sd_event_source_get_enabled(s.server->listening, NULL) == 0);

        expect(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        expect(sd_event_source_set_time(s.server->pause, 1) >= 0);
        settle(&s);
        expect(server_counters(s.server).n_accepted == 1);
        tell(&s, fd, "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"x\"}}");
        expect(hears(fd, "{\"parameters\":{\"text\":\"x\"}}|"));
        closep(&fd);
        scene_close(&s);
}

static void test_stop_accepting(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct scene s;
        int fd, other;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\"}");
        server_stop_accepting(s.server);
        strcpy(address.sun_path, s.path);
        other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect(connect(other, (const struct sockaddr *) &address, sizeof(address)) < 0);
        expect(errno == ECONNREFUSED);
        call_reply(s.kept[0], json_pack("{s:i}", "n", 1));
        expect(hears(fd, "{\"parameters\":{\"n\":1}}|"));
        closep(&fd);
        closep(&other);
        scene_close(&s);
}

static void test_free_with_calls(void) {
        struct scene s;
        int fd;

        scene_open(&s);
        fd = dial(&s);
        tell(&s, fd, "{\"method\":\"org.example.test.Keep\",\"more\":true}");
        expect(call_continue(s.kept[0], NULL));
        scene_close(&s);
        expect(s.n_gone == 1);
        expect(hears(fd, "{\"parameters\":{},\"continues\":true}|$"));
        closep(&fd);
}

static void test_listen(void) {
        struct server_config config;
        char other[96], long_path[200];
        struct why why = { "" };
        struct scene s;
        struct stat st;
        int fd;

        scene_open(&s);
        expect(stat(s.path, &st) == 0 && (st.st_mode & 07777) == 0600);
        (void) snprintf(other, sizeof(other), "%s/run", s.directory);
        expect(stat(other, &st) == 0 && (st.st_mode & 07777) == 0700);
        expect(server_listen(s.path, &why) == -EADDRINUSE);
        expect(strstr(why.text, s.path));

        s.server = server_free(s.server);
        fd = server_listen(s.path, &why);
        expect(fd >= 0);
        config = scene_config(&s, fd);
        expect(server_new(&s.server, s.loop, &config, &why) == 0);
        fd = dial(&s);
        expect(server_counters(s.server).n_clients == 1);
        closep(&fd);

        (void) snprintf(other, sizeof(other), "%s/file", s.directory);
        fd = creat(other, 0600);
        closep(&fd);
        expect(server_listen(other, &why) == -EEXIST);
        expect(unlink(other) == 0);

        (void) snprintf(other, sizeof(other), "%s/no/such/socket", s.directory);
        expect(server_listen(other, &why) == -ENOENT);
        memset(long_path, 'x', sizeof(long_path) - 1);
        long_path[sizeof(long_path) - 1] = 0;
        expect(server_listen(long_path, &why) == -ENAMETOOLONG);
        expect(server_listen("", &why) == -ENAMETOOLONG);
        scene_close(&s);
}

static void test_undeclared_method(void) {
        static const struct server_method wrong[] = {
                { "org.example.test.Ecko", on_echo },
                { NULL, NULL },
        };
        struct server_config config;
        struct server *server = NULL;
        struct why why = { "" };
        struct scene s;

        scene_open(&s);
        config = scene_config(&s, s.server->listen_fd);
        config.methods = wrong;
        expect(server_new(&server, s.loop, &config, &why) == -EINVAL);
        expect(strstr(why.text, "Ecko"));
        expect(!server);
        scene_close(&s);
}

/* Only root can be somebody else for a moment. */
static void test_other_user(void) {
        int fds[2];
        pid_t pid = 0;

        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        expect(is_allowed(fds[0], &pid) && pid == getpid());
        closep(&fds[0]);
        closep(&fds[1]);
        if (geteuid() != 0)
                return;

        expect(seteuid(65534) == 0);
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        expect(is_allowed(fds[0], &pid));
        expect(seteuid(0) == 0);
        expect(!is_allowed(fds[0], &pid));
        closep(&fds[0]);
        closep(&fds[1]);
}

int main(void) {
        rule("each call gets its answer or the error Varlink prescribes", test_answers);
        rule("the description of an interface is its text", test_description);
        rule("what is not a call is told why, and dropped", test_bad_messages);
        rule("a message too long is refused in its turn", test_oversize);
        rule("all replies but the last continue", test_more);
        rule("pipelined calls are answered in order", test_pipelined);
        rule("a oneway call holds nothing up", test_oneway_holds_nothing_up);
        rule("a oneway call ends with its client", test_oneway_ends_with_its_client);
        rule("idle clients make room", test_idle_clients_make_room);
        rule("who has most of the connections makes room", test_a_crowd_makes_room);
        rule("who keeps a call learns that the client is gone, once", test_gone);
        rule("a handler's error ends the connection, not the server", test_handler_fails);
        rule("a client that never reads is dropped, others go on", test_never_reads);
        rule("a client may be dropped while its call is handled", test_never_reads_within_handler);
        rule("half a message holds up nobody else", test_stalled);
        rule("one client too many is refused and counted", test_too_many_clients);
        rule("without descriptors accepting pauses and resumes", test_out_of_descriptors);
        rule("after stopping, calls under way are answered", test_stop_accepting);
        rule("freeing the server ends its calls and sends what was said", test_free_with_calls);
        rule("a stale socket is replaced, anything else is not", test_listen);
        rule("a method that no interface declares is refused", test_undeclared_method);
        rule("only the same user and root are let in", test_other_user);
        return tap_done();
}
