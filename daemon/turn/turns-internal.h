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
        struct turn *kept;    /* owned; has ended and is being written down; the next one waits for that */
        unsigned n_late;      /* are being written down, and those who waited have been told that they are not yet */
        sd_event_source *patience; /* owned; how long somebody waits for that */
        struct handsfree handsfree;
        sd_event_source *hush;    /* owned; a moment after an answer was spoken */
        struct text last_answer;  /* of the turn that ended last */
        struct text beside_what;  /* what was spoken when somebody, or it itself, was heard beside it */
        uint64_t beside_turn;     /* that began so, and of which it is not known yet what was heard */
        uint64_t itself_ns;       /* when an answer last began a turn by itself; 0: never */
        enum activity activity;
        struct event_loaded loaded;
        struct event_drafting drafting; /* by the last turn */
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

/* What became of something that was to be written: 1: it waits, below 0: it is lost.  Said once, and again when
 * writing has worked in between. */
void turns_note_store(struct turns *t, int r, const struct why *why);

void turns_finish_running(struct turns *t);

/* What was heard in the turn that began beside an answer. */
void turns_look_for_itself(struct turns *t, const char *heard);

/* The next piece of the answer of the turn that runs.  The first failure of a turn is the one that is
 * told. */
void turns_on_token(struct turns *t, const char *text, size_t size);
void turns_spoil(struct turn *turn, const char *reason);

/* Carries out what the turn that runs has called and nobody has done yet; ends the turn when the model
 * is done, too. */
void turns_carry_on(struct turns *t);

/* Nobody waits any more for what comes of the turn's calls. */
void turns_give_up_errand(struct turns *t, struct turn *turn);

/* Ends the turn that runs when it is cancelled and only calls are left of it. */
bool turns_end_cancelled(struct turns *t);

/* The turn that runs is one that clients know of. */
void turns_show_running(struct turns *t);

#endif
