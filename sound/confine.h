/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_CONFINE_H
#define SOUND_CONFINE_H

#include <stdbool.h>

#include "base/why.h"
#include "sound/wall.h"

/* What the processes of the sound can do should something take them over.  Each step only takes away,
 * can not be taken back, and holds for all copies.  Both need a process of one thread. */

/* The starter, and so all: no capability and none to gain, no core file, no look into it by others, no
 * terminal to type into;
 *   - of files (Landlock), it reads the system's and what the sound libraries keep in the home folder,
 *     and writes to nothing but the devices of sound;
 *   - of system calls (seccomp, a list of what is allowed), what the libraries need: no program is
 *     run, no socket made but Unix ones.
 * 0, or a negative errno and a reason: some of it this kernel can not do; the rest holds. */
int confine_starter(struct why *why);

/* A worker, by its task.
 *   - the microphone and the list of devices: nothing is left that makes a process;
 *   - a file, which strangers may have made: no file is opened, no socket made, no process, thread or
 *     code; what is left is to read what was handed over, to compute, and to hand on.  (That a path
 *     exists it can still see.)
 * As above. */
int confine_worker(const struct wall_task *task, struct why *why);

/* False in a program with sanitizers, which need more than all this leaves: there only the files are out
 * of reach. */
bool confine_is_whole(void);

#endif
