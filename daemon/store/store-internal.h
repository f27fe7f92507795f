/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_STORE_STORE_INTERNAL_H
#define DAEMON_STORE_STORE_INTERNAL_H

#include <sqlite3.h>

#include "daemon/store/store.h"

/* What the parts of the store share: store.c opens and appends, store-read.c reads, store-forget.c
 * forgets. */
#define STORE_FILE "history.sqlite"

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
        STATEMENT_FORGET_SESSIONS,
        N_STATEMENTS,
};

struct store {
        int directory_fd; /* owned; its lock keeps a second daemon out */
        sqlite3 *db;      /* owned */
        sqlite3_stmt *prepared[N_STATEMENTS];
        sqlite3_int64 session; /* 0: it has not been written yet */
        uint64_t began_us;     /* of the session */
        char *version, *model; /* owned; NULL before the session */
};

/* The error that SQLite has just met. */
int store_failed(const struct store *s, struct why *why);

/* SQL that gives no rows. */
int store_execute(struct store *s, const char *sql, struct why *why);

/* One number. */
int store_query(struct store *s, const char *sql, sqlite3_int64 *ret, struct why *why);

/* Runs a prepared statement that gives no rows, and makes it ready for the next time. */
int store_run(struct store *s, enum statement which, struct why *why);

/* Ends a transaction: for r >= 0 by COMMIT, else by ROLLBACK.  Returns r, or why there was no
 * COMMIT. */
int store_end(struct store *s, int r, struct why *why);

/* What a forgetting before has left undone, if it has. */
int store_erase_rest(struct store *s, struct why *why);

#endif
