/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_PROCESS_H
#define DESKTOP_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

/* A command that is run, without a shell, and whose output is collected.  Owned by the main thread.
 * SIGCHLD is blocked, as the loop wants it. */
struct process;

struct process_config {
        sd_event *loop;
        char *const *argv; /* NULL at its end; borrowed during the call */
        const char *input;     /* a file for its standard input; borrowed; NULL: nothing */
        uint64_t timeout_usec; /* then it is killed, with all that it has started */
        size_t max_output;     /* what comes after that is dropped */

        /* Once, unless process_stop() comes first.  status: of waitpid(), or -errno: -ETIMEDOUT.
         * output: standard output, which ends with a zero byte behind size bytes.  The process is
         * gone after this. */
        void (*done)(int status, const char *output, size_t size, void *userdata);
        void *userdata;
};

/* -ENOENT: there is no such program, and the like. */
int process_start(struct process **ret, const struct process_config *config);

/* Kills it, and tells nobody. */
struct process *process_stop(struct process *p);

#endif
