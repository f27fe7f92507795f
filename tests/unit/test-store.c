/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"

#define N_KILLS 100

static char directory[64];

/* Every rule has a directory of its own, which does not exist yet. */
static void new_directory(void) {
        static unsigned n;
        static char root[] = "/tmp/test-store-XXXXXX";

        if (n == 0)
                expect(mkdtemp(root));
        (void) snprintf(directory, sizeof(directory), "%s/a/%u", root, n++);
}

static void remove_all(void) {
        char command[96];
        char *a = strstr(directory, "/a/");

        if (!a)
                return;
        *a = '\0';
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        (void) !system(command);
}

static const char *file(void) {
        static char path[96];

        (void) snprintf(path, sizeof(path), "%s/history.sqlite", directory);
        return path;
}

static struct store *opened(void) {
        struct store *s = NULL;
        struct why why = {};

        if (store_open(&s, directory, &why) < 0)
                printf("# %s\n", why.text);
        expect(s);
        return s;
}

static int append_text(struct store *s, uint64_t id, const char *heard, const char *answered) {
        struct record record = {
                .id = id,
                .began_us = 1000 + id,
                .origin = ORIGIN_AUDIO,
                .outcome = OUTCOME_ANSWERED,
                .heard = heard,
                .heard_size = strlen(heard),
                .answered = answered,
                .answered_size = strlen(answered),
                .calls_json = "[{\"name\":\"get_time\",\"arguments\":{}}]",
                .timings = timings_none(),
                .remote = { "https://a/v1", "it broke off", 1234, 567, 1.5, TIME_NEVER },
        };
        struct why why = {};

        record.is_cut = true;
        record.unanswered = UNANSWERED_NOT_UNDERSTOOD;
        record.hint = "set a timer";
        record.ending = ENDING_OPEN;
        record.timings.done = 12.5;
        record.timings.framing = 2.5;
        record.timings.caching = 3.5;
        record.timings.largest_backlog = 9;
        record.timings.first_frame = 1.5;
        record.timings.n_tokens = 7;
        return store_append(s, &record, &why);
}

static int append(struct store *s, uint64_t id) {
        return append_text(s, id, "what time is it", "It is ten.");
}

static struct store *begun(void) {
        struct store *s = opened();
        struct why why = {};

        expect(store_begin_session(s, 1, "0.1", "pocket", &why) == 0);
        return s;
}

struct seen {
        unsigned n;
        uint64_t ids[16];
        struct record last;
        char heard[64], model[64], hint[64];
};

static int see(const struct record *record, void *userdata) {
        struct seen *seen = userdata;

        if (seen->n < 16)
                seen->ids[seen->n] = record->id;
        seen->n++;
        seen->last = *record;
        (void) snprintf(seen->heard, sizeof(seen->heard), "%s", record->heard);
        (void) snprintf(seen->hint, sizeof(seen->hint), "%s", record->hint ? record->hint : "");
        (void) snprintf(seen->model, sizeof(seen->model), "%s", record->model);
        return 0;
}

static void a_new_store_is_private(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct stat st;

        new_directory();
        s = opened();
        expect(stat(directory, &st) == 0 && (st.st_mode & 0777) == 0700);
        expect(stat(file(), &st) == 0 && (st.st_mode & 0777) == 0600);
}

static void a_turn_comes_back_as_it_was(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct why why = {};

        new_directory();
        s = begun();
        expect(append(s, 5) == 0);
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) == 0);
        expect(seen.n == 1 && seen.last.id == 5 && seen.last.session == store_session(s));
        expect(strcmp(seen.heard, "what time is it") == 0 && strcmp(seen.model, "pocket") == 0);
        expect(seen.last.origin == ORIGIN_AUDIO && seen.last.outcome == OUTCOME_ANSWERED);
        expect(strcmp(seen.last.remote.server, "https://a/v1") == 0 &&
               strcmp(seen.last.remote.error, "it broke off") == 0 && seen.last.remote.n_sent == 1234 &&
               seen.last.remote.n_received == 567 && seen.last.remote.asked > 1.4 && seen.last.remote.first < 0);
        expect(!seen.last.error && seen.last.timings.n_tokens == 7);
        expect(seen.last.timings.done > 12.4 && seen.last.timings.first_frame > 1.4);
        expect(seen.last.timings.prefilled < 0 && seen.last.timings.largest_backlog == 9);
        expect(seen.last.timings.framing > 2.4 && seen.last.timings.framing < 2.6);
        expect(seen.last.timings.caching > 3.4 && seen.last.is_cut);
        expect(seen.last.unanswered == UNANSWERED_NOT_UNDERSTOOD);
        expect(seen.last.ending == ENDING_OPEN && strcmp(seen.hint, "set a timer") == 0);
}

static void every_outcome_comes_back(void) {
        static const enum outcome outcomes[] = { OUTCOME_ANSWERED, OUTCOME_CUT, OUTCOME_REPEATED,
                                                 OUTCOME_CANCELLED, OUTCOME_FAILED };
        struct record record = { .calls_json = "[]", .timings = timings_none() };
        _cleanup_(store_closep) struct store *s = NULL;
        struct why why = {};

        new_directory();
        s = begun();
        record.timings.done = 1;
        for (unsigned i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
                struct seen seen = {};

                record.id = i + 1;
                record.outcome = outcomes[i];
                expect(store_append(s, &record, &why) == 0);
                expect(store_history(s, 0, 1, &(struct store_visitor){ see, &seen }, &why) == 0);
                expect(seen.n == 1 && seen.last.outcome == outcomes[i]);
        }
}

static void history_is_newest_first_and_pages(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct why why = {};

        new_directory();
        s = begun();
        for (uint64_t id = 1; id <= 5; id++)
                expect(append(s, id) == 0);
        expect(store_history(s, 0, 2, &(struct store_visitor){ see, &seen }, &why) == 0);
        expect(seen.n == 2 && seen.ids[0] == 5 && seen.ids[1] == 4);

        seen.n = 0;
        expect(store_history(s, 4, 10, &(struct store_visitor){ see, &seen }, &why) == 0);
        expect(seen.n == 3 && seen.ids[0] == 3 && seen.ids[2] == 1);

        seen.n = 0;
        expect(store_history(s, UINT64_MAX, 0, &(struct store_visitor){ see, &seen }, &why) == 0);
        expect(seen.n == 0);
}

