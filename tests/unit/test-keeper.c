/* SPDX-License-Identifier: Apache-2.0 */

/* The history's threads, with a disk that stands still when the test wants it to: what the main thread asks for it
 * never waits for, and what it is told is true. */
#include "daemon/store/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/held-disk.h"
#include "tests/tap.h"

#define N_LARGE 3000

/* ---- a history and who asks for things ---- */

static char root[] = "/tmp/test-keeper-XXXXXX";
static char directory[64];
static sd_event *loop;
static struct keeper *keeper;
static unsigned n_forgotten_told;

static void on_forgotten(void *userdata) {
        (void) userdata;
        n_forgotten_told++;
}

static void reopen(void) {
        struct keeper_config config = { .loop = loop, .forgotten = on_forgotten };
        struct why why = {};

        expect(store_open(&config.store, directory, &why) == 0);
        expect(store_begin_session(config.store, 1, "1", "m", &why) == 0);
        expect(keeper_new(&keeper, &config, &why) == 0);
}

static void open_new(void) {
        static unsigned n;

        (void) snprintf(directory, sizeof(directory), "%s/%u", root, n++);
        n_forgotten_told = 0;
        reopen();
}

static void stop(void) {
        expect(keeper_stop(keeper, UINT64_MAX));
        keeper = NULL;
}

/* What somebody was told; in which order is seen by their places. */
struct told {
        bool is_told;
        unsigned place;
        int r;
        uint64_t n;
        unsigned n_seen;
        uint64_t newest;
};

static unsigned n_told;

static void on_told(int r, uint64_t n, const struct why *why, void *userdata) {
        struct told *told = userdata;

        (void) why;
        expect(!told->is_told);
        told->is_told = true;
        told->place = ++n_told;
        told->r = r;
        told->n = n;
}

static struct keeper_waiter waits(struct told *told) {
        return (struct keeper_waiter){ on_told, told };
}

static void wait_for(const struct told *told) {
        while (!told->is_told && sd_event_run(loop, UINT64_MAX) >= 0)
                continue;
}

static int keep(uint64_t id, const char *heard, struct told *told) {
        struct record turn = {
                .id = id,
                .began_us = 1000 + id,
                .heard = heard,
                .heard_size = strlen(heard),
                .answered = "",
                .timings = timings_none(),
        };
        struct keeper_waiter waiter = waits(told);
        struct why why = {};

        return keeper_keep(keeper, &turn, &waiter, &why);
}

static void keep_many(uint64_t n) {
        for (uint64_t id = 1; id <= n; id++) {
                struct told told = {};

                expect(keep(id, id == 2 ? "a xylophone" : "a lamp that is not there any more",
                            &told) == 0);
                wait_for(&told);
                expect(told.r == 0);
        }
}

/* On the reader's thread, which is waited for. */
static int see(const struct record *turn, void *userdata) {
        struct told *told = userdata;

        if (told->n_seen++ == 0)
                told->newest = turn->id;
        return 0;
}

static int ask_to_read(struct told *told) {
        struct store_query query = { .kind = STORE_HISTORY, .limit = 1000 };
        struct keeper_waiter waiter = waits(told);
        struct why why = {};

        return keeper_read(keeper, &query, &(struct store_visitor){ see, told }, &waiter, &why);
}

static int forget(uint64_t id, struct told *told) {
        struct store_span span = { .first_id = id, .last_id = id, .began_to_us = INT64_MAX };
        struct keeper_waiter waiter = waits(told);
        struct why why = {};

        return keeper_forget(keeper, id > 0 ? &span : NULL, &waiter, &why);
}

static bool is_on_disk(const char *word) {
        char command[160];

        (void) snprintf(command, sizeof(command), "grep -rqai '%s' '%s'", word, directory);
        return system(command) == 0;
}

/* ---- rules ---- */

