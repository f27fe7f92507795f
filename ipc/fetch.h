/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_FETCH_H
#define IPC_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"

/* Fetches one large file over HTTPS, for gemmactl only: the daemon has no network.  What has come so
 * far lies in PATH.part and is gone on with, by whoever calls next, if the server still has the same
 * file. */

#define FETCH_SHA256_SIZE 65 /* in hexadecimal, with its NUL */

struct fetch_job {
        const char *url;    /* https, or http at this machine itself */
        const char *path;   /* where it belongs when it is whole */
        uint64_t size;      /* in bytes, 0: whatever the server says */
        const char *sha256; /* NULL: what the server publishes for it, if it does */
        const char
                *token; /* sent as a bearer token to the host of url and to no other; may be NULL */

        /* done of total bytes are there, total 0: not known.  is_hashing: they are being summed. */
        void (*progress)(uint64_t done, uint64_t total, bool is_hashing, void *userdata);

        /* The file at this path is complete and has the right sum: whether it may get its name. */
        int (*check)(const char *path, void *userdata, struct why *why);
        void *userdata;
};

/* 0: it is at job->path, with this sum.  -EBUSY: another process fetches it; -ENOSPC: there is no room
 * on the disk; -EBADMSG: size or sum are not as published, and what came is deleted; -EPROTO: what
 * the server or the network says; or what check said.  Waits for the network; retries by itself while
 * something still comes. */
int fetch_file(const struct fetch_job *job,
               char ret_sha256[static FETCH_SHA256_SIZE],
               struct why *why);

/* The sum of a file that is there. */
int fetch_sha256(const char *path,
                 void (*progress)(uint64_t done, uint64_t total, bool is_hashing, void *userdata),
                 void *userdata,
                 char ret_sha256[static FETCH_SHA256_SIZE],
                 struct why *why);

#endif
