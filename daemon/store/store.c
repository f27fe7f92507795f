/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/log.h"
#include "daemon/store/store-internal.h"

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

        /* The words of the turns, for searching; what was there before is taken in.  A virtual table
         * may not be named in a trigger under trusted_schema = OFF, so that store.c keeps it in step
         * by hand.  duties says what is to be done again if the process ends in between. */
        "CREATE VIRTUAL TABLE words USING fts5 ("
        " heard, answered, content = 'turns', content_rowid = 'id', columnsize = 0,"
        " tokenize = 'unicode61 remove_diacritics 2');"
        "INSERT INTO words (words) VALUES ('rebuild');"
        "CREATE TABLE duties (erase INTEGER NOT NULL) STRICT;"
        "INSERT INTO duties VALUES (0);",

        "ALTER TABLE turns ADD COLUMN framing_ms REAL NOT NULL DEFAULT 0;"
        "ALTER TABLE turns ADD COLUMN caching_ms REAL NOT NULL DEFAULT 0;"
        "ALTER TABLE turns ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;",

        /* The largest number that a turn had when turns were forgotten: whoever remembers a number
         * may not be told of another turn by it. */
        "CREATE TABLE numbers ("
        " last_turn INTEGER NOT NULL"
        ") STRICT;"
        "INSERT INTO numbers VALUES (0);",

        /* The days on which gemmad ran, in the order in which they came, each with the largest number
         * of a turn before it.  The age of a turn is counted in these. */
        "CREATE TABLE days ("
        " id INTEGER PRIMARY KEY,"
        " day INTEGER NOT NULL UNIQUE,"
        " last_turn INTEGER NOT NULL"
        ") STRICT;"
        "INSERT INTO days (day, last_turn)"
        " SELECT began / 86400000000, min(id) - 1 FROM turns GROUP BY 1 ORDER BY 2;",

        "ALTER TABLE turns ADD COLUMN unanswered TEXT;"
        "ALTER TABLE turns ADD COLUMN hint TEXT;"
        "ALTER TABLE turns ADD COLUMN ending TEXT;",

        /* How an answer came to its end that is not complete; outcome, whose words are fixed in each
         * row's check, says answered then. */
        "ALTER TABLE turns ADD COLUMN stopped TEXT;",

        /* What was forgotten and may still be in this file; no reading shows it.  n: how many turns
         * of it were not in the file.  A file that has been written anew has no row. */
        "CREATE TABLE forgotten ("
        " id INTEGER PRIMARY KEY,"
        " first_id INTEGER NOT NULL,"
        " last_id INTEGER NOT NULL,"
        " began_from INTEGER NOT NULL,"
        " began_to INTEGER NOT NULL,"
        " n INTEGER NOT NULL"
        ") STRICT;",

        /* What went out to a server; NULL: nothing. */
        "ALTER TABLE turns ADD COLUMN remote TEXT;"
        "ALTER TABLE turns ADD COLUMN remote_error TEXT;"
        "ALTER TABLE turns ADD COLUMN remote_sent INTEGER;"
        "ALTER TABLE turns ADD COLUMN remote_received INTEGER;"
        "ALTER TABLE turns ADD COLUMN remote_asked_ms REAL;"
        "ALTER TABLE turns ADD COLUMN remote_first_ms REAL;",

        /* Beginnings of words have an index, too: without it a search for one reads all turns that have
         * such a word, and with it those that are shown.  For longer ones that there are so many of is
         * rare enough.  Only where there are no turns: see STORE_RENEWED. */
        "DROP TABLE words;"
        "CREATE VIRTUAL TABLE words USING fts5 ("
        " heard, answered, content = 'turns', content_rowid = 'id', columnsize = 0,"
        " tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3');",
};

#define STORE_VERSION ((int) (sizeof(migrations) / sizeof(migrations[0])))

/* What makes this version would take seconds where there are turns.  The file is as good without it, and has it when
 * it has been written anew, which is done in slices. */
