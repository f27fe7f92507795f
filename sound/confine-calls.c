/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp: which system calls there are.  What is not named here fails with EPERM.  The lists are what
 * the sound libraries were seen to need in the tests (strace), with PulseAudio, PipeWire, ALSA's plugins
 * and JACK's library, and next to it what the C library takes instead on other processors and versions. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/seccomp.h"
#include "sound/confine-internal.h"
#include "sound/confine.h"

#define SET_VMA 0x53564d41 /* of prctl(): a name for memory */

bool confine_is_whole(void) {
        return !IS_SANITIZED;
}

/* To hear a device, and to read a file. */
#define CALL(name) SYS_##name
static const int common_calls[] = {
        /* Frames, bells and words. */
        CALL(read), CALL(write), CALL(ppoll), CALL(futex), CALL(recvmsg), CALL(sendmsg),
        CALL(recvfrom), CALL(pread64), CALL(close), CALL(lseek), CALL(memfd_create),
        /* Memory and time; what may run in it is looked at below. */
        CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk), CALL(clock_gettime),
        CALL(clock_nanosleep), CALL(gettimeofday), CALL(getrandom),
        /* What a C library does around these, and to end. */
        CALL(fstat), CALL(getpid), CALL(gettid), CALL(rt_sigaction), CALL(rt_sigprocmask),
        CALL(rt_sigreturn), CALL(restart_syscall), CALL(sched_yield), CALL(exit), CALL(exit_group),
#ifdef SYS_poll
        CALL(poll), CALL(time),
#endif
};

static const int device_calls[] = {
        /* Plugins and configuration are looked for and read, as far as Landlock allows. */
        CALL(openat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(fstatfs), CALL(faccessat),
        CALL(faccessat2), CALL(readlinkat), CALL(getdents64), CALL(getcwd), CALL(readv), CALL(writev),
        CALL(pwrite64), CALL(dup), CALL(dup3), CALL(umask), CALL(flock),
        CALL(close_range), CALL(fadvise64),
        /* Loops of the libraries, and their talk with the server. */
        CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(eventfd2), CALL(pipe2),
        CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime), CALL(signalfd4),
        CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch), CALL(pselect6),
        CALL(connect), CALL(socketpair), CALL(sendto), CALL(sendmmsg), CALL(recvmmsg),
        CALL(getsockopt), CALL(setsockopt), CALL(getsockname), CALL(getpeername), CALL(shutdown),
        /* Memory that is shared with the server. */
        CALL(ftruncate), CALL(fallocate), CALL(msync), CALL(mlock), CALL(mlock2), CALL(munlock),
        CALL(mincore), CALL(shmget), CALL(shmat), CALL(shmdt), CALL(shmctl), CALL(semget), CALL(semop),
        CALL(semtimedop), CALL(semctl),
        /* Threads; what makes them prompt is below. */
        CALL(set_robust_list), CALL(rseq), CALL(set_tid_address), CALL(sigaltstack),
        CALL(rt_sigtimedwait), CALL(membarrier), CALL(getcpu), CALL(nanosleep), CALL(clock_getres),
        CALL(sched_getaffinity), CALL(sched_getparam), CALL(sched_getscheduler), CALL(sched_getattr),
        CALL(sched_get_priority_max), CALL(sched_get_priority_min), CALL(getpriority),
        /* Who and where they are. */
        CALL(getppid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getresuid),
        CALL(getresgid), CALL(getgroups), CALL(getpgid), CALL(getsid), CALL(uname), CALL(sysinfo),
        CALL(getrusage), CALL(times), CALL(capget),
#ifdef SYS_open /* what only older processors have */
        CALL(open), CALL(stat), CALL(lstat), CALL(access), CALL(readlink), CALL(dup2), CALL(select),
        CALL(epoll_create), CALL(epoll_wait), CALL(pipe), CALL(getrlimit), CALL(getpgrp),
        CALL(eventfd), CALL(signalfd), CALL(inotify_init),
#endif
};

/* To give up more. */
static const int starter_calls[] = {
        CALL(pidfd_open), CALL(seccomp), CALL(landlock_create_ruleset), CALL(landlock_restrict_self),
        CALL(tgkill),
};

