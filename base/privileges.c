/* SPDX-License-Identifier: Apache-2.0 */
#include "base/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void privileges_drop(void) {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

        for (unsigned long i = 0; i <= CAP_LAST_CAP; i++)
                (void) prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
        (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        (void) syscall(SYS_capset, &head, none);
}

void privileges_limit(int what, uint64_t value) {
        const struct rlimit both = { value, value };

        (void) setrlimit((__rlimit_resource_t) what, &both);
}
