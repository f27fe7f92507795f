/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/store/store-internal.h"

/* Deleting rows leaves pieces of them behind: a page can hold a second copy of a cell that was moved
 * once, and the index of the words keeps what it knew until it is merged.  Only a file that never
 * held them is free of them.  So what stays is copied into a fresh file, in slices between which the
 * old one goes on being read and written; when no turn is left to copy, the fresh file gets the old
 * one's name. */
#define FRESH_FILE "history.fresh.sqlite"

/* A slice has as many turns as can be copied in this time, and never more than so many. */
#define SLICE_NS  (6 * UINT64_C(1000000))
#define SLICE_MAX 256

/* What has been written is brought to the disk now and then, so that there is not much left to wait for
 * in the end. */
#define SYNC_SIZE (2 << 20)

struct count {
        sqlite3_int64 ticket;
        uint64_t n;
};

struct erasing {
        struct store fresh;   /* only its connection */
        int fd;               /* owned; its file */
        off_t synced;         /* so much of it */
        sqlite3_int64 at;     /* turns up to this one have been looked at */
        unsigned slice;       /* turns */
        bool is_stale;        /* something that has been copied is not true any more */
        struct count *counts; /* owned; in the order of their tickets */
        size_t n_counts;
};

void store_drop_fresh(const struct store *s) {
        static const char *const names[] = { FRESH_FILE, FRESH_FILE "-journal", FRESH_FILE "-wal",
                                             FRESH_FILE "-shm" };

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                (void) unlinkat(s->directory_fd, names[i], 0);
}

static struct erasing *erasing_free(struct erasing *e) {
        if (!e)
                return NULL;
        (void) sqlite3_close(e->fresh.db);
        closep(&e->fd);
        free(e->counts);
        free(e);
        return NULL;
}

void store_erase_cancel(struct store *s) {
        if (s->erasing)
                store_drop_fresh(s);
        s->erasing = erasing_free(s->erasing);
}

void store_erase_again(struct store *s, uint64_t id) {
        if (s->erasing && (sqlite3_int64) id <= s->erasing->at)
                s->erasing->is_stale = true;
}

/* Who asks for each parameter what the row of another statement has. */
static int insert_row(struct store *to, sqlite3_stmt *insert, sqlite3_stmt *row, struct why *why) {
        int r = 0;

        for (int i = 0; i < sqlite3_column_count(row); i++)
                if (sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i)) != SQLITE_OK)
                        r = store_failed(to, why);
        if (r >= 0 && sqlite3_step(insert) != SQLITE_DONE)
                r = store_failed(to, why);
        (void) sqlite3_reset(insert);
        (void) sqlite3_clear_bindings(insert);
        return r;
}

/* Copies what one statement gives by another one, which has a parameter for each column. */
static int carry(struct store *from,
                 struct store *to,
                 const char *select,
                 const char *insert,
                 struct why *why) {
        sqlite3_stmt *rows = NULL, *into = NULL;
        int result, r = 0;

        if (sqlite3_prepare_v2(from->db, select, -1, &rows, NULL) != SQLITE_OK)
                r = store_failed(from, why);
        else if (sqlite3_prepare_v2(to->db, insert, -1, &into, NULL) != SQLITE_OK)
                r = store_failed(to, why);
        while (r >= 0 && (result = sqlite3_step(rows)) != SQLITE_DONE)
                r = result == SQLITE_ROW ? insert_row(to, into, rows, why)
                                         : store_failed(from, why);
        (void) sqlite3_finalize(rows);
        (void) sqlite3_finalize(into);
        return r;
}

static int add_count(struct erasing *e, size_t i, sqlite3_stmt *row, struct why *why) {
        struct count *counts;

        if (i == e->n_counts) {
                counts = reallocarray(e->counts, i + 1, sizeof(*counts));
                if (!counts)
                        return because(why, -ENOMEM, "out of memory");
                e->counts = counts;
                counts[e->n_counts++] = (struct count){
                        .ticket = sqlite3_column_int64(row, 0),
                        .n = (uint64_t) sqlite3_column_int64(row, 1),
                };
        }
        e->counts[i].n += (uint64_t) sqlite3_column_int64(row, 2);
        return 0;
}

/* How many of these turns each noted forgetting takes with it; one that two of them name counts for
 * the first.  The + keeps SQLite from looking through all that was forgotten for those of the slice. */
