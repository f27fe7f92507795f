/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/seccomp.h"

#define FORBID(name) IF(SYS_##name), REFUSE(EPERM)

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Nobody can tell what else a sanitizer does. */
#if IS_SANITIZED
#define SANDBOX_OTHERS ALLOW
#else
#define SANDBOX_OTHERS REFUSE(ENOSYS)
#endif

/* Of clone(), threads are allowed: all that it starts has been started before.  A sanitizer looks into the process from
 * another one. */
#if IS_SANITIZED
#define CLONE_NEEDED 0
#else
#define CLONE_NEEDED CLONE_THREAD
#endif

/* ... and never what makes namespaces; clone3() hides that behind a pointer, so that there it does not
 * exist, and the C library takes the other one. */
#define CLONE_NAMESPACES                                                                           \
        (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
         CLONE_NEWPID | CLONE_NEWNET)

/* clang-format off */
/* What it does besides, so far as anybody has seen: the tests under strace, what the C library takes in
 * their place on other kernels, and what SQLite, OpenBLAS and libsystemd know of.  Newer calls do not
 * exist (ENOSYS), which is what libraries that try them first are made for. */
static const struct sock_filter allowed[] = {
        /* memory */
        IF(SYS_brk), ALLOW,
        IF(SYS_mmap), ALLOW,
        IF(SYS_munmap), ALLOW,
        IF(SYS_mremap), ALLOW,
        IF(SYS_mprotect), ALLOW,
        IF(SYS_madvise), ALLOW,
        IF(SYS_mincore), ALLOW,
        IF(SYS_msync), ALLOW,
        IF(SYS_mlock), ALLOW,
        IF(SYS_munlock), ALLOW,
        IF(SYS_mbind), ALLOW,
        IF(SYS_get_mempolicy), ALLOW,
        IF(SYS_membarrier), ALLOW,
        IF(SYS_memfd_create), ALLOW,
        /* threads and time */
        IF(SYS_futex), ALLOW,
#ifdef SYS_futex_waitv
        IF(SYS_futex_waitv), ALLOW,
#endif
        IF(SYS_set_robust_list), ALLOW,
        IF(SYS_get_robust_list), ALLOW,
        IF(SYS_rseq), ALLOW,
        IF(SYS_set_tid_address), ALLOW,
        IF(SYS_gettid), ALLOW,
        IF(SYS_getpid), ALLOW,
        IF(SYS_getppid), ALLOW,
        IF(SYS_getcpu), ALLOW,
        IF(SYS_sched_yield), ALLOW,
        IF(SYS_sched_getaffinity), ALLOW,
        IF(SYS_sched_setaffinity), ALLOW,
        IF(SYS_sched_getparam), ALLOW,
        IF(SYS_sched_getscheduler), ALLOW,
        IF(SYS_sched_setscheduler), ALLOW,
        IF(SYS_sched_getattr), ALLOW,
        IF(SYS_sched_setattr), ALLOW,
        IF(SYS_sched_get_priority_max), ALLOW,
        IF(SYS_sched_get_priority_min), ALLOW,
        IF(SYS_getpriority), ALLOW,
        IF(SYS_setpriority), ALLOW,
        IF(SYS_nanosleep), ALLOW,
        IF(SYS_clock_nanosleep), ALLOW,
        IF(SYS_clock_gettime), ALLOW,
        IF(SYS_clock_getres), ALLOW,
        IF(SYS_gettimeofday), ALLOW,
#ifdef SYS_time
        IF(SYS_time), ALLOW,
#endif
        IF(SYS_times), ALLOW,
        IF(SYS_restart_syscall), ALLOW,
        IF(SYS_exit), ALLOW,
        IF(SYS_exit_group), ALLOW,
        IF(SYS_prctl), ALLOW,
#ifdef SYS_arch_prctl
        IF(SYS_arch_prctl), ALLOW,
#endif
        /* signals and children */
        IF(SYS_rt_sigaction), ALLOW,
        IF(SYS_rt_sigprocmask), ALLOW,
        IF(SYS_rt_sigreturn), ALLOW,
        IF(SYS_rt_sigpending), ALLOW,
        IF(SYS_rt_sigsuspend), ALLOW,
        IF(SYS_rt_sigtimedwait), ALLOW,
        IF(SYS_rt_sigqueueinfo), ALLOW,
        IF(SYS_sigaltstack), ALLOW,
        IF(SYS_kill), ALLOW,
        IF(SYS_tkill), ALLOW,
        IF(SYS_tgkill), ALLOW,
        IF(SYS_wait4), ALLOW,
        IF(SYS_waitid), ALLOW,
        IF(SYS_pidfd_open), ALLOW,
        IF(SYS_pidfd_send_signal), ALLOW,
        /* waiting */
        IF(SYS_epoll_create1), ALLOW,
        IF(SYS_epoll_ctl), ALLOW,
#ifdef SYS_epoll_wait
        IF(SYS_epoll_wait), ALLOW,
#endif
        IF(SYS_epoll_pwait), ALLOW,
#ifdef SYS_epoll_pwait2
        IF(SYS_epoll_pwait2), ALLOW,
#endif
#ifdef SYS_poll
        IF(SYS_poll), ALLOW,
#endif
        IF(SYS_ppoll), ALLOW,
#ifdef SYS_select
        IF(SYS_select), ALLOW,
#endif
        IF(SYS_pselect6), ALLOW,
        IF(SYS_eventfd2), ALLOW,
        IF(SYS_signalfd4), ALLOW,
        IF(SYS_timerfd_create), ALLOW,
        IF(SYS_timerfd_settime), ALLOW,
        IF(SYS_timerfd_gettime), ALLOW,
        IF(SYS_pipe2), ALLOW,
        IF(SYS_inotify_init1), ALLOW,
        IF(SYS_inotify_add_watch), ALLOW,
        IF(SYS_inotify_rm_watch), ALLOW,
        /* files */
        IF(SYS_read), ALLOW,
        IF(SYS_write), ALLOW,
        IF(SYS_readv), ALLOW,
        IF(SYS_writev), ALLOW,
        IF(SYS_pread64), ALLOW,
        IF(SYS_pwrite64), ALLOW,
        IF(SYS_preadv), ALLOW,
        IF(SYS_pwritev), ALLOW,
        IF(SYS_preadv2), ALLOW,
        IF(SYS_pwritev2), ALLOW,
#ifdef SYS_open
        IF(SYS_open), ALLOW,
#endif
        IF(SYS_openat), ALLOW,
        IF(SYS_close), ALLOW,
#ifdef SYS_close_range
        IF(SYS_close_range), ALLOW,
#endif
        IF(SYS_dup), ALLOW,
#ifdef SYS_dup2
        IF(SYS_dup2), ALLOW,
#endif
        IF(SYS_dup3), ALLOW,
        IF(SYS_fcntl), ALLOW,
        IF(SYS_flock), ALLOW,
        IF(SYS_fsync), ALLOW,
        IF(SYS_fdatasync), ALLOW,
        IF(SYS_ftruncate), ALLOW,
        IF(SYS_fallocate), ALLOW,
        IF(SYS_fadvise64), ALLOW,
        IF(SYS_readahead), ALLOW,
        IF(SYS_lseek), ALLOW,
#ifdef SYS_stat
        IF(SYS_stat), ALLOW,
#endif
        IF(SYS_fstat), ALLOW,
#ifdef SYS_lstat
        IF(SYS_lstat), ALLOW,
#endif
        IF(SYS_newfstatat), ALLOW,
        IF(SYS_statx), ALLOW,
        IF(SYS_statfs), ALLOW,
        IF(SYS_fstatfs), ALLOW,
#ifdef SYS_access
        IF(SYS_access), ALLOW,
#endif
        IF(SYS_faccessat), ALLOW,
#ifdef SYS_faccessat2
        IF(SYS_faccessat2), ALLOW,
#endif
#ifdef SYS_getdents64
        IF(SYS_getdents64), ALLOW,
#endif
#ifdef SYS_readlink
        IF(SYS_readlink), ALLOW,
#endif
        IF(SYS_readlinkat), ALLOW,
        IF(SYS_getcwd), ALLOW,
#ifdef SYS_mkdir
        IF(SYS_mkdir), ALLOW,
#endif
        IF(SYS_mkdirat), ALLOW,
#ifdef SYS_unlink
        IF(SYS_unlink), ALLOW,
#endif
        IF(SYS_unlinkat), ALLOW,
#ifdef SYS_rename
        IF(SYS_rename), ALLOW,
#endif
        IF(SYS_renameat), ALLOW,
        IF(SYS_renameat2), ALLOW,
#ifdef SYS_rmdir
        IF(SYS_rmdir), ALLOW,
#endif
#ifdef SYS_chmod
        IF(SYS_chmod), ALLOW,
#endif
        IF(SYS_fchmod), ALLOW,
        IF(SYS_fchmodat), ALLOW,
        IF(SYS_fchown), ALLOW,
        IF(SYS_umask), ALLOW,
        IF(SYS_ioctl), ALLOW,
        IF(SYS_utimensat), ALLOW,
        IF(SYS_sync_file_range), ALLOW,
        /* sockets */
        IF(SYS_socketpair), ALLOW,
        IF(SYS_bind), ALLOW,
        IF(SYS_listen), ALLOW,
        IF(SYS_accept), ALLOW,
        IF(SYS_accept4), ALLOW,
        IF(SYS_connect), ALLOW,
        IF(SYS_shutdown), ALLOW,
        IF(SYS_getsockname), ALLOW,
        IF(SYS_getpeername), ALLOW,
        IF(SYS_getsockopt), ALLOW,
        IF(SYS_setsockopt), ALLOW,
        IF(SYS_sendto), ALLOW,
        IF(SYS_sendmsg), ALLOW,
        IF(SYS_sendmmsg), ALLOW,
        IF(SYS_recvfrom), ALLOW,
        IF(SYS_recvmsg), ALLOW,
        IF(SYS_recvmmsg), ALLOW,
        /* who and where it is */
        IF(SYS_getuid), ALLOW,
        IF(SYS_geteuid), ALLOW,
        IF(SYS_getgid), ALLOW,
        IF(SYS_getegid), ALLOW,
        IF(SYS_getresuid), ALLOW,
        IF(SYS_getresgid), ALLOW,
        IF(SYS_getgroups), ALLOW,
        IF(SYS_getpgid), ALLOW,
#ifdef SYS_getpgrp
        IF(SYS_getpgrp), ALLOW,
#endif
        IF(SYS_getsid), ALLOW,
        IF(SYS_capget), ALLOW,
        IF(SYS_uname), ALLOW,
        IF(SYS_sysinfo), ALLOW,
#ifdef SYS_getrlimit
        IF(SYS_getrlimit), ALLOW,
#endif
        IF(SYS_prlimit64), ALLOW,
        IF(SYS_getrusage), ALLOW,
        IF(SYS_getrandom), ALLOW,
};
/* clang-format on */

