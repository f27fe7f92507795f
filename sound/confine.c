/* SPDX-License-Identifier: Apache-2.0 */
#include "sound/confine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/privileges.h"
#include "sound/confine-internal.h"

int confine_starter(struct why *why) {
        int r, first;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return because(why, -errno, "no_new_privs: %s", strerror(errno));
        /* What was said is in its memory: not in a core file, and no program of the user's reads it. */
        privileges_limit(RLIMIT_CORE, 0);
        if (confine_is_whole())
                (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        /* Into a terminal of one's own session one can type. */
        (void) setsid();
        /* Whoever runs this as root still has no more rights than the files give. */
        privileges_drop();
        first = confine_files(why);
        r = confine_calls(CALLS_STARTER, first < 0 ? NULL : why);
        return first < 0 ? first : r;
}

/* What strangers made is not let near anything. */
static int confine_reader(const struct wall_task *task, struct why *why) {
        int r;

        /* Next to seccomp, which forbids the same: no process, no thread, ... */
        privileges_limit(RLIMIT_NPROC, 0);
        /* ... in memory no larger a file than what may have to be kept of a pipe, ... */
        privileges_limit(RLIMIT_FSIZE, task->max_spooled);
        /* ... and few of them. */
        privileges_limit(RLIMIT_NOFILE, 64);
        /* Nothing here says anything to people; the line of a terminal obeys. */
        if (confine_is_whole())
                (void) dup2(STDOUT_FILENO, STDERR_FILENO);
        r = confine_all_files(why);
        return confine_calls(CALLS_FILE, r < 0 ? NULL : why) < 0 ? -ENOTSUP : r;
}

int confine_worker(const struct wall_task *task, struct why *why) {
        return task->kind == WALL_FILE ? confine_reader(task, why)
                                       : confine_calls(CALLS_DEVICE, why);
}
