/* SPDX-License-Identifier: Apache-2.0 */
/* What hostile code gets that has taken over a process of the sound: it is run here, in a process that is
 * shut in as those are. */
#include "sound/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"

static char place[64];
static int sound_fd, heard_fd, listen_fd; /* a file that was handed over; what was heard; an abstract socket */

/* What a child says when it is done: which of its lines was wrong, 0: none. */
#define DENY(call, error)                                                                          \
        do {                                                                                       \
                errno = 0;                                                                         \
                if ((call) >= 0 || errno != (error))                                               \
                        return __LINE__;                                                           \
        } while (0)
#define ALLOW(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        return __LINE__;                                                           \
        } while (0)

enum place { INSIDE_STARTER, INSIDE_DEVICE, INSIDE_FILE };

static int shut_in(enum place where, struct why *why) {
        struct wall_task task = { .kind = WALL_MICROPHONE };
        int r;

        r = confine_starter(why);
        if (where == INSIDE_FILE)
                task = (struct wall_task){ .kind = WALL_FILE, .max_spooled = 1 << 20 };
        return r < 0 || where == INSIDE_STARTER ? r : confine_worker(&task, why);
}

static void run_inside(enum place where, int (*hostile)(void)) {
        int report[2], status, line = -1;
        struct why why = {};
        pid_t pid;

        expect(pipe2(report, O_CLOEXEC) == 0);
        (void) fflush(stdout);
        pid = fork();
        if (pid == 0) {
                /* Standard output is /dev/null there, as gemmad starts it. */
                int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

                (void) dup2(null_fd, STDOUT_FILENO);
                line = shut_in(where, &why) < 0 ? -1 : hostile();
                (void) !write(report[1], &line, sizeof(line));
                _exit(0);
        }
        (void) close(report[1]);
        (void) !read(report[0], &line, sizeof(line));
        (void) close(report[0]);
        expect(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        if (line < 0)
                printf("# skipped: this kernel can not do it all\n");
        if (line > 0)
                printf("# line %d was not as it should be\n", line);
        expect(line <= 0);
}

static int open_file(const char *name, int flags) {
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", place, name);
        fd = open(path, flags | O_CLOEXEC, 0600);
        if (fd >= 0)
                (void) close(fd);
        return fd;
}

static int connect_abstract(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r, error;

        memcpy(address.sun_path + 1, place, strlen(place));
        r = connect(fd, (struct sockaddr *) &address,
                    (socklen_t) (sizeof(sa_family_t) + 1 + strlen(place)));
        error = errno;
        (void) close(fd);
        errno = error;
        return r;
}

static void *nothing(void *userdata) {
        return userdata;
}

static bool starts_thread(void) {
        pthread_t id;

        if (pthread_create(&id, NULL, nothing, NULL) != 0)
                return false;
        (void) pthread_join(id, NULL);
        return true;
}

/* In both kinds of workers, and in the starter. */
static int runs_nothing_and_looks_nowhere(void) {
        static char *const argv[] = { (char *) "true", NULL };
        struct iovec here = { place, 1 };

        ALLOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || errno == EPERM);
        DENY(execve("/bin/true", argv, NULL), EPERM);
        DENY(syscall(SYS_execveat, sound_fd, "", argv, NULL, AT_EMPTY_PATH), EPERM);
        DENY(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL), EPERM);
        DENY(process_vm_readv(1, &here, 1, &here, 1, 0), EPERM);
        DENY(kill(1, 0), EPERM);
        DENY(unshare(CLONE_NEWUSER), EPERM);
        DENY(syscall(SYS_bpf, 0, NULL, 0), EPERM);
        DENY(syscall(SYS_io_uring_setup, 1, NULL), EPERM);
        DENY(syscall(SYS_userfaultfd, 0), EPERM);
        DENY(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM);
        DENY(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
        DENY(syscall(SYS_process_madvise, 0, NULL, 0, 0, 0), EPERM);
        DENY(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
        ALLOW(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0) == MAP_FAILED);
        return 0;
}

