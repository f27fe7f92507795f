/* SPDX-License-Identifier: Apache-2.0 */
/* Which files the process can reach, by Landlock, which needs no privileges. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/sandbox.h"

/* What kernels have learned since the headers that this is built with. */
#define RIGHT_REFER    (UINT64_C(1) << 13) /* from version 2 on */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14) /* ... 3 */
#define RIGHT_IOCTL    (UINT64_C(1) << 15) /* ... 5, of devices */
#define SCOPE_ABSTRACT UINT64_C(1)         /* ... 6, sockets without a path */
#define SCOPE_SIGNAL   UINT64_C(2)

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_STATE                                                                               \
        (RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |            \
         LANDLOCK_ACCESS_FS_MAKE_REG | RIGHT_REFER | RIGHT_TRUNCATE)
#define RIGHTS_SOCKET (RIGHTS_READ | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define RIGHTS_DEVICE (RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_IOCTL)

/* All that is granted or not; running a program is left to seccomp, which knows no exception. */
#define RIGHTS_FIRST (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1 - LANDLOCK_ACCESS_FS_EXECUTE)

/* The arguments of landlock_create_ruleset(), as of version 6; older kernels take their beginning. */
struct ruleset {
        uint64_t files, network, scopes;
};

struct confinement {
        const struct sandbox_files *files;
        uint64_t handled;
        int fd; /* owned */
        char home[PATH_MAX];
};

static uint64_t rights_of(long version) {
        uint64_t rights = RIGHTS_FIRST;

        if (version >= 2)
                rights |= RIGHT_REFER;
        if (version >= 3)
                rights |= RIGHT_TRUNCATE;
        if (version >= 5)
                rights |= RIGHT_IOCTL;
        return rights;
}

/* What is not there needs no rule. */
static void allow(const struct confinement *c, const char *path, uint64_t rights) {
        _cleanup_(closep) int fd = open(path, O_PATH | O_CLOEXEC);
        struct landlock_path_beneath_attr rule = { .parent_fd = fd };
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        if (!S_ISDIR(st.st_mode))
                rights &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                          RIGHT_TRUNCATE | RIGHT_IOCTL;
        rule.allowed_access = rights & c->handled;
        (void) syscall(SYS_landlock_add_rule, c->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* Whether the folder is on the way to the home folder. */
static bool leads_home(const struct confinement *c, const char *path) {
        size_t size = strlen(path);

        return strncmp(c->home, path, size) == 0 && c->home[size] == '/';
}

/* Everything below the folder but what is hidden in the home folder: keys, passwords, cookies and
 * histories of programs are there. */
static void allow_around_home(const struct confinement *c, const char *folder) {
        bool is_home = strcmp(c->home, *folder ? folder : "/") == 0;
        DIR *directory = opendir(*folder ? folder : "/");
        struct dirent *entry;
        char path[PATH_MAX];

        while (directory && (entry = readdir(directory))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (is_home && entry->d_name[0] == '.')
                        continue;
                if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
                    (int) sizeof(path))
                        continue;
                if (!is_home && (leads_home(c, path) || strcmp(c->home, path) == 0))
                        allow_around_home(c, path);
                else
                        allow(c, path, RIGHTS_READ);
        }
        if (directory)
                (void) closedir(directory);
}

/* What the sound libraries read of the home folder: they run in processes of their own (sound/), which can
 * have no more than this one. */
static void allow_sound(const struct confinement *c) {
        static const char *const names[] = { ".config/pulse", ".config/pipewire", ".config/alsa",
                                             ".config/jack",  ".asoundrc",        ".pulse-cookie",
                                             ".pulse",        ".jackdrc" };
        char path[PATH_MAX];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (snprintf(path, sizeof(path), "%s/%s", c->home, names[i]) < (int) sizeof(path))
                        allow(c, path, RIGHTS_READ);
        allow(c, "/dev/snd", RIGHTS_DEVICE);
        allow(c, "/dev/null", RIGHTS_DEVICE);
}

static void add_rules(const struct confinement *c) {
        const struct sandbox_files *f = c->files;

        allow_around_home(c, "");
        allow_sound(c);
        for (const char *const *path = f->readable; *path; path++)
                allow(c, *path, RIGHTS_READ);
        if (f->pressure)
                allow(c, f->pressure, RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
        if (f->state)
                allow(c, f->state, RIGHTS_STATE);
        if (f->socket_folder)
                allow(c, f->socket_folder, RIGHTS_SOCKET);
}

static int restrict_self(const struct confinement *c, struct why *why) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return because(why, -errno, "no_new_privs: %s", strerror(errno));
        if (syscall(SYS_landlock_restrict_self, c->fd, 0) < 0)
                return because(why, -errno, "landlock: %s", strerror(errno));
        return 0;
}

static long landlock_version(void) {
        return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool sandbox_files_know_names(void) {
        return landlock_version() >= 6;
}

int sandbox_confine_files(const struct sandbox_files *files, struct why *why) {
        long version = landlock_version();
        struct confinement c = { .files = files, .fd = -1 };
        struct ruleset ruleset = {};
        _cleanup_(closep) int fd = -1;

        if (version < 1)
                return because(why, -ENOTSUP, "this kernel has no Landlock, or no use of it");
        if (!files->home || !realpath(files->home, c.home))
                return because(why, -ENOENT, "no home folder");

        c.handled = ruleset.files = rights_of(version);
        if (version >= 6)
                ruleset.scopes = SCOPE_ABSTRACT | SCOPE_SIGNAL;
        fd = (int) syscall(SYS_landlock_create_ruleset, &ruleset,
                           version >= 6   ? sizeof(ruleset)
                           : version >= 4 ? offsetof(struct ruleset, scopes)
                                          : offsetof(struct ruleset, network),
                           0);
        if (fd < 0)
                return because(why, -errno, "landlock: %s", strerror(errno));
        c.fd = fd;
        add_rules(&c);
        return restrict_self(&c, why);
}
