/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_SETTINGS_H
#define REMOTE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/why.h"

/* remote.toml: which servers are asked, in this order, and with what.  Read once, by one thread. */
#define SETTINGS_MAX_SERVERS 8

struct server_settings {
        char *url;             /* owned, like all below; without a slash at its end, and without a key in it */
        char *model;           /* as the server calls it */
        char *ca;              /* file of the certificates that are trusted; NULL: the system's */
        char *certificate;     /* ... of ours; NULL: none */
        char *certificate_key; /* ... of its key; NULL: it is in the same file */
        char *key_file;        /* ... of the key that servers want to see; NULL: none */
        char *key;             /* what stands in it; only this process and the server know it */
        unsigned port;         /* that the url leads to */
};

struct settings {
        struct server_settings servers[SETTINGS_MAX_SERVERS];
        unsigned n_servers;
        unsigned connect_ms;    /* until a server has to be connected, TLS included */
        unsigned stall_seconds; /* without a byte an answer counts as broken off */
        unsigned total_seconds; /* ... as too long */
        unsigned check_seconds; /* so often each server is looked after */
};

/* From a file, with the keys that it names.  -ENOENT: there is none, -EBADMSG: it is not understood, -EPERM: a file
 * of a key is open to others; each with a reason, in which no key stands. */
int settings_read(struct settings **ret, const char *path, struct why *why);
struct settings *settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings *, settings_free)

#endif