static int file_worker(void) {
        static char memory[4096] __attribute__((aligned(4096)));
        char byte = 'x';
        int fd, line;

        line = runs_nothing_and_looks_nowhere();
        if (line != 0)
                return line;
        /* No files: no history, no model, no configuration, nothing of the system's. */
        DENY(open_file("home/.ssh/key", O_RDONLY), EPERM);
        DENY(open_file("home/.config/pulse/cookie", O_RDONLY), EPERM);
        DENY(open_file("home/new", O_WRONLY | O_CREAT), EPERM);
        DENY(open("/etc/passwd", O_RDONLY), EPERM);
        DENY(open("/dev/null", O_RDONLY), EPERM);
        DENY(open("/proc/self/mem", O_RDWR), EPERM);
        DENY(unlink("/etc/passwd"), EPERM);
        DENY(fcntl(sound_fd, F_SETFL, O_NONBLOCK), EPERM);
        /* No bus, no network, nobody at all. */
        DENY(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
        DENY(socket(AF_INET, SOCK_STREAM, 0), EPERM);
        DENY(socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0 }), EPERM);
        DENY(connect(heard_fd, NULL, 0), EPERM);
        DENY(ioctl(heard_fd, FIONREAD, &fd), EPERM);
        /* No other process, no thread, no code. */
        DENY(fork(), EPERM);
        ALLOW(!starts_thread());
        DENY(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM);
        DENY(syscall(SYS_pidfd_open, getppid(), 0), EPERM);
        DENY(mprotect(memory, sizeof(memory), PROT_READ | PROT_EXEC), EPERM);
        ALLOW(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED);
        /* It can still do what it is for. */
        ALLOW(pread(sound_fd, &byte, 1, 0) == 1 && byte == 'R');
        ALLOW(write(heard_fd, &byte, 1) == 1);
        fd = memfd_create("spool", MFD_CLOEXEC);
        ALLOW(fd >= 0 && write(fd, memory, sizeof(memory)) == (ssize_t) sizeof(memory));
        free(malloc(64 << 20));
        return 0;
}

/* A descriptor can have a process that is sent a signal, any one, when something comes. */
static int signals_nobody(void) {
        const struct f_owner_ex owner = { .type = F_OWNER_PID, .pid = getppid() };
        int pair[2], pid = getppid();
        struct rlimit limit;

        ALLOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        DENY(fcntl(pair[0], F_SETOWN, pid), EPERM);
        DENY(fcntl(pair[0], F_SETOWN_EX, &owner), EPERM);
        DENY(fcntl(pair[0], F_SETSIG, SIGKILL), EPERM);
        DENY(ioctl(pair[0], FIOSETOWN, &pid), EPERM);
        DENY(ioctl(pair[0], SIOCSPGRP, &pid), EPERM);
        /* Nor a limit that ends it. */
        DENY(prlimit(pid, RLIMIT_CORE, NULL, &limit), EPERM);
        ALLOW(prlimit(0, RLIMIT_CORE, NULL, &limit) == 0);
        /* What the libraries do is none of that. */
        ALLOW(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
        ALLOW(ioctl(pair[0], FIONREAD, &pid) == 0);
        return 0;
}

/* A thread may be prompt, as far as it may be at all, but it is not the one to stop another process. */
static int hurries_nobody_else(void) {
        const struct sched_param plain = {};
        int other = getppid();
        cpu_set_t all;

        ALLOW(sched_getaffinity(0, sizeof(all), &all) == 0);
        DENY(sched_setaffinity(other, sizeof(all), &all), EPERM);
        DENY(sched_setscheduler(other, SCHED_IDLE, &plain), EPERM);
        DENY(sched_setparam(other, &plain), EPERM);
        DENY(syscall(SYS_sched_setattr, other, NULL, 0), EPERM);
        DENY(setpriority(PRIO_PROCESS, (id_t) other, 19), EPERM);
        DENY(setpriority(PRIO_USER, 0, 19), EPERM);
        ALLOW(sched_setaffinity(0, sizeof(all), &all) == 0);
        ALLOW(sched_setscheduler(0, SCHED_OTHER, &plain) == 0);
        ALLOW(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)) == 0);
        return 0;
}