static void a_store_is_reopened_with_its_turns(void) {
        struct store *s;
        struct seen seen = {};
        struct why why = {};
        uint64_t last = 0;

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        store_close(s);

        s = begun();
        expect(store_session(s) == 2);
        expect(store_last_turn(s, &last, &why) == 0 && last == 1);
        expect(append(s, 2) == 0);
        expect(append(s, 2) == -EEXIST);
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) == 0 &&
               seen.n == 2);
        store_close(s);
}

static void a_transcript_can_come_later(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct why why = {};

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        expect(store_set_heard(s, 1, "later", 5, &why) == 0);
        expect(store_set_heard(s, 2, "later", 5, &why) == -ENOENT);
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) == 0);
        expect(strcmp(seen.heard, "later") == 0);
}

static void a_second_daemon_is_kept_out(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct store *other = NULL;
        struct why why = {};

        new_directory();
        s = opened();
        expect(store_open(&other, directory, &why) == -EBUSY && !other);
        expect(strstr(why.text, "in use"));
}

static void raw(const char *sql) {
        sqlite3 *db;

        expect(sqlite3_open(file(), &db) == SQLITE_OK);
        expect(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
        (void) sqlite3_close(db);
}

static int on_row(void *userdata, int n, char **values, char **names) {
        char *copy = userdata;

        (void) n;
        (void) names;
        (void) snprintf(copy, 64, "%s", values[0]);
        return 0;
}

static void ask_raw(const char *sql, char ret[static 64]) {
        sqlite3 *db;

        ret[0] = '\0';
        expect(sqlite3_open(file(), &db) == SQLITE_OK);
        expect(sqlite3_exec(db, sql, on_row, ret, NULL) == SQLITE_OK);
        (void) sqlite3_close(db);
}

static unsigned found(struct store *s, const char *words, struct seen *seen) {
        struct why why = {};

        *seen = (struct seen){};
        expect(store_search(s, words, 10, &(struct store_visitor){ see, seen }, &why) == 0);
        return seen->n;
}

static void words_are_found_in_both_texts(void) {
        static const struct {
                const char *words;
                unsigned n;
                uint64_t newest;
        } cases[] = {
                { "timer", 2, 3 },
                { "TIMER", 2, 3 },
                { "set five", 1, 1 },
                { "five set", 1, 1 },
                { "cafe", 1, 2 },
                { "open", 1, 2 },
                { "ope", 0, 0 },
                { "ope*", 1, 2 },
                { "open lamp", 0, 0 },
                { "  \ttimer \n", 2, 3 },
                /* Nothing of FTS5's own language has a meaning. */
                { "timer OR lamp", 0, 0 },
                { "heard:timer", 0, 0 },
                { "NOT timer", 0, 0 },
                { "\"timer", 2, 3 },
                { "timer\" OR \"lamp", 0, 0 },
                { "(timer)", 2, 3 },
                { "tim -er", 0, 0 },
                { "^timer", 2, 3 },
                { "*", 0, 0 },
                { "''", 0, 0 },
                { "\"", 0, 0 },
                { "\xff\xfe", 0, 0 },
        };
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen;

        new_directory();
        s = begun();
        expect(append_text(s, 1, "set a timer for five", "It runs.") == 0);
        expect(append_text(s, 2, "is the caf\xc3\xa9 there", "It is open.") == 0);
        expect(append_text(s, 3, "stop it", "The timer has ended.") == 0);
        expect(append_text(s, 4, "lamp", "") == 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                unsigned n = found(s, cases[i].words, &seen);

                if (n != cases[i].n || seen.ids[0] != cases[i].newest)
                        printf("# %s: %u\n", cases[i].words, n);
                expect(n == cases[i].n && seen.ids[0] == cases[i].newest);
        }
}

static void senseless_searches_are_refused(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        char many[256] = "", large[2048];
        struct seen seen = {};
        struct store_visitor visitor = { see, &seen };
        struct why why = {};

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        expect(store_search(s, "", 10, &visitor, &why) == -EINVAL);
        expect(store_search(s, " \t\n ", 10, &visitor, &why) == -EINVAL);
        for (unsigned i = 0; i < 32; i++)
                strcat(many, "it ");
        expect(store_search(s, many, 10, &visitor, &why) == 0 && seen.n == 1);
        strcat(many, "it");
        expect(store_search(s, many, 10, &visitor, &why) == -EINVAL);
        memset(large, '"', sizeof(large));
        large[1024] = '\0';
        expect(store_search(s, large, 10, &visitor, &why) == 0);
        large[1024] = '"';
        large[1025] = '\0';
        expect(store_search(s, large, 10, &visitor, &why) == -EINVAL);
}

static void a_late_transcript_is_found_and_what_it_replaced_is_not(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen;
        struct why why = {};

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        expect(store_set_heard(s, 1, "close the window", 16, &why) == 0);
        expect(found(s, "window", &seen) == 1 && found(s, "time", &seen) == 0);
        expect(found(s, "ten", &seen) == 1);
        raw("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
}

static void one_turn_is_shown(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct store_visitor visitor = { see, &seen };
        struct why why = {};

        new_directory();
        s = begun();
        expect(append(s, 1) == 0 && append_text(s, 2, "the second", "") == 0 && append(s, 3) == 0);
        expect(store_show(s, 2, &visitor, &why) == 0 && seen.n == 1);
        expect(strcmp(seen.heard, "the second") == 0);
        expect(store_show(s, 4, &visitor, &why) == 0 && seen.n == 1);
}

/* Whether the bytes are in any file of the directory; they are ASCII, of any case. */
static bool is_on_disk(const char *word) {
        char command[160];

        (void) snprintf(command, sizeof(command), "grep -rqai '%s' '%s'", word, directory);
        return system(command) == 0;
}

static uint64_t forget(struct store *s, struct store_span span) {
        struct why why = {};
        uint64_t ticket = 0;

        if (store_forget(s, &span, &ticket, &why) < 0 || store_settle(s, &why) < 0) {
                printf("# %s\n", why.text);
                return UINT64_MAX;
        }
        return store_n_forgotten(s, ticket);
}

/* Enough turns that pages split and cells move, with words of their own in some of them. */
static void fill(struct store *s) {
        char heard[2048];
        unsigned seed = 7;

        for (uint64_t id = 1; id <= 300; id++) {
                unsigned size = 0;

                seed = seed * 1103515245 + 12345;
                for (unsigned i = 0; i < 1 + (seed >> 16) % 150; i++)
                        size += (unsigned) snprintf(heard + size, sizeof(heard) - size, "w%u ",
                                                    (seed >> 8) % 5000 + i * 7);
                (void) snprintf(heard + size, sizeof(heard) - size, "%s",
                                id % 3 == 0   ? "xylophone"
                                : id % 3 == 1 ? "quagmire"
                                              : "zeppelin");
                expect(append_text(s, id, heard, id == 300 ? "syzygy" : "fine") == 0);
        }
}

static void what_was_forgotten_is_in_no_file(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct store_span span = STORE_SPAN_ALL;
        struct seen seen;
        struct why why = {};

        new_directory();
        s = begun();
        fill(s);
        expect(is_on_disk("xylophone") && is_on_disk("syzygy") && is_on_disk("zeppelin"));
        expect(store_set_heard(s, 299, "a kumquat", 9, &why) == 0);
        expect(found(s, "kumquat", &seen) == 1);

        span.first_id = span.last_id = 300;
        expect(forget(s, span) == 1);
        expect(!is_on_disk("syzygy") && is_on_disk("xylophone"));
        expect(found(s, "syzygy", &seen) == 0 && found(s, "kumquat", &seen) == 1);
        expect(forget(s, span) == 0);

        for (uint64_t id = 3; id < 300; id += 3) {
                span.first_id = span.last_id = id;
                if (id > 20)
                        span.last_id = 298;
                expect(forget(s, span) > 0);
                if (id > 20)
                        break;
        }
        expect(!is_on_disk("xylophone") && is_on_disk("kumquat") && is_on_disk("quagmire"));
        raw("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");

        expect(forget(s, STORE_SPAN_ALL) > 0);
        expect(!is_on_disk("kumquat") && !is_on_disk("quagmire") && !is_on_disk("fine"));
        expect(!is_on_disk("w[0-9][0-9]"));
        expect(append(s, 301) == 0 && found(s, "time", &seen) == 1);
}

static void a_number_is_given_once(void) {
        struct store_span last = { .first_id = 2, .last_id = 2, .began_to_us = INT64_MAX };
        struct why why = {};
        uint64_t number = 9;
        struct store *s;

        new_directory();
        s = begun();
        expect(store_last_number(s, &number, &why) == 0 && number == 0);
        expect(append(s, 1) == 0 && append(s, 2) == 0);
        expect(forget(s, last) == 1);
        expect(store_last_number(s, &number, &why) == 0 && number == 2);
        expect(append(s, 3) == 0 && forget(s, STORE_SPAN_ALL) == 2);
        store_close(s);

        s = begun();
        expect(store_last_turn(s, &number, &why) == 0 && number == 0);
        expect(store_last_number(s, &number, &why) == 0 && number == 3);
        store_close(s);
}

static void turns_are_forgotten_by_their_time(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct store_span since = STORE_SPAN_ALL, until = STORE_SPAN_ALL;
        struct seen seen = {};
        struct why why = {};

        new_directory();
        s = begun();
        for (uint64_t id = 1; id <= 5; id++)
                expect(append(s, id) == 0);
        since.began_from_us = 1005;
        expect(forget(s, since) == 1);
        until.began_to_us = 1002;
        expect(forget(s, until) == 2);
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) == 0);
        expect(seen.n == 2 && seen.ids[0] == 4 && seen.ids[1] == 3);
}

