/* SPDX-License-Identifier: Apache-2.0 */
#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define RIGHT_BIND     (UINT64_C(1) << 0) /* of the network, from version 4 on */
#define RIGHT_CONNECT  (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT UINT64_C(1)        /* from version 6 on, sockets without a path */
#define SCOPE_SIGNAL   UINT64_C(2)
#define RULE_PORT      2                  /* of landlock_add_rule(), from version 4 on */

#define RIGHTS_FIRST (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)
#define RIGHTS_OF_FILE                                                                             \
        (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
         LANDLOCK_RIGHT_TRUNCATE | LANDLOCK_RIGHT_IOCTL)

/* The arguments of the system calls, as of version 6; older kernels take the beginning of the first. */
struct ruleset {
        uint64_t files, network, scopes;
};
struct port_rule {
        uint64_t access, port;
};

int landlock_version(void) {
        return (int) syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static struct ruleset ruleset_of(int version, enum landlock_extent extent) {
        struct ruleset set = { .files = RIGHTS_FIRST };

        set.files |= version >= 2 ? LANDLOCK_RIGHT_REFER : 0;
        set.files |= version >= 3 ? LANDLOCK_RIGHT_TRUNCATE : 0;
        set.files |= version >= 5 ? LANDLOCK_RIGHT_IOCTL : 0;
        set.network = version >= 4 ? RIGHT_BIND | RIGHT_CONNECT : 0;
        set.scopes = version >= 6 ? SCOPE_ABSTRACT | SCOPE_SIGNAL : 0;
        if (extent == LANDLOCK_BESIDE_SECCOMP) {
                set.files &= ~(uint64_t) LANDLOCK_ACCESS_FS_EXECUTE;
                set.network = 0;
        }
        return set;
}

int landlock_begin(struct landlock *ret, enum landlock_extent extent, struct why *why) {
        int version = landlock_version(), fd;
        struct ruleset set = ruleset_of(version, extent);
        size_t size = version >= 6   ? sizeof(set)
                      : version >= 4 ? offsetof(struct ruleset, scopes)
                                     : offsetof(struct ruleset, network);

        if (version < 1)
                return because(why, -ENOTSUP, "this kernel has no Landlock, or no use of it");
        fd = (int) syscall(SYS_landlock_create_ruleset, &set, size, 0);
        if (fd < 0)
                return because(why, -errno, "landlock: %s", strerror(errno));
        *ret = (struct landlock){ .fd = fd, .files = set.files, .holds_tcp = set.network != 0 };
        return 0;
}

void landlock_allow(const struct landlock *l, const char *path, uint64_t rights) {
        _cleanup_(closep) int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
        struct landlock_path_beneath_attr rule = { .parent_fd = fd };
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        rule.allowed_access = rights & l->files & (S_ISDIR(st.st_mode) ? ~UINT64_C(0) : RIGHTS_OF_FILE);
        (void) syscall(SYS_landlock_add_rule, l->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

void landlock_allow_port(const struct landlock *l, unsigned port) {
        const struct port_rule rule = { RIGHT_CONNECT, port };

        if (l->holds_tcp)
                (void) syscall(SYS_landlock_add_rule, l->fd, RULE_PORT, &rule, 0);
}

int landlock_enter(struct landlock *l, struct why *why) {
        int r = 0;

        if (syscall(SYS_landlock_restrict_self, l->fd, 0) < 0)
                r = because(why, -errno, "landlock: %s", strerror(errno));
        closep(&l->fd);
        l->fd = -1;
        return r;
}