static void what_is_told_to_be_kept_is_there(void) {
        struct told first = {}, second = {}, read = {}, again = {};

        open_new();
        expect(keep(1, "one", &first) == 0 && keep(2, "two", &second) == 0);
        wait_for(&second);
        expect(first.is_told && first.place < second.place && first.r == 0 && second.r == 0);
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.r == 0 && read.n_seen == 2 && read.newest == 2);
        /* One that is there already waits for ever, and is told to. */
        expect(keep(2, "two", &again) == 0);
        wait_for(&again);
        expect(again.r == 1 && keeper_state(keeper).n_waiting == 1 &&
               *keeper_state(keeper).waiting_for.text);
        stop();
}

/* The disk does not answer: who asks goes on, others are read to, and what else remembers lets go at once. */
static void nobody_waits_for_a_disk_that_hangs(void) {
        struct told first = {}, second = {}, text = {}, read = {}, erased = {};
        struct keeper_waiter waiter = waits(&text);
        struct why why = {};

        open_new();
        expect(keep(1, "one", &first) == 0);
        wait_for(&first);
        hold_disk(true);
        expect(keep(2, "two", &second) == 0);
        expect(keeper_set_heard(keeper, 2, "later", 5, &waiter, &why) == 0);
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.n_seen == 1 && read.newest == 1 && !second.is_told && !text.is_told);
        expect(keeper_state(keeper).session == 1 && !keeper_state(keeper).owes);
        while (keeper_state(keeper).n_waiting == 0)
                (void) usleep(10000);
        expect(keeper_state(keeper).n_waiting == 1 && strstr(keeper_state(keeper).waiting_for.text, "disk"));
        expect(forget(1, &erased) == 0 && n_forgotten_told == 1 && !erased.is_told);
        hold_disk(false);
        wait_for(&text);
        expect(second.is_told && second.r == 0 && text.r == 0 && keeper_state(keeper).n_waiting == 0);
        expect(is_on_disk("later"));
        wait_for(&erased);
        expect(erased.r == 0 && erased.n == 1 && n_forgotten_told == 1);
        stop();
}

static void what_waits_is_bounded(void) {
        static struct told told[1000];
        struct told first = {};
        unsigned n = 0;
        int r;

        memset(told, 0, sizeof(told));
        open_new();
        expect(keep(1, "one", &first) == 0);
        wait_for(&first);
        hold_disk(true);
        for (r = 0; n < 1000 && r >= 0; n += r >= 0)
                r = keep(2 + n, "one more", &told[n]);
        expect(r == -ENOBUFS && n > 100 && n < 1000);
        hold_disk(false);
        stop();
        for (unsigned i = 0; i < n; i++)
                expect(told[i].is_told && told[i].r == 0);
        reopen();
        first = (struct told){};
        expect(ask_to_read(&first) == 0);
        wait_for(&first);
        expect(first.newest == 1 + n);
        stop();
}

static void what_waits_is_bounded_in_bytes(void) {
        static struct told told[300];
        const size_t size = 200000;
        char *text = malloc(size + 1);
        unsigned n = 0;
        int r;

        memset(told, 0, sizeof(told));
        expect(text);
        memset(text, 'a', size);
        text[size] = '\0';
        open_new();
        hold_disk(true);
        for (r = 0; n < 300 && r >= 0; n += r >= 0)
                r = keep(1 + n, text, &told[n]);
        expect(r == -ENOBUFS && n > 4 && n < 100);
        hold_disk(false);
        wait_for(&told[n - 1]);
        /* What is there is there no more. */
        expect(keep(1 + n, text, &told[n]) == 0);
        wait_for(&told[n]);
        expect(told[0].r == 0 && told[n].r == 0);
        stop();
        free(text);
}

/* However much else is asked for, a turn finds a place. */
static void nothing_else_takes_the_place_of_a_turn(void) {
        static struct told told[1000];
        struct told first = {}, kept = {};
        unsigned n = 0;
        int r;

        open_new();
        expect(keep(1, "one", &first) == 0);
        wait_for(&first);
        hold_disk(true);
        for (r = 0; n < 1000 && r >= 0; n += r >= 0) {
                struct keeper_waiter waiter = waits(&told[n]);
                struct why why = {};

                r = keeper_set_heard(keeper, 1, "more", 4, &waiter, &why);
        }
        expect(r == -ENOBUFS && n > 100 && n < 1000);
        expect(forget(1, &told[n]) == -ENOBUFS);
        expect(keep(2, "two", &kept) == 0);
        hold_disk(false);
        wait_for(&kept);
        expect(kept.r == 0);
        stop();
}

