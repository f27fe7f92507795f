/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/common/thread.h"
#include "daemon/store/store-internal.h"

/* Deleting rows leaves pieces of them behind: a page can hold a second copy of a cell that was moved
 * once, and the index of the words keeps what it knew until it is merged.  Only a file that never
 * held them is free of them.  So what stays is copied into a fresh file, by a thread with a connection
 * of its own while the old file goes on being read and written; then the main thread adds what came
 * meanwhile and gives the fresh file the old one's name. */
#define FRESH_FILE "history.fresh.sqlite"

/* How long the end of the process waits for the thread. */
#define ERASE_STOP_NS (500 * UINT64_C(1000000))

/* Beside hearing and thinking there is no hurry. */
#define ERASE_NICE 10

struct count {
        sqlite3_int64 ticket;
        uint64_t n;
};

struct erasing {
        struct thread thread;
        char old[PATH_MAX], fresh[PATH_MAX];
        sqlite3_int64 session; /* the one at hand, which stays in any case */
        sqlite3_int64 last_id; /* of the turns that the thread copies */
        bool is_stale; /* main thread: something that has been copied is not true any more */
        bool is_void;  /* ... the file that it reads is not the history any more */

        pthread_mutex_t mutex;
        sqlite3 *db;       /* of the thread, for who wants to interrupt it; under the mutex */
        bool is_cancelled; /* under the mutex */

        /* Of the thread, to be read when it has ended. */
        struct count *counts; /* owned */
        size_t n_counts;
        int r;
        struct why why;
};

static struct erasing *erasing_free(struct erasing *e) {
        if (!e)
                return NULL;
        (void) pthread_mutex_destroy(&e->mutex);
        free(e->counts);
        free(e);
        return NULL;
}

/* Publishes the connection to who may interrupt it, or takes it back.  -ECANCELED: it already has
 * been. */
static int show_connection(struct erasing *e, sqlite3 *db) {
        bool is_cancelled;

        (void) pthread_mutex_lock(&e->mutex);
        e->db = db;
        is_cancelled = e->is_cancelled;
        (void) pthread_mutex_unlock(&e->mutex);
        return is_cancelled ? -ECANCELED : 0;
}

static int attach(struct store *fresh, const char *path, const char *name, struct why *why) {
        sqlite3_stmt *statement;
        int r = 0;

        if (sqlite3_prepare_v2(fresh->db, "ATTACH ? AS ?", -1, &statement, NULL) != SQLITE_OK)
                return store_failed(fresh, why);
        (void) sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
        if (sqlite3_step(statement) != SQLITE_DONE)
                r = store_failed(fresh, why);
        (void) sqlite3_finalize(statement);
        return r;
}

/* How many turns each noted forgetting takes with it; one that two of them name counts for the
 * first. */
static int count_turns(struct erasing *e, struct store *fresh, struct why *why) {
        static const char sql[] =
                "SELECT f.id, f.n + (SELECT count(*) FROM old.turns AS turns WHERE turns.id <= ?"
                " AND turns.id BETWEEN f.first_id AND f.last_id"
                " AND turns.began BETWEEN f.began_from AND f.began_to"
                " AND NOT EXISTS (SELECT 1 FROM old.forgotten AS e WHERE e.id < f.id"
                " AND turns.id BETWEEN e.first_id AND e.last_id"
                " AND turns.began BETWEEN e.began_from AND e.began_to))"
                " FROM old.forgotten AS f";
        sqlite3_stmt *statement;
        int result, r = 0;

        if (sqlite3_prepare_v2(fresh->db, sql, -1, &statement, NULL) != SQLITE_OK)
                return store_failed(fresh, why);
        (void) sqlite3_bind_int64(statement, 1, e->last_id);
        while (r >= 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
                struct count *counts = reallocarray(e->counts, e->n_counts + 1, sizeof(*e->counts));

                if (!counts) {
                        r = because(why, -ENOMEM, "out of memory");
                        break;
                }
                e->counts = counts;
                counts[e->n_counts++] = (struct count){
                        .ticket = sqlite3_column_int64(statement, 0),
                        .n = (uint64_t) sqlite3_column_int64(statement, 1),
                };
        }
        if (r >= 0 && result != SQLITE_DONE)
                r = store_failed(fresh, why);
        (void) sqlite3_finalize(statement);
        return r;
}

