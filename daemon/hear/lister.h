/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_LISTER_H
#define DAEMON_HEAR_LISTER_H

#include "audio/capture.h"
#include "daemon/hear/ear.h"

/* Lists the microphones there are, one list after the other, each by a process that ends with it.  Embedded
 * by value; owned by the pipeline thread; never waits. */
struct lister_result {
        int r;          /* how many, or what stood in the way */
        struct why why; /* ... then */
        struct capture_device listed[WALL_MAX_LISTED];
};

struct lister {
        struct starter *starter; /* not owned; NULL: there is none */
        void (*on_listed)(const struct lister_result *result, void *userdata);
        void *userdata;

        bool is_wanted;    /* set by the owner: a list that has not begun yet */
        struct ear *ear;   /* owned; NULL: nothing is being listed */
        uint64_t begun_ns;
};

void lister_done(struct lister *l);

/* To be called as microphone_step() is. */
void lister_step(struct lister *l, uint64_t now_ns);
size_t lister_poll(const struct lister *l, struct pollfd fds[static EAR_MAX_POLLED]);

#endif
