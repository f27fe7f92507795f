/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The numbers below mean something else on each of them. */
#if defined(__x86_64__) && defined(__LP64__)
#define SANDBOX_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define SANDBOX_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define SANDBOX_ARCHITECTURE 0
#endif

/* x86-64 processes can also use the system calls of x32, which have numbers from here on; aarch64
 * has none there. */
#define SANDBOX_FOREIGN_NUMBERS 0x40000000

/* Each condition holds for the one instruction behind it. */
#define LOAD(field)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(k)         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, 1)
#define UNLESS(k)     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 1, 0)
#define IF_FROM(k)    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (k), 0, 1)
#define ALLOW         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

#define FORBID(name) IF(SYS_##name), REFUSE(EPERM)

/* Sanitizers look into the process from outside, and run a program that reads its symbols. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_FORBIDS_PROGRAMS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
        __has_feature(memory_sanitizer)
#define SANDBOX_FORBIDS_PROGRAMS 0
#endif
#endif
#ifndef SANDBOX_FORBIDS_PROGRAMS
#define SANDBOX_FORBIDS_PROGRAMS 1
#endif

/* Of clone(), what makes namespaces; clone3() hides that behind a pointer, so that there it does not
 * exist, and the C library takes the other one. */
#define CLONE_NAMESPACES                                                                           \
        (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
         CLONE_NEWPID | CLONE_NEWNET)

int sandbox_enter(struct why *why) {
        struct sock_filter instructions[] = {
                LOAD(arch),
                UNLESS(SANDBOX_ARCHITECTURE),
                REFUSE(ENOSYS),
                LOAD(nr),
                IF_FROM(SANDBOX_FOREIGN_NUMBERS),
                REFUSE(ENOSYS),
                /* Its rings make sockets past every filter. */
                IF(SYS_io_uring_setup),
                REFUSE(ENOSYS),
#if SANDBOX_FORBIDS_PROGRAMS
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
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
                LOAD(args[0]),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NAMESPACES, 0, 1),
                REFUSE(EPERM),
                ALLOW,
                UNLESS(SYS_socket),
                ALLOW,
                /* The family is an int: the lower half of its register, which comes first. */
                LOAD(args[0]),
                IF(AF_UNIX),
                ALLOW,
                REFUSE(EAFNOSUPPORT),
        };
        struct sock_fprog program = {
                .len = sizeof(instructions) / sizeof(instructions[0]),
                .filter = instructions,
        };
        long r;

        if (SANDBOX_ARCHITECTURE == 0)
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