#define MAX_INSTRUCTIONS 512

struct program {
        struct sock_filter at[MAX_INSTRUCTIONS];
        unsigned short n;
};

static void add(struct program *p, struct sock_filter instruction) {
        if (p->n < MAX_INSTRUCTIONS)
                p->at[p->n++] = instruction;
}

#define ADD(p, ...) add((p), (struct sock_filter) __VA_ARGS__)

/* The next so many instructions are for this number only. */
static void only_for(struct program *p, unsigned number, unsigned char n) {
        ADD(p, SKIP(number, n));
}

/* Values of an argument's lower half: what of them is set, has to be within. */
static void allow_within(struct program *p, int number, unsigned field, unsigned mask) {
        only_for(p, (unsigned) number, 4);
        ADD(p, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field));
        ADD(p, IF_ANY(~mask));
        ADD(p, REFUSE(EPERM));
        ADD(p, ALLOW);
}

static void allow_equal(struct program *p, int number, unsigned field, unsigned value, unsigned error) {
        only_for(p, (unsigned) number, 4);
        ADD(p, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field));
        ADD(p, IF(value));
        ADD(p, ALLOW);
        ADD(p, REFUSE(error));
}

#define ARG(i) ((unsigned) offsetof(struct seccomp_data, args[i]))

static void allow_list(struct program *p, const int *numbers, size_t n) {
        for (size_t i = 0; i < n; i++) {
                only_for(p, (unsigned) numbers[i], 1);
                ADD(p, ALLOW);
        }
}
#define ALLOW_LIST(p, list) allow_list((p), (list), sizeof(list) / sizeof((list)[0]))

/* Memory is either written or run; a file's reader runs nothing that it did not have. */
static void allow_memory(struct program *p, bool may_run) {
        static const int calls[] = { SYS_mmap, SYS_mprotect };

        for (size_t i = 0; i < 2 && !may_run; i++)
                allow_within(p, calls[i], ARG(2), PROT_READ | PROT_WRITE);
        for (size_t i = 0; i < 2 && may_run; i++) {
                only_for(p, (unsigned) calls[i], 5);
                ADD(p, LOAD(args[2]));
                ADD(p, ONLY(PROT_WRITE | PROT_EXEC));
                ADD(p, IF(PROT_WRITE | PROT_EXEC));
                ADD(p, REFUSE(EPERM));
                ADD(p, ALLOW);
        }
}

static void allow_prctl(struct program *p, const unsigned *options, size_t n) {
        only_for(p, SYS_prctl, (unsigned char) (2 * n + 2));
        ADD(p, LOAD(args[0]));
        for (size_t i = 0; i < n; i++) {
                only_for(p, options[i], 1);
                ADD(p, ALLOW);
        }
        ADD(p, REFUSE(EPERM));
}

/* All but these values of the second argument. */
static void allow_others(struct program *p, int number, const unsigned *values, size_t n) {
        only_for(p, (unsigned) number, (unsigned char) (2 * n + 2));
        ADD(p, LOAD(args[1]));
        for (size_t i = 0; i < n; i++) {
                only_for(p, values[i], 1);
                ADD(p, REFUSE(EPERM));
        }
        ADD(p, ALLOW);
}

/* Who owns a descriptor is sent the signal that was chosen for it: that is kill() by another name. */
static void allow_control(struct program *p) {
        static const unsigned fcntls[] = { F_SETOWN, F_SETOWN_EX, F_SETSIG };
        static const unsigned ioctls[] = { FIOSETOWN, SIOCSPGRP };

        allow_others(p, SYS_fcntl, fcntls, sizeof(fcntls) / sizeof(fcntls[0]));
        allow_others(p, SYS_ioctl, ioctls, sizeof(ioctls) / sizeof(ioctls[0]));
}

