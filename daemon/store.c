/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define STORE_BUSY_MS 250
#define STORE_FILE    "history.sqlite"

/* Row i brings a store from version i to version i + 1.  Rows are only ever added. */
static const char *const migrations[] = {
        "CREATE TABLE sessions ("
        " id INTEGER PRIMARY KEY,"
        " began INTEGER NOT NULL,"
        " version TEXT NOT NULL,"
        " model TEXT NOT NULL"
        ") STRICT;"
        "CREATE TABLE turns ("
        " id INTEGER PRIMARY KEY,"
        " session INTEGER NOT NULL REFERENCES sessions (id),"
        " began INTEGER NOT NULL,"
        " source TEXT NOT NULL CHECK (source IN ('text', 'audio', 'microphone')),"
        " heard TEXT NOT NULL,"
        " answered TEXT NOT NULL,"
        " calls TEXT NOT NULL,"
        " outcome TEXT NOT NULL CHECK (outcome IN ('answered', 'cancelled', 'failed')),"
        " error TEXT,"
        " audio_ms REAL NOT NULL,"
        " first_frame_ms REAL,"
        " end_of_speech_ms REAL,"
        " prefilled_ms REAL,"
        " first_token_ms REAL,"
        " done_ms REAL NOT NULL,"
        " frames INTEGER NOT NULL,"
        " prompt_positions INTEGER NOT NULL,"
        " tokens INTEGER NOT NULL,"
        " largest_backlog INTEGER NOT NULL"
        ") STRICT;",
};

#define STORE_VERSION (sizeof(migrations) / sizeof(migrations[0]))

enum statement {
        STATEMENT_BEGIN_SESSION,
        STATEMENT_LAST_TURN,
        STATEMENT_APPEND,
        STATEMENT_SET_HEARD,
        STATEMENT_HISTORY,
        N_STATEMENTS,
};

/* Times stand in the order of struct timings in both statements that name them. */
static const char *const statements[] = {
        [STATEMENT_BEGIN_SESSION] = "INSERT INTO sessions (began, version, model) VALUES (?, ?, ?)",
        [STATEMENT_LAST_TURN] = "SELECT coalesce(max(id), 0) FROM turns",
        [STATEMENT_APPEND] =
                "INSERT INTO turns (id, session, began, source, heard, answered, calls, outcome,"
                " error, audio_ms, first_frame_ms, end_of_speech_ms, prefilled_ms, first_token_ms,"
                " done_ms, frames, prompt_positions, tokens, largest_backlog)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [STATEMENT_SET_HEARD] = "UPDATE turns SET heard = ? WHERE id = ?",
        [STATEMENT_HISTORY] =
                "SELECT turns.id, session, turns.began, source, heard, answered, calls, outcome,"
                " error, audio_ms, first_frame_ms, end_of_speech_ms, prefilled_ms, first_token_ms,"
                " done_ms, frames, prompt_positions, tokens, largest_backlog, model"
                " FROM turns JOIN sessions ON sessions.id = turns.session"
                " WHERE turns.id < ? ORDER BY turns.id DESC LIMIT ?",
};

struct store {
        int directory_fd; /* owned; its lock keeps a second daemon out */
        sqlite3 *db;      /* owned */
        sqlite3_stmt *prepared[N_STATEMENTS];
        sqlite3_int64 session;
};

static int errno_from_sqlite(int result) {
        switch (result & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_FORMAT:
        case SQLITE_SCHEMA:
                return -EBADMSG;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_CONSTRAINT:
                return -EEXIST;
        default:
                return -EIO;
        }
}

static int failed(const struct store *s, struct why *why) {
        int result = sqlite3_extended_errcode(s->db);

        return because(why, errno_from_sqlite(result), "%s: %s", STORE_FILE, sqlite3_errmsg(s->db));
}

static int execute(struct store *s, const char *sql, struct why *why) {
        if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
                return failed(s, why);
        return 0;
}