/* Who reads after somebody has asked to forget does not see it, and a turn is not held up by the erasing. */
static void forgetting_is_seen_at_once(void) {
        struct told kept = {}, last = {}, erased = {}, read = {};

        open_new();
        keep_many(N_LARGE);
        expect(is_on_disk("xylophone"));
        expect(forget(2, &erased) == 0);
        expect(forget(0, &last) == 0);
        expect(keep(N_LARGE + 1, "after", &kept) == 0);
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.newest == N_LARGE + 1 || read.newest == N_LARGE - 1);
        expect(n_forgotten_told == 2);
        wait_for(&erased);
        wait_for(&last);
        expect(kept.is_told && kept.place < erased.place);
        expect(erased.r == 0 && erased.n == 1 && last.r == 0 && last.n == 1);
        expect(!keeper_state(keeper).owes && !is_on_disk("xylophone"));
        read = (struct told){};
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.newest == N_LARGE + 1);
        stop();
}

/* Of a file that has lost its name what was in it would stay on the disk. */
static unsigned n_open_and_deleted(void) {
        DIR *fds = opendir("/proc/self/fd");
        struct dirent *entry;
        unsigned n = 0;

        while (fds && (entry = readdir(fds))) {
                char path[300], target[PATH_MAX];
                ssize_t size;

                (void) snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
                size = readlink(path, target, sizeof(target) - 1);
                target[size > 0 ? size : 0] = '\0';
                n += strstr(target, "history") && strstr(target, "(deleted)");
        }
        if (fds)
                (void) closedir(fds);
        return n;
}

static void who_reads_lets_go_of_what_was_forgotten(void) {
        struct told read = {}, erased = {};

        open_new();
        keep_many(20);
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.n_seen == 20);
        expect(forget(2, &erased) == 0);
        wait_for(&erased);
        expect(erased.r == 0 && n_open_and_deleted() == 0);
        stop();
}

/* Whoever waits is told, and what was to be written is. */
static void the_end_tells_everybody(void) {
        struct told kept = {}, read = {}, erased = {}, late = {};

        open_new();
        keep_many(20);
        expect(keep(21, "the last", &kept) == 0 && forget(2, &erased) == 0 &&
               ask_to_read(&read) == 0);
        stop();
        expect(kept.is_told && kept.r == 0 && read.is_told && erased.is_told);
        expect(erased.r == 0 || erased.r == -ESHUTDOWN || erased.r == -ECANCELED);
        reopen();
        expect(ask_to_read(&late) == 0);
        wait_for(&late);
        expect(late.newest == 21);
        stop();
        expect(!is_on_disk("xylophone") || erased.r < 0);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint n_at_gate;

static int wait_at_gate(const struct record *turn, void *userdata) {
        (void) turn, (void) userdata;
        atomic_fetch_add(&n_at_gate, 1);
        (void) pthread_mutex_lock(&gate);
        (void) pthread_mutex_unlock(&gate);
        return 1;
}

static unsigned n_threads(void) {
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *entry;
        unsigned n = 0;

        while (tasks && (entry = readdir(tasks)))
                n += entry->d_name[0] != '.';
        if (tasks)
                (void) closedir(tasks);
        return n;
}

static void let_threads_end(unsigned n) {
        for (unsigned i = 0; n_threads() > n && i < 60000; i++)
                (void) usleep(1000);
        expect(n_threads() == n);
}

/* One reading can not be broken off, but those behind it do not keep the end waiting. */
static void the_end_does_not_wait_for_all_readings(void) {
        /* Left to its threads, and to be found by who looks for leaks. */
        static struct keeper *left;
        static struct told told[3];
        struct store_query query = { .kind = STORE_HISTORY, .limit = 10 };
        unsigned n_before = n_threads();
        struct why why = {};

        open_new();
        keep_many(2);
        (void) pthread_mutex_lock(&gate);
        for (unsigned i = 0; i < 3; i++) {
                struct keeper_waiter waiter = waits(&told[i]);

                expect(keeper_read(keeper, &query, &(struct store_visitor){ wait_at_gate, NULL }, &waiter,
                                   &why) == 0);
        }
        while (atomic_load(&n_at_gate) == 0)
                (void) usleep(1000);
        expect(!keeper_stop(keeper, 0));
        left = TAKE_PTR(keeper);
        expect(left);
        (void) pthread_mutex_unlock(&gate);
        let_threads_end(n_before);
        expect(atomic_load(&n_at_gate) == 1);
}

/* What has been written until then is told, and only that. */
static void the_end_does_not_wait_for_a_disk_that_hangs(void) {
        static struct keeper *left;
        static struct told first, second, erased;
        unsigned n_before = n_threads();
        struct told read = {};

        open_new();
        expect(keep(1, "one", &first) == 0);
        while (first.r != 0 || !is_on_disk("one"))
                (void) usleep(1000);
        hold_disk(true);
        expect(keep(2, "two", &second) == 0 && forget(1, &erased) == 0);
        while (!first.is_told && sd_event_run(loop, UINT64_MAX) >= 0)
                continue;
        expect(!keeper_stop(keeper, 0));
        left = TAKE_PTR(keeper);
        expect(left);
        expect(!second.is_told && !erased.is_told && n_forgotten_told == 1);
        hold_disk(false);
        let_threads_end(n_before);
        reopen();
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.newest == 2 && read.n_seen == 1);
        stop();
}