/* What all have: each part of it is left by the same instructions. */
static void begin(struct program *p, bool is_starter) {
        ADD(p, LOAD(arch));
        ADD(p, UNLESS(SECCOMP_ARCHITECTURE));
        ADD(p, REFUSE(ENOSYS));
        ADD(p, LOAD(nr));
        ADD(p, IF_FROM(SECCOMP_FOREIGN_NUMBERS));
        ADD(p, REFUSE(ENOSYS));
        ALLOW_LIST(p, common_calls);
        /* Signals go to nobody else: pthread_cancel() and abort() need this one.  The copies of the
         * starter have another number, and Landlock keeps theirs among them. */
        if (is_starter)
                ALLOW_LIST(p, starter_calls);
        else
                allow_equal(p, SYS_tgkill, ARG(0), (unsigned) getpid(), EPERM);
}

/* How prompt a thread is it says itself; of others, which may be another process's, nobody can. */
static void allow_own_scheduling(struct program *p) {
        static const int calls[] = { SYS_sched_setaffinity, SYS_sched_setparam, SYS_sched_setscheduler,
                                     SYS_sched_setattr };

        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
                allow_equal(p, calls[i], ARG(0), 0, EPERM);
        only_for(p, SYS_setpriority, 6);
        ADD(p, LOAD(args[0]));
        ADD(p, SKIP(PRIO_PROCESS, 3));
        ADD(p, LOAD(args[1]));
        ADD(p, IF(0));
        ADD(p, ALLOW);
        ADD(p, REFUSE(EPERM));
}

static void add_file(struct program *p) {
        /* What fstat() is in some C libraries; that a path comes along can not be seen here. */
        allow_equal(p, SYS_newfstatat, ARG(3), AT_EMPTY_PATH, EPERM);
        allow_equal(p, SYS_fcntl, ARG(1), F_DUPFD_CLOEXEC, EPERM);
        allow_memory(p, false);
}

/* libpulse makes the folder of the server's socket, and does not look for the socket in it unless that worked or
 * the folder was there. */
static void refuse_folders(struct program *p) {
        static const int calls[] = {
                SYS_mkdirat,
#ifdef SYS_mkdir
                SYS_mkdir,
#endif
        };

        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                only_for(p, (unsigned) calls[i], 1);
                ADD(p, REFUSE(EEXIST));
        }
}

static void add_device(struct program *p, bool may_copy) {
        static const unsigned options[] = { PR_SET_NAME,     PR_GET_NAME,        PR_SET_PDEATHSIG,
                                            PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_SET_NO_NEW_PRIVS,
                                            PR_SET_TIMERSLACK, SET_VMA };

        ALLOW_LIST(p, device_calls);
        refuse_folders(p);
        allow_control(p);
        allow_own_scheduling(p);
        /* A limit of another process, that of its time for one, would end it. */
        allow_equal(p, SYS_prlimit64, ARG(0), 0, EPERM);
        allow_equal(p, SYS_socket, ARG(0), AF_UNIX, EAFNOSUPPORT);
        allow_memory(p, true);
        allow_prctl(p, options, sizeof(options) / sizeof(options[0]));
        /* Behind its pointer nothing can be seen, so that there it does not exist. */
        only_for(p, SYS_clone3, 1);
        ADD(p, REFUSE(ENOSYS));
        /* A thread, or a plain copy. */
        only_for(p, SYS_clone, 4);
        ADD(p, LOAD(args[0]));
        if (may_copy)
                ADD(p, UNLESS_ANY(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                  CLONE_NEWPID | CLONE_NEWNET));
        else
                ADD(p, IF_ANY(CLONE_THREAD));
        ADD(p, ALLOW);
        ADD(p, REFUSE(EPERM));
}

int confine_calls(enum confine_calls which, struct why *why) {
        static struct program program; /* too large for a stack; one thread */
        struct sock_fprog filter = { .filter = program.at };

        if (IS_SANITIZED)
                return 0;
        if (SECCOMP_ARCHITECTURE == 0)
                return because(why, -ENOTSUP, "not known for this processor");
        program.n = 0;
        begin(&program, which == CALLS_STARTER);
        if (which == CALLS_FILE)
                add_file(&program);
        else
                add_device(&program, which == CALLS_STARTER);
        ADD(&program, REFUSE(EPERM));
        filter.len = program.n;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
                return because(why, errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno,
                               "seccomp: %s", strerror(errno));
        return 0;
}