static int count_turns(struct store *s, sqlite3_int64 after, sqlite3_int64 last, struct why *why) {
        static const char sql[] = "SELECT f.id, f.n, (SELECT count(*) FROM turns WHERE turns.id > "
                                  "?1 AND turns.id <= ?2"
                                  " AND +turns.id BETWEEN f.first_id AND f.last_id"
                                  " AND turns.began BETWEEN f.began_from AND f.began_to"
                                  " AND NOT EXISTS (SELECT 1 FROM forgotten AS e WHERE e.id < f.id"
                                  " AND turns.id BETWEEN e.first_id AND e.last_id"
                                  " AND turns.began BETWEEN e.began_from AND e.began_to))"
                                  " FROM forgotten AS f ORDER BY f.id";
        sqlite3_stmt *statement;
        int result, r = 0;

        if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) != SQLITE_OK)
                return store_failed(s, why);
        (void) sqlite3_bind_int64(statement, 1, after);
        (void) sqlite3_bind_int64(statement, 2, last);
        for (size_t i = 0; r >= 0 && (result = sqlite3_step(statement)) != SQLITE_DONE; i++)
                r = result == SQLITE_ROW ? add_count(s->erasing, i, statement, why)
                                         : store_failed(s, why);
        (void) sqlite3_finalize(statement);
        return r;
}

static int copy_turns(struct store *s, sqlite3_int64 after, sqlite3_int64 last, struct why *why) {
        static const char insert_turn[] =
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        struct store *fresh = &s->erasing->fresh;
        char turns[512], sessions[640], words[160];
        int r;

        (void) snprintf(turns, sizeof(turns),
                        "FROM turns WHERE id > %lld AND id <= %lld AND " STORE_VISIBLE(""),
                        (long long) after, (long long) last);
        (void) snprintf(sessions, sizeof(sessions),
                        "SELECT * FROM sessions WHERE id IN (SELECT session %s)", turns);
        memmove(turns + strlen("SELECT * "), turns, strlen(turns) + 1);
        memcpy(turns, "SELECT * ", strlen("SELECT * "));
        (void) snprintf(words, sizeof(words),
                        "INSERT INTO words (rowid, heard, answered)"
                        " SELECT id, heard, answered FROM turns WHERE id > %lld",
                        (long long) after);
        r = carry(s, fresh, sessions, "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?)", why);
        if (r >= 0)
                r = carry(s, fresh, turns, insert_turn, why);
        return r >= 0 ? store_execute(fresh, words, why) : r;
}

/* The last turn of the next slice; 0: there is none. */
static int find_slice(struct store *s, sqlite3_int64 *ret, struct why *why) {
        char sql[128];

        (void) snprintf(sql, sizeof(sql),
                        "SELECT coalesce(max(id), 0) FROM (SELECT id FROM turns WHERE id > %lld "
                        "ORDER BY id LIMIT %u)",
                        (long long) s->erasing->at, s->erasing->slice);
        return store_query(s, sql, ret, why);
}

static void set_pace(struct erasing *e, uint64_t took_ns) {
        if (took_ns > SLICE_NS && e->slice > 1)
                e->slice /= 2;
        else if (took_ns < SLICE_NS / 2 && e->slice < SLICE_MAX)
                e->slice *= 2;
}

static int sync_fresh(struct erasing *e, off_t at_least, struct why *why) {
        struct stat st;

        if (fstat(e->fd, &st) < 0)
                return because(why, -errno, "%s: %s", FRESH_FILE, strerror(errno));
        if (st.st_size - e->synced < at_least)
                return 0;
        e->synced = st.st_size;
        return fdatasync(e->fd) < 0 ? because(why, -errno, "%s: %s", FRESH_FILE, strerror(errno))
                                    : 0;
}

/* 1: and there may be more; 0: all have been copied. */
static int copy_slice(struct store *s, struct why *why) {
        struct erasing *e = s->erasing;
        uint64_t began_ns = clock_now_ns();
        sqlite3_int64 last = 0;
        int r;

        r = find_slice(s, &last, why);
        if (r < 0 || last == 0)
                return r;
        r = count_turns(s, e->at, last, why);
        if (r >= 0)
                r = copy_turns(s, e->at, last, why);
        if (r >= 0)
                r = sync_fresh(e, SYNC_SIZE, why);
        if (r < 0)
                return r;
        e->at = last;
        set_pace(e, clock_now_ns() - began_ns);
        return 1;
}

/* What is not of a turn, and in a file that is as it is to be left. */
static int complete(struct store *s, struct why *why) {
        struct erasing *e = s->erasing;
        char session[80];
        int r;

        (void) snprintf(session, sizeof(session), "SELECT * FROM sessions WHERE id = %lld",
                        (long long) s->session);
        r = carry(s, &e->fresh, session, "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?)", why);
        if (r >= 0)
                r = carry(s, &e->fresh, "SELECT * FROM days", "INSERT INTO days VALUES (?, ?, ?)",
                          why);
        if (r >= 0)
                r = carry(s, &e->fresh, "SELECT last_turn FROM numbers",
                          "UPDATE numbers SET last_turn = ?", why);
        /* Those that took no turn of the file are counted, too. */
        if (r >= 0)
                r = count_turns(s, 0, 0, why);
        if (r >= 0)
                r = store_execute(&e->fresh, "COMMIT", why);
        return r >= 0 ? sync_fresh(e, 0, why) : r;
}

