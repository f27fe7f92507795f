/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_STORE_INTERNAL_H
#define DAEMON_STORE_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "daemon/store/store.h"

/* What the parts of the store share: store.c opens and appends, store-read.c reads, store-reader.c does so
 * with a connection of its own, store-forget.c notes what to forget, store-erase.c writes the file anew
 * without it, store-wait.c keeps what can not be written yet, store-salvage.c saves what a damaged file
 * still holds. */
#define STORE_FILE "history.sqlite"

/* How long it waits for another program that has the file. */
#define STORE_BUSY_MS 40

enum statement {
        STATEMENT_BEGIN_SESSION,
        STATEMENT_LAST_TURN,
        STATEMENT_APPEND,
        STATEMENT_APPEND_WORDS,
        STATEMENT_REMOVE_WORDS,
        STATEMENT_SET_HEARD,
        STATEMENT_SET_ANSWERED,
        STATEMENT_FORGET,
        STATEMENT_HAS_ANY,
        STATEMENT_NOTE_DAY,
        STATEMENT_LAST_OLD,
        /* From here on they only read turns. */
        STATEMENT_HISTORY,
        STATEMENT_SHOW,
        STATEMENT_SEARCH,
        N_STATEMENTS,
};

/* SQL: that a turn has not been forgotten, in the schema of this prefix ("" or "NAME."). */
#define STORE_VISIBLE(schema)                                                                      \
        "NOT EXISTS (SELECT 1 FROM " schema "forgotten AS f"                                       \
        " WHERE turns.id BETWEEN f.first_id AND f.last_id"                                         \
        " AND turns.began BETWEEN f.began_from AND f.began_to)"

/* SQL: all turns up to this one have been forgotten, and need not be looked at one by one. */
#define STORE_FLOOR                                                                                \
        "(SELECT coalesce(max(last_id), 0) FROM forgotten"                                         \
        " WHERE first_id <= 1 AND began_from = 0 AND began_to = 0x7fffffffffffffff)"

struct store_waiting;
struct erasing;
struct count;

struct store {
        int directory_fd; /* owned; its lock keeps a second daemon out */
        char *directory;  /* owned */
        sqlite3 *db;      /* owned */
        dev_t device;     /* of the file that it has open */
        ino_t inode;
        sqlite3_stmt *prepared[N_STATEMENTS];
        sqlite3_int64 session;   /* 0: it has not been written yet */
        uint64_t began_us;       /* of the session */
        char *version, *model;   /* owned; NULL before the session */
        bool owes;               /* what was forgotten may still be in the file */
        bool is_old;             /* its tables are to be those of this version, by writing it anew */
        struct erasing *erasing; /* owned; NULL: the file is not being written anew */
        struct count *counts;    /* owned; of the forgettings that the last erasing has ended */
        size_t n_counts;
        bool is_damaged;  /* SQLite has met something that it did not write */
        bool is_replaced; /* what was to be forgotten went with a file that was damaged, or taken away */
        struct store_reader *reader; /* not owned; NULL: nobody reads beside it */

        struct store_waiting *waiting; /* owned list, oldest first */
        unsigned n_waiting;
        size_t waiting_size;
        struct why waiting_for;
};

/* The error that SQLite has just met. */
int store_failed(struct store *s, struct why *why);

/* SQL that gives no rows. */
int store_execute(struct store *s, const char *sql, struct why *why);

/* One number. */
int store_query(struct store *s, const char *sql, sqlite3_int64 *ret, struct why *why);

/* Runs a prepared statement that gives no rows, and makes it ready for the next time. */
int store_run(struct store *s, enum statement which, struct why *why);

/* The SQL of a prepared statement. */
const char *store_statement(enum statement which);

/* A turn of the session at hand, inside of a transaction. */
int store_append_row(struct store *s, const struct record *turn, struct why *why);

/* Ends a transaction: for r >= 0 by COMMIT, else by ROLLBACK.  Returns r, or why there was no
 * COMMIT. */
int store_end(struct store *s, int r, struct why *why);

/* A connection to the file of this path. */
int store_connect(struct store *s, const char *path, struct why *why);

/* Prepares the statements from this one on. */
int store_prepare(struct store *s, enum statement first, struct why *why);

/* Whoever reads beside the store is waited for, lets go of the file, and does not open it again before
 * store_let_in().  Several of these count. */
void store_keep_out(struct store *s);
void store_let_in(struct store *s);

/* Whether who reads beside the store has met damage since the last time. */
bool store_take_damage(struct store *s);

/* Opens history.sqlite: from the name in the directory to statements that can be run. */
int store_open_database(struct store *s, struct why *why);
void store_close_database(struct store *s);

/* It has been closed when it could not be opened again (a full disk): tries once more. */
int store_ensure_open(struct store *s, struct why *why);

/* Brings the tables of an open database up to this version, or to one that is used just as well until the file
 * has been written anew: is_old. */
int store_create_tables(struct store *s, struct why *why);

/* Whether a forgetting was not ended when the file was used last. */
int store_read_duties(struct store *s, struct why *why);

/* Whether a forgetting was noted in this directory that has not been ended, as far as a file beside the
 * history knows: one that was noted and taken back may have left it, too. */
bool store_is_marked(const struct store *s);

/* Nothing is left of what was forgotten. */
void store_settled(struct store *s);

/* Turns from this one on are not what they were: what runs of an erasing begins again where it has
 * copied one of them. */
void store_erase_again(struct store *s, uint64_t id);

/* Throws away what there is of an erasing. */
void store_erase_cancel(struct store *s);

/* Deletes what an erasing that was cut short has left. */
void store_drop_fresh(const struct store *s);

/* The last of the turns that wait; 0: none does. */
uint64_t store_last_waiting(const struct store *s);

/* Drops the turns of the span that wait; how many there were. */
unsigned store_forget_waiting(struct store *s, const struct store_span *span);

/* -ENOENT when no turn with this id waits. */
int store_set_waiting_heard(struct store *s, uint64_t id, const char *text, size_t size);
int store_set_waiting_answered(struct store *s, uint64_t id, const char *text, size_t size);

/* Closes a damaged database, begins a new one and carries over what can be read. */
int store_replace(struct store *s, struct why *why);

/* Renames the database and its journal out of the way; the new name is in the same directory. */
int store_put_aside(int directory_fd, char *name, size_t size, struct why *why);

/* Copies what can be read of the turns in the file of this name, which this gemmad must have written;
 * how many there were. */
unsigned store_salvage(struct store *s, const char *name);

/* Deletes all files that were put aside. */
void store_drop_aside(const struct store *s);

#endif
