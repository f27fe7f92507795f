/* SPDX-License-Identifier: Apache-2.0 */

/* A disk and a memory that fail at every place once, or from there on: whatever the store said that it has
 * done is done, and it goes on when they are well again. */
#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/store.h"
#include "tests/sim/disk.h"
#include "tests/tap.h"

#define N_TURNS 8

/* ---- what fails ---- */

enum kind { KIND_DISK, KIND_MEMORY };

static atomic_int kind;
static atomic_long left = -1; /* uses until the fault; -1: none comes */
static atomic_bool stays;     /* it does not go away by itself */

static bool fails(enum kind of) {
        long n;

        if (atomic_load(&kind) != (int) of || atomic_load(&left) < 0)
                return false;
        n = atomic_fetch_sub(&left, 1);
        if (n > 1)
                return false;
        if (atomic_load(&stays))
                atomic_store(&left, 1);
        else
                atomic_store(&left, n == 1 ? 0 : -1);
        return n == 1;
}

/* The fault has come, or comes again and again. */
static bool has_come(void) {
        return atomic_load(&left) <= 0 || atomic_load(&stays);
}

static int before_disk(enum disk_use use) {
        static const int faults[] = {
                [DISK_OPEN] = SQLITE_CANTOPEN,      [DISK_WRITE] = SQLITE_FULL,
                [DISK_TRUNCATE] = SQLITE_IOERR_TRUNCATE, [DISK_SYNC] = SQLITE_IOERR_FSYNC,
                [DISK_GROW] = SQLITE_IOERR_SHMSIZE, [DISK_DELETE] = SQLITE_IOERR_DELETE,
        };

        return fails(KIND_DISK) ? faults[use] : SQLITE_OK;
}

/* ---- and the memory ---- */

static sqlite3_mem_methods memory;

static void *on_malloc(int n) {
        return fails(KIND_MEMORY) ? NULL : memory.xMalloc(n);
}
static void *on_realloc(void *p, int n) {
        return fails(KIND_MEMORY) ? NULL : memory.xRealloc(p, n);
}

static void add_memory(void) {
        sqlite3_mem_methods faulty;

        expect(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) == SQLITE_OK);
        faulty = memory;
        faulty.xMalloc = on_malloc;
        faulty.xRealloc = on_realloc;
        expect(sqlite3_config(SQLITE_CONFIG_MALLOC, &faulty) == SQLITE_OK);
}

/* ---- a life with a fault in it ---- */

static char directory[64];

struct promises {
        bool is_kept[N_TURNS + 1]; /* a turn was acknowledged as written */
        bool waits[N_TURNS + 1];   /* or as waiting, which is lost with the process */
        bool is_forgotten;         /* the second turn was: nothing may show it */
        bool is_erased;            /* nor may a file hold it */
};

static int keep(struct store *s, uint64_t id) {
        struct record turn = {
                .id = id,
                .began_us = 1000 + id,
                .origin = ORIGIN_TEXT,
                .outcome = OUTCOME_ANSWERED,
                .heard = id == 2 ? "a xylophone" : "a lamp",
                .heard_size = id == 2 ? 11 : 6,
                .answered = "",
                .calls_json = "[]",
                .timings = timings_none(),
        };
        struct why why = {};

        return store_keep(s, &turn, &why);
}

static void live(struct promises *p) {
        const struct store_span second = { .first_id = 2, .last_id = 2, .began_to_us = INT64_MAX };
        struct store *s = NULL;
        struct why why = {};
        uint64_t ticket;

        *p = (struct promises){};
        if (store_open(&s, directory, &why) < 0)
                return;
        (void) store_begin_session(s, 1, "1", "m", &why);
        for (uint64_t id = 1; id <= N_TURNS; id++) {
                int r = keep(s, id);

                p->is_kept[id] = r == 0;
                p->waits[id] = r == 1;
                if (id == 4 && store_forget(s, &second, &ticket, &why) == 0) {
                        p->is_forgotten = true;
                        p->is_erased = store_settle(s, &why) == 0;
                }
        }
        /* Those that wait are written by the end if that is possible, which is not promised. */
        store_close(s);
}

static int note(const struct record *turn, void *userdata) {
        bool *is_there = userdata;

        if (turn->id >= 1 && turn->id <= N_TURNS)
                is_there[turn->id] = true;
        return 0;
}

static bool is_on_disk(const char *word) {
        char command[160];

        (void) snprintf(command, sizeof(command), "grep -rqai '%s' '%s'", word, directory);
        return system(command) == 0;
}

/* What was promised holds, without faults; false and a line when it does not. */
static bool holds(const struct promises *p, long n) {
        bool is_there[N_TURNS + 1] = {};
        struct store_visitor visitor = { note, is_there };
        struct store *s = NULL;
        struct why why = {};
        bool is_well = true;

        if (p->is_erased && is_on_disk("xylophone")) {
                printf("# fault %ld: erased, and in a file\n", n);
                return false;
        }
        if (store_open(&s, directory, &why) < 0 || store_history(s, 0, 100, &visitor, &why) < 0) {
                printf("# fault %ld: %s\n", n, why.text);
                store_close(s);
                return false;
        }
        for (uint64_t id = 1; id <= N_TURNS; id++)
                if (p->is_kept[id] && !is_there[id] && !(id == 2 && p->is_forgotten)) {
                        printf("# fault %ld: turn %ju was kept, and is lost\n", n, (uintmax_t) id);
                        is_well = false;
                }
        if (p->is_forgotten && is_there[2]) {
                printf("# fault %ld: a turn was forgotten, and is there\n", n);
                is_well = false;
        }
        if (store_settle(s, &why) < 0 || (p->is_forgotten && is_on_disk("xylophone"))) {
                printf("# fault %ld: it is not erased in the end: %s\n", n, why.text);
                is_well = false;
        }
        store_close(s);
        return is_well;
}

static void remove_all(void) {
        char command[96];

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", directory);
        (void) !system(command);
}

/* step: not every place of memory is worth the time. */
static void everywhere(enum kind of, bool for_good, long step) {
        static char root[] = "/tmp/test-store-faults-XXXXXX";
        static bool is_made;
        long n = 0;
        bool came;

        if (!is_made)
                expect(mkdtemp(root));
        is_made = true;
        (void) snprintf(directory, sizeof(directory), "%s/h", root);
        do {
                struct promises p;

                n += step;
                remove_all();
                atomic_store(&kind, (int) of);
                atomic_store(&stays, for_good);
                atomic_store(&left, n);
                live(&p);
                came = for_good ? atomic_load(&left) <= 1 : has_come();
                atomic_store(&left, -1);
                expect(holds(&p, n));
        } while (came);
        printf("# %ld places\n", n / step);
        expect(n / step > 20);
        remove_all();
        (void) rmdir(root);
        is_made = false;
        memcpy(root + strlen(root) - 6, "XXXXXX", 6);
}

static void the_disk_fails_once(void) {
        everywhere(KIND_DISK, false, 1);
}

static void the_disk_fails_for_good(void) {
        everywhere(KIND_DISK, true, 1);
}

static void memory_fails_once(void) {
        everywhere(KIND_MEMORY, false, 211);
}

static void memory_fails_for_good(void) {
        everywhere(KIND_MEMORY, true, 211);
}

int main(void) {
        add_memory();
        add_disk();
        rule("the disk fails once, anywhere", the_disk_fails_once);
        rule("the disk fails for good, from anywhere on", the_disk_fails_for_good);
        rule("memory fails once, anywhere", memory_fails_once);
        rule("memory fails for good, from anywhere on", memory_fails_for_good);
        return tap_done();
}