#define STORE_RENEWED 10

#define COLUMNS_ONLY                                                                               \
        "turns.id, session, turns.began, source, turns.heard, turns.answered, calls,"              \
        " coalesce(stopped, outcome),"                                                             \
        " error, audio_ms, first_frame_ms, end_of_speech_ms, prefilled_ms, first_token_ms,"        \
        " done_ms, framing_ms, caching_ms, frames, prompt_positions, tokens, largest_backlog,"     \
        " cut, unanswered, hint, ending, model,"                                                   \
        " remote, remote_error, remote_sent, remote_received, remote_asked_ms, remote_first_ms"
#define COLUMNS COLUMNS_ONLY " FROM turns JOIN sessions ON sessions.id = turns.session"

/* Times stand in the order of struct timings in both statements that name them. */
static const char *const statements[] = {
        [STATEMENT_BEGIN_SESSION] = "INSERT INTO sessions (began, version, model) VALUES (?, ?, ?)",
        [STATEMENT_LAST_TURN] = "SELECT coalesce((SELECT id FROM turns WHERE id > " STORE_FLOOR
                                " AND " STORE_VISIBLE("") " ORDER BY id DESC LIMIT 1), 0)",
        [STATEMENT_APPEND] =
                "INSERT INTO turns (id, session, began, source, heard, answered, calls, outcome,"
                " error, audio_ms, first_frame_ms, end_of_speech_ms, prefilled_ms, first_token_ms,"
                " done_ms, framing_ms, caching_ms, frames, prompt_positions, tokens,"
                " largest_backlog, cut, unanswered, hint, ending, stopped, remote, remote_error,"
                " remote_sent, remote_received, remote_asked_ms, remote_first_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                "?, ?, ?, ?, ?, ?, ?, ?)",
        [STATEMENT_APPEND_WORDS] = "INSERT INTO words (rowid, heard, answered)"
                                   " SELECT id, heard, answered FROM turns WHERE id = ?",
        [STATEMENT_REMOVE_WORDS] = "INSERT INTO words (words, rowid, heard, answered)"
                                   " SELECT 'delete', id, heard, answered FROM turns WHERE id = ?",
        [STATEMENT_SET_HEARD] = "UPDATE turns SET heard = ? WHERE id = ? AND " STORE_VISIBLE(""),
        [STATEMENT_SET_ANSWERED] = "UPDATE turns SET answered = ? WHERE id = ? AND " STORE_VISIBLE(""),
        [STATEMENT_HISTORY] = "SELECT " COLUMNS " WHERE turns.id < ? AND turns.id > " STORE_FLOOR
                              " AND " STORE_VISIBLE("") " ORDER BY turns.id DESC LIMIT ?",
        [STATEMENT_SHOW] = "SELECT " COLUMNS " WHERE turns.id = ? AND " STORE_VISIBLE(""),
        /* The index of the words gives its rows newest first by itself: in this order of the tables
         * none is read but those that are shown. */
        [STATEMENT_SEARCH] = "SELECT " COLUMNS_ONLY " FROM words"
                             " CROSS JOIN turns ON turns.id = words.rowid"
                             " CROSS JOIN sessions ON sessions.id = turns.session"
                             " WHERE words MATCH ? AND words.rowid > " STORE_FLOOR
                             " AND " STORE_VISIBLE("") " ORDER BY words.rowid DESC LIMIT ?",
        [STATEMENT_FORGET] = "INSERT INTO forgotten (first_id, last_id, began_from, began_to, n)"
                             " VALUES (?, min(?, (SELECT last_turn FROM numbers)), ?, ?, ?)",
        [STATEMENT_HAS_ANY] = "SELECT 1 FROM turns WHERE id BETWEEN ? AND ? AND id > " STORE_FLOOR
                              " AND " STORE_VISIBLE("") " LIMIT 1",
        [STATEMENT_NOTE_DAY] =
                "INSERT INTO days (day, last_turn)"
                " SELECT ?, max(last_turn, (SELECT coalesce(max(id), 0) FROM turns)) FROM numbers"
                " WHERE true ON CONFLICT DO NOTHING",
        [STATEMENT_LAST_OLD] = "SELECT last_turn FROM days ORDER BY id DESC LIMIT 1 OFFSET ?",
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