static void sessions_without_turns_go_with_them(void) {
        struct store *s;
        char answer[64];

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        store_close(s);
        s = begun();
        expect(append(s, 2) == 0);
        expect(forget(s, STORE_SPAN_ALL) == 2);
        ask_raw("SELECT group_concat(id) FROM sessions", answer);
        expect(strcmp(answer, "2") == 0);
        expect(append(s, 3) == 0);
        store_close(s);
}

static void a_forgetting_that_was_cut_short_is_ended_at_the_next_start(void) {
        struct store *s;

        new_directory();
        s = begun();
        fill(s);
        store_close(s);
        raw("PRAGMA secure_delete = OFF; DELETE FROM turns; UPDATE duties SET erase = 1");
        expect(is_on_disk("xylophone"));
        s = opened();
        expect(store_owes(s) && store_settle(s, &(struct why){}) == 0);
        expect(!is_on_disk("xylophone") && !is_on_disk("w[0-9][0-9]"));
        store_close(s);
}

/* The tables of version 1, as they were written. */
static void an_old_store_is_upgraded_with_its_turns(void) {
        struct store *s;
        struct seen seen;
        struct why why = {};
        char answer[64];
        int r;

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        store_close(s);
        raw("DROP TABLE words; DROP TABLE duties; DROP TABLE numbers; DROP TABLE days;"
            " DROP TABLE forgotten;"
            " ALTER TABLE turns DROP COLUMN framing_ms; ALTER TABLE turns DROP COLUMN caching_ms;"
            " ALTER TABLE turns DROP COLUMN cut; ALTER TABLE turns DROP COLUMN unanswered;"
            " ALTER TABLE turns DROP COLUMN hint; ALTER TABLE turns DROP COLUMN ending;"
            " ALTER TABLE turns DROP COLUMN stopped; ALTER TABLE turns DROP COLUMN remote;"
            " ALTER TABLE turns DROP COLUMN remote_error; ALTER TABLE turns DROP COLUMN remote_sent;"
            " ALTER TABLE turns DROP COLUMN remote_received; ALTER TABLE turns DROP COLUMN remote_asked_ms;"
            " ALTER TABLE turns DROP COLUMN remote_first_ms; PRAGMA user_version = 1");

        s = begun();
        expect(found(s, "time", &seen) == 1 && seen.ids[0] == 1);
        expect(append_text(s, 2, "lamp", "") == 0 && found(s, "lamp", &seen) == 1);
        ask_raw("PRAGMA user_version", answer);
        expect(strcmp(answer, "9") == 0 && store_is_due(s) && !store_owes(s));
        while ((r = store_erase(s, &why)) > 0)
                continue;
        expect(r == 0 && !store_is_due(s));
        ask_raw("PRAGMA user_version", answer);
        expect(strcmp(answer, "10") == 0);
        expect(found(s, "t*", &seen) == 1 && found(s, "lam*", &seen) == 1 && seen.ids[0] == 2);
        expect(append_text(s, 3, "lantern", "") == 0 && found(s, "la*", &seen) == 2);
        expect(forget(s, STORE_SPAN_ALL) == 3);
        store_close(s);
}

