/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_STORE_INTERNAL_H
#define DAEMON_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "daemon/store/store.h"

/* What the parts of the store share: store.c opens and appends, store-read.c reads, store-forget.c
 * forgets, store-wait.c keeps what can not be written yet, store-salvage.c saves what a damaged file
 * still holds. */
#define STORE_FILE "history.sqlite"

/* How long the main thread waits for another program that has the file. */
#define STORE_BUSY_MS 40

enum statement {
        STATEMENT_BEGIN_SESSION,
        STATEMENT_LAST_TURN,
        STATEMENT_APPEND,
        STATEMENT_APPEND_WORDS,
        STATEMENT_REMOVE_WORDS,
        STATEMENT_SET_HEARD,
        STATEMENT_HISTORY,
        STATEMENT_SHOW,
        STATEMENT_SEARCH,
        STATEMENT_FORGET,
        STATEMENT_NOTE_DAY,
        STATEMENT_LAST_OLD,
        STATEMENT_FORGET_SESSIONS,
        N_STATEMENTS,
};

struct store_waiting;

struct store {
        int directory_fd; /* owned; its lock keeps a second daemon out */
        char *directory;  /* owned */
        sqlite3 *db;      /* owned */
        sqlite3_stmt *prepared[N_STATEMENTS];
        sqlite3_int64 session; /* 0: it has not been written yet */
        uint64_t began_us;     /* of the session */
        char *version, *model; /* owned; NULL before the session */
        bool owes;             /* what was forgotten may still be in a file */
        bool is_damaged;       /* SQLite has met something that it did not write */

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

/* Drops the turns of the span that wait; how many there were. */
unsigned store_forget_waiting(struct store *s, const struct store_span *span);

/* -ENOENT when no turn with this id waits. */
int store_set_waiting_heard(struct store *s, uint64_t id, const char *text, size_t size);

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