int store_failed(struct store *s, struct why *why) {
        int r = errno_from_sqlite(sqlite3_extended_errcode(s->db));

        s->is_damaged = s->is_damaged || r == -EBADMSG;
        return because(why, r, "%s: %s", STORE_FILE, sqlite3_errmsg(s->db));
}

int store_execute(struct store *s, const char *sql, struct why *why) {
        if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
                return store_failed(s, why);
        return 0;
}

int store_run(struct store *s, enum statement which, struct why *why) {
        sqlite3_stmt *statement = s->prepared[which];
        int r = 0;

        if (!s->db)
                return because(why, -EIO, "%s: not open", STORE_FILE);
        if (sqlite3_step(statement) != SQLITE_DONE)
                r = store_failed(s, why);
        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

int store_query(struct store *s, const char *sql, sqlite3_int64 *ret, struct why *why) {
        sqlite3_stmt *statement;
        int r = 0;

        if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) != SQLITE_OK)
                return store_failed(s, why);
        if (sqlite3_step(statement) == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        else
                r = store_failed(s, why);
        (void) sqlite3_finalize(statement);
        return r;
}

const char *store_statement(enum statement which) {
        return statements[which];
}

int store_end(struct store *s, int r, struct why *why) {
        if (r >= 0)
                r = store_execute(s, "COMMIT", why);
        if (r >= 0 || sqlite3_get_autocommit(s->db))
                return r;
        (void) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        /* Where there is no memory for that either, the end of the connection takes it back, and who uses
         * it next opens another one.  That of an erasing is ended with it. */
        if (s->directory && !sqlite3_get_autocommit(s->db))
                store_close_database(s);
        return r;
}

int store_make_folder(const char *path) {
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

/* What was said is nobody else's to read: a mode that lets others in is taken back, and told. */
static int make_private(int fd, mode_t mode, const char *path, struct why *why) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        if (!(st.st_mode & 077))
                return 0;
        if (fchmod(fd, mode) < 0)
                return because(why, -errno, "%s: open to others, and %s", path, strerror(errno));
        log_warning("%s was open to others (mode %03o), and is not any more", path,
                    (unsigned) (st.st_mode & 0777));
        return 0;
}

static int open_directory(struct store *s, const char *path, struct why *why) {
        int r;

        r = store_make_folder(path);
        if (r < 0)
                return because(why, r, "%s: %s", path, strerror(-r));

        s->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->directory_fd < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        if (flock(s->directory_fd, LOCK_EX | LOCK_NB) < 0)
                return because(why, -EBUSY, "%s: in use by another gemmad", path);
        return make_private(s->directory_fd, 0700, path, why);
}

int store_connect(struct store *s, const char *path, struct why *why) {
        if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK) {
                if (!s->db)
                        return because(why, -ENOMEM, "out of memory");
                return store_failed(s, why);
        }
        (void) sqlite3_extended_result_codes(s->db, 1);
        (void) sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
        return 0;
}

/* Creates the file by hand, because SQLite would leave its mode to the umask, and gives the mode
 * of the file to its journal. */
static int open_file(struct store *s, const char *directory, struct why *why) {
        _cleanup_(closep) int fd = -1;
        char path[PATH_MAX];
        struct stat st;
        int r;

        if (snprintf(path, sizeof(path), "%s/%s", directory, STORE_FILE) >= (int) sizeof(path))
                return because(why, -ENAMETOOLONG, "%s: the path is too long", directory);

        fd = openat(s->directory_fd, STORE_FILE,
                    O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600);
        if (fd < 0)
                return because(why, -errno, "%s: %s", path,
                               errno == ELOOP ? "a symbolic link, which is not followed"
                                              : strerror(errno));
        r = make_private(fd, 0600, path, why);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        s->device = st.st_dev;
        s->inode = st.st_ino;

        return store_connect(s, path, why);
}

