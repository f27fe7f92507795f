/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_TIMERS_H
#define DESKTOP_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "desktop/wall.h"

/* Timers and alarms: which there are, when they are due, and their table in SQLite, where each
 * change is before it is told.  One that can not be written holds all the same, and the whole table
 * is written with the next change, by timers_reconcile() or at the close.  Knows no loop and asks no
 * clock.  Owned by the main thread.
 *
 * A timer takes as long as was said, whatever the clock is set to meanwhile, and goes on while the
 * machine sleeps: it is kept on the clock that counts since the boot, and by the wall clock for the
 * next boot.  An alarm is due at a time on the wall. */
struct timers;

struct moment {
        int64_t real; /* microseconds since 1970 */
        int64_t boot; /* ... since the machine was started */
};

#define TIMERS_MAX      64
#define TIMER_NAME_SIZE 64

struct timer {
        int64_t id;
        bool is_alarm;
        char name[TIMER_NAME_SIZE]; /* "": none */
        int64_t duration;           /* of a timer, what was added included */
        int64_t due_real;           /* both 0 when it is paused */
        int64_t due_boot;
        int64_t left; /* ... and then this is what is left */
        bool is_paused;
        bool is_ringing;
        bool is_snoozed; /* then an alarm is due as a timer is */
        struct wall wall;
};

/* Opens or makes the table in a directory that exists; NULL: nothing is kept.  boot_id tells this
 * start of the machine from every other. */
int timers_open(struct timers **ret,
                const char *directory,
                const char *boot_id,
                const struct moment *now,
                struct why *why);
struct timers *timers_close(struct timers *t);
DEFINE_CLEANUP(struct timers *, timers_close)

/* -ENOSPC: there are TIMERS_MAX.  *ret lives until the next change of the set. */
int timers_add(struct timers *t,
               const char *name,
               int64_t duration,
               const struct moment *now,
               const struct timer **ret);
int timers_add_alarm(struct timers *t,
                     const char *name,
                     const struct wall *wall,
                     const struct moment *now,
                     const struct timer **ret);

/* -ENOENT: there is none of this id; -EINVAL: not in this state, or too long. */
int timers_remove(struct timers *t, int64_t id);
int timers_pause(struct timers *t, int64_t id, const struct moment *now);
int timers_resume(struct timers *t, int64_t id, const struct moment *now);
int timers_extend(struct timers *t, int64_t id, int64_t usec, const struct moment *now);
int timers_snooze(struct timers *t, int64_t id, int64_t usec, const struct moment *now);

/* All, in the order in which they were made. */
const struct timer *timers_all(const struct timers *t, size_t *ret_n);
const struct timer *timers_find(const struct timers *t, int64_t id);

/* What is left of one that runs or is paused; 0 when it is due. */
int64_t timers_left(const struct timer *timer, const struct moment *now);

/* The clock or the time zone may have been changed: computes anew what is due when.  Writes what
 * could not be written before. */
void timers_reconcile(struct timers *t, const struct moment *now);

/* Whether the table is not up to date, so that timers_reconcile() has to try again. */
bool timers_are_behind(const struct timers *t);

/* The moment, by the wall clock, when the next is due; INT64_MAX: none. */
int64_t timers_next(const struct timers *t);

/* One that is due and does not ring yet; from now on it does, and stays until it is removed or
 * snoozed.  NULL: none. */
const struct timer *timers_take_due(struct timers *t, const struct moment *now);

/* The longest that one may take. */
#define TIMER_MAX_USEC (INT64_C(100) * 86400 * 1000000)

#endif