/* In one transaction, so that all is read from the same moment of the old file. */
static int copy(struct erasing *e, struct store *fresh, struct why *why) {
        char turns[640], sessions[160];
        const char *const steps[] = {
                "UPDATE numbers SET last_turn = (SELECT last_turn FROM old.numbers)",
                "INSERT INTO days SELECT * FROM old.days",
                turns,
                sessions,
                "INSERT INTO words (words) VALUES ('rebuild')",
        };
        int r;

        (void) snprintf(turns, sizeof(turns),
                        "INSERT INTO turns SELECT turns.* FROM old.turns AS turns"
                        " WHERE turns.id <= %lld AND " STORE_VISIBLE("old."),
                        (long long) e->last_id);
        (void) snprintf(sessions, sizeof(sessions),
                        "INSERT INTO sessions SELECT * FROM old.sessions"
                        " WHERE id = %lld OR id IN (SELECT session FROM turns)",
                        (long long) e->session);
        r = store_execute(fresh, "BEGIN", why);
        if (r >= 0)
                r = count_turns(e, fresh, why);
        for (unsigned i = 0; r >= 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
                r = store_execute(fresh, steps[i], why);
        return r >= 0 ? store_execute(fresh, "COMMIT", why) : r;
}

/* The fresh file has no journal: what is cut short is thrown away. */
static int write_fresh(struct erasing *e, struct store *fresh, struct why *why) {
        static const char pragmas[] = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                                      "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF";
        int r;

        if (sqlite3_open_v2(e->fresh, &fresh->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                            NULL) != SQLITE_OK)
                return fresh->db ? store_failed(fresh, why)
                                 : because(why, -ENOMEM, "out of memory");
        (void) sqlite3_extended_result_codes(fresh->db, 1);
        if (show_connection(e, fresh->db) < 0)
                return because(why, -ECANCELED, "gemmad is ending");
        r = store_execute(fresh, pragmas, why);
        if (r >= 0)
                r = store_create_tables(fresh, why);
        if (r >= 0)
                r = attach(fresh, e->old, "old", why);
        return r >= 0 ? copy(e, fresh, why) : r;
}

static int sync_file(const char *path, struct why *why) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0 || fsync(fd) < 0)
                return because(why, -errno, "%s: %s", FRESH_FILE, strerror(errno));
        return 0;
}

static void run(void *userdata) {
        struct erasing *e = userdata;
        struct store fresh = {};

        (void) setpriority(PRIO_PROCESS, 0, ERASE_NICE); /* on Linux, of the calling thread */
        e->r = write_fresh(e, &fresh, &e->why);
        if (show_connection(e, NULL) < 0 && e->r >= 0)
                e->r = because(&e->why, -ECANCELED, "gemmad is ending");
        (void) sqlite3_close(fresh.db);
        if (e->r >= 0)
                e->r = sync_file(e->fresh, &e->why);
}

void store_drop_fresh(const struct store *s) {
        static const char *const names[] = { FRESH_FILE, FRESH_FILE "-journal", FRESH_FILE "-wal",
                                             FRESH_FILE "-shm" };

        for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                (void) unlinkat(s->directory_fd, names[i], 0);
}

