/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_KEEPER_H
#define DAEMON_STORE_KEEPER_H

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/store/store.h"

/* Keeps the history, so that the main thread, which this belongs to, never waits for a disk: one thread has
 * the store, and writes in the order in which it is asked to; another one reads beside it.
 *
 * It also looks after the store: notes the days on which it runs, forgets turns that are older than
 * keep_days of them, writes turns that wait, and erases what was forgotten, slice by slice between other
 * things, again and again until that is possible. */
struct keeper;

struct keeper_config {
        sd_event *loop;      /* not owned */
        struct store *store; /* taken over on success */
        unsigned keep_days;  /* 0: turns are kept */

        /* Both may be NULL.  In the loop or keeper_forget(): turns are forgotten, however long the disk takes
         * for that, and what else remembers them has to let go.  In the loop or keeper_stop(): what keeper_state() tells
         * may have changed. */
        void (*forgotten)(void *userdata);
        void (*changed)(void *userdata);
        void *userdata;
};

int keeper_new(struct keeper **ret, const struct keeper_config *config, struct why *why);

/* Does what it was asked to, tells that, and closes the store; until the time of the monotonic clock.  What is
 * still being erased then is told as -ECANCELED, what has not been begun to be read as -ESHUTDOWN.  False: a thread
 * still runs, and all is left to it; what was done until then has been told, the rest never is.  NULL is stopped. */
bool keeper_stop(struct keeper *k, uint64_t until_ns);

/* How it stands with the history. */
struct keeper_state {
        uint64_t session;       /* as store_session() */
        unsigned n_waiting;     /* also those that a disk is waited for that does not answer */
        struct why waiting_for; /* ... for this */
        bool owes;              /* something that was forgotten may still be in a file */
};

struct keeper_state keeper_state(struct keeper *k);

/* Who waits for what becomes of something: called once, in the loop or in keeper_stop(). */
struct keeper_waiter {
        void (*done)(int r, uint64_t n, const struct why *why, void *userdata);
        void *userdata;
};

/* The functions below copy what they are given.  After an error, which has a reason, nothing happens, and
 * nobody is called. */

/* A disk that takes longer than this for what is to be written does not answer. */
#define KEEPER_PATIENCE_NS UINT64_C(1000000000)

/* What store_keep() returns is told: 0: it outlives the process, however that ends; 1: it waits.  n is its id. */
int keeper_keep(struct keeper *k,
                const struct record *turn,
                const struct keeper_waiter *waiter,
                struct why *why);

/* As store_set_heard() and store_set_answered(). */
int keeper_set_heard(struct keeper *k,
                     uint64_t id,
                     const char *text,
                     size_t size,
                     const struct keeper_waiter *waiter,
                     struct why *why);
int keeper_set_answered(struct keeper *k,
                        uint64_t id,
                        const char *text,
                        size_t size,
                        const struct keeper_waiter *waiter,
                        struct why *why);

/* The session that turns belong to from now on. */
int keeper_begin_session(struct keeper *k,
                         uint64_t began_us,
                         const char *version,
                         const char *model,
                         const struct keeper_waiter *waiter,
                         struct why *why);

/* Forgets turns; span NULL: the last one.  Told: 0 with the number of turns when nothing of them is in a
 * file any more; else why they are still in the history, or no reading shows them any more and they may still be
 * in a file, which is tried again without being told. */
int keeper_forget(struct keeper *k,
                  const struct store_span *span,
                  const struct keeper_waiter *waiter,
                  struct why *why);

/* Reads turns.  The visitor is called on another thread, the waiter when it is over. */
int keeper_read(struct keeper *k,
                const struct store_query *query,
                const struct store_visitor *visitor,
                const struct keeper_waiter *waiter,
                struct why *why);

void keeper_set_keep_days(struct keeper *k, unsigned keep_days);

#endif
