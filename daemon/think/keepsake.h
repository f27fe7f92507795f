/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_THINK_KEEPSAKE_H
#define DAEMON_THINK_KEEPSAKE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/common/config.h"
#include "model/session.h"

/* What the model has computed of the beginning of its prefix, kept while it rests, so that whoever wakes it does
 * not wait for that.  It lies in a file without a name in the folder of the history: memory would be what a rest is
 * to give back, and nothing of it outlives the process.  Owned by the inference thread. */
struct keepsake {
        int fd;       /* owned; -1: there is none */
        int32_t *ids; /* owned; of the positions that are in it */
        size_t n_ids;
};

void keepsake_init(struct keepsake *k);
void keepsake_done(struct keepsake *k);

/* Keeps the first n positions of a session, which these are, in the place of others.  0; -ENOENT: nothing is to be
 * written (there is no history); -ERANGE as session_save(); what the system says.  After an error nothing is kept. */
int keepsake_keep(struct keepsake *k,
                  const struct config *config,
                  struct session *s,
                  const int32_t *ids,
                  size_t n);

/* Puts them into a session without positions: as many as session_position() says then, 0 when nothing is kept or it can not
 * be read.  They stay here, too. */
void keepsake_recall(struct keepsake *k, struct session *s);

#endif