static int has_turns(struct store *s, struct why *why) {
        sqlite3_int64 has = 0;
        int r;

        r = store_query(s, "SELECT EXISTS (SELECT 1 FROM turns)", &has, why);
        return r < 0 ? r : has != 0;
}

/* The version is written in the transaction that makes it true. */
static int migrate_once(struct store *s, unsigned version, struct why *why) {
        char stamp[64];
        int r;

        (void) snprintf(stamp, sizeof(stamp), "PRAGMA user_version = %u", version + 1);
        r = store_execute(s, "BEGIN IMMEDIATE", why);
        if (r < 0)
                return r;
        r = store_execute(s, migrations[version], why);
        if (r >= 0)
                r = store_execute(s, stamp, why);
        return store_end(s, r, why);
}

int store_create_tables(struct store *s, struct why *why) {
        sqlite3_int64 version = 0;
        int r;

        r = store_query(s, "PRAGMA user_version", &version, why);
        if (r < 0)
                return r;
        if (version < 0 || version > STORE_VERSION)
                return because(why, -ENOTSUP,
                               "%s: its tables have version %lld, this gemmad knows up to %d",
                               STORE_FILE, (long long) version, STORE_VERSION);

        s->is_old = false;
        for (; version < STORE_VERSION; version++) {
                r = version + 1 == STORE_RENEWED ? has_turns(s, why) : 0;
                s->is_old = r > 0;
                if (r != 0)
                        return r < 0 ? r : 0;
                r = migrate_once(s, (unsigned) version, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

int store_prepare(struct store *s, enum statement first, struct why *why) {
        for (unsigned i = first; i < N_STATEMENTS; i++)
                if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                       &s->prepared[i], NULL) != SQLITE_OK)
                        return store_failed(s, why);
        return 0;
}

void store_close_database(struct store *s) {
        for (unsigned i = 0; i < N_STATEMENTS; i++) {
                (void) sqlite3_finalize(s->prepared[i]);
                s->prepared[i] = NULL;
        }
        /* Also with a statement of somebody else's, who finalizes it soon. */
        (void) sqlite3_close_v2(s->db);
        s->db = NULL;
        s->session = 0;
}

/* SQLite takes a PRAGMA that it does not know, or can not follow, without a word. */
static int check_facts(struct store *s, struct why *why) {
        static const struct {
                const char *question;
                sqlite3_int64 answer;
        } facts[] = {
                { "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 1 },
                { "PRAGMA synchronous", 1 },
                { "PRAGMA secure_delete", 1 },
                { "PRAGMA foreign_keys", 1 },
                { "PRAGMA trusted_schema", 0 },
                { "PRAGMA temp_store", 2 },
        };
        sqlite3_int64 answer = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < sizeof(facts) / sizeof(facts[0]); i++) {
                r = store_query(s, facts[i].question, &answer, why);
                if (r >= 0 && answer != facts[i].answer)
                        r = because(why, -EIO, "%s: '%s' is %lld", STORE_FILE, facts[i].question, (long long) answer);
        }
        return r;
}

/* From the name in the directory to statements that can be run. */
int store_open_database(struct store *s, struct why *why) {
        /* NORMAL loses no commit to a killed process, only to a power cut, and then whole turns
         * from the end.  secure_delete overwrites what was deleted; temp_store keeps copies out of
         * files that are not ours. */
        static const char *const pragmas[] = {
                "PRAGMA journal_mode = WAL",   "PRAGMA synchronous = NORMAL",
                "PRAGMA secure_delete = ON",   "PRAGMA foreign_keys = ON",
                "PRAGMA trusted_schema = OFF", "PRAGMA temp_store = MEMORY",
        };
        int r;

        /* Their locks would go with the descriptor by which the file is created. */
        store_keep_out(s);
        r = open_file(s, s->directory, why);
        for (unsigned i = 0; r >= 0 && i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
                r = store_execute(s, pragmas[i], why);
        if (r >= 0)
                r = check_facts(s, why);
        if (r >= 0)
                r = store_create_tables(s, why);
        if (r >= 0)
                r = store_prepare(s, 0, why);
        if (r < 0)
                store_close_database(s);
        store_let_in(s);
        return r;
}

/* Somebody has taken the file away, or put another one in its place: what is written to it from now on
 * nobody would find. */
static bool is_removed(const struct store *s) {
        struct stat st;

        return fstatat(s->directory_fd, STORE_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0
                       ? errno == ENOENT
                       : st.st_ino != s->inode || st.st_dev != s->device;
}

/* What was in it went with it, and is not brought back: somebody may have wanted that. */
static void let_go(struct store *s) {
        store_erase_cancel(s);
        store_close_database(s);
        (void) store_take_damage(s);
        s->is_replaced = s->owes;
        s->is_old = false;
        store_settled(s);
        log_warning("%s/%s was taken away while it was in use: what is there now is used, or a new one begun",
                    s->directory, STORE_FILE);
}

/* Out of reach for who confines himself to the one that there was. */
static int find_directory_again(struct store *s, struct why *why) {
        struct stat st;
        int r;

        if (s->directory_fd >= 0 && (fstat(s->directory_fd, &st) < 0 || st.st_nlink > 0))
                return 0;
        closep(&s->directory_fd);
        s->directory_fd = -1;
        r = open_directory(s, s->directory, why);
        if (r < 0)
                (void) because(why, r, "%s: was taken away while it was in use: start gemmad again", s->directory);
        return r;
}

int store_ensure_open(struct store *s, struct why *why) {
        int r;

        /* It is somebody else's who has opened it. */
        if (!s->directory)
                return 0;
        if (s->db && is_removed(s))
                let_go(s);
        if (s->db)
                return 0;
        r = find_directory_again(s, why);
        return r >= 0 ? store_open_database(s, why) : r;
}

static int replace(struct store *s, struct why *why) {
        bool owes = s->owes || store_is_marked(s);
        char aside[64];
        unsigned n;
        int r;

        store_erase_cancel(s);
        store_close_database(s);
        r = store_put_aside(s->directory_fd, aside, sizeof(aside), why);
        if (r < 0)
                return r;
        r = store_open_database(s, why);
        /* Without a database it is tried again with the next turn. */
        s->is_damaged = r < 0;
        if (r < 0)
                return r;
        /* What somebody read, too, was the old file. */
        (void) store_take_damage(s);
        n = store_salvage(s, aside);
        if (!owes) {
                log_warning("The history was damaged and has been begun anew with %u turns that could be read; "
                            "the old file is %s/%s until something is forgotten",
                            n, s->directory, aside);
                return 0;
        }
        /* What was forgotten in it has not been carried over, and may not lie about. */
        store_drop_aside(s);
        s->is_replaced = true;
        store_settled(s);
        log_warning("The history was damaged and has been begun anew with %u turns that could be read; "
                    "the old file held what was to be forgotten, and is gone",
                    n);
        return 0;
}

int store_replace(struct store *s, struct why *why) {
        int r;

        store_keep_out(s);
        r = replace(s, why);
        store_let_in(s);
        return r;
}

int store_open(struct store **ret, const char *directory, struct why *why) {
        _cleanup_(store_closep) struct store *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return because(why, -ENOMEM, "out of memory");
        s->directory_fd = -1;
        s->directory = strdup(directory);
        if (!s->directory)
                return because(why, -ENOMEM, "out of memory");

        r = open_directory(s, directory, why);
        if (r < 0)
                return r;
        r = store_open_database(s, why);
        if (r < 0 && s->is_damaged)
                r = store_replace(s, why);
        if (r >= 0)
                r = store_read_duties(s, why);
        if (r < 0)
                return r;
        store_drop_fresh(s);

        *ret = TAKE_PTR(s);
        return 0;
}

struct store *store_close(struct store *s) {
        struct why why = {};

        if (!s)
                return NULL;

        store_erase_cancel(s);
        if (store_write_waiting(s, &why) < 0)
                log_error("%u turns are lost to the history: %s", s->n_waiting, why.text);
        (void) store_forget_waiting(s, &STORE_SPAN_ALL);
        store_close_database(s);
        closep(&s->directory_fd);
        free(s->directory);
        free(s->counts);
        free(s->version);
        free(s->model);
        free(s);
        return NULL;
}

static int begin_session(struct store *s, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_BEGIN_SESSION];
        int r;

        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) s->began_us);
        (void) sqlite3_bind_text(statement, 2, s->version, -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 3, s->model, -1, SQLITE_STATIC);
        r = store_run(s, STATEMENT_BEGIN_SESSION, why);
        if (r < 0)
                return r;

        s->session = sqlite3_last_insert_rowid(s->db);
        return 0;
}