/* A reader holds on to the journal: that is told, and made up for later. */
static void a_reader_in_the_way_is_told(void) {
        struct store *s;
        struct store_span span = STORE_SPAN_ALL;
        struct seen seen = {};
        struct why why = {};
        uint64_t ticket = 0;
        sqlite3 *db;

        new_directory();
        s = begun();
        fill(s);
        expect(sqlite3_open(file(), &db) == SQLITE_OK);
        expect(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM turns", NULL, NULL, NULL) ==
               SQLITE_OK);
        expect(store_forget(s, &span, &ticket, &why) == 0 && store_settle(s, &why) == -EBUSY);
        expect(store_owes(s) && is_on_disk("xylophone"));
        expect(found(s, "xylophone", &seen) == 0);
        (void) sqlite3_close(db);
        expect(store_settle(s, &why) == 0 && !store_owes(s));
        expect(store_n_forgotten(s, ticket) == 300);
        expect(!is_on_disk("xylophone"));
        store_close(s);
}

/* Whether another process would find the lock that SQLite has on a file as long as it has it open, which is at this
 * place of the file. */
static bool is_held(void) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000002, .l_len = 510 };
        int status = 0;
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        if (pid == 0) {
                int fd = open(file(), O_RDWR | O_CLOEXEC);

                _exit(fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 ? 2 : lock.l_type != F_UNLCK);
        }
        expect(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) < 2);
        return WEXITSTATUS(status) == 1;
}

/* Another program that was the last to close the file would take its journal away, and with that what is
 * written to it afterwards: the lock that keeps it from that may not be lost to the erasing. */
static void the_new_file_is_held(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct store_span span = { .first_id = 2, .last_id = 2, .began_to_us = INT64_MAX };
        struct why why = {};
        uint64_t ticket;

        new_directory();
        s = begun();
        expect(append(s, 1) == 0 && append(s, 2) == 0);
        expect(is_held());
        expect(store_forget(s, &span, &ticket, &why) == 0 && store_settle(s, &why) == 0);
        expect(append(s, 3) == 0);
        expect(is_held());
}

/* Numbers of the turns that can be read, newest first, in "5 4 ". */
static const char *readable(struct store *s) {
        static char text[128];
        struct store_visitor visitor;
        struct seen seen = {};
        struct why why = {};

        visitor = (struct store_visitor){ see, &seen };
        expect(store_history(s, 0, 10, &visitor, &why) == 0);
        text[0] = '\0';
        for (unsigned i = 0; i < seen.n; i++)
                (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%llu ",
                                (unsigned long long) seen.ids[i]);
        return text;
}

