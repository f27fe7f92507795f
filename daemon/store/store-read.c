/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/wipe.h"
#include "daemon/store/store-internal.h"
#include "ipc/limits.h"

/* What can be searched for at once.  A word of one byte becomes at most five. */
#define STORE_MAX_QUERY (5 * LIMIT_WORDS_SIZE + 1)

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
                .framing = sqlite3_column_double(statement, at + 6),
                .caching = sqlite3_column_double(statement, at + 7),
                .n_frames = column_unsigned(statement, at + 8),
                .n_prompt_positions = column_unsigned(statement, at + 9),
                .n_tokens = column_unsigned(statement, at + 10),
                .largest_backlog = column_unsigned(statement, at + 11),
        };
}

static void copy_text(sqlite3_stmt *statement, int at, char *ret, size_t size) {
        const char *text = (const char *) sqlite3_column_text(statement, at);

        (void) snprintf(ret, size, "%s", text ? text : "");
}

static struct remote_record column_remote(sqlite3_stmt *statement, int at) {
        struct remote_record remote = {
                .n_sent = (uint64_t) sqlite3_column_int64(statement, at + 2),
                .n_received = (uint64_t) sqlite3_column_int64(statement, at + 3),
                .asked = column_time(statement, at + 4),
                .first = column_time(statement, at + 5),
        };

        copy_text(statement, at, remote.server, sizeof(remote.server));
        copy_text(statement, at + 1, remote.error, sizeof(remote.error));
        return remote;
}

/* The row at hand of a statement that reads turns.  -EBADMSG when it is not as we write it. */
static int read_row(sqlite3_stmt *statement, struct record *ret) {
        const char *origin = (const char *) sqlite3_column_text(statement, 3);
        const char *outcome = (const char *) sqlite3_column_text(statement, 7);
        const char *unanswered = (const char *) sqlite3_column_text(statement, 22);
        const char *ending = (const char *) sqlite3_column_text(statement, 24);

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
                .is_cut = sqlite3_column_int(statement, 21) != 0,
                .hint = (const char *) sqlite3_column_text(statement, 23),
                .model = (const char *) sqlite3_column_text(statement, 25),
                .remote = column_remote(statement, 26),
        };
        if (!origin || !outcome || !ret->heard || !ret->answered || !ret->calls_json || !ret->model)
                return -EBADMSG;
        if (unanswered && unanswered_from_name(unanswered, &ret->unanswered) < 0)
                return -EBADMSG;
        if (ending && ending_from_name(ending, &ret->ending) < 0)
                return -EBADMSG;
        if (origin_from_name(origin, &ret->origin) < 0)
                return -EBADMSG;
        return outcome_from_name(outcome, &ret->outcome) < 0 ? -EBADMSG : 0;
}

/* 1: a row was visited and there may be more; 0: no more wanted. */
static int visit_row(struct store *s,
                     sqlite3_stmt *statement,
                     const struct store_visitor *visitor,
                     struct why *why) {
        struct record record;
        int r;

        r = sqlite3_step(statement);
        if (r == SQLITE_DONE)
                return 0;
        if (r != SQLITE_ROW)
                return store_failed(s, why);

        r = read_row(statement, &record);
        if (r < 0)
                return because(why, r, "%s: a turn is damaged", STORE_FILE);
        r = visitor->visit(&record, visitor->userdata);
        if (r < 0)
                return because(why, r, "%s", strerror(-r));
        return r == 0;
}

/* A statement whose parameters are bound. */
static int visit_rows(struct store *s,
                      enum statement which,
                      const struct store_visitor *visitor,
                      struct why *why) {
        sqlite3_stmt *statement = s->prepared[which];
        int r;

        do
                r = visit_row(s, statement, visitor, why);
        while (r > 0);

        (void) sqlite3_reset(statement);
        (void) sqlite3_clear_bindings(statement);
        return r;
}

int store_history(struct store *s,
                  uint64_t before,
                  unsigned limit,
                  const struct store_visitor *visitor,
                  struct why *why) {
        sqlite3_stmt *statement;
        int r;

        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
        if (before == 0 || before > INT64_MAX)
                before = INT64_MAX;
        statement = s->prepared[STATEMENT_HISTORY];
        (void) sqlite3_bind_int64(statement, 1, (sqlite3_int64) before);
        (void) sqlite3_bind_int64(statement, 2, limit);
        return visit_rows(s, STATEMENT_HISTORY, visitor, why);
}

int store_show(struct store *s, uint64_t id, const struct store_visitor *visitor, struct why *why) {
        int r;

        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
        (void) sqlite3_bind_int64(s->prepared[STATEMENT_SHOW], 1, (sqlite3_int64) id);
        return visit_rows(s, STATEMENT_SHOW, visitor, why);
}

/* One word in the language of FTS5: between double quotes, those within it doubled, so that nothing
 * in it has a meaning but a * at its end.  Returns where the writing ended. */
static char *write_word(char *out, const char *word, size_t size) {
        bool is_prefix = size > 1 && word[size - 1] == '*';

        *out++ = '"';
        for (size_t i = 0; i < size - is_prefix; i++) {
                if (word[i] == '"')
                        *out++ = '"';
                *out++ = word[i];
        }
        *out++ = '"';
        if (is_prefix)
                *out++ = '*';
        *out++ = ' ';
        return out;
}

/* How many words there are; the query is in out. */
static unsigned write_query(char out[static STORE_MAX_QUERY], const char *words) {
        unsigned n = 0;

        for (;;) {
                size_t size;

                while (*words && isspace((unsigned char) *words))
                        words++;
                size = strcspn(words, " \t\r\n\v\f");
                if (size == 0)
                        break;
                out = write_word(out, words, size);
                words += size;
                n++;
        }
        *out = '\0';
        return n;
}

int store_search(struct store *s,
                 const char *words,
                 unsigned limit,
                 const struct store_visitor *visitor,
                 struct why *why) {
        sqlite3_stmt *statement;
        char query[STORE_MAX_QUERY];
        unsigned n;
        int r;

        if (strlen(words) > LIMIT_WORDS_SIZE)
                return because(why, -EINVAL, "more than %d bytes of words", LIMIT_WORDS_SIZE);
        n = write_query(query, words);
        if (n == 0)
                return because(why, -EINVAL, "no words");
        if (n > LIMIT_WORDS)
                return because(why, -EINVAL, "more than %d words", LIMIT_WORDS);

        r = store_ensure_open(s, why);
        if (r < 0)
                return r;
        statement = s->prepared[STATEMENT_SEARCH];
        (void) sqlite3_bind_text(statement, 1, query, -1, SQLITE_TRANSIENT);
        (void) sqlite3_bind_int64(statement, 2, limit);
        r = visit_rows(s, STATEMENT_SEARCH, visitor, why);
        wipe(query, sizeof(query));
        return r;
}
