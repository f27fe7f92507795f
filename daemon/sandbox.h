/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include <stdbool.h>

#include "base/why.h"

/* What a process that parses models and messages can do should one of them take it over, kept
 * small by the kernel also where no systemd unit does it. */

/* From here on the process, all its threads and all that they start
 *   - have no network: only Unix sockets can be made, for clients, the sound server and D-Bus; all
 *     others fail with EAFNOSUPPORT;
 *   - run no program, look into no other process, make no namespace, mount nothing: EPERM;
 *   - gain no privileges, and make no system call that none of its parts is known to need: ENOSYS.
 * Can not be taken back.  Which Unix sockets can be connected to it does not see: for that there is
 * sandbox_hide_sockets().
 *
 * 0; -ENOTSUP for a processor or kernel that this does not know, or what the kernel says; each with
 * a reason. */
int sandbox_enter(struct why *why);

/* What is not to be seen, but for what is needed; nothing of it is owned, and lists end with NULL. */
struct sandbox_sockets {
        const char *runtime_folder; /* of the session, where its sockets are; NULL: none */
        const char *const *buses;   /* addresses of D-Bus */
        const char *const *needed; /* paths in the runtime folder, besides those of sound servers */
        bool needs_names;          /* something needed has no path */
};

/* From here on the process sees no socket of the session but those of sound servers and what is
 * needed, nor those of the machine that start programs: something empty lies over their paths, in a
 * mount namespace of its own.  What makes a new socket later is not covered.  Nor does it see one that
 * has no path, as those of X servers may be: it has a network of its own, where nobody is, if there can
 * be one.  Only for a process of one thread, and before sandbox_confine_files() and sandbox_enter(),
 * which keep it from undoing it.
 *
 * 1, 0 without a network of its own, or why there is no such namespace or something could not be covered;
 * with a reason. */
int sandbox_hide_sockets(const struct sandbox_sockets *sockets, struct why *why);

/* Whether Unix sockets without a path are among what sandbox_confine_files() keeps out of reach here. */
bool sandbox_files_know_names(void);

/* Which files are within reach; nothing of it is owned, and paths that are not there are left out. */
struct sandbox_files {
        const char *home;            /* all that is hidden in it is out of reach */
        const char *const *readable; /* ... but these, up to a NULL */
        const char *pressure;        /* a file that tells when memory runs short; NULL: none */
        const char *state;           /* a folder to write to; NULL: none */
        const char *socket_folder;   /* a folder for the socket; NULL: none */
};

/* From here on the calling thread, those that it starts and its children read only files that are not
 * hidden in the home folder, write only to the state, and reach neither Unix sockets without a path
 * nor, by signals or as a debugger, other processes.  It does not hold for threads that are there
 * already: whoever wants that starts the program anew afterwards.
 *
 * 0; -ENOTSUP for a kernel that has no Landlock, or what it says; each with a reason. */
int sandbox_confine_files(const struct sandbox_files *files, struct why *why);

#endif