/* From the note on nothing is shown; what comes before the end of the erasing is in the new file. */
static void the_store_is_used_while_it_erases(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct store_span span = { .first_id = 2, .last_id = 3, .began_to_us = INT64_MAX };
        struct seen seen = {};
        struct why why = {};
        uint64_t ticket, last = 0;

        new_directory();
        s = begun();
        expect(append(s, 1) == 0 && append_text(s, 2, "wombat", "") == 0);
        expect(append_text(s, 3, "badger", "") == 0);
        expect(store_forget(s, &span, &ticket, &why) == 0 && ticket > 0);
        expect(strcmp(readable(s), "1 ") == 0 && found(s, "wombat", &seen) == 0);
        /* Who is late with what was heard, or spoken, is told as when it is gone. */
        expect(store_set_heard(s, 2, "ocelot", 6, &why) == -ENOENT && !is_on_disk("ocelot"));
        expect(store_set_answered(s, 3, "ocelot", 6, &why) == -ENOENT && !is_on_disk("ocelot"));
        expect(store_last_turn(s, &last, &why) == 0 && last == 1);
        expect(store_erase(s, &why) == 1 && store_erase(s, &why) == 1);
        expect(append_text(s, 4, "kumquat", "") == 0 && store_note_day(s, 777, &why) == 1);
        expect(strcmp(readable(s), "4 1 ") == 0);
        expect(store_settle(s, &why) == 0 && store_n_forgotten(s, ticket) == 2);

        expect(!store_owes(s) && !is_on_disk("wombat") && !is_on_disk("badger"));
        expect(strcmp(readable(s), "4 1 ") == 0);
        expect(found(s, "kumquat", &seen) == 1 && found(s, "time", &seen) == 1);
        expect(store_note_day(s, 777, &why) == 0);
        expect(append(s, 5) == 0 && strcmp(readable(s), "5 4 1 ") == 0);
        raw("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
}

/* Until all of n turns have been copied, and the new file is not in its place yet: it begins with one turn
 * in a slice, and goes on with one or more. */
static void erase_to_the_last(struct store *s, unsigned n) {
        char path[128];
        struct why why = {};

        (void) snprintf(path, sizeof(path), "%s/history.fresh.sqlite", directory);
        expect(store_erase(s, &why) == 1 && access(path, F_OK) == 0);
        for (unsigned i = 1; i < n; i++)
                expect(store_erase(s, &why) == 1 && access(path, F_OK) == 0);
}

/* What was copied and is not true any more may not be in the new file. */
static void what_changes_while_it_erases_is_copied_again(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct store_span span = { .first_id = 1, .last_id = 1, .began_to_us = INT64_MAX };
        struct seen seen = {};
        struct why why = {};
        uint64_t first, second;

        new_directory();
        s = begun();
        expect(append_text(s, 1, "wombat", "") == 0 && append_text(s, 2, "badger", "") == 0);
        expect(append_text(s, 3, "lamp", "") == 0 && append_text(s, 4, "ocelot", "") == 0);
        expect(store_forget(s, &span, &first, &why) == 0);
        erase_to_the_last(s, 4);
        expect(store_set_heard(s, 3, "kumquat", 7, &why) == 0);
        expect(store_settle(s, &why) == 0 && store_n_forgotten(s, first) == 1);
        expect(found(s, "kumquat", &seen) == 1 && found(s, "lamp", &seen) == 0);

        span.first_id = span.last_id = 4;
        expect(store_forget(s, &span, &first, &why) == 0);
        erase_to_the_last(s, 3);
        span.first_id = span.last_id = 2;
        expect(store_forget(s, &span, &second, &why) == 0);
        expect(store_settle(s, &why) == 0);
        expect(store_n_forgotten(s, first) == 1 && store_n_forgotten(s, second) == 1);
        expect(!is_on_disk("wombat") && !is_on_disk("badger") && !is_on_disk("ocelot"));
        expect(strcmp(readable(s), "3 ") == 0);
}

/* The note outlives the process; the copy that was cut short does not. */
static void a_noted_forgetting_goes_on_at_the_next_start(void) {
        struct store_span span = { .first_id = 1, .last_id = 1, .began_to_us = INT64_MAX };
        struct seen seen = {};
        struct why why = {};
        struct store *s;
        uint64_t ticket;

        new_directory();
        s = begun();
        expect(append_text(s, 1, "wombat", "") == 0 && append(s, 2) == 0);
        expect(store_forget(s, &span, &ticket, &why) == 0 && store_erase(s, &why) == 1);
        store_close(s);
        expect(is_on_disk("wombat"));

        s = begun();
        expect(store_owes(s) && found(s, "wombat", &seen) == 0);
        expect(append(s, 3) == 0 && strcmp(readable(s), "3 2 ") == 0);
        expect(store_settle(s, &why) == 0 && !is_on_disk("wombat"));
        store_close(s);
        s = opened();
        expect(!store_owes(s) && strcmp(readable(s), "3 2 ") == 0);
        store_close(s);
}

/* Another program that has the file open, and does not read at the moment, must not share the journal
 * of the new one, nor take it away when it ends. */
static void who_has_the_old_file_does_no_harm(void) {
        struct store_span span = { .first_id = 1, .last_id = 1, .began_to_us = INT64_MAX };
        struct store *s;
        sqlite3 *db;
        char n[64];

        new_directory();
        s = begun();
        expect(append_text(s, 1, "wombat", "") == 0 && append(s, 2) == 0);
        expect(sqlite3_open(file(), &db) == SQLITE_OK);
        expect(sqlite3_exec(db, "SELECT count(*) FROM turns", NULL, NULL, NULL) == SQLITE_OK);
        expect(forget(s, span) == 1);
        expect(append(s, 3) == 0);
        (void) sqlite3_exec(db, "SELECT count(*) FROM turns", NULL, NULL, NULL);
        (void) sqlite3_close(db);
        expect(append(s, 4) == 0 && strcmp(readable(s), "4 3 2 ") == 0);
        ask_raw("SELECT count(*) FROM turns", n);
        expect(strcmp(n, "3") == 0);
        store_close(s);
        ask_raw("PRAGMA integrity_check", n);
        expect(strcmp(n, "ok") == 0);
}

static void what_is_open_to_others_is_closed(void) {
        struct why why = {};
        struct store *s = NULL;
        struct stat st;

        new_directory();
        store_close(begun());
        expect(chmod(file(), 0644) == 0 && chmod(directory, 0777) == 0);
        store_close(opened());
        expect(stat(file(), &st) == 0 && (st.st_mode & 0777) == 0600);
        expect(stat(directory, &st) == 0 && (st.st_mode & 0777) == 0700);

        new_directory();
        store_close(opened());
        expect(unlink(file()) == 0 && symlink("/dev/null", file()) == 0);
        expect(store_open(&s, directory, &why) == -ELOOP && strstr(why.text, "symbolic link"));
}

static struct record question(uint64_t id, const char *heard) {
        return (struct record){
                .id = id,
                .began_us = 1000 + id,
                .heard = heard,
                .heard_size = strlen(heard),
                .answered = "",
                .timings = timings_none(),
        };
}

/* Another program holds the lock for a while. */
static void what_can_not_be_written_waits(void) {
        struct record first = question(1, "first wombat"), second = question(2, "second wombat");
        struct seen seen = {};
        struct why why = {};
        struct store *s;
        sqlite3 *db;

        new_directory();
        s = begun();
        expect(sqlite3_open(file(), &db) == SQLITE_OK);
        expect(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
        expect(store_keep(s, &first, &why) == 1 && store_n_waiting(s) == 1);
        expect(strlen(store_waiting_for(s)) > 0);
        expect(store_keep(s, &second, &why) == 1 && store_n_waiting(s) == 2);
        expect(store_write_waiting(s, &why) < 0 && found(s, "wombat", &seen) == 0);
        expect(store_set_heard(s, 2, "a late wombat", 13, &why) == 0);
        (void) sqlite3_close(db);

        expect(store_write_waiting(s, &why) == 0 && store_n_waiting(s) == 0);
        expect(found(s, "wombat", &seen) == 2 && seen.ids[0] == 2 && seen.ids[1] == 1);
        expect(found(s, "late", &seen) == 1 && found(s, "second", &seen) == 0);
        store_close(s);
}

static void what_waits_can_be_forgotten(void) {
        struct record one = question(1, "a wombat"), two = question(2, "a badger");
        struct store_span span = STORE_SPAN_ALL;
        struct seen seen = {};
        struct why why = {};
        struct store *s;
        sqlite3 *db;
        uint64_t ticket;

        new_directory();
        s = begun();
        expect(sqlite3_open(file(), &db) == SQLITE_OK);
        expect(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
        expect(store_keep(s, &one, &why) == 1 && store_keep(s, &two, &why) == 1);
        span.last_id = 1;
        expect(store_forget(s, &span, &ticket, &why) == -EBUSY && store_n_waiting(s) == 1);
        (void) sqlite3_close(db);
        expect(store_keep(s,
                          &(struct record){
                                  .id = 3, .heard = "", .answered = "", .timings = timings_none() },
                          &why) == 0);
        expect(found(s, "wombat", &seen) == 0 && found(s, "badger", &seen) == 1);
        store_close(s);
}

/* ... and is the last one, before all that are in the file. */
static void the_last_turn_may_be_one_that_waits(void) {
        struct record one = question(1, "a wombat"), two = question(2, "a badger"), again = question(1, "a gnu");
        struct seen seen = {};
        struct why why = {};
        struct store *s;
        uint64_t ticket;

        new_directory();
        s = begun();
        expect(store_forget_last(s, &ticket, &why) == 0 && ticket == 0);
        expect(store_keep(s, &one, &why) == 0);
        /* A number that is taken already: it waits, and so does what comes after it. */
        expect(store_keep(s, &again, &why) == 1 && store_keep(s, &two, &why) == 1);
        expect(store_forget_last(s, &ticket, &why) == 0 && store_n_waiting(s) == 1);
        expect(store_settle(s, &why) == 0 && store_n_forgotten(s, ticket) == 1);
        expect(found(s, "wombat", &seen) == 1);
        expect(store_forget_last(s, &ticket, &why) == 0 && store_n_waiting(s) == 0);
        expect(store_settle(s, &why) == 0 && found(s, "wombat", &seen) == 0);
        store_close(s);
}

/* How many turns were older. */
static uint64_t n_old(struct store *s, unsigned keep_days) {
        struct why why = {};
        uint64_t ticket = 9;

        expect(store_forget_old(s, keep_days, &ticket, &why) == 0);
        expect(store_settle(s, &why) == 0);
        return store_n_forgotten(s, ticket);
}

/* Each day has one turn, whatever its clock said. */
static void a_turn_is_as_old_as_the_days_it_ran(void) {
        static const uint64_t days[] = { 100, 101, 501, 102, 0, 103 };
        struct why why = {};
        struct store *s;

        new_directory();
        s = begun();
        for (unsigned i = 0; i < 6; i++) {
                expect(store_note_day(s, days[i], &why) == 1);
                expect(store_note_day(s, days[i], &why) == 0);
                expect(n_old(s, 5) == 0);
                expect(append(s, i + 1) == 0);
        }
        expect(store_note_day(s, 104, &why) == 1);
        expect(n_old(s, 5) == 1);
        expect(n_old(s, 5) == 0);
        expect(n_old(s, 1) == 4);
        store_close(s);
}

static void a_newer_store_is_refused(void) {
        struct store *s;
        struct why why = {};

        new_directory();
        store_close(opened());
        raw("PRAGMA user_version = 999");
        expect(store_open(&s, directory, &why) == -ENOTSUP);
        expect(strstr(why.text, "version 999"));
}

static unsigned n_damaged(void) {
        char pattern[160];
        glob_t found = {};
        unsigned n;

        (void) snprintf(pattern, sizeof(pattern), "%s/history.damaged-*.sqlite", directory);
        (void) glob(pattern, 0, NULL, &found);
        n = (unsigned) found.gl_pathc;
        globfree(&found);
        return n;
}

static void a_file_that_is_no_database_is_put_aside(void) {
        struct store *s;
        FILE *out;

        new_directory();
        store_close(begun());
        out = fopen(file(), "w");
        for (unsigned i = 0; i < 10000; i++)
                (void) fputc((int) (i * 7 % 251), out);
        (void) fclose(out);

        s = begun();
        expect(n_damaged() == 1);
        expect(append(s, 1) == 0);
        expect(forget(s, STORE_SPAN_ALL) == 1 && n_damaged() == 0);
        store_close(s);
}

/* Writes zeros over pages in the middle of the file. */
static void damage(long from, long size) {
        FILE *f = fopen(file(), "r+");

        expect(f && fseek(f, from, SEEK_SET) == 0);
        for (long i = 0; i < size; i++)
                (void) fputc(0, f);
        (void) fclose(f);
}

static void fill_with(struct store *s, uint64_t n) {
        char heard[64], answered[1024];

        for (uint64_t id = 1; id <= n; id++) {
                (void) snprintf(heard, sizeof(heard), "question %llu", (unsigned long long) id);
                memset(answered, 'a', sizeof(answered) - 1);
                answered[sizeof(answered) - 1] = '\0';
                expect(append_text(s, id, heard, answered) == 0);
        }
}

/* The first append that meets the damage replaces the file, and most turns are in the new one. */
static void what_a_damaged_store_still_holds_is_carried_over(void) {
        struct record record = { .id = 2000, .heard = "after", .heard_size = 5, .answered = "" };
        struct seen seen = {};
        struct store *s;
        struct why why = {};
        char n[64];

        new_directory();
        s = begun();
        fill_with(s, 400);
        store_close(s);
        damage(40 * 4096, 20 * 4096);

        s = begun();
        record.timings = timings_none();
        for (unsigned i = 0; i < 200 && n_damaged() == 0; i++, record.id++) {
                (void) store_forget(s,
                                    &(struct store_span){ .first_id = 100 + i,
                                                          .last_id = 100 + i,
                                                          .began_to_us = INT64_MAX },
                                    &(uint64_t){ 0 }, &why);
                (void) store_settle(s, &why);
                expect(store_keep(s, &record, &why) == 0);
        }
        expect(n_damaged() == 1);
        ask_raw("SELECT count(*) FROM turns WHERE id <= 400", n);
        expect(atoi(n) > 200 && atoi(n) < 400);
        expect(found(s, "after", &seen) > 0 && found(s, "question", &seen) > 0);
        ask_raw("PRAGMA integrity_check", n);
        expect(strcmp(n, "ok") == 0);
        store_close(s);
}

/* Whoever waits for the end of the erasing gets to it. */
static void a_store_that_is_replaced_ends_its_erasing(void) {
        struct store_span span = { .first_id = 1, .last_id = 1, .began_to_us = INT64_MAX };
        struct record record = { .id = 2000, .heard = "after", .heard_size = 5, .answered = "" };
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct why why = {};
        uint64_t ticket;

        new_directory();
        s = begun();
        fill_with(s, 400);
        store_close(s);
        damage(40 * 4096, 20 * 4096);
        s = begun();
        record.timings = timings_none();
        expect(store_forget(s, &span, &ticket, &why) == 0 && ticket > 0);
        expect(store_erase(s, &why) == 1);
        expect(store_history(s, 0, 1000, &(struct store_visitor){ see, &seen }, &why) == -EBADMSG);
        expect(store_keep(s, &record, &why) == 0);
        expect(store_erase(s, &why) == -EBADMSG && strstr(why.text, "damaged"));
        /* Nothing is left of what was to be forgotten. */
        expect(!store_owes(s) && n_damaged() == 0);
        expect(found(s, "after", &seen) == 1);
        span.first_id = span.last_id = 2000;
        expect(forget(s, span) == 1 && found(s, "after", &seen) == 0);
}

static int append_kept(struct store *s, uint64_t id, const char *heard) {
        struct record record = { .id = id,
                                 .began_us = 1000 + id,
                                 .heard = heard,
                                 .heard_size = strlen(heard),
                                 .answered = "" };
        struct why why = {};

        record.timings = timings_none();
        return store_keep(s, &record, &why);
}

/* Also when the damage is only found at the next start, and when nothing of the file can be read. */
static void what_was_forgotten_does_not_outlive_damage(void) {
        static const struct {
                long from, size;
                bool is_readable;
        } places[] = { { 0, 100, false }, { 100, 3000, false }, { 40 * 4096, 20 * 4096, true } };
        struct store_span span = { .first_id = 400, .last_id = 401, .began_to_us = INT64_MAX };
        struct record record = { .id = 2000, .heard = "after", .heard_size = 5, .answered = "" };
        struct seen seen = {};
        struct store *s;
        struct why why = {};
        uint64_t ticket;

        record.timings = timings_none();
        for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                new_directory();
                s = begun();
                fill_with(s, 400);
                expect(append_text(s, 401, "a persimmon", "Really?") == 0);
                expect(store_forget(s, &span, &ticket, &why) == 0 && ticket > 0);
                store_close(s);
                expect(is_on_disk("persimmon"));
                damage(places[i].from, places[i].size);

                s = begun();
                expect(n_damaged() == 0 && store_owes(s) == places[i].is_readable);
                if (places[i].is_readable) {
                        expect(store_settle(s, &why) == -EBADMSG);
                        expect(store_keep(s, &record, &why) == 0 && !store_owes(s));
                }
                expect(n_damaged() == 0 && !is_on_disk("persimmon"));
                expect(found(s, "persimmon", &seen) == 0);
                expect((found(s, "question", &seen) > 0) == places[i].is_readable);
                store_close(s);
                /* What was settled is no reason to delete a file that is damaged later. */
                damage(0, 100);
                s = begun();
                expect(n_damaged() == 1);
                store_close(s);
        }
}

/* What is written goes where it is found, and what was taken away does not come back. */
static void a_file_that_is_taken_away_is_begun_anew(void) {
        struct store_span span = { .first_id = 1, .last_id = 1, .began_to_us = INT64_MAX };
        struct store *s;
        struct seen seen = {};
        struct why why = {};
        char command[160], n[64];
        uint64_t ticket;

        new_directory();
        s = begun();
        expect(append_text(s, 1, "a persimmon", "") == 0);
        expect(store_forget(s, &span, &ticket, &why) == 0 && store_erase(s, &why) == 1);
        (void) snprintf(command, sizeof(command), "rm -f %s/*", directory);
        expect(system(command) == 0);
        expect(append_kept(s, 2, "a tamarind") == 0);
        expect(!store_owes(s) && store_erase(s, &why) == -EBADMSG);
        expect(found(s, "tamarind", &seen) == 1 && found(s, "persimmon", &seen) == 0);
        ask_raw("SELECT count(*) FROM turns JOIN sessions ON sessions.id = turns.session", n);
        expect(strcmp(n, "1") == 0);

        /* Another one in its place is used. */
        (void) snprintf(command, sizeof(command), "cd %s && cp history.sqlite x && mv x history.sqlite", directory);
        raw("PRAGMA wal_checkpoint(TRUNCATE)");
        expect(system(command) == 0);
        seen = (struct seen){};
        expect(store_set_heard(s, 2, "a late tamarind", 15, &why) == 0);
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) == 0 && seen.n == 1);
        expect(found(s, "late", &seen) == 1);

        /* And so is the folder, when it can be made again. */
        (void) snprintf(command, sizeof(command), "rm -rf %s", directory);
        expect(system(command) == 0);
        expect(append_kept(s, 3, "a quince") == 0 && found(s, "quince", &seen) == 1);
        expect(found(s, "tamarind", &seen) == 0);
        store_close(s);

        /* Else turns wait. */
        new_directory();
        s = begun();
        (void) snprintf(command, sizeof(command), "rm -rf %s && touch %s", directory, directory);
        expect(system(command) == 0);
        expect(append_kept(s, 4, "a medlar") == 1 && store_n_waiting(s) == 1);
        expect(strstr(store_waiting_for(s), "taken away"));
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) < 0);
        (void) snprintf(command, sizeof(command), "rm %s", directory);
        expect(system(command) == 0);
        expect(store_write_waiting(s, &why) == 0 && found(s, "medlar", &seen) == 1);
        store_close(s);
}

