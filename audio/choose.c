/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/choose.h"

#include <string.h>

bool choose_is_default(const char *name) {
        return !name || !name[0] || strcmp(name, "default") == 0;
}

/* The server's choice, unless that is a Bluetooth headset; -1: nothing but such. */
static int choose_default_source(const struct server_source *sources, int n) {
        int found = -1;

        for (int i = n - 1; i >= 0; i--)
                if (!sources[i].is_bluetooth && (found < 0 || !sources[found].is_default))
                        found = i;
        return found;
}

/* The same microphone without the echo of what is played, if the server has made one of it. */
static int without_echo(const struct server_source *sources, int n, int found) {
        for (int i = 0; found >= 0 && !sources[found].is_echo_free && i < n; i++)
                if (sources[i].is_echo_free && !sources[i].is_bluetooth &&
                    (!sources[i].master[0] || strcmp(sources[i].master, sources[found].name) == 0))
                        return i;
        return found;
}

static int choose_named_source(const struct server_source *sources, int n, const char *name) {
        int found = -1;

        for (int i = 0; i < n; i++) {
                if (strcmp(sources[i].name, name) == 0 || strcmp(sources[i].label, name) == 0)
                        return i;
                if (found < 0 &&
                    (strcasestr(sources[i].name, name) || strcasestr(sources[i].label, name)))
                        found = i;
        }
        return found;
}

int choose_source(const struct server_source *sources, int n, const char *name) {
        return choose_is_default(name) ? without_echo(sources, n, choose_default_source(sources, n))
                                       : choose_named_source(sources, n, name);
}
