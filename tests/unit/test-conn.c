/* SPDX-License-Identifier: Apache-2.0 */
/* The static parts are looked at too: what a connection waits for is invisible from outside. */
#include "ipc/conn.c"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "tests/tap.h"

#define MAX_MESSAGE 64
#define MAX_UNSENT  1024

struct scene {
        sd_event *loop;
        struct conn *conn;
        int peer; /* the other end */
        char log[1024];
        int n_ended, ended_with;
        size_t n_fds[64], n_messages;
        bool hold_each;
};

static void
on_message(struct conn *c, const char *text, size_t size, struct conn_fds *fds, void *userdata) {
        struct scene *s = userdata;
        size_t used = strlen(s->log);

        expect(strlen(text) == size);
        (void) snprintf(s->log + used, sizeof(s->log) - used, "%s|", text);
        s->n_fds[s->n_messages++ % 64] = fds->n_fds;
        if (s->hold_each)
                conn_set_held(c, true);
}

static void on_ended(struct conn *c, int r, void *userdata) {
        struct scene *s = userdata;

        s->n_ended++;
        s->ended_with = r;
        s->conn = conn_free(c);
}

static const struct conn_handler handler = { on_message, on_ended };

static void scene_open(struct scene *s) {
        int fds[2];

        *s = (struct scene){ .peer = -1 };
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        expect(sd_event_new(&s->loop) >= 0);
        expect(conn_new(&s->conn, s->loop,
                        &(struct conn_config){
                                .fd = fds[0],
                                .max_message_size = MAX_MESSAGE,
                                .max_unsent_size = MAX_UNSENT,
                                .handler = &handler,
                                .userdata = s,
                        }) == 0);
        s->peer = fds[1];
}

static void scene_close(struct scene *s) {
        conn_free(s->conn);
        sd_event_unref(s->loop);
        closep(&s->peer);
}

/* Runs until there is nothing to do; returns the number of turns. */
static int settle(struct scene *s) {
        int n = 0;

        while (n < 10000 && sd_event_run(s->loop, 0) > 0)
                n++;
        expect(n < 10000);
        return n;
}

static void send_bytes(struct scene *s, const char *data, size_t size) {
        expect(send(s->peer, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) size);
}

static void send_with_fds(struct scene *s, const char *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr align;
                char data[CMSG_SPACE(64 * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *) data, .iov_len = size };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        int fds[64];

        for (size_t i = 0; i < n_fds; i++)
                fds[i] = s->peer;
        header.msg_control = control.data;
        header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        *CMSG_FIRSTHDR(&header) = (struct cmsghdr){
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
                .cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
        };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, n_fds * sizeof(int));
        expect(sendmsg(s->peer, &header, MSG_NOSIGNAL) == (ssize_t) size);
}

static int count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        int n = 0;

        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

#define SEND(s, literal) send_bytes(s, literal, sizeof(literal) - 1)

static void test_byte_by_byte(void) {
        static const char text[] = "one\0\0three";
        struct scene s;

        scene_open(&s);
        for (size_t i = 0; i < sizeof(text); i++) {
                send_bytes(&s, text + i, 1);
                settle(&s);
        }
        expect(strcmp(s.log, "one||three|") == 0);
        scene_close(&s);
}

static void test_several_in_one_read(void) {
        struct scene s;

        scene_open(&s);
        SEND(&s, "one\0two\0thr");
        settle(&s);
        expect(strcmp(s.log, "one|two|") == 0);
        SEND(&s, "ee\0");
        settle(&s);
        expect(strcmp(s.log, "one|two|three|") == 0);
        scene_close(&s);
}

static void test_longest_message(void) {
        char text[MAX_MESSAGE + 1];
        struct scene s;

        scene_open(&s);
        memset(text, 'x', MAX_MESSAGE);
        text[MAX_MESSAGE] = 0;
        for (int i = 0; i < 3; i++)
                send_bytes(&s, text, sizeof(text));
        settle(&s);
        expect(s.n_messages == 3 && s.n_ended == 0);
        scene_close(&s);
}

static void test_oversize(void) {
        char text[MAX_MESSAGE + 1];
        struct scene s;

        scene_open(&s);
        memset(text, 'x', sizeof(text));
        SEND(&s, "first\0");
        send_bytes(&s, text, sizeof(text) - 1);
        settle(&s);
        expect(s.n_ended == 0);
        send_bytes(&s, text, 1);
        settle(&s);
        expect(strcmp(s.log, "first|") == 0);
        expect(s.n_ended == 1 && s.ended_with == -EMSGSIZE);
        scene_close(&s);
}

