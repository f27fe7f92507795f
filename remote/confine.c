/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp: which system calls there are; and what else a process can give up by itself. */
#include "remote/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/privileges.h"
#include "base/sanitized.h"
#include "base/seccomp.h"
#include "remote/confine-internal.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* What curl, TLS and the C library's search for names were seen to need in the tests (strace), and next to it what
 * they take instead on other processors and versions. */
static const int allowed[] = {
        /* bytes */
        SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_close, SYS_lseek, SYS_ppoll, SYS_pselect6,
        SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_pipe2, SYS_signalfd4,
        /* sockets */
        SYS_socketpair, SYS_connect, SYS_bind, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_getsockopt,
        SYS_setsockopt, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg,
        /* files, as far as Landlock lets */
        SYS_openat, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_readlinkat,
        SYS_getdents64, SYS_getcwd, SYS_fadvise64, SYS_fstatfs, SYS_statfs,
        /* memory, time, threads that search for names */
        SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mlock, SYS_munlock, SYS_membarrier, SYS_futex,
        SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom,
        SYS_set_robust_list, SYS_rseq, SYS_set_tid_address, SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask,
        SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_restart_syscall, SYS_sched_yield, SYS_sched_getaffinity,
        SYS_getcpu, SYS_exit, SYS_exit_group,
        /* who and where they are */
        SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname, SYS_sysinfo,
        SYS_getrusage, SYS_times,
#ifdef SYS_open /* what only older processors have */
        SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_poll, SYS_select, SYS_epoll_wait, SYS_pipe,
        SYS_time, SYS_getrlimit,
#endif
};

/* Instructions for the calls that are allowed with some arguments only; each begins with the call's number. */
static const struct sock_filter guarded[] = {
        /* gemmad, the network, and which addresses this machine has. */
        SKIP(SYS_socket, 10),
        LOAD(args[0]),
        IF(AF_UNIX), ALLOW,
        IF(AF_INET), ALLOW,
        IF(AF_INET6), ALLOW,
        IF(AF_NETLINK), ALLOW,
        REFUSE(EAFNOSUPPORT),
        /* Memory is either written or run. */
        SKIP(SYS_mmap, 5),
        LOAD(args[2]),
        ONLY(PROT_WRITE | PROT_EXEC),
        IF(PROT_WRITE | PROT_EXEC), REFUSE(EPERM),
        ALLOW,
        SKIP(SYS_mprotect, 5),
        LOAD(args[2]),
        ONLY(PROT_WRITE | PROT_EXEC),
        IF(PROT_WRITE | PROT_EXEC), REFUSE(EPERM),
        ALLOW,
        /* A thread and no process; behind the pointer of the other call nothing can be seen. */
        SKIP(SYS_clone, 4),
        LOAD(args[0]),
        IF_ANY(CLONE_THREAD), ALLOW,
        REFUSE(EPERM),
        SKIP(SYS_clone3, 1),
        REFUSE(ENOSYS),
        /* Who owns a descriptor is sent the signal that was chosen for it. */
        SKIP(SYS_fcntl, 8),
        LOAD(args[1]),
        IF(F_SETOWN), REFUSE(EPERM),
        IF(F_SETOWN_EX), REFUSE(EPERM),
        IF(F_SETSIG), REFUSE(EPERM),
        ALLOW,
        SKIP(SYS_ioctl, 6),
        LOAD(args[1]),
        IF(FIONBIO), ALLOW,
        IF(FIONREAD), ALLOW,
        REFUSE(EPERM),
        /* The name of a thread. */
        SKIP(SYS_prctl, 4),
        LOAD(args[0]),
        IF(PR_SET_NAME), ALLOW,
        REFUSE(EPERM),
        /* One's own limits. */
        SKIP(SYS_prlimit64, 4),
        LOAD(args[0]),
        IF(0), ALLOW,
        REFUSE(EPERM),
};

static const struct sock_filter first[] = {
        LOAD(arch),
        UNLESS(SECCOMP_ARCHITECTURE), REFUSE(ENOSYS),
        LOAD(nr),
        IF_FROM(SECCOMP_FOREIGN_NUMBERS), REFUSE(ENOSYS),
};

int confine_calls(struct why *why) {
        const struct sock_filter abort_call[] = {
                SKIP(SYS_tgkill, 4), LOAD(args[0]), IF((unsigned) getpid()), ALLOW, REFUSE(EPERM), REFUSE(EPERM),
        };
        struct sock_filter all[N(first) + 2 * N(allowed) + N(guarded) + N(abort_call)];
        struct sock_fprog program = { .filter = all };
        size_t n = 0;

        if (SECCOMP_ARCHITECTURE == 0)
                return because(why, -ENOTSUP, "not known for this processor");
        memcpy(all, first, sizeof(first));
        n += N(first);
        for (size_t i = 0; i < N(allowed); i++) {
                all[n++] = (struct sock_filter) IF((unsigned) allowed[i]);
                all[n++] = (struct sock_filter) ALLOW;
        }
        memcpy(all + n, guarded, sizeof(guarded));
        n += N(guarded);
        memcpy(all + n, abort_call, sizeof(abort_call));
        program.len = (unsigned short) (n + N(abort_call));
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
                return because(why, errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno, "seccomp: %s",
                               strerror(errno));
        return 0;
}

int confine(const struct settings *settings, struct why *why) {
        int r, second = 0;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return because(why, -errno, "no_new_privs: %s", strerror(errno));
        privileges_limit(RLIMIT_CORE, 0);
        if (!IS_SANITIZED)
                (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        privileges_drop();
        r = confine_files(settings, why);
        if (!IS_SANITIZED)
                second = confine_calls(r < 0 ? NULL : why);
        return r < 0 ? r : second;
}
