/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_ASKING_H
#define REMOTE_ASKING_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "remote/buffer.h"
#include "remote/link.h"
#include "remote/servers.h"
#include "remote/settings.h"

/* One question on its way: to the first server that is there, to the next one as long as none has begun to
 * answer and gemmad is patient, and the answer back through the link.  Owned by one thread. */
struct asking;

struct asking_config {
        CURLM *multi; /* not owned, like all of it */
        const struct settings *settings;
        struct servers *servers;
        int link_fd;
        void (*changed)(void *userdata); /* of the servers' state */
        void *userdata;
};

/* Takes the question, whose descriptors (the memory, and the pictures) stay the caller's.  -EBADMSG: it is none;
 * else an error of ours, of which gemmad has been told. */
int asking_start(struct asking **ret,
                 const struct asking_config *config,
                 const struct link_question *question,
                 const int *fds,
                 uint64_t now_ns);
struct asking *asking_free(struct asking *a);
DEFINE_CLEANUP(struct asking *, asking_free)

uint32_t asking_number(const struct asking *a);

/* What time has brought.  False: the answer is over, and gemmad has been told how. */
bool asking_step(struct asking *a, uint64_t now_ns);

/* Whether it is to be called as soon as the link can be written to. */
bool asking_waits(const struct asking *a);

/* When it is to be called again at the latest. */
uint64_t asking_deadline(const struct asking *a);

/* Curl has done with a request: whether it was this one's. */
bool asking_on_done(struct asking *a, CURL *curl, CURLcode result, uint64_t now_ns);

#endif
