/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_EAR_H
#define DAEMON_HEAR_EAR_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/hear/starter.h"
#include "sound/wall.h"

/* One worker of gemmad-sound and its task, from gemmad's side of the wall.  It may say and give what it
 * likes, end at any time, or never again: nothing here waits for it, and killing it ends all.  Times are
 * the caller's, of the monotonic clock.  Owned by one thread. */
struct ear;

/* A worker that has given no sign of life for so long, or has not even begun, hangs. */
#define EAR_HANGS_NS UINT64_C(10000000000)
#define EAR_START_NS UINT64_C(5000000000)

/* ... and one that was asked to end is killed after this. */
#define EAR_END_NS UINT64_C(500000000)

/* The file, for a task that has one, stays the caller's; -1: none.  0 or -errno with a reason. */
int ear_start(struct ear **ret,
              struct starter *starter,
              const struct wall_task *task,
              int file_fd,
              uint64_t now_ns,
              struct why *why);

/* Kills it, unless it has ended. */
struct ear *ear_free(struct ear *e);
DEFINE_CLEANUP(struct ear *, ear_free)

/* Asks it to end in peace. */
void ear_end(struct ear *e, uint64_t now_ns);

/* Whether it has, so that nothing is open any more; it is killed if that takes too long. */
bool ear_has_ended(struct ear *e, uint64_t now_ns);

/* How many messages may be heard before it has to be asked whether it hangs or has ended: one that talks
 * without end is not listened to without end. */
#define EAR_MAX_HEARD 16

/* Comes first, before anything is taken or heard: what comes after that rings again. */
void ear_clear(struct ear *e);

/* The next frame; its framed_ns is now.  1, 0: there is none (yet), -EBADMSG: what it does is not of
 * this world. */
int ear_take(struct ear *e, struct wall_frame *ret);

/* The next message: 1, 0: there is none (yet), -EPIPE: it has ended, -EBADMSG: it is none.  -EPIPE is
 * told before frames that were given have been taken. */
int ear_hear(struct ear *e, struct wall_message *ret);

/* Whether it hangs; to be asked whenever nothing came. */
bool ear_hangs(struct ear *e, uint64_t now_ns);

/* What to poll until something comes; how many there are. */
#define EAR_MAX_POLLED 2
size_t ear_poll(const struct ear *e, struct pollfd fds[static EAR_MAX_POLLED]);

#endif
