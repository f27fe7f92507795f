/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/timers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "base/utf8.h"
#include "desktop/words.h"

/* The kernel slews the clock a little all the time; a row is only written anew for more. */
#define NOTABLE_USEC (USEC_PER_SEC / 2)

struct timers {
        sqlite3 *db; /* owned */
        char *boot_id; /* owned */
        struct timer timers[TIMERS_MAX];
        size_t n;
        int64_t last_id;
        bool is_loaded;
        bool is_behind; /* a change could not be written: the table is not what is known here */
};

static const char schema[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE IF NOT EXISTS timers (id INTEGER PRIMARY KEY, is_alarm INTEGER, name TEXT,"
        " duration INTEGER, due_real INTEGER, due_boot INTEGER, boot_id TEXT, time_left INTEGER,"
        " is_paused INTEGER, is_snoozed INTEGER, year INTEGER, month INTEGER, day INTEGER,"
        " hour INTEGER, minute INTEGER);";

/* In the order of save() and load(). */
#define COLUMNS                                                                                    \
        "id, is_alarm, name, duration, due_real, due_boot, boot_id, time_left, is_paused,"         \
        " is_snoozed, year, month, day, hour, minute"

enum column {
        COLUMN_ID,
        COLUMN_ALARM,
        COLUMN_NAME,
        COLUMN_DURATION,
        COLUMN_REAL,
        COLUMN_BOOT,
        COLUMN_BOOT_ID,
        COLUMN_LEFT,
        COLUMN_PAUSED,
        COLUMN_SNOOZED,
        COLUMN_WALL,
        N_WALL = 5,
};

static int finish(sqlite3_stmt *statement) {
        int result = sqlite3_step(statement);

        (void) sqlite3_finalize(statement);
        return result == SQLITE_DONE ? 0 : -EIO;
}

/* A disk that is full is no reason not to ring. */
static void note(struct timers *t, int r) {
        if (r < 0 && !t->is_behind)
                log_warning("Timers can not be written down (%s): until they can be, they end with "
                            "this program",
                            sqlite3_errmsg(t->db));
        if (r < 0)
                t->is_behind = true;
}

static int write_row(struct timers *t, const struct timer *timer) {
        const int wall[N_WALL] = { timer->wall.year, timer->wall.month, timer->wall.day,
                                   timer->wall.hour, timer->wall.minute };
        const int64_t numbers[] = {
                [COLUMN_ID] = timer->id,           [COLUMN_ALARM] = timer->is_alarm,
                [COLUMN_DURATION] = timer->duration, [COLUMN_REAL] = timer->due_real,
                [COLUMN_BOOT] = timer->due_boot,   [COLUMN_LEFT] = timer->left,
                [COLUMN_PAUSED] = timer->is_paused, [COLUMN_SNOOZED] = timer->is_snoozed,
        };
        sqlite3_stmt *s;

        if (sqlite3_prepare_v2(t->db,
                               "INSERT OR REPLACE INTO timers (" COLUMNS
                               ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                               -1, &s, NULL) != SQLITE_OK)
                return -EIO;
        for (int i = 0; i < COLUMN_WALL; i++)
                (void) sqlite3_bind_int64(s, i + 1, numbers[i]);
        for (int i = 0; i < N_WALL; i++)
                (void) sqlite3_bind_int(s, COLUMN_WALL + i + 1, wall[i]);
        (void) sqlite3_bind_text(s, COLUMN_NAME + 1, timer->name, -1, SQLITE_STATIC);
        (void) sqlite3_bind_text(s, COLUMN_BOOT_ID + 1, t->boot_id, -1, SQLITE_STATIC);
        return finish(s);
}

static bool is_done(struct timers *t, const char *sql) {
        return sqlite3_exec(t->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Rows that are not there because they could not be written, and those that are still there because
 * they could not be erased: all of the table anew, or nothing of it. */
static void catch_up(struct timers *t) {
        bool is_well;

        if (!t->is_behind || !t->is_loaded)
                return;
        is_well = is_done(t, "BEGIN IMMEDIATE") && is_done(t, "DELETE FROM timers");
        for (size_t i = 0; i < t->n && is_well; i++)
                is_well = write_row(t, &t->timers[i]) >= 0;
        if (is_well && is_done(t, "COMMIT")) {
                t->is_behind = false;
                log_notice("Timers are written down again");
        } else if (!sqlite3_get_autocommit(t->db)) {
                (void) is_done(t, "ROLLBACK");
        }
}

/* One of the set, in which it is already what it is to be in the table. */
static void save(struct timers *t, const struct timer *timer) {
        if (t->is_behind)
                catch_up(t);
        else
                note(t, write_row(t, timer));
}

static int erase_row(struct timers *t, int64_t id) {
        sqlite3_stmt *s;

        if (sqlite3_prepare_v2(t->db, "DELETE FROM timers WHERE id = ?", -1, &s, NULL) != SQLITE_OK)
                return -EIO;
        (void) sqlite3_bind_int64(s, 1, id);
        return finish(s);
}

/* Whether it is due at a time on the wall. */
static bool is_on_wall(const struct timer *timer) {
        return timer->is_alarm && !timer->is_snoozed;
}

/* The wall clock of a running timer after the clock was set, or the moment of an alarm. */
static int64_t real_of(const struct timer *timer, const struct moment *now) {
        if (is_on_wall(timer))
                return (int64_t) wall_moment(&timer->wall) * USEC_PER_SEC;
        return now->real + (timer->due_boot - now->boot);
}

static void load_row(struct timers *t, sqlite3_stmt *s, const struct moment *now) {
        struct timer *timer = &t->timers[t->n++];
        const unsigned char *name = sqlite3_column_text(s, COLUMN_NAME);
        const unsigned char *boot_id = sqlite3_column_text(s, COLUMN_BOOT_ID);

        *timer = (struct timer){
                .id = sqlite3_column_int64(s, COLUMN_ID),
                .is_alarm = sqlite3_column_int(s, COLUMN_ALARM),
                .duration = sqlite3_column_int64(s, COLUMN_DURATION),
                .due_real = sqlite3_column_int64(s, COLUMN_REAL),
                .due_boot = sqlite3_column_int64(s, COLUMN_BOOT),
                .left = sqlite3_column_int64(s, COLUMN_LEFT),
                .is_paused = sqlite3_column_int(s, COLUMN_PAUSED),
                .is_snoozed = sqlite3_column_int(s, COLUMN_SNOOZED),
                .wall = { sqlite3_column_int(s, COLUMN_WALL), sqlite3_column_int(s, COLUMN_WALL + 1),
                          sqlite3_column_int(s, COLUMN_WALL + 2),
                          sqlite3_column_int(s, COLUMN_WALL + 3),
                          sqlite3_column_int(s, COLUMN_WALL + 4) },
        };
        (void) snprintf(timer->name, sizeof(timer->name), "%s", name ? (const char *) name : "");

        /* Of another boot only the wall clock is known. */
        if (!timer->is_paused && (!boot_id || strcmp((const char *) boot_id, t->boot_id) != 0)) {
                timer->due_boot = now->boot + (timer->due_real - now->real);
                save(t, timer);
        }
}

/* -EUCLEAN: what there is is no table, or a damaged one. */
static int fail_of(struct timers *t, struct why *why) {
        int code = sqlite3_errcode(t->db);

        return because(why, code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? -EUCLEAN : -EIO, "%s",
                       sqlite3_errmsg(t->db));
}

static bool is_known(const struct timers *t, int64_t id) {
        for (size_t i = 0; i < t->n; i++)
                if (t->timers[i].id == id)
                        return true;
        return false;
}

/* Those that are not known yet, from one end or the other up to where it can not be read. */
static int load_rows(struct timers *t, const char *order, const struct moment *now, struct why *why) {
        sqlite3_stmt *s;
        char text[256];
        int result;

        (void) snprintf(text, sizeof(text), "SELECT " COLUMNS " FROM timers ORDER BY id %s", order);
        if (sqlite3_prepare_v2(t->db, text, -1, &s, NULL) != SQLITE_OK)
                return fail_of(t, why);
        while ((result = sqlite3_step(s)) == SQLITE_ROW && t->n < TIMERS_MAX)
                if (!is_known(t, sqlite3_column_int64(s, COLUMN_ID)))
                        load_row(t, s, now);
        (void) sqlite3_finalize(s);
        return result == SQLITE_DONE || result == SQLITE_ROW ? 0 : fail_of(t, why);
}

static int load(struct timers *t, const struct moment *now, struct why *why) {
        int r;

        if (sqlite3_exec(t->db, schema, NULL, NULL, NULL) != SQLITE_OK)
                return fail_of(t, why);
        r = load_rows(t, "ASC", now, why);
        if (r == -EUCLEAN)
                (void) load_rows(t, "DESC", now, NULL);
        return r;
}

static int open_file(struct timers *t, const char *path, struct why *why) {
        if (sqlite3_open(path, &t->db) != SQLITE_OK)
                return because(why, -EIO, "%s: %s", path, sqlite3_errmsg(t->db));
        (void) sqlite3_busy_timeout(t->db, 1000);
        return 0;
}

/* A new table with what could be read of the damaged one, which stays beside it. */
static int begin_anew(struct timers *t, const char *path, struct why *why) {
        static const char *const suffixes[] = { "", "-wal", "-shm" };
        char aside[PATH_MAX], from[PATH_MAX + 8], to[PATH_MAX + 8];
        int r;

        (void) sqlite3_close(t->db);
        t->db = NULL;
        (void) snprintf(aside, sizeof(aside), "%.*s.damaged-%lld", PATH_MAX - 64, path,
                        (long long) time(NULL));
        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
                (void) snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
                (void) snprintf(to, sizeof(to), "%s%s", aside, suffixes[i]);
                if (rename(from, to) < 0 && errno != ENOENT)
                        return because(why, -errno, "%s: %s", from, strerror(errno));
        }
        r = open_file(t, path, why);
        if (r < 0)
                return r;
        if (sqlite3_exec(t->db, schema, NULL, NULL, NULL) != SQLITE_OK)
                return fail_of(t, why);
        for (size_t i = 0; i < t->n; i++)
                save(t, &t->timers[i]);
        log_warning("The table of timers was damaged; %zu of them could be read, and the damaged "
                    "one is %s",
                    t->n, aside);
        return 0;
}

/* Rows that were read from both ends come in the order of their numbers. */
static int compare_ids(const void *a, const void *b) {
        int64_t left = ((const struct timer *) a)->id, right = ((const struct timer *) b)->id;

        return left < right ? -1 : left > right;
}

int timers_open(struct timers **ret,
                const char *directory,
                const char *boot_id,
                const struct moment *now,
                struct why *why) {
        _cleanup_(timers_closep) struct timers *t = calloc(1, sizeof(*t));
        char path[PATH_MAX] = ":memory:";
        int r;

        if (!t)
                return because(why, -ENOMEM, "out of memory");
        t->boot_id = strdup(boot_id);
        if (!t->boot_id)
                return because(why, -ENOMEM, "out of memory");
        if (directory && snprintf(path, sizeof(path), "%s/desktop.sqlite", directory) >= PATH_MAX)
                return because(why, -ENAMETOOLONG, "%.100s...: the path is too long", directory);
        r = open_file(t, path, why);
        if (r < 0)
                return r;
        r = load(t, now, why);
        if (r == -EUCLEAN && directory)
                r = begin_anew(t, path, why);
        if (r < 0)
                return because_in(why, r, path);
        qsort(t->timers, t->n, sizeof(t->timers[0]), compare_ids);
        t->is_loaded = true;
        t->last_id = t->n > 0 ? t->timers[t->n - 1].id : 0;
        timers_reconcile(t, now);

        *ret = TAKE_PTR(t);
        return 0;
}

struct timers *timers_close(struct timers *t) {
        if (!t)
                return NULL;

        catch_up(t);
        (void) sqlite3_close(t->db);
        free(t->boot_id);
        free(t);
        return NULL;
}

static struct timer *find(const struct timers *t, int64_t id) {
        for (size_t i = 0; i < t->n; i++)
                if (t->timers[i].id == id)
                        return (struct timer *) &t->timers[i];
        return NULL;
}

/* At most so much of a name, and never half a character, on one line. */
static void copy_name(char *ret, const char *name) {
        size_t n = strlen(name);

        utf8_trim(&name, &n);
        if (n >= TIMER_NAME_SIZE)
                n = TIMER_NAME_SIZE - 1;
        while (name[n] && ((unsigned char) name[n] & 0xc0) == 0x80)
                n--;
        memcpy(ret, name, n);
        ret[n] = 0;
        for (; *ret; ret++)
                if ((unsigned char) *ret < ' ' || *ret == 0x7f)
                        *ret = ' ';
}

static int add(struct timers *t, const char *name, struct timer timer, const struct timer **ret) {
        if (t->n == TIMERS_MAX)
                return -ENOSPC;
        timer.id = ++t->last_id;
        copy_name(timer.name, name ? name : "");
        t->timers[t->n] = timer;
        *ret = &t->timers[t->n++];
        save(t, *ret);
        return 0;
}

int timers_add(struct timers *t,
               const char *name,
               int64_t duration,
               const struct moment *now,
               const struct timer **ret) {
        const struct timer timer = {
                .duration = duration,
                .due_real = now->real + duration,
                .due_boot = now->boot + duration,
        };

        if (duration <= 0 || duration > TIMER_MAX_USEC)
                return -EINVAL;
        return add(t, name, timer, ret);
}

int timers_add_alarm(struct timers *t,
                     const char *name,
                     const struct wall *wall,
                     const struct moment *now,
                     const struct timer **ret) {
        struct timer timer = { .is_alarm = true, .wall = *wall };

        timer.due_real = real_of(&timer, now);
        return add(t, name, timer, ret);
}

int timers_remove(struct timers *t, int64_t id) {
        struct timer *timer = find(t, id);

        if (!timer)
                return -ENOENT;
        memmove(timer, timer + 1, (size_t) (&t->timers[t->n] - (timer + 1)) * sizeof(*timer));
        t->n--;
        if (t->is_behind)
                catch_up(t);
        else
                note(t, erase_row(t, id));
        return 0;
}

int timers_pause(struct timers *t, int64_t id, const struct moment *now) {
        struct timer *timer = find(t, id);

        if (!timer)
                return -ENOENT;
        if (timer->is_paused || timer->is_ringing || timer->is_alarm)
                return -EINVAL;
        timer->left = timers_left(timer, now);
        timer->is_paused = true;
        timer->due_real = timer->due_boot = 0;
        save(t, timer);
        return 0;
}

static void run_from(struct timer *timer, int64_t usec, const struct moment *now) {
        timer->due_real = now->real + usec;
        timer->due_boot = now->boot + usec;
        timer->left = 0;
        timer->is_paused = timer->is_ringing = false;
}

int timers_resume(struct timers *t, int64_t id, const struct moment *now) {
        struct timer *timer = find(t, id);

        if (!timer)
                return -ENOENT;
        if (!timer->is_paused)
                return -EINVAL;
        run_from(timer, timer->left, now);
        save(t, timer);
        return 0;
}

int timers_extend(struct timers *t, int64_t id, int64_t usec, const struct moment *now) {
        struct timer *timer = find(t, id);

        if (!timer)
                return -ENOENT;
        if (timer->is_alarm || usec <= 0 || usec > TIMER_MAX_USEC - timer->duration)
                return -EINVAL;
        timer->duration += usec;
        if (timer->is_paused)
                timer->left += usec;
        else
                run_from(timer, timers_left(timer, now) + usec, now);
        save(t, timer);
        return 0;
}

int timers_snooze(struct timers *t, int64_t id, int64_t usec, const struct moment *now) {
        struct timer *timer = find(t, id);

        if (!timer)
                return -ENOENT;
        if (usec <= 0 || usec > TIMER_MAX_USEC)
                return -EINVAL;
        timer->is_snoozed = true;
        run_from(timer, usec, now);
        save(t, timer);
        return 0;
}

const struct timer *timers_all(const struct timers *t, size_t *ret_n) {
        *ret_n = t->n;
        return t->timers;
}

const struct timer *timers_find(const struct timers *t, int64_t id) {
        return find(t, id);
}

int64_t timers_left(const struct timer *timer, const struct moment *now) {
        int64_t left;

        if (timer->is_paused)
                return timer->left;
        left = is_on_wall(timer) ? timer->due_real - now->real : timer->due_boot - now->boot;
        return left > 0 ? left : 0;
}

void timers_reconcile(struct timers *t, const struct moment *now) {
        for (size_t i = 0; i < t->n; i++) {
                struct timer *timer = &t->timers[i];
                int64_t real = timer->is_paused ? 0 : real_of(timer, now);
                int64_t moved = real - timer->due_real;

                timer->due_real = real;
                if (moved > NOTABLE_USEC || moved < -NOTABLE_USEC)
                        note(t, write_row(t, timer));
        }
        catch_up(t);
}

bool timers_are_behind(const struct timers *t) {
        return t->is_behind;
}

static bool waits(const struct timer *timer) {
        return !timer->is_paused && !timer->is_ringing;
}

int64_t timers_next(const struct timers *t) {
        int64_t next = INT64_MAX;

        for (size_t i = 0; i < t->n; i++)
                if (waits(&t->timers[i]) && t->timers[i].due_real < next)
                        next = t->timers[i].due_real;
        return next;
}

const struct timer *timers_take_due(struct timers *t, const struct moment *now) {
        for (size_t i = 0; i < t->n; i++)
                if (waits(&t->timers[i]) && timers_left(&t->timers[i], now) == 0) {
                        t->timers[i].is_ringing = true;
                        return &t->timers[i];
                }
        return NULL;
}