/* Runs a statement that gives no rows, and makes it ready for the next time. */
static int run(struct store *s, enum statement which, struct why *why) {
        sqlite3_stmt *statement = s->prepared[which];
        int r = 0;

        if (sqlite3_step(statement) != SQLITE_DONE)
                r = failed(s, why);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

/* Every directory of the path, those that are missing closed to others. */
static int make_directories(const char *path) {
        char part[PATH_MAX];
        size_t size = strlen(path);

        if (size == 0 || size >= sizeof(part))
                return -ENAMETOOLONG;
        memcpy(part, path, size + 1);

        for (char *p = part + 1; *p; p++) {
                if (*p != '/')
                        continue;
                *p = '\0';
                if (mkdir(part, 0700) < 0 && errno != EEXIST)
                        return -errno;
                *p = '/';
        }
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

static int open_directory(struct store *s, const char *path, struct why *why) {
        int r;

        r = make_directories(path);
        if (r < 0)
                return because(why, r, "%s: %s", path, strerror(-r));

        s->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->directory_fd < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        if (flock(s->directory_fd, LOCK_EX | LOCK_NB) < 0)
                return because(why, -EBUSY, "%s: in use by another gemmad", path);
        return 0;
}

/* Creates the file by hand, because SQLite would leave its mode to the umask, and gives the mode
 * of the file to its journal. */
static int open_file(struct store *s, const char *directory, struct why *why) {
        _cleanup_(closep) int fd = -1;
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s", directory, STORE_FILE) >= (int) sizeof(path))
                return because(why, -ENAMETOOLONG, "%s: the path is too long", directory);

        fd = openat(s->directory_fd, STORE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
        if (fd < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));

        if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK) {
                if (!s->db)
                        return because(why, -ENOMEM, "out of memory");
                return failed(s, why);
        }
        (void) sqlite3_extended_result_codes(s->db, 1);
        (void) sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
        return 0;
}

static int read_version(struct store *s, unsigned *ret, struct why *why) {
        sqlite3_stmt *statement;
        int r = 0;

        if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
                return failed(s, why);
        if (sqlite3_step(statement) == SQLITE_ROW)
                *ret = (unsigned) sqlite3_column_int(statement, 0);
        else
                r = failed(s, why);
        (void) sqlite3_finalize(statement);
        return r;
}

/* The version is written in the transaction that makes it true. */
static int migrate_once(struct store *s, unsigned version, struct why *why) {
        char stamp[64];
        int r;

        (void) snprintf(stamp, sizeof(stamp), "PRAGMA user_version = %u", version + 1);
        r = execute(s, "BEGIN IMMEDIATE", why);
        if (r >= 0)
                r = execute(s, migrations[version], why);
        if (r >= 0)
                r = execute(s, stamp, why);
        if (r >= 0)
                r = execute(s, "COMMIT", why);
        if (r < 0)
                (void) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

static int migrate(struct store *s, struct why *why) {
        unsigned version = 0;
        int r;

        r = read_version(s, &version, why);
        if (r < 0)
                return r;
        if (version > STORE_VERSION)
                return because(why, -ENOTSUP,
                               "%s: its tables have version %u, this gemmad knows up to %zu",
                               STORE_FILE, version, STORE_VERSION);

        for (; version < STORE_VERSION; version++) {
                r = migrate_once(s, version, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int prepare(struct store *s, struct why *why) {
        for (unsigned i = 0; i < N_STATEMENTS; i++)
                if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                       &s->prepared[i], NULL) != SQLITE_OK)
                        return failed(s, why);
        return 0;
}

int store_open(struct store **ret, const char *directory, struct why *why) {
        /* NORMAL loses no commit to a killed process, only to a power cut, and then whole turns
         * from the end.  secure_delete overwrites what was deleted. */
        static const char *const pragmas[] = {
                "PRAGMA journal_mode = WAL",   "PRAGMA synchronous = NORMAL",
                "PRAGMA secure_delete = ON",   "PRAGMA foreign_keys = ON",
                "PRAGMA trusted_schema = OFF",
        };
        _cleanup_(store_closep) struct store *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return because(why, -ENOMEM, "out of memory");
        s->directory_fd = -1;

        r = open_directory(s, directory, why);
        if (r >= 0)
                r = open_file(s, directory, why);
        for (unsigned i = 0; r >= 0 && i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
                r = execute(s, pragmas[i], why);
        if (r >= 0)
                r = migrate(s, why);
        if (r >= 0)
                r = prepare(s, why);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(s);
        return 0;
}

struct store *store_close(struct store *s) {
        if (!s)
                return NULL;

        for (unsigned i = 0; i < N_STATEMENTS; i++)
                (void) sqlite3_finalize(s->prepared[i]);
        (void) sqlite3_close(s->db);
        closep(&s->directory_fd);
        free(s);
        return NULL;
}

int store_begin_session(struct store *s,
                        uint64_t began_us,
                        const char *version,
                        const char *model,
                        struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_BEGIN_SESSION];
        int r;

        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) began_us);
        (void) sqlite3_bind_text(statement, 2, version, -1, SQLITE_TRANSIENT);
        (void) sqlite3_bind_text(statement, 3, model, -1, SQLITE_TRANSIENT);
        r = run(s, STATEMENT_BEGIN_SESSION, why);
        if (r < 0)
                return r;

        s->session = sqlite3_last_insert_rowid(s->db);
        return 0;
}

uint64_t store_session(const struct store *s) {
        return (uint64_t) s->session;
}

int store_last_turn(struct store *s, uint64_t *ret, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_LAST_TURN];
        int r = 0;

        if (sqlite3_step(statement) == SQLITE_ROW)
                *ret = (uint64_t) sqlite3_column_int64(statement, 0);
        else
                r = failed(s, why);
        (void) sqlite3_reset(statement);
        return r;
}

