/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_WORKER_H
#define SOUND_WORKER_H

#include "base/why.h"
#include "sound/wall.h"

/* One task's process, as seen from inside; see sound/wall.h.  The tests run it as a thread. */
struct worker {
        int socket_fd, wall_fd; /* owned by worker_run() */
        int up_fd, down_fd;     /* ... bells: to be rung for gemmad, and rung by it */
        int self_fd;            /* ... of the process, to be killed by; -1: it is a thread */

        /* What the task does not need is given up before it begins; NULL: nothing is. */
        int (*confine)(const struct wall_task *task, struct why *why);
};

/* Does the task that comes through the socket and returns when it is done, or when nobody waits for it
 * any more.  After the microphone is open, or the file's first frame is there, it allocates nothing of
 * its own. */
void worker_run(const struct worker *w);

#endif