static void a_store_in_no_directory_is_refused(void) {
        struct store *s;
        struct why why = {};

        expect(store_open(&s, "/proc/gemmad", &why) < 0);
        expect(strstr(why.text, "/proc/gemmad"));
        expect(store_open(&s, "/dev/null/gemmad", &why) == -ENOTDIR);
}

static void a_row_of_other_hands_is_an_error(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct why why = {};

        new_directory();
        s = begun();
        expect(append(s, 1) == 0);
        raw("PRAGMA ignore_check_constraints = 1; UPDATE turns SET outcome = 'lost'");
        expect(store_history(s, 0, 10, &(struct store_visitor){ see, &seen }, &why) == -EBADMSG);
        expect(append(s, 2) == 0);
}

/* Appends for ever, each id told to the parent once it is committed. */
static void write_until_killed(int ack_fd, uint64_t id) {
        struct store *s = NULL;
        struct why why = {};

        if (store_open(&s, directory, &why) < 0 ||
            store_begin_session(s, id, "0.1", "pocket", &why) < 0)
                _exit(1);
        for (;; id++)
                if (append(s, id) < 0 || write(ack_fd, &id, sizeof(id)) != sizeof(id))
                        _exit(1);
}

/* One writer that is killed once it has told of n turns, at whatever it does then.  Returns the
 * last id that it told of. */
