/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/store/store-internal.h"

#define DAMAGED_PREFIX "history.damaged-"

/* Past a page that can not be read it goes on with steps that double, up to this number of turns. */
#define SALVAGE_MAX_STEP (1 << 20)

static const char *const suffixes[] = { "", "-wal", "-shm" };

/* Renames the database and its journal.  name: of the damaged file, in the same directory. */
int store_put_aside(int directory_fd, char *name, size_t size, struct why *why) {
        int r = 0;

        (void) snprintf(name, size, DAMAGED_PREFIX "%lld.sqlite", (long long) time(NULL));
        for (unsigned i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
                char from[64], to[NAME_MAX];

                (void) snprintf(from, sizeof(from), STORE_FILE "%s", suffixes[i]);
                (void) snprintf(to, sizeof(to), "%s%s", name, suffixes[i]);
                if (renameat(directory_fd, from, directory_fd, to) < 0 && errno != ENOENT)
                        r = because(why, -errno, "%s: %s", from, strerror(errno));
        }
        return r;
}

void store_drop_aside(const struct store *s) {
        int fd = openat(s->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!directory) {
                closep(&fd);
                return;
        }
        while ((entry = readdir(directory)))
                if (strncmp(entry->d_name, DAMAGED_PREFIX, strlen(DAMAGED_PREFIX)) == 0)
                        (void) unlinkat(s->directory_fd, entry->d_name, 0);
        (void) closedir(directory);
}

/* The damaged file is read through a connection of its own, whose errors are not those of ours. */
struct salvage {
        struct store *to;
        struct store from; /* only what reading needs of it */
        sqlite3_stmt *next, *session;
        unsigned n;
};

static int adopt(const struct record *turn, void *userdata) {
        struct salvage *v = userdata;
        struct why why = {};
        int r;

        (void) sqlite3_bind_int64(v->session, 1, (sqlite3_int64) turn->session);
        (void) sqlite3_bind_int64(v->session, 2, (sqlite3_int64) turn->began_us);
        (void) sqlite3_bind_text(v->session, 3, turn->model, -1, SQLITE_STATIC);
        (void) sqlite3_step(v->session);
        (void) sqlite3_reset(v->session);

        v->to->session = (sqlite3_int64) turn->session;
        r = store_append_row(v->to, turn, &why);
        if (r >= 0)
                v->n++;
        return r;
}

/* The next id from at on; 0: there is none, -EBADMSG: a damaged page is in the way. */
static int next_id(struct salvage *v, int64_t at, int64_t *ret) {
        int result;

        *ret = 0;
        (void) sqlite3_bind_int64(v->next, 1, at);
        result = sqlite3_step(v->next);
        if (result == SQLITE_ROW)
                *ret = sqlite3_column_int64(v->next, 0);
        (void) sqlite3_reset(v->next);
        return result == SQLITE_ROW || result == SQLITE_DONE ? 0 : -EBADMSG;
}

static void copy_turns(struct salvage *v) {
        const struct store_visitor visitor = { adopt, v };
        int64_t at = 0, step = 1;

        while (step <= SALVAGE_MAX_STEP) {
                struct why why = {};
                int64_t id;

                if (next_id(v, at, &id) < 0) {
                        at += step;
                        step *= 2;
                        continue;
                }
                if (id == 0)
                        break;
                if (store_show(&v->from, (uint64_t) id, &visitor, &why) >= 0)
                        step = 1;
                at = id + 1;
        }
}

/* Numbers may not be given twice.  The days are not carried over: the turns are new here. */
static void copy_number(struct salvage *v) {
        char sql[96];
        sqlite3_int64 last = 0;
        struct why why = {};

        if (store_query(&v->from, "SELECT last_turn FROM numbers", &last, &why) < 0)
                return;
        (void) snprintf(sql, sizeof(sql), "UPDATE numbers SET last_turn = %lld", (long long) last);
        (void) store_execute(v->to, sql, &why);
}

static int open_damaged(struct salvage *v, const char *path, struct why *why) {
        if (sqlite3_open_v2(path, &v->from.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
                    SQLITE_OK ||
            sqlite3_prepare_v2(v->from.db, store_statement(STATEMENT_SHOW), -1,
                               &v->from.prepared[STATEMENT_SHOW], NULL) != SQLITE_OK ||
            sqlite3_prepare_v2(v->from.db, "SELECT id FROM turns WHERE id >= ? ORDER BY id LIMIT 1",
                               -1, &v->next, NULL) != SQLITE_OK)
                return store_failed(&v->from, why);
        if (sqlite3_prepare_v2(v->to->db,
                               "INSERT OR IGNORE INTO sessions (id, began, version, model)"
                               " VALUES (?, ?, '', ?)",
                               -1, &v->session, NULL) != SQLITE_OK)
                return store_failed(v->to, why);
        return 0;
}

unsigned store_salvage(struct store *s, const char *name) {
        struct salvage v = { .to = s };
        struct why why = {};
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s", s->directory, name) >= (int) sizeof(path))
                return 0;
        if (open_damaged(&v, path, &why) >= 0 && store_execute(s, "BEGIN IMMEDIATE", &why) >= 0) {
                copy_turns(&v);
                copy_number(&v);
                if (store_end(s, 0, &why) < 0)
                        v.n = 0;
        }
        s->session = 0;
        (void) sqlite3_finalize(v.next);
        (void) sqlite3_finalize(v.session);
        (void) sqlite3_finalize(v.from.prepared[STATEMENT_SHOW]);
        (void) sqlite3_close(v.from.db);
        return v.n;
}