int store_begin_session(struct store *s,
                        uint64_t began_us,
                        const char *version,
                        const char *model,
                        struct why *why) {
        free(s->version);
        free(s->model);
        s->session = 0;
        s->began_us = began_us;
        s->version = strdup(version);
        s->model = strdup(model);
        if (!s->version || !s->model)
                return because(why, -ENOMEM, "out of memory");
        return begin_session(s, why);
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
                r = store_failed(s, why);
        (void) sqlite3_reset(statement);
        return r;
}

int store_last_number(struct store *s, uint64_t *ret, struct why *why) {
        sqlite3_int64 forgotten = 0;
        uint64_t last = 0;
        int r;

        r = store_query(s, "SELECT last_turn FROM numbers", &forgotten, why);
        if (r >= 0)
                r = store_last_turn(s, &last, why);
        if (r < 0)
                return r;
        *ret = last > (uint64_t) forgotten ? last : (uint64_t) forgotten;
        return 0;
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
        (void) sqlite3_bind_double(statement, at + 6, t->framing);
        (void) sqlite3_bind_double(statement, at + 7, t->caching);
        (void) sqlite3_bind_int64(statement, at + 8, t->n_frames);
        (void) sqlite3_bind_int64(statement, at + 9, t->n_prompt_positions);
        (void) sqlite3_bind_int64(statement, at + 10, t->n_tokens);
        (void) sqlite3_bind_int64(statement, at + 11, t->largest_backlog);
}