static void bind_time(sqlite3_stmt *statement, int at, double ms) {
        if (ms < 0)
                (void) sqlite3_bind_null(statement, at);
        else
                (void) sqlite3_bind_double(statement, at, ms);
}

static void bind_timings(sqlite3_stmt *statement, int at, const struct timings *t) {
        (void) sqlite3_bind_double(statement, at, t->audio);
        bind_time(statement, at + 1, t->first_frame);
        bind_time(statement, at + 2, t->end_of_speech);
        bind_time(statement, at + 3, t->prefilled);
        bind_time(statement, at + 4, t->first_token);
        (void) sqlite3_bind_double(statement, at + 5, t->done);
        (void) sqlite3_bind_int64(statement, at + 6, t->n_frames);
        (void) sqlite3_bind_int64(statement, at + 7, t->n_prompt_positions);
        (void) sqlite3_bind_int64(statement, at + 8, t->n_tokens);
        (void) sqlite3_bind_int64(statement, at + 9, t->largest_backlog);
}

/* A NULL pointer would be bound as NULL. */
static void bind_text(sqlite3_stmt *statement, int at, const char *text, size_t size) {
        (void) sqlite3_bind_text64(statement, at, text ? text : "", size, SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
}

int store_append(struct store *s, const struct record *turn, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_APPEND];

        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) turn->id);
        (void) sqlite3_bind_int64(statement, 2, s->session);
        (void) sqlite3_bind_int64(statement, 3, (sqlite3_int64) turn->began_us);
        (void) sqlite3_bind_text(statement, 4, origin_name(turn->origin), -1, SQLITE_STATIC);
        bind_text(statement, 5, turn->heard, turn->heard_size);
        bind_text(statement, 6, turn->answered, turn->answered_size);
        (void) sqlite3_bind_text(statement, 7, turn->calls_json ? turn->calls_json : "[]", -1,
                                 SQLITE_TRANSIENT);
        (void) sqlite3_bind_text(statement, 8, outcome_name(turn->outcome), -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 9, turn->error, -1, SQLITE_TRANSIENT);
        bind_timings(statement, 10, &turn->timings);
        return run(s, STATEMENT_APPEND, why);
}

