/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/store/store-internal.h"

/* The connection is opened when somebody reads, and closed whenever the store changes the file that has
 * the name: so no page of a file that held what was forgotten stays in memory, or on the disk. */
struct store_reader {
        pthread_mutex_t mutex;   /* recursive; the store holds it while it changes files */
        struct store connection; /* under the mutex; of a store it has only what reading needs */
        char path[PATH_MAX];
        struct store *store; /* not owned */
        atomic_bool has_met_damage;
};

int store_reader_new(struct store_reader **ret, struct store *s, struct why *why) {
        pthread_mutexattr_t attributes;
        struct store_reader *reader;

        reader = calloc(1, sizeof(*reader));
        if (!reader)
                return because(why, -ENOMEM, "out of memory");
        if (snprintf(reader->path, sizeof(reader->path), "%s/%s", s->directory, STORE_FILE) >=
            (int) sizeof(reader->path)) {
                free(reader);
                return because(why, -ENAMETOOLONG, "%s: the path is too long", s->directory);
        }
        (void) pthread_mutexattr_init(&attributes);
        (void) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
        (void) pthread_mutex_init(&reader->mutex, &attributes);
        (void) pthread_mutexattr_destroy(&attributes);
        reader->store = s;
        s->reader = reader;
        *ret = reader;
        return 0;
}

struct store_reader *store_reader_free(struct store_reader *reader) {
        if (!reader)
                return NULL;
        reader->store->reader = NULL;
        store_close_database(&reader->connection);
        (void) pthread_mutex_destroy(&reader->mutex);
        free(reader);
        return NULL;
}

void store_keep_out(struct store *s) {
        if (!s->reader)
                return;
        (void) pthread_mutex_lock(&s->reader->mutex);
        store_close_database(&s->reader->connection);
}

void store_let_in(struct store *s) {
        if (s->reader)
                (void) pthread_mutex_unlock(&s->reader->mutex);
}

bool store_take_damage(struct store *s) {
        return s->reader && atomic_exchange(&s->reader->has_met_damage, false);
}

/* 1: open; 0: there is no file, which the store begins anew when it is used next. */
static int open_connection(struct store_reader *reader, struct why *why) {
        static const char pragmas[] = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;"
                                      "PRAGMA temp_store = MEMORY";
        struct store *c = &reader->connection;
        struct stat st;
        int r;

        /* Not by opening it: where a process closes a file, all its locks on that are gone. */
        if (lstat(reader->path, &st) < 0)
                return errno == ENOENT
                               ? 0
                               : because(why, -errno, "%s: %s", reader->path, strerror(errno));
        if (c->db && (st.st_ino != c->inode || st.st_dev != c->device))
                store_close_database(c);
        if (c->db)
                return 1;
        if (!S_ISREG(st.st_mode))
                return because(why, -ELOOP, "%s: not a file", reader->path);
        c->inode = st.st_ino;
        c->device = st.st_dev;
        c->is_damaged = false;
        r = store_connect(c, reader->path, why);
        if (r >= 0)
                r = store_execute(c, pragmas, why);
        if (r >= 0)
                r = store_prepare(c, STATEMENT_HISTORY, why);
        if (r < 0)
                store_close_database(c);
        return r < 0 ? r : 1;
}

static int read_turns(struct store *c,
                      const struct store_query *query,
                      const struct store_visitor *visitor,
                      struct why *why) {
        switch (query->kind) {
        case STORE_HISTORY:
                return store_history(c, query->id, query->limit, visitor, why);
        case STORE_SHOW:
                return store_show(c, query->id, visitor, why);
        case STORE_SEARCH:
                return store_search(c, query->words, query->limit, visitor, why);
        }
        return because(why, -EINVAL, "no such query");
}

int store_read(struct store_reader *reader,
               const struct store_query *query,
               const struct store_visitor *visitor,
               struct why *why) {
        int r;

        (void) pthread_mutex_lock(&reader->mutex);
        r = open_connection(reader, why);
        if (r > 0)
                r = read_turns(&reader->connection, query, visitor, why);
        if (reader->connection.is_damaged) {
                store_close_database(&reader->connection);
                atomic_store(&reader->has_met_damage, true);
        }
        (void) pthread_mutex_unlock(&reader->mutex);
        return r;
}
