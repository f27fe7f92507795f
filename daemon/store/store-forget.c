/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/store-internal.h"

/* Deleting overwrites the cells and pages that are given up, but a page can hold a second copy of a
 * cell that was moved once, and the index of the words keeps what it knew until it is merged.  Only
 * writing all of it anew leaves nothing behind: first the index, then the file, and then the journal
 * is cut to nothing. */
static int erase(struct store *s, struct why *why) {
        static const char overwrite_last_word[] =
                "SELECT rowid FROM words WHERE words MATCH hex(zeroblob(2048))";
        int r;

        /* The tokenizer of the index keeps the last word that it has seen in memory. */
        r = store_execute(s, overwrite_last_word, why);
        if (r >= 0)
                r = store_execute(s, "INSERT INTO words (words) VALUES ('rebuild')", why);
        if (r >= 0)
                r = store_execute(s, "VACUUM", why);
        if (r < 0)
                return r;
        if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
            SQLITE_OK)
                return store_failed(s, why);
        return store_execute(s, "UPDATE duties SET erase = 0", why);
}

int store_settle(struct store *s, struct why *why) {
        sqlite3_int64 is_due = 0;
        int r;

        r = store_query(s, "SELECT erase FROM duties", &is_due, why);
        if (r >= 0 && is_due)
                r = erase(s, why);
        s->owes = r < 0;
        return r;
}

bool store_owes(const struct store *s) {
        return s->owes;
}

static int delete_turns(struct store *s, const struct store_span *span, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_FORGET];
        int n, r;

        r = store_execute(s,
                          "UPDATE numbers SET last_turn ="
                          " max(last_turn, (SELECT coalesce(max(id), 0) FROM turns))",
                          why);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) span->first_id);
        (void) sqlite3_bind_int64(statement, 2, (sqlite3_int64) span->last_id);
        (void) sqlite3_bind_int64(statement, 3, (sqlite3_int64) span->began_from_us);
        (void) sqlite3_bind_int64(statement, 4, (sqlite3_int64) span->began_to_us);
        r = store_run(s, STATEMENT_FORGET, why);
        if (r < 0)
                return r;
        n = sqlite3_changes(s->db);
        if (n == 0)
                return 0;

        (void) sqlite3_bind_int64(s->prepared[STATEMENT_FORGET_SESSIONS], 1, s->session);
        r = store_run(s, STATEMENT_FORGET_SESSIONS, why);
        if (r >= 0)
                r = store_execute(s, "UPDATE duties SET erase = 1", why);
        return r < 0 ? r : n;
}

int store_forget(struct store *s, const struct store_span *span, uint64_t *ret_n, struct why *why) {
        unsigned n_waiting;
        int n, r;

        store_drop_aside(s);
        n_waiting = store_forget_waiting(s, span);
        r = store_execute(s, "BEGIN IMMEDIATE", why);
        if (r < 0)
                return r;
        n = delete_turns(s, span, why);
        r = store_end(s, n, why);
        if (r < 0)
                return r;

        r = store_settle(s, why);
        if (r < 0)
                return r;
        *ret_n = (uint64_t) n + n_waiting;
        return 0;
}

int store_note_day(struct store *s, uint64_t day, struct why *why) {
        int r;

        (void) sqlite3_bind_int64(s->prepared[STATEMENT_NOTE_DAY], 1, (sqlite3_int64) day);
        r = store_run(s, STATEMENT_NOTE_DAY, why);
        return r < 0 ? r : sqlite3_changes(s->db) > 0;
}

/* The largest number of a turn that is older than so many days; 0: none is. */
static int last_old(struct store *s, unsigned keep_days, uint64_t *ret, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_LAST_OLD];
        int result, r = 0;

        *ret = 0;
        (void) sqlite3_bind_int64(statement, 1, keep_days);
        result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
                *ret = (uint64_t) sqlite3_column_int64(statement, 0);
        else if (result != SQLITE_DONE)
                r = store_failed(s, why);
        (void) sqlite3_reset(statement);
        return r;
}

int store_forget_old(struct store *s, unsigned keep_days, uint64_t *ret_n, struct why *why) {
        struct store_span span = STORE_SPAN_ALL;
        int r;

        *ret_n = 0;
        r = last_old(s, keep_days, &span.last_id, why);
        if (r < 0 || span.last_id == 0)
                return r;
        return store_forget(s, &span, ret_n, why);
}
