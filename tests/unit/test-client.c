/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/client.h"

#include <pthread.h>

#include "tests/unit/server-scene.h"

struct conversation {
        const char *path;
        char log[256];
        int r;
};

static void *converse(void *userdata) {
        struct conversation *t = userdata;
        json_t *parameters = json_pack("{s:s, s:i}", "text", "x", "times", 2);
        struct client_call calls[] = {
                { .method = "org.example.test.Echo", .parameters = parameters, .more = true },
                { .method = "org.example.test.Fds", .fds = (int[]){ 0, 1 }, .n_fds = 2 },
                { .method = "org.example.test.Fail" },
        };
        struct varlink_reply reply;
        struct client *c = NULL;
        struct why why;

        t->r = client_connect(&c, t->path, &why);
        for (size_t i = 0; t->r >= 0 && i < sizeof(calls) / sizeof(calls[0]); i++) {
                bool continues = true;

                t->r = client_send(c, &calls[i], &why);
                while (continues && t->r >= 0 && (t->r = client_next(c, -1, &reply, &why)) > 0) {
                        char *text = json_dumps(reply.parameters, JSON_COMPACT);

                        continues = reply.continues;
                        strcat(strcat(t->log, text), continues ? "+" : "|");
                        free(text);
                        varlink_reply_done(&reply);
                }
        }
        client_free(c);
        json_decref(parameters);
        return NULL;
}

static void test_client(void) {
        int before = count_fds();
        struct conversation t = { 0 };
        pthread_t thread;
        struct scene s;

        scene_open(&s);
        t.path = s.path;
        expect(pthread_create(&thread, NULL, converse, &t) == 0);
        while (server_counters(s.server).n_dropped == 0)
                expect(sd_event_run(s.loop, UINT64_MAX) > 0);
        expect(pthread_join(thread, NULL) == 0);
        expect(t.r == -ECONNRESET);
        expect(strcmp(t.log, "{\"text\":\"x\",\"times\":2}+{\"text\":\"x\",\"times\":2}|"
                             "{\"first\":true,\"second\":true,\"again\":false}|") == 0);
        scene_close(&s);
        expect(count_fds() == before);
}

static void test_fds_are_kept(void) {
        struct client_call call = {
                .method = "org.example.test.Keep",
                .fds = (int[]){ STDIN_FILENO, STDOUT_FILENO },
                .n_fds = 2,
        };
        int before = count_fds(), fd, other;
        struct stat sent, kept;
        struct client *c = NULL;
        struct why why;
        struct scene s;

        scene_open(&s);
        expect(client_connect(&c, s.path, &why) == 0);
        expect(client_send(c, &call, &why) == 0);
        settle(&s);
        other = dial(&s);
        fd = call_take_fd(s.kept[0], 1);
        expect(fstat(STDOUT_FILENO, &sent) == 0 && fstat(fd, &kept) == 0);
        expect(sent.st_dev == kept.st_dev && sent.st_ino == kept.st_ino);
        expect(call_take_fd(s.kept[0], 1) == -ENOENT);
        expect(call_take_fd(s.kept[0], 2) == -ENOENT);
        closep(&fd);
        closep(&other);
        client_free(c);
        settle(&s);
        scene_close(&s);
        expect(count_fds() == before);
}

static void test_client_of_dead_server(void) {
        struct client_call call = { .method = "org.example.test.Keep" };
        struct varlink_reply reply;
        struct client *c = NULL;
        struct why why;
        struct scene s;

        scene_open(&s);
        expect(client_connect(&c, s.path, &why) == 0);
        settle(&s);
        scene_close(&s);
        expect(client_send(c, &call, &why) == 0);
        expect(client_next(c, -1, &reply, &why) == -ECONNRESET);
        client_free(c);
}

int main(void) {
        rule("descriptors stay with the call that is kept", test_fds_are_kept);
        rule("the blocking client speaks to the server", test_client);
        rule("a client of a server that has gone hears it, and is not killed",
             test_client_of_dead_server);
        return tap_done();
}