int store_set_heard(struct store *s, uint64_t id, const char *text, size_t size, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_SET_HEARD];
        int r;

        bind_text(statement, 1, text, size);
        (void) sqlite3_bind_int64(statement, 2, (sqlite3_int64) id);
        r = run(s, STATEMENT_SET_HEARD, why);
        if (r < 0)
                return r;
        if (sqlite3_changes(s->db) == 0)
                return because(why, -ENOENT, "%s: no turn %llu", STORE_FILE,
                               (unsigned long long) id);
        return 0;
}

static double column_time(sqlite3_stmt *statement, int at) {
        if (sqlite3_column_type(statement, at) == SQLITE_NULL)
                return TIME_NEVER;
        return sqlite3_column_double(statement, at);
}

static unsigned column_unsigned(sqlite3_stmt *statement, int at) {
        return (unsigned) sqlite3_column_int64(statement, at);
}

static struct timings column_timings(sqlite3_stmt *statement, int at) {
        return (struct timings){
                .audio = sqlite3_column_double(statement, at),
                .first_frame = column_time(statement, at + 1),
                .end_of_speech = column_time(statement, at + 2),
                .prefilled = column_time(statement, at + 3),
                .first_token = column_time(statement, at + 4),
                .done = sqlite3_column_double(statement, at + 5),
                .n_frames = column_unsigned(statement, at + 6),
                .n_prompt_positions = column_unsigned(statement, at + 7),
                .n_tokens = column_unsigned(statement, at + 8),
                .largest_backlog = column_unsigned(statement, at + 9),
        };
}

/* The row of STATEMENT_HISTORY at hand.  -EBADMSG when it is not as we write it. */
static int read_row(sqlite3_stmt *statement, struct record *ret) {
        const char *origin = (const char *) sqlite3_column_text(statement, 3);
        const char *outcome = (const char *) sqlite3_column_text(statement, 7);

        *ret = (struct record){
                .id = (uint64_t) sqlite3_column_int64(statement, 0),
                .session = (uint64_t) sqlite3_column_int64(statement, 1),
                .began_us = (uint64_t) sqlite3_column_int64(statement, 2),
                .heard = (const char *) sqlite3_column_text(statement, 4),
                .heard_size = (size_t) sqlite3_column_bytes(statement, 4),
                .answered = (const char *) sqlite3_column_text(statement, 5),
                .answered_size = (size_t) sqlite3_column_bytes(statement, 5),
                .calls_json = (const char *) sqlite3_column_text(statement, 6),
                .error = (const char *) sqlite3_column_text(statement, 8),
                .timings = column_timings(statement, 9),
                .model = (const char *) sqlite3_column_text(statement, 19),
        };
        if (!origin || !outcome || !ret->heard || !ret->answered || !ret->calls_json || !ret->model)
                return -EBADMSG;
        if (origin_from_name(origin, &ret->origin) < 0)
                return -EBADMSG;
        return outcome_from_name(outcome, &ret->outcome) < 0 ? -EBADMSG : 0;
}

/* 1: a row was visited and there may be more; 0: no more wanted. */
static int visit_row(struct store *s,
                     int (*visit)(const struct record *turn, void *userdata),
                     void *userdata,
                     struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_HISTORY];
        struct record record;
        int r;

        r = sqlite3_step(statement);
        if (r == SQLITE_DONE)
                return 0;
        if (r != SQLITE_ROW)
                return failed(s, why);

        r = read_row(statement, &record);
        if (r < 0)
                return because(why, r, "%s: a turn is damaged", STORE_FILE);
        r = visit(&record, userdata);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        return r == 0;
}

int store_history(struct store *s,
                  uint64_t before,
                  unsigned limit,
                  int (*visit)(const struct record *turn, void *userdata),
                  void *userdata,
                  struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_HISTORY];
        int r;

        if (before == 0 || before > INT64_MAX)
                before = INT64_MAX;
        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) before);
        (void) sqlite3_bind_int64(statement, 2, limit);

        do
                r = visit_row(s, visit, userdata, why);
        while (r > 0);

        (void) sqlite3_reset(statement);
        return r;
}