static void test_held(void) {
        struct scene s;
        char bytes[16 * MAX_MESSAGE] = { 0 };

        scene_open(&s);
        s.hold_each = true;
        SEND(&s, "one\0two\0");
        send_bytes(&s, bytes, sizeof(bytes));
        settle(&s);
        expect(strcmp(s.log, "one|") == 0);
        expect(s.conn->in.capacity <= MAX_MESSAGE + 1);
        expect(settle(&s) == 0);

        conn_set_held(s.conn, false);
        settle(&s);
        expect(strcmp(s.log, "one|two|") == 0);
        scene_close(&s);
}

static void test_half_closed(void) {
        struct scene s;
        char answer[8];

        scene_open(&s);
        s.hold_each = true;
        SEND(&s, "one\0two\0");
        expect(shutdown(s.peer, SHUT_WR) == 0);
        settle(&s);
        expect(s.n_ended == 0 && strcmp(s.log, "one|") == 0);
        expect(conn_send(s.conn, "1", 2) == 0);
        conn_set_held(s.conn, false);
        settle(&s);
        expect(conn_send(s.conn, "2", 2) == 0);
        conn_set_held(s.conn, false);
        settle(&s);
        expect(strcmp(s.log, "one|two|") == 0);
        expect(s.n_ended == 1 && s.ended_with == 0);
        expect(read(s.peer, answer, sizeof(answer)) == 4 && memcmp(answer, "1\0002", 4) == 0);
        scene_close(&s);
}

static void test_gone(void) {
        struct scene s;

        scene_open(&s);
        SEND(&s, "one\0two\0three");
        closep(&s.peer);
        s.peer = -1;
        settle(&s);
        expect(strcmp(s.log, "one|two|") == 0);
        expect(s.n_ended == 1 && s.ended_with == 0);
        scene_close(&s);
}

static void test_gone_while_held(void) {
        struct scene s;

        scene_open(&s);
        s.hold_each = true;
        SEND(&s, "one\0two\0");
        settle(&s);
        closep(&s.peer);
        s.peer = -1;
        settle(&s);
        expect(strcmp(s.log, "one|") == 0);
        expect(s.n_ended == 1 && s.ended_with == 0);
        scene_close(&s);
}

static void test_gone_before_held(void) {
        struct scene s;

        scene_open(&s);
        s.hold_each = true;
        SEND(&s, "one\0two\0");
        closep(&s.peer);
        s.peer = -1;
        settle(&s);
        expect(strcmp(s.log, "one|") == 0);
        expect(s.n_ended == 1);
        scene_close(&s);
}

/* Fills the socket until one message had to be queued. */
static void fill(struct scene *s, const char *message, size_t size) {
        int n = 0;

        while (s->conn->out.size == 0 && n++ < 100000)
                expect(conn_send(s->conn, message, size) == 0);
}

static void test_never_reads(void) {
        char message[100] = "";
        struct scene s;
        int r = 0, n = 0;

        scene_open(&s);
        fill(&s, message, sizeof(message));
        while (r == 0 && n++ < 100)
                r = conn_send(s.conn, message, sizeof(message));
        expect(r == -ENOBUFS);
        expect(s.conn->out.size <= MAX_UNSENT);
        expect(s.conn->out.size > MAX_UNSENT - sizeof(message));
        expect(settle(&s) == 0);
        scene_close(&s);
}

static void test_one_large_message(void) {
        static char message[4 << 20];
        size_t n_read = 0;
        struct scene s;

        scene_open(&s);
        memset(message, 'x', sizeof(message) - 1);
        expect(conn_send(s.conn, message, sizeof(message)) == 0);
        expect(conn_send(s.conn, "y", 2) == -ENOBUFS);
        while (n_read < sizeof(message)) {
                char bytes[65536];
                ssize_t n = recv(s.peer, bytes, sizeof(bytes), MSG_DONTWAIT);

                if (n > 0)
                        n_read += (size_t) n;
                else if (settle(&s) == 0)
                        break;
        }
        expect(n_read == sizeof(message));
        expect(s.conn->out.capacity == 0);
        scene_close(&s);
}

