/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/confine.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "base/seccomp.h"
#include "picture/picture.h"

#define DIE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

#define PERMIT(name) IF(SYS_##name), ALLOW

/* Memory that can be run is not given, and refused instead of deadly: the C library may ask. */
#define PERMIT_MEMORY(name)                                                                        \
        SKIP(SYS_##name, 4), LOAD(args[2]), IF_ANY(PROT_EXEC), REFUSE(EPERM), ALLOW

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
                UNLESS(SECCOMP_ARCHITECTURE),
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
                REFUSE(EPERM),
#else
                DIE,
#endif
        };
        struct sock_fprog program = {
                .len = sizeof(instructions) / sizeof(instructions[0]),
                .filter = instructions,
        };

        if (SECCOMP_ARCHITECTURE == 0)
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
