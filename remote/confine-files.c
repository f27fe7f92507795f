/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: what files and servers are within reach. */
#include "base/landlock.h"
#include "remote/confine-internal.h"

#define PORT_OF_NAMES 53

/* Programs' libraries, the system's configuration, who is trusted, where names are asked for. */
static const char *const system_files[] = {
        "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store", "/gnu/store", "/dev/urandom", "/dev/null",
        "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/run/nscd", "/var/lib/ca-certificates",
        "/proc/sys/net", "/proc/sys/crypto",
};

int confine_files(const struct settings *settings, struct why *why) {
        struct landlock l;
        int r;

        r = landlock_begin(&l, LANDLOCK_WHOLE, why);
        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
                landlock_allow(&l, system_files[i], LANDLOCK_RIGHTS_READ);
        for (unsigned i = 0; i < settings->n_servers; i++) {
                const struct server_settings *server = &settings->servers[i];

                landlock_allow(&l, server->ca, LANDLOCK_RIGHTS_READ);
                landlock_allow(&l, server->certificate, LANDLOCK_RIGHTS_READ);
                landlock_allow(&l, server->certificate_key, LANDLOCK_RIGHTS_READ);
                landlock_allow_port(&l, server->port);
        }
        landlock_allow_port(&l, PORT_OF_NAMES);
        return landlock_enter(&l, why);
}