static int make_fresh(const struct store *s, struct why *why) {
        _cleanup_(closep) int fd = -1;

        store_drop_fresh(s);
        fd = openat(s->directory_fd, FRESH_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return because(why, -errno, "%s: %s", FRESH_FILE, strerror(errno));
        return 0;
}

static int prepare_erasing(struct store *s, struct erasing *e, struct why *why) {
        int r;

        (void) pthread_mutex_init(&e->mutex, NULL);
        if (snprintf(e->old, sizeof(e->old), "%s/%s", s->directory, STORE_FILE) >=
                    (int) sizeof(e->old) ||
            snprintf(e->fresh, sizeof(e->fresh), "%s/%s", s->directory, FRESH_FILE) >=
                    (int) sizeof(e->fresh))
                return because(why, -ENAMETOOLONG, "%s: the path is too long", s->directory);
        e->session = s->session;
        r = store_query(s, "SELECT coalesce(max(id), 0) FROM turns", &e->last_id, why);
        return r >= 0 ? make_fresh(s, why) : r;
}

int store_erase_begin(struct store *s, struct why *why) {
        struct erasing *e;
        int r;

        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
        e = calloc(1, sizeof(*e));
        if (!e)
                return because(why, -ENOMEM, "out of memory");
        r = prepare_erasing(s, e, why);
        if (r >= 0) {
                r = thread_start(&e->thread, "gemmad-erase", run, e);
                if (r < 0)
                        (void) because(why, r, "a thread for it: %s", strerror(-r));
        }
        if (r < 0) {
                store_drop_fresh(s);
                erasing_free(e);
                return r;
        }
        s->erasing = e;
        return 0;
}

int store_erase_fd(const struct store *s) {
        return s->erasing->thread.ended_fd;
}

void store_erase_again(struct store *s) {
        if (s->erasing)
                s->erasing->is_stale = true;
}

void store_changed_turn(struct store *s, uint64_t id) {
        if (s->erasing && (sqlite3_int64) id <= s->erasing->last_id)
                s->erasing->is_stale = true;
}

/* What was written into the old file since the thread began to copy. */
static int add_rest(struct store *s, const struct erasing *e, struct why *why) {
        char sessions[128], turns[128], words[160];
        const char *const steps[] = {
                sessions,
                turns,
                words,
                "INSERT OR IGNORE INTO fresh.days SELECT * FROM days",
        };
        int r;

        (void) snprintf(sessions, sizeof(sessions),
                        "INSERT OR IGNORE INTO fresh.sessions SELECT * FROM main.sessions"
                        " WHERE id >= %lld",
                        (long long) e->session);
        (void) snprintf(turns, sizeof(turns),
                        "INSERT INTO fresh.turns SELECT * FROM main.turns WHERE id > %lld",
                        (long long) e->last_id);
        (void) snprintf(words, sizeof(words),
                        "INSERT INTO fresh.words (rowid, heard, answered)"
                        " SELECT id, heard, answered FROM main.turns WHERE id > %lld",
                        (long long) e->last_id);
        r = store_execute(s, "PRAGMA fresh.journal_mode = OFF; BEGIN IMMEDIATE", why);
        if (r < 0)
                return r;
        for (unsigned i = 0; r >= 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
                r = store_execute(s, steps[i], why);
        return store_end(s, r, why);
}

static int complete(struct store *s, const struct erasing *e, struct why *why) {
        int r;

        /* Of one before, when there was no memory to detach it. */
        (void) sqlite3_exec(s->db, "DETACH fresh", NULL, NULL, NULL);
        r = attach(s, e->fresh, "fresh", why);
        if (r < 0)
                return r;
        r = add_rest(s, e, why);
        (void) sqlite3_exec(s->db, "DETACH fresh", NULL, NULL, NULL);
        return r;
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
        /* Who uses it next tries that again. */
        if (store_open_database(s, &second) < 0)
                return r < 0 ? r : because(why, -EIO, "%s", second.text);
        s->session = session;
        return r;
}

static int erase_end(struct store *s, const struct erasing *e, struct why *why) {
        int r;

        if (e->r < 0) {
                *why = e->why;
                s->is_damaged = s->is_damaged || e->r == -EBADMSG;
                return e->r;
        }
        if (e->is_stale)
                return 1;
        r = complete(s, e, why);
        return r >= 0 ? change_files(s, why) : r;
}

static void keep_counts(struct store *s, struct erasing *e) {
        free(s->counts);
        s->counts = TAKE_PTR(e->counts);
        s->n_counts = e->n_counts;
}

int store_erase_end(struct store *s, struct why *why) {
        struct erasing *e = TAKE_PTR(s->erasing);
        int r;

        while (!thread_join(&e->thread, clock_now_ns() + ERASE_STOP_NS))
                continue;
        if (!e->is_void)
                r = erase_end(s, e, why);
        else if (s->owes)
                r = 1;
        else
                r = because(why, -EBADMSG,
                            "the history was damaged, and has been begun anew without it");
        if (r == 0) {
                keep_counts(s, e);
                store_settled(s);
        } else
                store_drop_fresh(s);
        erasing_free(e);
        return r;
}

uint64_t store_n_forgotten(const struct store *s, uint64_t ticket) {
        for (size_t i = 0; i < s->n_counts; i++)
                if ((uint64_t) s->counts[i].ticket == ticket)
                        return s->counts[i].n;
        return 0;
}

int store_settle(struct store *s, struct why *why) {
        int r = 0;

        while (s->owes && r >= 0) {
                r = store_erase_begin(s, why);
                if (r >= 0)
                        r = store_erase_end(s, why);
        }
        return r;
}

static void interrupt(struct erasing *e) {
        (void) pthread_mutex_lock(&e->mutex);
        e->is_cancelled = true;
        if (e->db)
                sqlite3_interrupt(e->db);
        (void) pthread_mutex_unlock(&e->mutex);
}

void store_erase_void(struct store *s) {
        struct erasing *e = s->erasing;
        struct pollfd ended = { .events = POLLIN };

        if (!e)
                return;
        e->is_void = true;
        interrupt(e);
        ended.fd = e->thread.ended_fd;
        (void) poll(&ended, 1, (int) (ERASE_STOP_NS / 1000000));
}

void store_erase_cancel(struct store *s) {
        struct erasing *e = TAKE_PTR(s->erasing);

        if (!e)
                return;
        interrupt(e);
        /* A disk that does not answer holds nobody up; what the thread has is then left to it. */
        if (!thread_join(&e->thread, clock_now_ns() + ERASE_STOP_NS))
                return;
        store_drop_fresh(s);
        erasing_free(e);
}
