/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_HEAR_COMMAND_H
#define DAEMON_HEAR_COMMAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the main thread may say to a thread that is at work: one word, next to which it rings the
 * thread's doorbell.  Turns are handed over in the order of their ids, so the word is simply the
 * newest turn that is over; the thread drops whatever belongs to a turn up to it.  No command can
 * get lost or hit the wrong turn.  In return the thread counts how often it looked. */
struct command {
        _Atomic uint64_t over; /* written by the main thread only */
        atomic_uint forgotten; /* how often to forget; written by the main thread only */
        atomic_uint rested;    /* how often to rest; written by the main thread only */
        atomic_ulong beat;     /* written by the commanded thread only */
};

#define COMMAND_STOP UINT64_MAX

/* Main thread. */
static inline void command_end_turn(struct command *c, uint64_t turn) {
        if (atomic_load_explicit(&c->over, memory_order_relaxed) < turn)
                atomic_store_explicit(&c->over, turn, memory_order_release);
}

static inline void command_stop(struct command *c) {
        command_end_turn(c, COMMAND_STOP);
}

static inline void command_forget(struct command *c) {
        atomic_fetch_add_explicit(&c->forgotten, 1, memory_order_release);
}

static inline void command_rest(struct command *c) {
        atomic_fetch_add_explicit(&c->rested, 1, memory_order_release);
}

static inline unsigned long command_beat(const struct command *c) {
        return atomic_load_explicit(&c->beat, memory_order_relaxed);
}

/* The commanded thread: whether this turn is over. */
static inline bool command_ends(struct command *c, uint64_t turn) {
        atomic_fetch_add_explicit(&c->beat, 1, memory_order_relaxed);
        return atomic_load_explicit(&c->over, memory_order_acquire) >= turn;
}

/* The commanded thread: a number that has changed when it is to forget what it remembers. */
static inline unsigned command_forgotten(struct command *c) {
        return atomic_load_explicit(&c->forgotten, memory_order_acquire);
}

/* ... and when it is to give back its memory. */
static inline unsigned command_rested(struct command *c) {
        return atomic_load_explicit(&c->rested, memory_order_acquire);
}

static inline bool command_stops(struct command *c) {
        return command_ends(c, COMMAND_STOP);
}

#endif
