/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: needs no privileges, and holds whatever system call is used. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sound/confine-internal.h"

/* What kernels have learned since the headers that this is built with. */
#define RIGHT_REFER    (UINT64_C(1) << 13) /* from version 2 on */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14) /* ... 3 */
#define RIGHT_BIND     (UINT64_C(1) << 0)  /* ... 4, of the network */
#define RIGHT_CONNECT  (UINT64_C(1) << 1)
#define RIGHT_IOCTL    (UINT64_C(1) << 15) /* ... 5, of devices */
#define SCOPE_ABSTRACT UINT64_C(1)         /* ... 6, sockets without a path */
#define SCOPE_SIGNAL   UINT64_C(2)

#define RIGHTS_READ   (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_DEVICE (RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_IOCTL)
#define RIGHTS_FIRST  (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)
#define RIGHTS_OF_FILE                                                                             \
        (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_IOCTL)

/* The arguments of landlock_create_ruleset(), as of version 6; older kernels take their beginning. */
struct ruleset {
        uint64_t files, network, scopes;
};

/* A set of rules, and which rights it is about.  Its descriptor, or -errno. */
static int make(struct ruleset *ret, struct why *why) {
        long version =
                syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
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

static int restrict_self(int fd, struct why *why) {
        if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
                return because(why, -errno, "landlock: %s", strerror(errno));
        return 0;
}

/* What is not there needs no rule. */
static void allow(int set_fd, const struct ruleset *set, const char *path, uint64_t rights) {
        _cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
        struct landlock_path_beneath_attr rule = { .parent_fd = fd };
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        rule.allowed_access = rights & set->files & (S_ISDIR(st.st_mode) ? ~0ull : RIGHTS_OF_FILE);
        (void) syscall(SYS_landlock_add_rule, set_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static void
allow_below(int set_fd, const struct ruleset *set, const char *folder, const char *const *names) {
        char path[PATH_MAX];

        for (; folder && *folder == '/' && *names; names++)
                if (snprintf(path, sizeof(path), "%s/%s", folder, *names) < (int) sizeof(path))
                        allow(set_fd, set, path, RIGHTS_READ);
}

/* Programs and plugins, the system's configuration, what there is of sound hardware. */
static const char *const system_files[] = {
        "usr", "lib", "lib32", "lib64", "libx32", "etc", "opt", "nix/store", "gnu/store",
        "proc/asound", "proc/cpuinfo", "proc/meminfo", "sys/class/sound", "sys/devices",
        "var/lib/alsa", "var/lib/dbus/machine-id", "run/udev/data", "dev/urandom", NULL,
};

/* What the sound libraries keep of a user. */
static const char *const home_files[] = {
        ".config/pulse", ".config/pipewire", ".config/alsa", ".config/jack", ".asoundrc",
        ".pulse-cookie", ".pulse", ".jackdrc", NULL,
};
static const char *const config_files[] = { "pulse", "pipewire", "alsa", "jack", NULL };
static const char *const runtime_files[] = { "pulse", NULL };

int confine_files(struct why *why) {
        struct ruleset set = {};
        _cleanup_(closep) int fd = make(&set, why);

        if (fd < 0)
                return fd;
        allow_below(fd, &set, "/", system_files);
        allow_below(fd, &set, getenv("HOME"), home_files);
        allow_below(fd, &set, getenv("XDG_CONFIG_HOME"), config_files);
        allow_below(fd, &set, getenv("XDG_RUNTIME_DIR"), runtime_files);
        allow(fd, &set, "/dev/snd", RIGHTS_DEVICE);
        allow(fd, &set, "/dev/null", RIGHTS_DEVICE);
        return restrict_self(fd, why);
}

int confine_all_files(struct why *why) {
        struct ruleset set = {};
        _cleanup_(closep) int fd = make(&set, why);

        return fd < 0 ? fd : restrict_self(fd, why);
}
