/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/confine.h"

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "picture/picture.h"

/* The numbers below mean something else on each of them. */
#if defined(__x86_64__) && defined(__LP64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

/* Sanitizers want an address space without bounds, and to say what they found. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
        __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DIE         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define REFUSE      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

/* Each holds for the one instruction behind it. */
#define IF(name)     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1)
#define PERMIT(name) IF(name), ALLOW

/* Memory that can be run is not given, and refused instead of deadly: the C library may ask. */
#define PERMIT_MEMORY(name)                                                                        \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 4), LOAD(args[2]),                      \
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), REFUSE, ALLOW

static int bound(int which, rlim_t soft, rlim_t hard) {
        struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };

        return setrlimit((__rlimit_resource_t) which, &limit) < 0 ? -errno : 0;
}

static int bound_all(void) {
        const rlim_t pixels = (rlim_t) PICTURE_MAX_PIXELS * 3;
        int r;

        r = bound(RLIMIT_CPU, PICTURE_CPU_SECONDS, PICTURE_CPU_SECONDS + 1);
        if (r == 0)
                r = bound(RLIMIT_CORE, 0, 0);
        if (r == 0)
                r = bound(RLIMIT_FSIZE, pixels, pixels);
        if (r == 0 && !IS_SANITIZED)
                r = bound(RLIMIT_AS, PICTURE_MAX_MEMORY, PICTURE_MAX_MEMORY);
        return r;
}

static int filter(void) {
        struct sock_filter instructions[] = {
                LOAD(arch),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
                DIE,
                LOAD(nr),
                PERMIT(read),
                PERMIT(write),
                PERMIT(ftruncate),
                PERMIT(brk),
                PERMIT(munmap),
                PERMIT(mremap),
                PERMIT(madvise),
                PERMIT(futex),
                PERMIT(clock_gettime),
                PERMIT(getrandom),
                PERMIT(rt_sigreturn),
                PERMIT(rt_sigprocmask),
                PERMIT(sigaltstack),
                PERMIT(sched_yield),
                PERMIT(exit),
                PERMIT(exit_group),
                PERMIT_MEMORY(mmap),
                LOAD(nr),
                PERMIT_MEMORY(mprotect),
#if IS_SANITIZED
                REFUSE,
#else
                DIE,
#endif
        };
        struct sock_fprog program = {
                .len = sizeof(instructions) / sizeof(instructions[0]),
                .filter = instructions,
        };

        if (ARCHITECTURE == 0)
                return 0;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
                return 0;
        return errno == ENOSYS || errno == EINVAL ? 0 : -errno;
}

int confine_descriptors(unsigned first) {
        if (!IS_SANITIZED)
                (void) close(STDERR_FILENO);
        return close_range(first, ~0u, 0) < 0 ? -errno : 0;
}

int confine(void) {
        int r;

        r = bound_all();
        if (r < 0)
                return r;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        return filter();
}
