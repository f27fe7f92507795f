/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/wake.h"
#include "tests/tap.h"

static bool over;

static bool is_over(void *userdata) {
        (void) userdata;
        return over;
}

static const struct input_config quick = {
        .stall_ms = 1,
        .total_ms = 100,
        .bell_fd = -1,
        .is_over = is_over,
};

static void a_regular_file_has_a_position_of_its_own(void) {
        int fd = memfd_create("x", MFD_CLOEXEC), other = dup(fd);
        struct input in;
        struct why why;
        char text[8] = "";

        expect(write(fd, "abcdef", 6) == 6);
        expect(input_open(&in, fd, &quick, &why) == 0);
        (void) close(fd);
        expect(input_read(&in, text, 3) == 3 && strcmp(text, "abc") == 0);
        expect(lseek(other, 0, SEEK_CUR) == 6);
        input_close(&in);
        (void) close(other);
}

static void what_was_peeked_at_comes_again(void) {
        static const char *const texts[] = { "", "abc", "0123456789abcdef" };
        char head[INPUT_HEAD_SIZE], text[32];
        struct input in;
        struct why why;
        int fds[2];

        for (size_t i = 0; i < 3; i++) {
                size_t size = strlen(texts[i]), n = size < sizeof(head) ? size : sizeof(head);

                expect(pipe2(fds, O_CLOEXEC) == 0);
                expect(write(fds[1], texts[i], size) == (ssize_t) size);
                (void) close(fds[1]);
                expect(input_open(&in, fds[0], &quick, &why) == 0);
                /* The client's flags are as they were. */
                expect(!(fcntl(fds[0], F_GETFL) & O_NONBLOCK));
                (void) close(fds[0]);
                expect(input_peek(&in, head) == n && memcmp(head, texts[i], n) == 0);
                expect(input_read(&in, text, 2) == (size < 2 ? size : 2));
                if (i == 2)
                        expect(input_read(&in, text + 2, 30) == 14 &&
                               memcmp(text, texts[2], 16) == 0);
                expect(input_read(&in, text, 1) == 0 || i == 1);
                expect(in.error == 0);
                input_close(&in);
        }
}

static void a_pipe_can_become_a_file(void) {
        char head[INPUT_HEAD_SIZE], text[32] = "";
        struct input in;
        struct why why;
        int fds[2];

        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(write(fds[1], "0123456789abcdef", 16) == 16);
        (void) close(fds[1]);
        expect(input_open(&in, fds[0], &quick, &why) == 0);
        expect(input_peek(&in, head) == sizeof(head));
        expect(input_spool(&in, 16, &why) == 0 && in.is_file && in.size == 16);
        expect(input_seek(&in, -4, SEEK_END) == 12);
        expect(input_read(&in, text, sizeof(text)) == 4 && strcmp(text, "cdef") == 0);
        input_close(&in);
        (void) close(fds[0]);
}

static void what_never_ends_is_bounded(void) {
        _cleanup_(closep) int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        struct input_config dripping = quick;
        struct input in;
        struct why why;
        char text[4];
        int fds[2];

        expect(input_open(&in, zero, &quick, &why) == 0);
        expect(input_spool(&in, 1024 * 1024, &why) == -EFBIG);
        expect(strcmp(why.text, "more than 1 MiB came") == 0);
        input_close(&in);

        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(input_open(&in, fds[0], &quick, &why) == 0);
        expect(input_read(&in, text, 1) == 0 && input_because(&in, &why) == -ETIMEDOUT);
        expect(strstr(why.text, "no sound came"));
        input_close(&in);

        /* Each wait is short enough, but not all of them together. */
        dripping.stall_ms = 1000;
        dripping.total_ms = 2;
        expect(input_open(&in, fds[0], &dripping, &why) == 0);
        expect(input_read(&in, text, 1) == 0 && input_because(&in, &why) == -ETIMEDOUT);
        expect(strstr(why.text, "did not end within"));
        input_close(&in);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

static void what_can_be_no_sound_is_refused(void) {
        _cleanup_(closep) int root = open("/", O_RDONLY | O_CLOEXEC);
        _cleanup_(closep) int empty = memfd_create("x", MFD_CLOEXEC);
        struct input in;
        struct why why;

        expect(input_open(&in, root, &quick, &why) == -EISDIR);
        expect(input_open(&in, empty, &quick, &why) == -ENODATA);
        expect(input_open(&in, -1, &quick, &why) == -EBADF);
}

/* The other reader may be faster after poll() has said that there is something. */
static void a_blocking_socket_is_never_waited_for(void) {
        struct input in;
        struct why why;
        char text[4];
        int fds[2];

        expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == 0);
        expect(input_open(&in, fds[0], &quick, &why) == 0);
        expect(input_read(&in, text, 1) == 0 && in.error == ETIMEDOUT);
        input_close(&in);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

static void waiting_ends_when_nobody_wants_it(void) {
        struct input_config patient = quick;
        struct input in;
        struct why why;
        char text[4];
        int fds[2];

        patient.stall_ms = patient.total_ms = 3600000;
        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(input_open(&in, fds[0], &patient, &why) == 0);
        over = true;
        expect(input_read(&in, text, 1) == 0 && input_because(&in, &why) == -ECANCELED);
        over = false;
        input_close(&in);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

int main(void) {
        rule("a regular file has a position of its own", a_regular_file_has_a_position_of_its_own);
        rule("what was peeked at comes again", what_was_peeked_at_comes_again);
        rule("a pipe can become a file", a_pipe_can_become_a_file);
        rule("what never ends is bounded", what_never_ends_is_bounded);
        rule("what can be no sound is refused", what_can_be_no_sound_is_refused);
        rule("a blocking socket is never waited for", a_blocking_socket_is_never_waited_for);
        rule("waiting ends when nobody wants it", waiting_ends_when_nobody_wants_it);
        return tap_done();
}