static void test_back_pressure(void) {
        char message[100] = "", bytes[4096];
        struct scene s;

        scene_open(&s);
        fill(&s, message, sizeof(message));
        SEND(&s, "one\0");
        settle(&s);
        expect(s.n_messages == 0);
        while (recv(s.peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
                settle(&s);
        settle(&s);
        expect(strcmp(s.log, "one|") == 0);
        scene_close(&s);
}

static void test_gone_without_reading(void) {
        char message[100] = "";
        struct scene s;

        scene_open(&s);
        fill(&s, message, sizeof(message));
        SEND(&s, "one\0");
        closep(&s.peer);
        s.peer = -1;
        settle(&s);
        expect(strcmp(s.log, "one|") == 0);
        expect(s.n_ended == 1);
        scene_close(&s);
}

static void test_fds_by_message(void) {
        struct scene s;

        scene_open(&s);
        SEND(&s, "none\0");
        send_with_fds(&s, "two", 4, 2);
        SEND(&s, "none\0");
        send_with_fds(&s, "th", 2, 2);
        SEND(&s, "r");
        send_with_fds(&s, "ee", 3, 1);
        send_with_fds(&s, "one", 4, 1);
        SEND(&s, "last\0");
        settle(&s);
        expect(strcmp(s.log, "none|two|none|three|one|last|") == 0);
        expect(s.n_fds[0] == 0 && s.n_fds[1] == 2 && s.n_fds[2] == 0);
        expect(s.n_fds[3] == 3 && s.n_fds[4] == 1 && s.n_fds[5] == 0);
        scene_close(&s);
}

static void test_fds_are_closed(void) {
        int before = count_fds();
        struct scene s;

        scene_open(&s);
        for (int i = 0; i < 50; i++) {
                send_with_fds(&s, "m", 2, CONN_MAX_FDS);
                settle(&s);
        }
        expect(s.n_messages == 50 && s.n_fds[49] == CONN_MAX_FDS);
        send_with_fds(&s, "unfinished", 10, 3);
        settle(&s);
        scene_close(&s);
        expect(count_fds() == before);
}

static void test_fds_close_on_exec(void) {
        struct scene s;

        scene_open(&s);
        send_with_fds(&s, "unfinished", 10, 1);
        settle(&s);
        expect(s.conn->fds.n_fds == 1);
        expect(fcntl(s.conn->fds.fds[0], F_GETFD) & FD_CLOEXEC);
        scene_close(&s);
}

static void test_fd_flood(void) {
        int before = count_fds();
        struct scene s;

        scene_open(&s);
        send_with_fds(&s, "at once", 8, CONN_MAX_FDS + 1);
        settle(&s);
        expect(s.n_ended == 1 && s.ended_with == -EMFILE && s.n_messages == 0);
        scene_close(&s);

        scene_open(&s);
        for (int i = 0; i < CONN_MAX_FDS + 1; i++)
                send_with_fds(&s, "x", 1, 1);
        settle(&s);
        expect(s.n_ended == 1 && s.ended_with == -EMFILE && s.n_messages == 0);
        scene_close(&s);

        scene_open(&s);
        s.hold_each = true;
        for (int i = 0; i < 20; i++)
                send_with_fds(&s, "held", 5, 2);
        settle(&s);
        expect(s.n_ended == 0 && s.n_messages == 1);
        expect(s.conn->fds.n_fds == 2);
        scene_close(&s);
        expect(count_fds() == before);
}

static void test_fairness(void) {
        struct scene s;

        scene_open(&s);
        for (int i = 0; i < 10; i++)
                SEND(&s, "x\0");
        while (s.n_messages == 0)
                expect(sd_event_run(s.loop, 0) > 0);
        expect(s.n_messages == 1);
        expect(sd_event_run(s.loop, 0) > 0);
        expect(s.n_messages <= 2);
        scene_close(&s);
}

int main(void) {
        rule("messages may come byte by byte", test_byte_by_byte);
        rule("several messages may come in one read", test_several_in_one_read);
        rule("the longest message allowed passes", test_longest_message);
        rule("one byte more ends the connection, after what came before", test_oversize);
        rule("while held, messages wait and no more than a buffer is read", test_held);
        rule("a peer that only stopped sending gets all answers", test_half_closed);
        rule("the last messages of a peer that has gone are heard", test_gone);
        rule("a peer that goes while held ends the connection at once", test_gone_while_held);
        rule("a hold after the peer went ends the connection", test_gone_before_held);
        rule("a peer that never reads is refused at the limit", test_never_reads);
        rule("a peer that has left nothing may be sent one message of any size",
             test_one_large_message);
        rule("the next message waits until the answers have left", test_back_pressure);
        rule("the last messages of a peer that never read are heard", test_gone_without_reading);
        rule("descriptors belong to the message they came with", test_fds_by_message);
        rule("descriptors that nobody takes are closed", test_fds_are_closed);
        rule("descriptors are closed on exec", test_fds_close_on_exec);
        rule("too many descriptors end the connection, none is leaked", test_fd_flood);
        rule("one message is handed on per turn of the loop", test_fairness);
        return tap_done();
}
