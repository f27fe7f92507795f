/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store.h"

#include <errno.h>
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

static int append(struct store *s, uint64_t id) {
        struct record record = {
                .id = id,
                .began_us = 1000 + id,
                .origin = ORIGIN_AUDIO,
                .outcome = OUTCOME_ANSWERED,
                .heard = "what time is it",
                .heard_size = 15,
                .answered = "It is ten.",
                .answered_size = 10,
                .calls_json = "[{\"name\":\"get_time\",\"arguments\":{}}]",
                .timings = timings_none(),
        };
        struct why why = {};

        record.timings.done = 12.5;
        record.timings.first_frame = 1.5;
        record.timings.n_tokens = 7;
        return store_append(s, &record, &why);
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
        char heard[64], model[64];
};

static int see(const struct record *record, void *userdata) {
        struct seen *seen = userdata;

        if (seen->n < 16)
                seen->ids[seen->n] = record->id;
        seen->n++;
        seen->last = *record;
        (void) snprintf(seen->heard, sizeof(seen->heard), "%s", record->heard);
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
        expect(store_history(s, 0, 10, see, &seen, &why) == 0);
        expect(seen.n == 1 && seen.last.id == 5 && seen.last.session == store_session(s));
        expect(strcmp(seen.heard, "what time is it") == 0 && strcmp(seen.model, "pocket") == 0);
        expect(seen.last.origin == ORIGIN_AUDIO && seen.last.outcome == OUTCOME_ANSWERED);
        expect(!seen.last.error && seen.last.timings.n_tokens == 7);
        expect(seen.last.timings.done > 12.4 && seen.last.timings.first_frame > 1.4);
        expect(seen.last.timings.prefilled < 0);
}

static void history_is_newest_first_and_pages(void) {
        _cleanup_(store_closep) struct store *s = NULL;
        struct seen seen = {};
        struct why why = {};

        new_directory();
        s = begun();
        for (uint64_t id = 1; id <= 5; id++)
                expect(append(s, id) == 0);
        expect(store_history(s, 0, 2, see, &seen, &why) == 0);
        expect(seen.n == 2 && seen.ids[0] == 5 && seen.ids[1] == 4);

        seen.n = 0;
        expect(store_history(s, 4, 10, see, &seen, &why) == 0);
        expect(seen.n == 3 && seen.ids[0] == 3 && seen.ids[2] == 1);

        seen.n = 0;
        expect(store_history(s, UINT64_MAX, 0, see, &seen, &why) == 0);
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
        expect(store_history(s, 0, 10, see, &seen, &why) == 0 && seen.n == 2);
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
        expect(store_history(s, 0, 10, see, &seen, &why) == 0);
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

static void a_newer_store_is_refused(void) {
        struct store *s;
        struct why why = {};

        new_directory();
        store_close(opened());
        raw("PRAGMA user_version = 999");
        expect(store_open(&s, directory, &why) == -ENOTSUP);
        expect(strstr(why.text, "version 999"));
}

static void a_damaged_store_is_refused(void) {
        struct store *s;
        struct why why = {};
        FILE *out;

        new_directory();
        store_close(begun());
        out = fopen(file(), "w");
        for (unsigned i = 0; i < 10000; i++)
                (void) fputc((int) (i * 7 % 251), out);
        (void) fclose(out);
        expect(store_open(&s, directory, &why) == -EBADMSG);
        expect(strlen(why.text) > 0);
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
        expect(store_history(s, 0, 10, see, &seen, &why) == -EBADMSG);
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
        rule("history is newest first and pages", history_is_newest_first_and_pages);
        rule("a store is reopened with its turns", a_store_is_reopened_with_its_turns);
        rule("a transcript can come later", a_transcript_can_come_later);
        rule("a second daemon is kept out", a_second_daemon_is_kept_out);
        rule("a newer store is refused", a_newer_store_is_refused);
        rule("a damaged store is refused", a_damaged_store_is_refused);
        rule("a store in no directory is refused", a_store_in_no_directory_is_refused);
        rule("a row of other hands is an error, not a crash", a_row_of_other_hands_is_an_error);
        rule("no told turn is lost to SIGKILL", no_told_turn_is_lost_to_sigkill);
        remove_all();
        return tap_done();
}