/* What is looked at by its arguments, or refused before anything is allowed. */
/* clang-format off */
static const struct sock_filter checked[] = {
        LOAD(arch),
        UNLESS(SECCOMP_ARCHITECTURE),
        REFUSE(ENOSYS),
        LOAD(nr),
        IF_FROM(SECCOMP_FOREIGN_NUMBERS),
        REFUSE(ENOSYS),
        /* Its rings make sockets past every filter. */
        IF(SYS_io_uring_setup),
        REFUSE(ENOSYS),
#if !IS_SANITIZED
        FORBID(execve),
        FORBID(execveat),
        FORBID(ptrace),
#endif
        FORBID(process_vm_readv),
        FORBID(process_vm_writev),
        FORBID(pidfd_getfd),
        FORBID(kcmp),
        FORBID(unshare),
        FORBID(setns),
        FORBID(mount),
        FORBID(umount2),
        FORBID(move_mount),
        FORBID(open_tree),
        FORBID(fsopen),
        FORBID(fsmount),
        FORBID(mount_setattr),
        FORBID(pivot_root),
        FORBID(chroot),
        FORBID(open_by_handle_at),
        FORBID(bpf),
        FORBID(perf_event_open),
        FORBID(userfaultfd),
        FORBID(add_key),
        FORBID(request_key),
        FORBID(keyctl),
        FORBID(init_module),
        FORBID(finit_module),
        FORBID(delete_module),
        FORBID(kexec_load),
        FORBID(reboot),
        FORBID(swapon),
        FORBID(swapoff),
        IF(SYS_clone3),
        REFUSE(ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 7),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NAMESPACES, 0, 1),
        REFUSE(EPERM),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, CLONE_NEEDED),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE_NEEDED, 0, 1),
        ALLOW,
        REFUSE(EPERM),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4),
        /* The family is an int: the lower half of its register, which comes first. */
        LOAD(args[0]),
        IF(AF_UNIX),
        ALLOW,
        REFUSE(EAFNOSUPPORT),
};
/* clang-format on */

int sandbox_enter(struct why *why) {
        static const struct sock_filter others[] = { SANDBOX_OTHERS };
        struct sock_filter all[N(checked) + N(allowed) + N(others)];
        struct sock_fprog program = { .len = N(all), .filter = all };
        long r;

        memcpy(all, checked, sizeof(checked));
        memcpy(all + N(checked), allowed, sizeof(allowed));
        memcpy(all + N(checked) + N(allowed), others, sizeof(others));
        if (SECCOMP_ARCHITECTURE == 0)
                return because(why, -ENOTSUP, "not known for this processor");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return because(why, -errno, "no_new_privs: %s", strerror(errno));

        /* All threads: OpenBLAS has started one before main() began. */
        r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
        if (r > 0)
                return because(why, -EBUSY, "thread %ld has a filter of its own", r);
        if (r < 0)
                return because(why, errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno,
                               "seccomp: %s", strerror(errno));
        return 0;
}
