/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/why.h"
#include "daemon/common/record.h"

/* The history: one SQLite file in a directory of ours.  Belongs to one thread at a time.  What a
 * function has written when it returns 0 outlives the process, however it ends.  When the file is taken away
 * while it is in use, the next function that is called begins a new one, or uses what is in its place. */
struct store;

/* Opens or creates directory/history.sqlite and brings its tables up to date.  A damaged file is put
 * aside (history.damaged-TIME.sqlite, until something is forgotten), or deleted when something in it was
 * to be forgotten, and what can be read of it is in the new one.  -EBUSY: another daemon has it; -ENOTSUP: written by a newer gemmad; else what the
 * system says; each with a reason. */
int store_open(struct store **ret, const char *directory, struct why *why);
/* The folder that a history is opened in, with all that leads to it; those that are missing are closed
 * to others. */
int store_make_folder(const char *path);
struct store *store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close)

/* The session that turns belong to from now on. */
int store_begin_session(struct store *s,
                        uint64_t began_us,
                        const char *version,
                        const char *model,
                        struct why *why);

/* Its id; 0 before it has begun. */
uint64_t store_session(const struct store *s);

/* The largest id of a turn, 0 when there is none. */
int store_last_turn(struct store *s, uint64_t *ret, struct why *why);

/* The largest id that a turn ever had, whether it has been forgotten or not; 0 before the first. */
int store_last_number(struct store *s, uint64_t *ret, struct why *why);

/* One turn in one transaction; its session and model are filled in from the session. */
int store_append(struct store *s, const struct record *turn, struct why *why);

/* The same; where the turn can not be written now (a full disk, another program's lock), 1, and it
 * waits in memory with those before it, for why.  -ENOBUFS: too many wait, and it is lost.  A database
 * that turns out to be damaged is replaced as by store_open(). */
int store_keep(struct store *s, const struct record *turn, struct why *why);

/* How many turns wait, and for what; writing them.  0 also when there is none. */
unsigned store_n_waiting(const struct store *s);
const char *store_waiting_for(const struct store *s);
int store_write_waiting(struct store *s, struct why *why);

/* A transcript that came after the turn was over.  -ENOENT when there is no such turn. */
int store_set_heard(struct store *s, uint64_t id, const char *text, size_t size, struct why *why);

/* What of an answer was spoken; the same. */
int store_set_answered(struct store *s, uint64_t id, const char *text, size_t size, struct why *why);

/* Who reads turns: the record and what it points to are valid in the call only.  Returns 0 to go
 * on, 1 to end, -errno.  May not use the store. */
struct store_visitor {
        int (*visit)(const struct record *turn, void *userdata);
        void *userdata;
};

/* Up to limit turns with ids below before (0: all), newest first. */
int store_history(struct store *s,
                  uint64_t before,
                  unsigned limit,
                  const struct store_visitor *visitor,
                  struct why *why);

/* The turn with this id, if there is one. */
int store_show(struct store *s, uint64_t id, const struct store_visitor *visitor, struct why *why);

/* Up to limit turns in which all the words, which white space divides, were heard or answered,
 * newest first.  Case and accents do not count; a * at the end of a word stands for any end.
 * -EINVAL when there are no words, or too many. */
int store_search(struct store *s,
                 const char *words,
                 unsigned limit,
                 const struct store_visitor *visitor,
                 struct why *why);

/* Reads turns beside the store, from any thread, while the store writes: with a connection of its own, of
 * which nothing is left when something has been erased.  At most one; to be freed when nobody reads any more, and
 * before the store is closed. */
struct store_reader;

int store_reader_new(struct store_reader **ret, struct store *s, struct why *why);
struct store_reader *store_reader_free(struct store_reader *reader);

struct store_query {
        enum { STORE_HISTORY, STORE_SHOW, STORE_SEARCH } kind; /* as the functions of these names */
        uint64_t id;                                          /* before or at it */
        const char *words;
        unsigned limit;
};

int store_read(struct store_reader *reader,
               const struct store_query *query,
               const struct store_visitor *visitor,
               struct why *why);

/* Which turns to forget: all that fit both; both ends belong to it. */
struct store_span {
        uint64_t first_id, last_id;
        uint64_t began_from_us, began_to_us;
};

#define STORE_SPAN_ALL                                                                             \
        (struct store_span) {                                                                      \
                .last_id = INT64_MAX, .began_to_us = INT64_MAX,                                    \
        }

/* Notes what to forget, in a few milliseconds whatever the history's size: when this returns 0, no
 * reading shows it any more, also after the next start.  It is in the file until the erasing has been
 * done, which is owed from then on.  ret_ticket: to ask for the number of turns by; 0: there was
 * nothing. */
int store_forget(struct store *s,
                 const struct store_span *span,
                 uint64_t *ret_ticket,
                 struct why *why);

/* The same for the last turn, which may be one that waits. */
int store_forget_last(struct store *s, uint64_t *ret_ticket, struct why *why);

/* Whether something that was forgotten may still be in a file. */
bool store_owes(const struct store *s);

/* Whether there is something for store_erase() to do: it owes, or the file is of an older gemmad, and will be
 * of this one when it has been written anew. */
bool store_is_due(const struct store *s);

/* Erases what was forgotten, a slice of some milliseconds in each call, between which the store can be used: all
 * that stays is copied into a fresh file, which then takes the old one's place.  1: there is more to do;
 * 0: nothing that was forgotten is in a file of the directory.  After an error (a full disk; another
 * program reads: -EBUSY) it is still owed, the old file goes on, and the next call begins anew; but for a
 * history that was damaged and replaced meanwhile, which owes nothing. */
int store_erase(struct store *s, struct why *why);

/* How many turns a forgetting took, once it has been erased; until the next one is. */
uint64_t store_n_forgotten(const struct store *s, uint64_t ticket);

/* Erases until nothing is owed; for who can wait. */
int store_settle(struct store *s, struct why *why);

/* It runs on this day, a number that grows by one a day.  1: for the first time, 0: known. */
int store_note_day(struct store *s, uint64_t day, struct why *why);

/* Notes the turns that are older than keep_days of the days noted, as store_forget() does.  Days that
 * it did not run on do not count, so that a clock that was wrong for a while costs nothing. */
int store_forget_old(struct store *s, unsigned keep_days, uint64_t *ret_ticket, struct why *why);

#endif
