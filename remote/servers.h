/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REMOTE_SERVERS_H
#define REMOTE_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "remote/settings.h"

/* How the servers are: which of them is asked next, and when each is to be looked after.  Knows no network and no
 * clock: times are nanoseconds of the caller's.  Embedded by value; starts by servers_init(); owned by one
 * thread. */
struct servers {
        struct server_state {
                bool is_down;           /* it could not be reached, or does not want us; a look may change that */
                unsigned n_failures;    /* in a row, of looks and questions */
                uint64_t busy_until_ns; /* it has said that it has too much to do */
                uint64_t next_look_ns;
                struct why why; /* of the last failure */
        } list[SETTINGS_MAX_SERVERS];
        unsigned n;
        uint64_t look_every_ns;
        uint64_t random; /* state of the jitter */
};

#define SERVERS_NONE UINT32_MAX

/* Nobody is known to be down, and all are to be looked after at once.  seed is what tells this machine from the
 * others that ask the same servers. */
void servers_init(struct servers *s, unsigned n, unsigned look_every_seconds, uint64_t seed);

/* The first one that is neither down nor busy nor in the mask; SERVERS_NONE: there is none. */
unsigned servers_next(const struct servers *s, uint32_t tried, uint64_t now_ns);

/* One whose look is due; SERVERS_NONE: there is none.  The time at which the next one is. */
unsigned servers_due(const struct servers *s, uint64_t now_ns);
uint64_t servers_next_look(const struct servers *s);

/* Its look begins. */
void servers_note_look(struct servers *s, unsigned index, uint64_t now_ns);

/* It answers; should it have too much to do, it still has, until the time that it gave. */
void servers_note_up(struct servers *s, unsigned index, uint64_t now_ns);

/* It does not; is_down: it is not asked before a look has found it well, the sooner the fewer have failed. */
void servers_note_failure(struct servers *s, unsigned index, bool is_down, const struct why *why, uint64_t now_ns);

/* It has too much to do, for so long if it said so, or 0. */
void servers_note_busy(struct servers *s, unsigned index, unsigned retry_seconds, uint64_t now_ns);

/* How long to wait before all are asked once more: longer each time, and never the same. */
uint64_t servers_pause(struct servers *s, unsigned n_rounds);

#endif
