/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"

/* Each rule in a process of its own, because a sandbox can not be left.  What a child exits with. */
enum verdict {
        VERDICT_RIGHT,
        VERDICT_WRONG,
        VERDICT_NO_SANDBOX,
};

static bool has_sandbox = true;

/* 0 when the socket could be made, else the error. */
static int socket_error(int family, int type) {
        int fd = socket(family, type, 0);

        if (fd < 0)
                return errno;
        (void) close(fd);
        return 0;
}

static bool has_no_network(void) {
        static const int families[] = { AF_INET,      AF_INET6, AF_NETLINK, AF_PACKET,   AF_VSOCK,
                                        AF_BLUETOOTH, AF_ALG,   AF_UNSPEC,  AF_APPLETALK };

        for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
                if (socket_error(families[i], SOCK_STREAM) != EAFNOSUPPORT ||
                    socket_error(families[i], SOCK_DGRAM) != EAFNOSUPPORT)
                        return false;

        /* The upper half of the register, which the kernel does not look at. */
        if (syscall(SYS_socket, (long) (UINT64_C(1) << 32 | AF_INET), SOCK_STREAM, 0) >= 0)
                return false;
        return syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS;
}

static bool has_unix_sockets(void) {
        int pair[2];

        if (socket_error(AF_UNIX, SOCK_STREAM) || socket_error(AF_UNIX, SOCK_DGRAM))
                return false;
        return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && !close(pair[0]) && !close(pair[1]);
}

static void in_child(bool (*is_right)(void)) {
        pid_t pid;
        int status;

        (void) fflush(stdout);
        pid = fork();
        if (pid == 0) {
                bool right = is_right();

                _exit(!has_sandbox ? VERDICT_NO_SANDBOX : right ? VERDICT_RIGHT : VERDICT_WRONG);
        }
        expect(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        if (WEXITSTATUS(status) == VERDICT_NO_SANDBOX)
                printf("# skipped: no seccomp here\n");
        else
                expect(WEXITSTATUS(status) == VERDICT_RIGHT);
}

static void enter(void) {
        struct why why = {};
        int r = sandbox_enter(&why);

        has_sandbox = r != -ENOTSUP;
        if (r < 0)
                printf("# %s\n", why.text);
        (void) fflush(stdout);
}

static bool only_unix_sockets_are_left(void) {
        if (socket_error(AF_INET, SOCK_DGRAM) == EAFNOSUPPORT)
                printf("# there was no network before, either\n");
        enter();
        return has_no_network() && has_unix_sockets() &&
               prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static void a_process_keeps_unix_sockets_only(void) {
        in_child(only_unix_sockets_are_left);
}

static sem_t is_there, may_try;

static void *try_in_thread(void *result) {
        (void) sem_post(&is_there);
        (void) sem_wait(&may_try);
        *(bool *) result = has_no_network() && has_unix_sockets() &&
                           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
        return NULL;
}

static bool a_thread_is_held(void) {
        pthread_t thread;
        bool result = false;

        (void) sem_init(&is_there, 0, 0);
        (void) sem_init(&may_try, 0, 0);
        if (pthread_create(&thread, NULL, try_in_thread, &result) != 0)
                return false;
        (void) sem_wait(&is_there);
        enter();
        (void) sem_post(&may_try);
        (void) pthread_join(thread, NULL);
        return result;
}

static void a_thread_that_was_there_before_is_held_too(void) {
        in_child(a_thread_is_held);
}

static bool what_it_starts_is_held(void) {
        pid_t pid;
        int status;

        enter();
        pid = fork();
        if (pid == 0)
                _exit(has_no_network() ? 0 : 1);
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void a_child_is_held_too(void) {
        in_child(what_it_starts_is_held);
}

static bool twice_is_well(void) {
        enter();
        enter();
        return has_no_network() && has_unix_sockets();
}

static void entering_twice_is_well(void) {
        in_child(twice_is_well);
}

int main(void) {
        rule("a process keeps Unix sockets only", a_process_keeps_unix_sockets_only);
        rule("a thread that was there before is held, too",
             a_thread_that_was_there_before_is_held_too);
        rule("a child is held, too", a_child_is_held_too);
        rule("entering twice is well", entering_twice_is_well);
        return tap_done();
}
