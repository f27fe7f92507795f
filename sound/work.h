/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUND_WORK_H
#define SOUND_WORK_H

#include <stdbool.h>

#include "sound/wall.h"

/* What the files of a worker share: its task and its way out.  Owned by its one thread. */
struct work {
        struct wall_task task;
        struct wall *wall;            /* not owned, nor are the descriptors */
        int socket_fd, up_fd, down_fd;
};

/* A sign of life, to be given at least once a second. */
static inline void work_beat(struct work *w) {
        (void) atomic_fetch_add_explicit(&w->wall->beat, 1, memory_order_relaxed);
}

/* A sign of life; whether nobody wants the rest.  To be asked at least once a second; userdata is the
 * struct work. */
bool work_is_over(void *userdata);

void work_say(const struct work *w, const struct wall_message *message);
void work_fail(const struct work *w, int r, const struct why *why);

#endif
