/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_BELL_H
#define DESKTOP_BELL_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "desktop/loudness.h"
#include "desktop/notify.h"
#include "desktop/sound.h"
#include "desktop/timers.h"

/* Rings when a timer or an alarm is due: a sound and a notification, until somebody stops it.  One
 * that was due while nobody could ring does so at once, and says when it was due.  Owned by the
 * main thread. */
struct bell;

struct bell_config {
        sd_event *loop;
        struct sound *sound;   /* not owned, like the next ones */
        struct loudness *loudness;
        struct notify *notify; /* may be NULL */
        const char *directory; /* for the table; NULL: nothing is kept */
        void (*changed)(void *userdata); /* it begins to ring, or has ended; may be NULL */
        void *userdata;
};

int bell_new(struct bell **ret, const struct bell_config *config, struct why *why);
struct bell *bell_free(struct bell *b);
DEFINE_CLEANUP(struct bell *, bell_free)

/* The table, to be changed by anybody who calls bell_changed() afterwards. */
struct timers *bell_timers(struct bell *b);
void bell_changed(struct bell *b);

/* Brings the table up to date before somebody is told of it: nothing else tells of another time zone. */
void bell_look(struct bell *b);

bool bell_is_ringing(const struct bell *b);

/* Silences all that ring; returns how many there were. */
unsigned bell_stop(struct bell *b);
unsigned bell_snooze(struct bell *b, int64_t usec);

/* What "snooze" without a time means. */
#define SNOOZE_USEC (INT64_C(10) * 60 * 1000000)

struct moment bell_now(void);

#endif
