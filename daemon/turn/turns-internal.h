/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_TURNS_INTERNAL_H
#define DAEMON_TURN_TURNS_INTERNAL_H

#include "daemon/turn/handsfree.h"
#include "daemon/turn/turns.h"

/* What daemon/turn/turns.c and daemon/turn/turns-events.c share. */
struct turns {
        struct turns_config config;
        sd_event_source *settle; /* owned; puts the queue in order in a later round of the loop */

        struct turn *running; /* owned */
        struct turn *waiting; /* owned, oldest first */
        struct handsfree handsfree;
        enum activity activity;
        struct event_loaded loaded;
        unsigned position;
        uint64_t last_id;
        uint64_t n_done, n_cut;
        bool is_stopping;
        bool has_store_failed; /* ... and that has been said */

        uint64_t transcript_turn;
        struct text transcript; /* for transcript_turn, as it comes */
};

size_t turns_max_text(const struct turns *t);
void turns_tell(struct turns *t, const struct news *news);

/* A store that fails is said once, and again when it has worked in between. */
void turns_note_store(struct turns *t, int r, const struct why *why);

void turns_finish_running(struct turns *t);

/* The turn that runs is one that clients know of. */
void turns_show_running(struct turns *t);

#endif
