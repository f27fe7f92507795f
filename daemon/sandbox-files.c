/* SPDX-License-Identifier: Apache-2.0 */
/* Which files the process can reach, by Landlock, which needs no privileges. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/landlock.h"
#include "daemon/sandbox.h"

#define RIGHTS_STATE                                                                               \
        (LANDLOCK_RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |   \
         LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_RIGHT_REFER | LANDLOCK_RIGHT_TRUNCATE)
#define RIGHTS_SOCKET                                                                              \
        (LANDLOCK_RIGHTS_READ | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE)

struct confinement {
        const struct sandbox_files *files;
        struct landlock rules;
        char home[PATH_MAX];
};

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
                        landlock_allow(&c->rules, path, LANDLOCK_RIGHTS_READ);
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
                        landlock_allow(&c->rules, path, LANDLOCK_RIGHTS_READ);
        landlock_allow(&c->rules, "/dev/snd", LANDLOCK_RIGHTS_DEVICE);
        landlock_allow(&c->rules, "/dev/null", LANDLOCK_RIGHTS_DEVICE);
}

static void add_rules(const struct confinement *c) {
        const struct sandbox_files *f = c->files;

        allow_around_home(c, "");
        allow_sound(c);
        for (const char *const *path = f->readable; *path; path++)
                landlock_allow(&c->rules, *path, LANDLOCK_RIGHTS_READ);
        if (f->pressure)
                landlock_allow(&c->rules, f->pressure, LANDLOCK_RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
        if (f->state)
                landlock_allow(&c->rules, f->state, RIGHTS_STATE);
        if (f->socket_folder)
                landlock_allow(&c->rules, f->socket_folder, RIGHTS_SOCKET);
}

bool sandbox_files_know_names(void) {
        return landlock_version() >= 6;
}

int sandbox_confine_files(const struct sandbox_files *files, struct why *why) {
        struct confinement c = { .files = files };
        int r;

        if (!files->home || !realpath(files->home, c.home))
                return because(why, -ENOENT, "no home folder");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return because(why, -errno, "no_new_privs: %s", strerror(errno));
        r = landlock_begin(&c.rules, LANDLOCK_BESIDE_SECCOMP, why);
        if (r < 0)
                return r;
        add_rules(&c);
        return landlock_enter(&c.rules, why);
}
