/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: what files are within reach. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/landlock.h"
#include "sound/confine-internal.h"

static void allow_below(const struct landlock *l, const char *folder, const char *const *names) {
        char path[PATH_MAX];

        for (; folder && *folder == '/' && *names; names++)
                if (snprintf(path, sizeof(path), "%s/%s", folder, *names) < (int) sizeof(path))
                        landlock_allow(l, path, LANDLOCK_RIGHTS_READ);
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
        struct landlock l;
        int r;

        r = landlock_begin(&l, LANDLOCK_WHOLE, why);
        if (r < 0)
                return r;
        allow_below(&l, "/", system_files);
        allow_below(&l, getenv("HOME"), home_files);
        allow_below(&l, getenv("XDG_CONFIG_HOME"), config_files);
        allow_below(&l, getenv("XDG_RUNTIME_DIR"), runtime_files);
        landlock_allow(&l, "/dev/snd", LANDLOCK_RIGHTS_DEVICE);
        landlock_allow(&l, "/dev/null", LANDLOCK_RIGHTS_DEVICE);
        return landlock_enter(&l, why);
}

int confine_all_files(struct why *why) {
        struct landlock l;
        int r;

        r = landlock_begin(&l, LANDLOCK_WHOLE, why);
        return r < 0 ? r : landlock_enter(&l, why);
}
