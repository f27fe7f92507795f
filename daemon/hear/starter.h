/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_STARTER_H
#define DAEMON_HEAR_STARTER_H

#include "base/cleanup.h"
#include "base/why.h"
#include "sound/wall.h"

/* gemmad's hold on gemmad-sound, which starts the processes that hear (sound/wall.h).  There are two
 * of them: should one die or hang, the other one takes over and makes another, because by then
 * gemmad itself can run no program any more.  Made by the main thread, used by the one that hears. */
struct starter;

/* Runs gemmad-sound, which is next to this program or where it was installed.  -ENOENT, or what the
 * system says; with a reason. */
int starter_new(struct starter **ret, struct why *why);

/* They end, and so do all that they have started. */
struct starter *starter_free(struct starter *s);
DEFINE_CLEANUP(struct starter *, starter_free)

/* Starts a worker with these descriptors, which stay the caller's.  0, or -EPIPE and a reason: there is
 * no starter any more.  What became of it shows at the socket. */
int starter_start(struct starter *s, const int fds[static WALL_MAX_FDS], struct why *why);

/* The last worker has not come: the next one is the other starter's. */
void starter_give_up(struct starter *s);

#endif