/* What was not set is NULL. */
static void bind_remote(sqlite3_stmt *statement, int at, const struct remote_record *remote) {
        if (!remote->server[0] && !remote->error[0])
                return;
        (void) sqlite3_bind_text(statement, at, remote->server, -1, SQLITE_TRANSIENT);
        if (remote->error[0])
                (void) sqlite3_bind_text(statement, at + 1, remote->error, -1, SQLITE_TRANSIENT);
        (void) sqlite3_bind_int64(statement, at + 2, (sqlite3_int64) remote->n_sent);
        (void) sqlite3_bind_int64(statement, at + 3, (sqlite3_int64) remote->n_received);
        bind_time(statement, at + 4, remote->asked);
        bind_time(statement, at + 5, remote->first);
}

/* A NULL pointer would be bound as NULL. */
static void bind_text(sqlite3_stmt *statement, int at, const char *text, size_t size) {
        (void) sqlite3_bind_text64(statement, at, text ? text : "", size, SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
}

static int append_turn(struct store *s, const struct record *turn, struct why *why) {
        sqlite3_stmt *statement = s->prepared[STATEMENT_APPEND];
        bool is_stopped = outcome_is_good(turn->outcome) && turn->outcome != OUTCOME_ANSWERED;

        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) turn->id);
        (void) sqlite3_bind_int64(statement, 2, s->session);
        (void) sqlite3_bind_int64(statement, 3, (sqlite3_int64) turn->began_us);
        (void) sqlite3_bind_text(statement, 4, origin_name(turn->origin), -1, SQLITE_STATIC);
        bind_text(statement, 5, turn->heard, turn->heard_size);
        bind_text(statement, 6, turn->answered, turn->answered_size);
        (void) sqlite3_bind_text(statement, 7, turn->calls_json ? turn->calls_json : "[]", -1,
                                 SQLITE_TRANSIENT);
        (void) sqlite3_bind_text(statement, 8,
                                 outcome_name(is_stopped ? OUTCOME_ANSWERED : turn->outcome), -1,
                                 SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 9, turn->error, -1, SQLITE_TRANSIENT);
        bind_timings(statement, 10, &turn->timings);
        (void) sqlite3_bind_int(statement, 22, turn->is_cut);
        (void) sqlite3_bind_text(statement, 23, unanswered_name(turn->unanswered), -1,
                                 SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 24, turn->hint, -1, SQLITE_TRANSIENT);
        (void) sqlite3_bind_text(statement, 25, ending_name(turn->ending), -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(statement, 26, is_stopped ? outcome_name(turn->outcome) : NULL, -1,
                                 SQLITE_STATIC);
        bind_remote(statement, 27, &turn->remote);
        return store_run(s, STATEMENT_APPEND, why);
}

