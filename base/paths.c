/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* The value of a variable that holds an absolute path, else NULL. */
static const char *directory(const char *variable) {
        const char *value = getenv(variable);

        return value && value[0] == '/' ? value : NULL;
}

static int join(char *ret, size_t size, const char *base, const char *rest, struct why *why) {
        char path[4096];
        int n;

        n = snprintf(path, sizeof(path), "%s%s", base, rest);
        if (n < 0 || (size_t) n >= sizeof(path) || (size_t) n >= size)
                return because(why, -ENAMETOOLONG, "%.100s...: the path is too long", base);

        (void) snprintf(ret, size, "%s", path);
        return 0;
}

/* Below the variable's directory, or below $HOME. */
static int user_path(char *ret,
                     size_t size,
                     const char *variable,
                     const char *rest,
                     const char *rest_of_home,
                     struct why *why) {
        const char *base = directory(variable);

        if (base)
                return join(ret, size, base, rest, why);
        base = directory("HOME");
        if (base)
                return join(ret, size, base, rest_of_home, why);
        return because(why, -ENOENT, "neither %s nor HOME is set", variable);
}

int paths_socket(char *ret, size_t size, struct why *why) {
        const char *base = directory("XDG_RUNTIME_DIR");

        if (!base)
                return because(why, -ENOENT, "XDG_RUNTIME_DIR is not set; --socket helps");
        return join(ret, size, base, "/gemmad/io.gemmad.Assistant", why);
}

int paths_state(char *ret, size_t size, struct why *why) {
        return user_path(ret, size, "XDG_STATE_HOME", "/gemmad", "/.local/state/gemmad", why);
}

int paths_models(char *ret, size_t size, struct why *why) {
        return user_path(ret, size, "XDG_DATA_HOME", "/gemmad/models", "/.local/share/gemmad/models",
                         why);
}

int paths_config(char *ret, size_t size, const char *name, struct why *why) {
        char folder[PATH_MAX];
        int n, r;

        r = user_path(folder, sizeof(folder), "XDG_CONFIG_HOME", "/gemmad", "/.config/gemmad", why);
        if (r < 0)
                return r;
        n = snprintf(ret, size, "%s/%s", folder, name);
        return n < 0 || (size_t) n >= size ? because(why, -ENAMETOOLONG, "%s: the path is too long", name) : 0;
}
