/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: needs no privileges, and holds whatever system call is used. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "remote/confine-internal.h"

/* What kernels have learned since the headers that this is built with. */
#define RIGHT_REFER    (UINT64_C(1) << 13) /* from version 2 on */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14) /* ... 3 */
#define RIGHT_BIND     (UINT64_C(1) << 0)  /* ... 4, of the network */
#define RIGHT_CONNECT  (UINT64_C(1) << 1)
#define RIGHT_IOCTL    (UINT64_C(1) << 15) /* ... 5, of devices */
#define SCOPE_ABSTRACT UINT64_C(1)         /* ... 6, sockets without a path */
#define SCOPE_SIGNAL   UINT64_C(2)
#define RULE_PORT      2 /* of landlock_add_rule(), from version 4 on */

#define RIGHTS_READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_FIRST (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)

#define PORT_OF_NAMES 53

/* The arguments of the system calls, as of version 6; older kernels take the beginning of the first. */
struct ruleset {
        uint64_t files, network, scopes;
};
struct port_rule {
        uint64_t access, port;
};

/* Programs' libraries, the system's configuration, who is trusted, where names are asked for. */
static const char *const system_files[] = {
        "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store", "/gnu/store", "/dev/urandom", "/dev/null",
        "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/run/nscd", "/var/lib/ca-certificates",
        "/proc/sys/net", "/proc/sys/crypto",
};

static int make(struct ruleset *ret, struct why *why) {
        long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        size_t size;
        int fd;

        if (version < 1)
                return because(why, -ENOTSUP, "this kernel has no Landlock, or no use of it");
        ret->files = RIGHTS_FIRST;
        ret->files |= version >= 2 ? RIGHT_REFER : 0;
        ret->files |= version >= 3 ? RIGHT_TRUNCATE : 0;
        ret->files |= version >= 5 ? RIGHT_IOCTL : 0;
        ret->network = version >= 4 ? RIGHT_BIND | RIGHT_CONNECT : 0;
        ret->scopes = version >= 6 ? SCOPE_ABSTRACT | SCOPE_SIGNAL : 0;
        size = version >= 6   ? sizeof(*ret)
               : version >= 4 ? offsetof(struct ruleset, scopes)
                              : offsetof(struct ruleset, network);
        fd = (int) syscall(SYS_landlock_create_ruleset, ret, size, 0);
        return fd < 0 ? because(why, -errno, "landlock: %s", strerror(errno)) : fd;
}

/* What is not there needs no rule. */
static void allow(int set_fd, const char *path) {
        _cleanup_(closep) int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
        struct landlock_path_beneath_attr rule = { .parent_fd = fd };
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        rule.allowed_access = S_ISDIR(st.st_mode) ? RIGHTS_READ : LANDLOCK_ACCESS_FS_READ_FILE;
        (void) syscall(SYS_landlock_add_rule, set_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static void allow_port(int set_fd, unsigned port) {
        const struct port_rule rule = { RIGHT_CONNECT, port };

        (void) syscall(SYS_landlock_add_rule, set_fd, RULE_PORT, &rule, 0);
}

int confine_files(const struct settings *settings, struct why *why) {
        struct ruleset set = {};
        _cleanup_(closep) int fd = make(&set, why);

        if (fd < 0)
                return fd;
        for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
                allow(fd, system_files[i]);
        for (unsigned i = 0; i < settings->n_servers; i++) {
                const struct server_settings *server = &settings->servers[i];

                allow(fd, server->ca);
                allow(fd, server->certificate);
                allow(fd, server->certificate_key);
                if (set.network)
                        allow_port(fd, server->port);
        }
        if (set.network)
                allow_port(fd, PORT_OF_NAMES);
        if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
                return because(why, -errno, "landlock: %s", strerror(errno));
        return 0;
}