/* For the statements whose only parameter is a turn. */
static int run_about(struct store *s, enum statement which, uint64_t id, struct why *why) {
        (void) sqlite3_bind_int64(s->prepared[which], 1, (sqlite3_int64) id);
        return store_run(s, which, why);
}

int store_append_row(struct store *s, const struct record *turn, struct why *why) {
        int r;

        r = append_turn(s, turn, why);
        return r >= 0 ? run_about(s, STATEMENT_APPEND_WORDS, turn->id, why) : r;
}

int store_append(struct store *s, const struct record *turn, struct why *why) {
        int r;

        /* The disk may have been full when it began. */
        if (s->session == 0 && s->model) {
                r = begin_session(s, why);
                if (r < 0)
                        return r;
        }
        store_erase_again(s, turn->id);
        r = store_execute(s, "BEGIN IMMEDIATE", why);
        if (r < 0)
                return r;
        return store_end(s, store_append_row(s, turn, why), why);
}

static int
set_text(struct store *s, int statement, uint64_t id, const char *text, size_t size, struct why *why) {
        int r;

        bind_text(s->prepared[statement], 1, text, size);
        (void) sqlite3_bind_int64(s->prepared[statement], 2, (sqlite3_int64) id);
        r = store_run(s, statement, why);
        if (r < 0)
                return r;
        if (sqlite3_changes(s->db) == 0)
                return because(why, -ENOENT, "%s: no turn %llu", STORE_FILE,
                               (unsigned long long) id);
        return 0;
}

static int
change_text(struct store *s, int statement, uint64_t id, const char *text, size_t size, struct why *why) {
        int r;

        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
        store_erase_again(s, id);
        r = store_execute(s, "BEGIN IMMEDIATE", why);
        if (r < 0)
                return r;
        r = run_about(s, STATEMENT_REMOVE_WORDS, id, why);
        if (r >= 0)
                r = set_text(s, statement, id, text, size, why);
        if (r >= 0)
                r = run_about(s, STATEMENT_APPEND_WORDS, id, why);
        return store_end(s, r, why);
}

int store_set_heard(struct store *s, uint64_t id, const char *text, size_t size, struct why *why) {
        if (store_set_waiting_heard(s, id, text, size) == 0)
                return 0;
        return change_text(s, STATEMENT_SET_HEARD, id, text, size, why);
}

int store_set_answered(struct store *s, uint64_t id, const char *text, size_t size, struct why *why) {
        if (store_set_waiting_answered(s, id, text, size) == 0)
                return 0;
        return change_text(s, STATEMENT_SET_ANSWERED, id, text, size, why);
}