static uint64_t kill_one(uint64_t first, unsigned n) {
        uint64_t id, last = first - 1;
        int fds[2], status;
        pid_t pid;

        expect(pipe(fds) == 0);
        pid = fork();
        if (pid == 0) {
                (void) close(fds[0]);
                write_until_killed(fds[1], first);
        }
        (void) close(fds[1]);
        for (unsigned i = 0; i < n && read(fds[0], &id, sizeof(id)) == sizeof(id); i++)
                last = id;
        (void) kill(pid, SIGKILL);
        while (read(fds[0], &id, sizeof(id)) == sizeof(id))
                last = id;
        (void) close(fds[0]);
        expect(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        return last;
}

static void no_told_turn_is_lost_to_sigkill(void) {
        uint64_t told = 0, there;
        char answer[64];
        unsigned seed = 1;

        new_directory();
        for (unsigned i = 0; i < N_KILLS && !tap_rule_failed; i++) {
                seed = seed * 1103515245 + 12345;
                told = kill_one(told + 1, 1 + (seed >> 16) % 8);

                ask_raw("PRAGMA integrity_check", answer);
                expect(strcmp(answer, "ok") == 0);
                ask_raw("SELECT count(*) || '/' || max(id) FROM turns", answer);
                there = strtoull(answer, NULL, 10);
                /* One more may have been committed than told. */
                expect(there == told || there == told + 1);
                expect(strtoull(strchr(answer, '/') + 1, NULL, 10) == there);
                told = there;
        }
        expect(told >= N_KILLS);
}

int main(void) {
        rule("a new store is private", a_new_store_is_private);
        rule("a turn comes back as it was", a_turn_comes_back_as_it_was);
        rule("every outcome comes back", every_outcome_comes_back);
        rule("history is newest first and pages", history_is_newest_first_and_pages);
        rule("a store is reopened with its turns", a_store_is_reopened_with_its_turns);
        rule("a transcript can come later", a_transcript_can_come_later);
        rule("a second daemon is kept out", a_second_daemon_is_kept_out);
        rule("a newer store is refused", a_newer_store_is_refused);
        rule("a file that is no database is put aside", a_file_that_is_no_database_is_put_aside);
        rule("what a damaged store still holds is carried over",
             what_a_damaged_store_still_holds_is_carried_over);
        rule("what was forgotten does not outlive damage", what_was_forgotten_does_not_outlive_damage);
        rule("a file that is taken away is begun anew", a_file_that_is_taken_away_is_begun_anew);
        rule("a store that is replaced ends its erasing",
             a_store_that_is_replaced_ends_its_erasing);
        rule("what can not be written waits, and is written later", what_can_not_be_written_waits);
        rule("what is open to others is closed", what_is_open_to_others_is_closed);
        rule("what waits can be forgotten", what_waits_can_be_forgotten);
        rule("the last turn may be one that waits", the_last_turn_may_be_one_that_waits);
        rule("a turn is as old as the days on which it ran", a_turn_is_as_old_as_the_days_it_ran);
        rule("a store in no directory is refused", a_store_in_no_directory_is_refused);
        rule("a row of other hands is an error, not a crash", a_row_of_other_hands_is_an_error);
        rule("words are found in both texts", words_are_found_in_both_texts);
        rule("senseless searches are refused", senseless_searches_are_refused);
        rule("a late transcript is found, and what it replaced is not",
             a_late_transcript_is_found_and_what_it_replaced_is_not);
        rule("one turn is shown", one_turn_is_shown);
        rule("a number is given to one turn only, though it is forgotten", a_number_is_given_once);
        rule("what was forgotten is in no file", what_was_forgotten_is_in_no_file);
        rule("turns are forgotten by their time", turns_are_forgotten_by_their_time);
        rule("sessions without turns go with them", sessions_without_turns_go_with_them);
        rule("a forgetting that was cut short is ended at the next start",
             a_forgetting_that_was_cut_short_is_ended_at_the_next_start);
        rule("an old store is upgraded with its turns", an_old_store_is_upgraded_with_its_turns);
        rule("a reader in the way is told", a_reader_in_the_way_is_told);
        rule("the new file is held", the_new_file_is_held);
        rule("the store is used while it erases", the_store_is_used_while_it_erases);
        rule("what changes while it erases is copied again",
             what_changes_while_it_erases_is_copied_again);
        rule("a noted forgetting goes on at the next start",
             a_noted_forgetting_goes_on_at_the_next_start);
        rule("who has the old file open does no harm", who_has_the_old_file_does_no_harm);
        rule("no told turn is lost to SIGKILL", no_told_turn_is_lost_to_sigkill);
        remove_all();
        return tap_done();
}