static int device_worker(void) {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
        int line;

        line = runs_nothing_and_looks_nowhere();
        if (line != 0)
                return line;
        ALLOW(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
        ALLOW(syscall(SYS_capget, &head, caps) == 0);
        ALLOW(caps[0].effective == 0 && caps[0].permitted == 0 && caps[1].permitted == 0);
        /* Of files, what the sound libraries have there, and nothing to write to. */
        DENY(open_file("home/.ssh/key", O_RDONLY), EACCES);
        DENY(open_file("home/document", O_RDONLY), EACCES);
        DENY(open_file("home/new", O_WRONLY | O_CREAT), EACCES);
        DENY(open_file("home/.config/pulse/cookie", O_RDWR), EACCES);
        ALLOW(open_file("home/.config/pulse/cookie", O_RDONLY) >= 0);
        DENY(open("/proc/1/maps", O_RDONLY), EACCES);
        /* As if it were there, which is what libpulse wants to know. */
        DENY(mkdir("/tmp/test-confine", 0700), EEXIST);
        DENY(access("/tmp/test-confine", F_OK), ENOENT);
        /* The sound server's socket is one with a path. */
        ALLOW(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
        DENY(socket(AF_INET, SOCK_STREAM, 0), EAFNOSUPPORT);
        DENY(socket(AF_NETLINK, SOCK_RAW, 0), EAFNOSUPPORT);
        DENY(fork(), EPERM);
        ALLOW(starts_thread());
        line = hurries_nobody_else();
        return line != 0 ? line : signals_nobody();
}

/* Kernels of before 6.12 do not keep these from it. */
static int reaches_nobody_else(void) {
        ALLOW(connect_abstract() < 0);
        ALLOW(errno == EPERM || errno == ECONNREFUSED);
        return 0;
}

static int starter(void) {
        pid_t pid;
        int status, line;

        line = runs_nothing_and_looks_nowhere();
        if (line != 0)
                return line;
        DENY(open_file("home/.ssh/key", O_RDONLY), EACCES);
        pid = fork();
        if (pid == 0)
                _exit(7);
        /* It does not wait for its copies, and may not. */
        DENY(waitpid(pid, &status, 0), EPERM);
        return 0;
}

/* A sanitizer needs all else. */
static int only_files(void) {
        DENY(open_file("home/.ssh/key", O_RDONLY), EACCES);
        DENY(open("/etc/passwd", O_RDONLY), EACCES);
        return 0;
}

static void a_file_gets_nothing(void) {
        run_inside(INSIDE_FILE, confine_is_whole() ? file_worker : only_files);
}

static void a_device_gets_the_server(void) {
        if (confine_is_whole())
                run_inside(INSIDE_DEVICE, device_worker);
        else
                printf("# skipped: built with a sanitizer\n");
}

static void nobody_without_a_path_is_reached(void) {
        run_inside(INSIDE_DEVICE, reaches_nobody_else);
}

static void the_starter_only_copies_itself(void) {
        if (confine_is_whole())
                run_inside(INSIDE_STARTER, starter);
        else
                printf("# skipped: built with a sanitizer\n");
}

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

static void make_place(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int heard[2];
        char path[128];

        (void) strcpy(place, "/tmp/test-confine-XXXXXX");
        expect(mkdtemp(place));
        make("home", NULL);
        make("home/.ssh", NULL);
        make("home/.ssh/key", "secret");
        make("home/document", "secret");
        make("home/.config", NULL);
        make("home/.config/pulse", NULL);
        make("home/.config/pulse/cookie", "cookie");
        make("home/sound", "RIFF");
        (void) snprintf(path, sizeof(path), "%s/home", place);
        expect(setenv("HOME", path, 1) == 0 && unsetenv("XDG_CONFIG_HOME") == 0);
        (void) snprintf(path, sizeof(path), "%s/home/sound", place);
        sound_fd = open(path, O_RDONLY | O_CLOEXEC);
        expect(sound_fd >= 0 && pipe(heard) == 0);
        heard_fd = heard[1];

        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        memcpy(address.sun_path + 1, place, strlen(place));
        expect(bind(listen_fd, (struct sockaddr *) &address,
                    (socklen_t) (sizeof(sa_family_t) + 1 + strlen(place))) == 0);
        expect(listen(listen_fd, 4) == 0);
}

int main(void) {
        char command[96];

        make_place();
        rule("hostile code of a file gets no file, no socket, no process and no program",
             a_file_gets_nothing);
        rule("hostile code of a device gets the sound server and its files", a_device_gets_the_server);
        rule("... and nobody at a socket without a path", nobody_without_a_path_is_reached);
        rule("the starter only makes copies of itself", the_starter_only_copies_itself);
        (void) snprintf(command, sizeof(command), "rm -rf %s", place);
        expect(system(command) == 0);
        return tap_done();
}
