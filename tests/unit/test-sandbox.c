/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitized.h"
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

static bool vfork_is_refused(void) {
#ifdef SYS_vfork
        return syscall(SYS_vfork) < 0 && errno == ENOSYS;
#else
        return true;
#endif
}

static void *do_nothing(void *userdata) {
        return userdata;
}

/* A sanitizer needs another process, and there it is held, too. */
static bool it_starts_threads_only(void) {
        pthread_t thread;
        pid_t pid;
        int status;

        enter();
        if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
                return false;
        pid = fork();
        if (pid == 0)
                _exit(has_no_network() ? 0 : 1);
        if (pid < 0)
                return errno == EPERM && vfork_is_refused();
        return IS_SANITIZED && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void no_process_is_started(void) {
        in_child(it_starts_threads_only);
}

static bool twice_is_well(void) {
        enter();
        enter();
        return has_no_network() && has_unix_sockets();
}

static void entering_twice_is_well(void) {
        in_child(twice_is_well);
}

static bool is_forbidden(long r, int error) {
        return r < 0 && errno == error;
}

/* A sanitizer runs programs and looks into the process, so there this is not refused. */
static bool runs_no_program(void) {
#if IS_SANITIZED
        printf("# skipped: a sanitizer needs to run programs\n");
        return true;
#else
        static char *const argv[] = { (char *) "true", NULL };

        return is_forbidden(execve("/bin/true", argv, NULL), EPERM) &&
               is_forbidden(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0), EPERM) &&
               is_forbidden(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM) && system("true") != 0;
#endif
}

/* What code does that has taken the process over: a shell, other processes, namespaces. */
static bool hostile_code_gets_nowhere(void) {
        char byte;
        struct iovec here = { &byte, 1 };

        enter();
        return runs_no_program() &&
               is_forbidden(process_vm_readv(getppid(), &here, 1, &here, 1, 0), EPERM) &&
               is_forbidden(unshare(CLONE_NEWUSER), EPERM) &&
               is_forbidden(unshare(CLONE_NEWNS), EPERM) &&
               is_forbidden(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM) &&
               is_forbidden(syscall(SYS_clone3, NULL, 0), ENOSYS) &&
               is_forbidden(setns(0, 0), EPERM) &&
               is_forbidden(mount("none", "/mnt", "tmpfs", 0, NULL), EPERM) &&
               is_forbidden(chroot("/"), EPERM) &&
               is_forbidden(syscall(SYS_bpf, 0, NULL, 0), EPERM) &&
               is_forbidden(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
}

static void hostile_code_runs_no_program(void) {
        in_child(hostile_code_gets_nowhere);
}

static char place[64];

static void make(const char *name, const char *content) {
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", place, name);
        if (!content) {
                expect(mkdir(path, 0700) == 0);
                return;
        }
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        expect(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t) strlen(content));
        (void) close(fd);
}

/* 0 when it could be opened so, else the error. */
static int open_error(const char *name, int flags) {
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", place, name);
        fd = open(path, flags | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno;
        (void) close(fd);
        return 0;
}

/* 0 when somebody at an address without a path could be called, else the error. */
static int call_abstract(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = sizeof(sa_family_t) + 1 + strlen(place);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0), r;

        memcpy(address.sun_path + 1, place, strlen(place));
        r = connect(fd, (struct sockaddr *) &address, size) < 0 ? errno : 0;
        (void) close(fd);
        return r;
}

/* 0 when there are files without a name here, else the error. */
static int without_name;

static bool files_are_out_of_reach(void) {
        char home[96], readable[96], state[96], sockets[96];
        const char *const list[] = { readable, NULL };
        struct sandbox_files files = {
                .home = home,
                .readable = list,
                .state = state,
                .socket_folder = sockets,
        };
        struct why why = {};
        int r;

        (void) snprintf(home, sizeof(home), "%s/home", place);
        (void) snprintf(readable, sizeof(readable), "%s/home/.config", place);
        (void) snprintf(state, sizeof(state), "%s/home/.state", place);
        (void) snprintf(sockets, sizeof(sockets), "%s/home/.run", place);
        r = sandbox_confine_files(&files, &why);
        if (r < 0)
                printf("# %s\n", why.text);
        (void) fflush(stdout);
        has_sandbox = r != -ENOTSUP;
        if (r < 0)
                return false;

        return open_error("home/.ssh/key", O_RDONLY) == EACCES &&
               open_error("home/.ssh", O_RDONLY) == EACCES &&
               open_error("home/.secret", O_RDONLY) == EACCES &&
               open_error("home/.config/conf", O_RDONLY) == 0 &&
               open_error("home/.config/conf", O_WRONLY) == EACCES &&
               open_error("home/sound", O_RDONLY) == 0 &&
               open_error("home/sound", O_WRONLY) == EACCES &&
               open_error("home/new", O_WRONLY | O_CREAT) == EACCES &&
               open_error("new", O_WRONLY | O_CREAT) == EACCES &&
               open_error("home/.run/new", O_WRONLY | O_CREAT) == EACCES &&
               open_error("home/.state/new", O_RDWR | O_CREAT) == 0 &&
               open_error("home/.state", O_RDWR | O_TMPFILE | O_EXCL) == without_name &&
               open_error("home", O_RDWR | O_TMPFILE | O_EXCL) != 0 &&
               open_error("home/.state/new", O_WRONLY | O_TRUNC) == 0;
}

static bool nobody_else_is_reached(void) {
        pid_t parent = getppid();

        if (!files_are_out_of_reach())
                return false;
        /* Kernels of before 6.12 do not keep these from it. */
        if (call_abstract() != EPERM) {
                printf("# not kept from sockets without a path, nor from signals\n");
                return true;
        }
        return kill(parent, 0) < 0 && errno == EPERM && kill(getpid(), 0) == 0;
}

static void hostile_code_reaches_no_secret(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char command[96];

        (void) strcpy(place, "/tmp/test-sandbox-XXXXXX");
        expect(mkdtemp(place));
        memcpy(address.sun_path + 1, place, strlen(place));
        expect(bind(fd, (struct sockaddr *) &address,
                    (socklen_t) (sizeof(sa_family_t) + 1 + strlen(place))) == 0);
        expect(listen(fd, 4) == 0 && call_abstract() == 0);
        make("home", NULL);
        make("home/.ssh", NULL);
        make("home/.ssh/key", "secret");
        make("home/.secret", "secret");
        make("home/.config", NULL);
        make("home/.config/conf", "[Model]");
        make("home/.state", NULL);
        make("home/.run", NULL);
        make("home/sound", "RIFF");
        without_name = open_error("home/.state", O_RDWR | O_TMPFILE | O_EXCL);
        in_child(files_are_out_of_reach);
        in_child(nobody_else_is_reached);
        (void) snprintf(command, sizeof(command), "rm -rf %s", place);
        expect(system(command) == 0);
        (void) close(fd);
}

int main(void) {
        rule("a process keeps Unix sockets only", a_process_keeps_unix_sockets_only);
        rule("a thread that was there before is held, too",
             a_thread_that_was_there_before_is_held_too);
        rule("no process can be started", no_process_is_started);
        rule("entering twice is well", entering_twice_is_well);
        rule("hostile code runs no program and makes no namespace", hostile_code_runs_no_program);
        rule("hostile code reads no secret and writes nothing but the state",
             hostile_code_reaches_no_secret);
        return tap_done();
}
