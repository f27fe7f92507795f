/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_STARTER_H
#define SOUND_STARTER_H

/* The process that all workers are copies of: it has loaded the libraries and used none of them, so a
 * worker starts within a millisecond, and no process of ours has to run a program for it.  Takes
 * requests (enum wall_request) from the socket until gemmad is gone; a worker ends with it. */
int starter_run(int socket_fd);

#endif