/* The old file's journal is empty now and goes first: another program that still has both open must
 * not share it with us. */
static int rename_fresh(const struct store *s, struct why *why) {
        (void) unlinkat(s->directory_fd, STORE_FILE "-wal", 0);
        (void) unlinkat(s->directory_fd, STORE_FILE "-shm", 0);
        if (renameat(s->directory_fd, FRESH_FILE, s->directory_fd, STORE_FILE) < 0)
                return because(why, -errno, "%s: %s", FRESH_FILE, strerror(errno));
        return 0;
}

/* Nobody else may be reading the old file when it loses its name. */
static int change_files(struct store *s, struct why *why) {
        sqlite3_int64 session = s->session;
        struct why second = {};
        int r;

        if (sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
            SQLITE_OK)
                return store_failed(s, why);
        store_close_database(s);
        r = rename_fresh(s, why);
        /* Where it can not be opened, who uses it next tries that again. */
        if (store_open_database(s, &second) >= 0)
                s->session = session;
        return r;
}

static int put_in_place(struct store *s, struct why *why) {
        struct erasing *e = s->erasing;
        int r;

        r = complete(s, why);
        if (r < 0)
                return r;
        (void) sqlite3_close(e->fresh.db);
        e->fresh.db = NULL;
        /* While nobody of this process has it open: all locks on a file go where one descriptor of it is closed. */
        closep(&e->fd);
        e->fd = -1;
        store_keep_out(s);
        r = change_files(s, why);
        store_let_in(s);
        if (r < 0)
                return r;
        free(s->counts);
        s->counts = TAKE_PTR(e->counts);
        s->n_counts = e->n_counts;
        (void) store_take_damage(s);
        s->erasing = erasing_free(e);
        s->is_old = false;
        store_settled(s);
        return 0;
}

/* The fresh file has no journal: what is cut short is thrown away. */
static int open_fresh(struct store *s, struct erasing *e, struct why *why) {
        static const char pragmas[] = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                                      "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF";
        char path[PATH_MAX];
        int r;

        if (snprintf(path, sizeof(path), "%s/%s", s->directory, FRESH_FILE) >= (int) sizeof(path))
                return because(why, -ENAMETOOLONG, "%s: the path is too long", s->directory);
        store_drop_fresh(s);
        e->fd = openat(s->directory_fd, FRESH_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (e->fd < 0)
                return because(why, -errno, "%s: %s", FRESH_FILE, strerror(errno));
        if (sqlite3_open_v2(path, &e->fresh.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                            NULL) != SQLITE_OK)
                return e->fresh.db ? store_failed(&e->fresh, why)
                                   : because(why, -ENOMEM, "out of memory");
        (void) sqlite3_extended_result_codes(e->fresh.db, 1);
        r = store_execute(&e->fresh, pragmas, why);
        if (r >= 0)
                r = store_create_tables(&e->fresh, why);
        return r >= 0 ? store_execute(&e->fresh, "BEGIN", why) : r;
}

static int begin(struct store *s, struct why *why) {
        struct erasing *e = calloc(1, sizeof(*e));

        if (!e)
                return because(why, -ENOMEM, "out of memory");
        e->fd = -1;
        e->slice = 1;
        s->erasing = e;
        return open_fresh(s, e, why);
}

int store_erase(struct store *s, struct why *why) {
        int r;

        r = store_is_due(s) ? store_ensure_open(s, why) : 0;
        if (!s->owes && s->is_replaced) {
                s->is_replaced = false;
                return because(why, -EBADMSG, "the history was damaged, and has been begun anew without it");
        }
        if (!store_is_due(s))
                return r;
        if (r >= 0 && s->erasing && s->erasing->is_stale)
                store_erase_cancel(s);
        if (r >= 0 && !s->erasing) {
                r = begin(s, why);
                r = r < 0 ? r : 1;
        } else if (r >= 0) {
                r = copy_slice(s, why);
                r = r != 0 ? r : put_in_place(s, why);
        }
        if (r < 0)
                store_erase_cancel(s);
        return r;
}

uint64_t store_n_forgotten(const struct store *s, uint64_t ticket) {
        for (size_t i = 0; i < s->n_counts; i++)
                if ((uint64_t) s->counts[i].ticket == ticket)
                        return s->counts[i].n;
        return 0;
}

int store_settle(struct store *s, struct why *why) {
        int r;

        if (!s->owes)
                return 0;
        do
                r = store_erase(s, why);
        while (r > 0);
        return r;
}
