/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/store/store-internal.h"

/* An empty file that is there while something that was forgotten may still be in the history: known
 * also when nothing can be read of that any more. */
#define OWED_FILE "history.forgetting"

/* Where there is no room for it, the history itself has to tell. */
static void mark_owed(const struct store *s) {
        _cleanup_(closep) int fd = openat(s->directory_fd, OWED_FILE,
                                          O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        (void) fd;
}

bool store_is_marked(const struct store *s) {
        return faccessat(s->directory_fd, OWED_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void store_settled(struct store *s) {
        s->owes = false;
        (void) unlinkat(s->directory_fd, OWED_FILE, 0);
}

bool store_owes(const struct store *s) {
        return s->owes;
}

bool store_is_due(const struct store *s) {
        return s->owes || s->is_old;
}

int store_read_duties(struct store *s, struct why *why) {
        sqlite3_int64 is_due = 0;
        int r;

        r = store_query(s, "SELECT erase OR EXISTS (SELECT 1 FROM forgotten) FROM duties", &is_due,
                        why);
        s->owes = r >= 0 && is_due;
        if (r >= 0 && !is_due)
                store_settled(s);
        return r;
}

/* Whether any turn that can still be read has a number of the span. */
static int has_any(struct store *s, const struct store_span *span, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_HAS_ANY];
        int result, r;

        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) span->first_id);
        (void) sqlite3_bind_int64(statement, 2, (sqlite3_int64) span->last_id);
        result = sqlite3_step(statement);
        r = result == SQLITE_ROW ? 1 : result == SQLITE_DONE ? 0 : store_failed(s, why);
        (void) sqlite3_reset(statement);
        return r;
}

static bool is_by_number(const struct store_span *span) {
        return span->began_from_us == 0 && span->began_to_us == INT64_MAX;
}

static int
note(struct store *s, const struct store_span *span, unsigned n_waiting, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_FORGET];
        int r;

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
        (void) sqlite3_bind_int64(statement, 5, n_waiting);
        return store_run(s, STATEMENT_FORGET, why);
}

int store_forget(struct store *s,
                 const struct store_span *span,
                 uint64_t *ret_ticket,
                 struct why *why) {
        unsigned n_waiting;
        int r;

        *ret_ticket = 0;
        store_drop_aside(s);
        /* Of one that waits something may be in the journal, by an attempt that failed. */
        n_waiting = store_forget_waiting(s, span);
        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
        if (!s->owes && n_waiting == 0 && is_by_number(span)) {
                r = has_any(s, span, why);
                if (r <= 0)
                        return r;
        }

        mark_owed(s);
        r = store_execute(s, "BEGIN IMMEDIATE", why);
        if (r < 0)
                return r;
        r = store_end(s, note(s, span, n_waiting, why), why);
        if (r < 0)
                return r;
        *ret_ticket = (uint64_t) sqlite3_last_insert_rowid(s->db);
        s->owes = true;
        s->is_replaced = false;
        store_erase_again(s, span->first_id);
        return 0;
}

int store_forget_last(struct store *s, uint64_t *ret_ticket, struct why *why) {
        struct store_span span = STORE_SPAN_ALL;
        int r;

        span.last_id = store_last_waiting(s);
        if (span.last_id == 0) {
                r = store_ensure_open(s, why);
                if (r >= 0)
                        r = store_last_turn(s, &span.last_id, why);
                if (r < 0)
                        return r;
        }
        span.first_id = span.last_id;
        return store_forget(s, &span, ret_ticket, why);
}

int store_note_day(struct store *s, uint64_t day, struct why *why) {
        int r;

        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
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

int store_forget_old(struct store *s, unsigned keep_days, uint64_t *ret_ticket, struct why *why) {
        struct store_span span = STORE_SPAN_ALL;
        int r;

        *ret_ticket = 0;
        r = last_old(s, keep_days, &span.last_id, why);
        if (r < 0 || span.last_id == 0)
                return r;
        return store_forget(s, &span, ret_ticket, why);
}