static unsigned n_aside(void) {
        char pattern[160];
        glob_t found = {};
        unsigned n;

        (void) snprintf(pattern, sizeof(pattern), "%s/history.damaged-*.sqlite", directory);
        (void) glob(pattern, 0, NULL, &found);
        n = (unsigned) found.gl_pathc;
        globfree(&found);
        return n;
}

/* What is not the store's own work is found by who reads, and mended by who writes. */
static void damage_that_is_read_is_mended(void) {
        struct told read = {}, kept = {};
        char path[96];
        FILE *f;

        open_new();
        keep_many(400);
        stop();
        (void) snprintf(path, sizeof(path), "%s/history.sqlite", directory);
        f = fopen(path, "r+");
        expect(f && fseek(f, 14 * 4096, SEEK_SET) == 0);
        for (unsigned i = 0; i < 6 * 4096; i++)
                (void) fputc(0, f);
        (void) fclose(f);
        reopen();
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.r == -EBADMSG && n_aside() == 0);
        expect(keep(401, "after", &kept) == 0);
        wait_for(&kept);
        expect(kept.r == 0);
        read = (struct told){};
        expect(ask_to_read(&read) == 0);
        wait_for(&read);
        expect(read.r == 0 && read.newest == 401 && n_aside() == 1);
        /* It was mended for good. */
        kept = (struct told){};
        expect(keep(402, "after that", &kept) == 0);
        wait_for(&kept);
        expect(kept.r == 0 && n_aside() == 1);
        stop();
}

int main(void) {
        char command[96];

        expect(mkdtemp(root));
        expect(sd_event_new(&loop) >= 0);
        add_disk();
        rule("what is told to be kept is there", what_is_told_to_be_kept_is_there);
        rule("nobody waits for a disk that hangs", nobody_waits_for_a_disk_that_hangs);
        rule("what waits is bounded", what_waits_is_bounded);
        rule("what waits is bounded in bytes", what_waits_is_bounded_in_bytes);
        rule("nothing else takes the place of a turn", nothing_else_takes_the_place_of_a_turn);
        rule("forgetting is seen at once", forgetting_is_seen_at_once);
        rule("who reads lets go of what was forgotten", who_reads_lets_go_of_what_was_forgotten);
        rule("the end tells everybody", the_end_tells_everybody);
        rule("the end does not wait for all readings", the_end_does_not_wait_for_all_readings);
        rule("the end does not wait for a disk that hangs", the_end_does_not_wait_for_a_disk_that_hangs);
        rule("damage that is read is mended", damage_that_is_read_is_mended);
        sd_event_unref(loop);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", root);
        (void) !system(command);
        return tap_done();
}
