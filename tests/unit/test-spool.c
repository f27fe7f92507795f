/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

static struct spool_config config_with(int bell_fd) {
        return (struct spool_config){
                .max_size = 1024 * 1024,
                .stall_ms = 1,
                .total_ms = 100,
                .bell_fd = bell_fd,
                .is_over = is_over,
        };
}

static int spool(int *ret, int fd, struct why *why) {
        _cleanup_(closep) int bell_fd = wake_open();
        struct spool_config config = config_with(bell_fd);

        return spool_open(ret, fd, &config, why);
}

static void a_regular_file_has_a_position_of_its_own(void) {
        _cleanup_(closep) int fd = memfd_create("x", MFD_CLOEXEC);
        _cleanup_(closep) int own = -1;
        struct why why = {};
        char text[8] = "";

        expect(write(fd, "abcdef", 6) == 6);
        expect(spool(&own, fd, &why) == 0);
        expect(read(own, text, 3) == 3 && strcmp(text, "abc") == 0);
        expect(lseek(fd, 0, SEEK_CUR) == 6 && lseek(own, 0, SEEK_CUR) == 3);
}

static void a_pipe_is_read_to_its_end(void) {
        _cleanup_(closep) int own = -1;
        struct why why = {};
        char text[8] = "";
        int fds[2];

        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(write(fds[1], "abc", 3) == 3);
        (void) close(fds[1]);
        expect(spool(&own, fds[0], &why) == 0);
        expect(read(own, text, sizeof(text)) == 3 && strcmp(text, "abc") == 0);
        expect(lseek(own, 0, SEEK_SET) == 0);
        /* The client's flags are as they were. */
        expect(!(fcntl(fds[0], F_GETFL) & O_NONBLOCK));
        (void) close(fds[0]);
}

static void what_never_ends_is_bounded(void) {
        _cleanup_(closep) int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        struct why why = {};
        int own, fds[2];

        expect(spool(&own, zero, &why) == -EFBIG && strcmp(why.text, "more than 1 MiB came") == 0);

        expect(pipe2(fds, O_CLOEXEC) == 0);
        expect(spool(&own, fds[0], &why) == -ETIMEDOUT && strstr(why.text, "no sound came"));
        (void) close(fds[0]);
        (void) close(fds[1]);
}

static void what_is_empty_or_no_file_is_refused(void) {
        _cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        _cleanup_(closep) int root = open("/", O_RDONLY | O_CLOEXEC);
        struct why why = {};
        int own, fds[2];

        expect(spool(&own, null, &why) == -ENODATA);
        expect(spool(&own, root, &why) == -EISDIR);
        expect(spool(&own, -1, &why) == -EBADF);
        expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        (void) close(fds[1]);
        expect(spool(&own, fds[0], &why) == -ENODATA);
        (void) close(fds[0]);
}

/* The other reader may be faster after poll() has said that there is something. */
static void a_blocking_socket_is_never_waited_for(void) {
        struct why why = {};
        int own, fds[2];

        expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == 0);
        expect(spool(&own, fds[0], &why) == -ETIMEDOUT);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

static void it_ends_with_the_turn(void) {
        struct why why = {};
        int own, fds[2];

        expect(pipe2(fds, O_CLOEXEC) == 0);
        over = true;
        expect(spool(&own, fds[0], &why) == -ECANCELED);
        over = false;
        (void) close(fds[0]);
        (void) close(fds[1]);
}

int main(void) {
        rule("a regular file has a position of its own", a_regular_file_has_a_position_of_its_own);
        rule("a pipe is read to its end", a_pipe_is_read_to_its_end);
        rule("what never ends is bounded", what_never_ends_is_bounded);
        rule("what is empty or no file is refused", what_is_empty_or_no_file_is_refused);
        rule("a blocking socket is never waited for", a_blocking_socket_is_never_waited_for);
        rule("it ends with the turn", it_ends_with_the_turn);
        return tap_done();
}
