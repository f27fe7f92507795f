/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/timers.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "desktop/wall.h"
#include "desktop/words.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static char directory[] = "/tmp/test-timers-XXXXXX";

static void empty_directory(void) {
        DIR *folder = opendir(directory);
        struct dirent *entry;

        while (folder && (entry = readdir(folder)))
                (void) unlinkat(dirfd(folder), entry->d_name, 0);
        if (folder)
                (void) closedir(folder);
}

static struct timers *opened(const char *boot_id, const struct moment *now) {
        struct timers *t = NULL;
        struct why why = {};

        if (timers_open(&t, directory, boot_id, now, &why) < 0)
                printf("# %s\n", why.text);
        expect(t);
        return t;
}

static void zone(const char *name) {
        (void) setenv("TZ", name, 1);
        tzset();
}

/* Central Europe by its rule, so that no files of time zones are needed. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static int64_t local(int year, int month, int day, int hour, int minute) {
        const struct wall wall = { year, month, day, hour, minute };

        return (int64_t) wall_moment(&wall) * SECOND;
}

static void pass(struct moment *now, int64_t usec) {
        now->real += usec;
        now->boot += usec;
}

static void rings_when_due(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);

        expect(timers_next(t) == INT64_MAX && !timers_take_due(t, &now));
        expect(timers_add(t, "tea", 3 * MINUTE, &now, &timer) == 0);
        expect(timers_next(t) == now.real + 3 * MINUTE);
        pass(&now, 3 * MINUTE - 1);
        expect(!timers_take_due(t, &now));
        pass(&now, 1);
        timer = timers_take_due(t, &now);
        expect(timer && strcmp(timer->name, "tea") == 0 && timer->is_ringing);
        expect(!timers_take_due(t, &now) && timers_next(t) == INT64_MAX);
        (void) timers_close(t);
}

/* It goes on ringing after the program was killed, until somebody has stopped it. */
static void rings_until_removed(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);
        size_t n;

        expect(timers_add(t, "", MINUTE, &now, &timer) == 0);
        pass(&now, MINUTE);
        expect(timers_take_due(t, &now));
        (void) timers_close(t);
        t = opened("boot", &now);
        timer = timers_take_due(t, &now);
        expect(timer && timers_remove(t, timer->id) == 0);
        (void) timers_close(t);
        t = opened("boot", &now);
        (void) timers_all(t, &n);
        expect(n == 0);
        (void) timers_close(t);
}

static void clock_steps(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);

        expect(timers_add(t, "", 10 * MINUTE, &now, &timer) == 0);
        now.real += 5 * HOUR;
        timers_reconcile(t, &now);
        expect(!timers_take_due(t, &now) && timers_next(t) == now.real + 10 * MINUTE);
        now.real -= 9 * HOUR;
        timers_reconcile(t, &now);
        expect(timers_next(t) == now.real + 10 * MINUTE);

        /* ... also when it is set while the program is not there. */
        (void) timers_close(t);
        now.real += 24 * HOUR;
        pass(&now, MINUTE);
        t = opened("boot", &now);
        expect(timers_next(t) == now.real + 9 * MINUTE && !timers_take_due(t, &now));
        pass(&now, 9 * MINUTE);
        expect(timers_take_due(t, &now));
        (void) timers_close(t);
}

static void reboots(void) {
        struct moment now = { 1000 * HOUR, 50 * HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);

        expect(timers_add(t, "", HOUR, &now, &timer) == 0);
        (void) timers_close(t);
        now = (struct moment){ 1000 * HOUR + 20 * MINUTE, 30 * SECOND };
        t = opened("another", &now);
        expect(timers_next(t) == now.real + 40 * MINUTE);
        now.real -= 3 * HOUR;
        timers_reconcile(t, &now);
        expect(timers_next(t) == now.real + 40 * MINUTE);
        (void) timers_close(t);

        /* The machine was off when it was due. */
        now = (struct moment){ 1000 * HOUR + 5 * HOUR, SECOND };
        t = opened("third", &now);
        expect(timers_take_due(t, &now));
        (void) timers_close(t);
}

static void pauses(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);
        int64_t id;

        expect(timers_add(t, "", 10 * MINUTE, &now, &timer) == 0);
        id = timer->id;
        pass(&now, 4 * MINUTE);
        expect(timers_resume(t, id, &now) == -EINVAL);
        expect(timers_pause(t, id, &now) == 0 && timers_pause(t, id, &now) == -EINVAL);
        pass(&now, 24 * HOUR);
        (void) timers_close(t);
        now.boot = MINUTE;
        t = opened("another", &now);
        timer = timers_find(t, id);
        expect(timer && timer->is_paused && timers_left(timer, &now) == 6 * MINUTE);
        expect(timers_next(t) == INT64_MAX && !timers_take_due(t, &now));
        expect(timers_extend(t, id, MINUTE, &now) == 0 && timers_resume(t, id, &now) == 0);
        expect(timers_next(t) == now.real + 7 * MINUTE);
        expect(timers_extend(t, id, 2 * MINUTE, &now) == 0);
        expect(timers_left(timers_find(t, id), &now) == 9 * MINUTE);
        expect(timers_extend(t, id, TIMER_MAX_USEC, &now) == -EINVAL);
        expect(timers_pause(t, id + 1, &now) == -ENOENT);
        (void) timers_close(t);
}

static void snoozes(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);

        expect(timers_add(t, "", MINUTE, &now, &timer) == 0);
        pass(&now, MINUTE);
        timer = timers_take_due(t, &now);
        expect(timer && timers_snooze(t, timer->id, 5 * MINUTE, &now) == 0 && !timer->is_ringing);
        expect(timers_next(t) == now.real + 5 * MINUTE);
        pass(&now, 5 * MINUTE);
        expect(timers_take_due(t, &now));
        (void) timers_close(t);
}

static void is_bounded(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        const struct timer *timer = NULL;
        struct timers *t = opened("boot", &now);
        char name[3 * TIMER_NAME_SIZE] = "";

        expect(timers_add(t, "", 0, &now, &timer) == -EINVAL);
        expect(timers_add(t, "", TIMER_MAX_USEC + 1, &now, &timer) == -EINVAL);
        for (unsigned i = 0; i < TIMER_NAME_SIZE; i++)
                strcat(name, "\xc3\xa4");
        for (unsigned i = 0; i < TIMERS_MAX; i++)
                expect(timers_add(t, name, HOUR, &now, &timer) == 0);
        expect(strlen(timer->name) == TIMER_NAME_SIZE / 2 * 2 - 2);
        expect(timers_add(t, "", HOUR, &now, &timer) == -ENOSPC);
        expect(timers_remove(t, 1) == 0 && timers_add(t, "", HOUR, &now, &timer) == 0);
        expect(timer->id == TIMERS_MAX + 1);
        expect(timers_remove(t, 2) == 0 && timers_add(t, "  green\ntea\xc2\xa0 ", HOUR, &now, &timer) == 0);
        expect(strcmp(timer->name, "green tea") == 0);
        (void) timers_close(t);
}

/* A table that can not be read is said, and not overwritten. */
static void damaged(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        struct timers *t = NULL;
        struct why why = {};
        char path[96];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/desktop.sqlite", directory);
        f = fopen(path, "w");
        expect(f && fputs("this is no database, and longer than the head of one would be, or is it? "
                          "It goes on and on.", f) > 0 && fclose(f) == 0);
        /* Put aside, where it does not hinder the next one. */
        for (int i = 0; i < 2; i++) {
                size_t n;

                expect(timers_open(&t, directory, "boot", &now, &why) == 0);
                (void) timers_all(t, &n);
                expect(n == 0);
                (void) timers_close(t);
        }
        expect(access(path, F_OK) == 0);
        expect(timers_open(&t, "/nonexistent/folder", "boot", &now, &why) == -EIO &&
               strstr(why.text, "/nonexistent"));
}

/* As on a disk that is full: nothing that is written into a file gets there. */
static void fill_disk(bool is_full) {
        struct rlimit limit;

        (void) fflush(stdout);
        (void) signal(SIGXFSZ, SIG_IGN);
        expect(getrlimit(RLIMIT_FSIZE, &limit) == 0);
        limit.rlim_cur = is_full ? 0 : limit.rlim_max;
        expect(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* What a program that was killed now would find when it is started again. */
static bool is_in_table(const char *names, const struct moment *now) {
        struct timers *t = opened("boot", now);
        const struct timer *all;
        char found[256] = "";
        size_t n, size = 0;

        if (!t)
                return false;
        all = timers_all(t, &n);
        for (size_t i = 0; i < n && size < sizeof(found); i++)
                size += (size_t) snprintf(found + size, sizeof(found) - size, "%s%s",
                                          i > 0 ? " " : "", all[i].name);
        (void) timers_close(t);
        if (strcmp(found, names) == 0)
                return true;
        printf("# '%s' instead of '%s'\n", found, names);
        return false;
}

static void disk_full(void) {
        struct moment now = { 1000 * HOUR, HOUR };
        struct timers *t = opened("boot", &now);
        const struct timer *timer = NULL;
        int64_t eggs, tea;

        expect(timers_add(t, "eggs", 5 * MINUTE, &now, &timer) == 0);
        eggs = timer->id;
        expect(!timers_are_behind(t));

        fill_disk(true);
        expect(timers_add(t, "tea", 3 * MINUTE, &now, &timer) == 0);
        tea = timer->id;
        expect(timers_remove(t, eggs) == 0);
        timers_reconcile(t, &now);
        fill_disk(false);
        expect(timers_are_behind(t) && timers_find(t, tea) && !timers_find(t, eggs));
        expect(is_in_table("eggs", &now));

        /* When it is looked at next, */
        timers_reconcile(t, &now);
        expect(!timers_are_behind(t) && is_in_table("tea", &now));

        /* with the next change, */
        fill_disk(true);
        expect(timers_add(t, "rice", 9 * MINUTE, &now, &timer) == 0);
        fill_disk(false);
        expect(timers_add(t, "cake", 40 * MINUTE, &now, &timer) == 0);
        expect(!timers_are_behind(t) && is_in_table("tea rice cake", &now));

        /* or at the end. */
        fill_disk(true);
        expect(timers_remove(t, tea) == 0);
        fill_disk(false);
        (void) timers_close(t);
        expect(is_in_table("rice cake", &now));
}

static void alarms_follow_the_wall(void) {
        struct wall wall = { 2026, 7, 2, 7, 0 };
        struct moment now;
        const struct timer *alarm = NULL;
        struct timers *t;

        zone(BERLIN);
        now = (struct moment){ local(2026, 7, 1, 22, 0), HOUR };
        t = opened("boot", &now);
        expect(timers_add_alarm(t, "", &wall, &now, &alarm) == 0);
        expect(timers_next(t) == now.real + 9 * HOUR);

        /* The clock was an hour late, and is put right. */
        now.real += HOUR;
        timers_reconcile(t, &now);
        expect(timers_next(t) == now.real + 8 * HOUR);

        /* The traveller lands in London. */
        zone("GMT0BST,M3.5.0/1,M10.5.0");
        timers_reconcile(t, &now);
        expect(timers_next(t) == now.real + 9 * HOUR);
        expect(timers_pause(t, alarm->id, &now) == -EINVAL);

        /* Snoozed, it is due in so many minutes, wherever that is. */
        pass(&now, 9 * HOUR);
        alarm = timers_take_due(t, &now);
        expect(alarm && timers_snooze(t, alarm->id, 5 * MINUTE, &now) == 0);
        zone(BERLIN);
        timers_reconcile(t, &now);
        expect(timers_next(t) == now.real + 5 * MINUTE);
        (void) timers_close(t);
}

static void summer_time(void) {
        struct wall wall = { 2026, 3, 29, 7, 0 };

        zone(BERLIN);
        /* That night has 23 hours, and the one in autumn 25. */
        expect(wall_moment(&wall) * SECOND - local(2026, 3, 28, 7, 0) == 23 * HOUR);
        expect(local(2026, 10, 25, 7, 0) - local(2026, 10, 24, 7, 0) == 25 * HOUR);
        /* Half past two comes twice: the first one counts. */
        expect(local(2026, 10, 25, 2, 30) - local(2026, 10, 25, 1, 30) == HOUR);
        /* ... and here not at all: it is half past three then. */
        expect(local(2026, 3, 29, 2, 30) - local(2026, 3, 29, 1, 30) == HOUR);
}

struct wish_case {
        struct wall_wish wish;
        int now_hour, now_minute;
        int r;
        int day, hour, minute; /* expected, of July 2026 */
};

/* 1 July 2026 is a Wednesday. */
static void finds_the_next(void) {
        static const struct wish_case cases[] = {
                { { 7, 0, DAYTIME_MORNING, -1, -1 }, 22, 0, 0, 2, 7, 0 },
                { { 7, 0, DAYTIME_MORNING, -1, -1 }, 6, 0, 0, 1, 7, 0 },
                { { 7, 0, DAYTIME_MORNING, -1, -1 }, 7, 0, 0, 2, 7, 0 },
                { { 7, 0, DAYTIME_NONE, -1, -1 }, 9, 0, 0, 1, 19, 0 },
                { { 7, 0, DAYTIME_NONE, -1, -1 }, 22, 0, 0, 2, 7, 0 },
                { { 7, 0, DAYTIME_NONE, -1, -1 }, 16, 59, 0, 1, 19, 0 },
                { { 7, 0, DAYTIME_NONE, -1, -1 }, 18, 22, 0, 2, 7, 0 },
                { { 9, 30, DAYTIME_NONE, -1, -1 }, 17, 0, 0, 2, 9, 30 },
                { { 10, 0, DAYTIME_NONE, -1, -1 }, 18, 22, 0, 1, 22, 0 },
                { { 4, 0, DAYTIME_NONE, -1, -1 }, 23, 0, 0, 2, 4, 0 },
                { { 7, 0, DAYTIME_NONE, 0, -1 }, 18, 22, 0, 1, 19, 0 },
                { { 7, 0, DAYTIME_AFTERNOON, -1, -1 }, 18, 22, 0, 1, 19, 0 },
                { { 7, 30, DAYTIME_AFTERNOON, -1, -1 }, 22, 0, 0, 2, 19, 30 },
                { { 12, 0, DAYTIME_AFTERNOON, -1, -1 }, 9, 0, 0, 1, 12, 0 },
                { { 12, 15, DAYTIME_MORNING, -1, -1 }, 9, 0, 0, 2, 0, 15 },
                { { 12, 0, DAYTIME_NONE, -1, -1 }, 9, 0, 0, 1, 12, 0 },
                { { 0, 0, DAYTIME_NONE, -1, -1 }, 9, 0, 0, 2, 0, 0 },
                { { 14, 45, DAYTIME_NONE, -1, -1 }, 15, 0, 0, 2, 14, 45 },
                { { 7, 0, DAYTIME_NONE, 1, -1 }, 22, 0, 0, 2, 7, 0 },
                { { 7, 0, DAYTIME_NONE, 0, -1 }, 9, 0, 0, 1, 19, 0 },
                { { 7, 0, DAYTIME_MORNING, 0, -1 }, 9, 0, -ERANGE, 0, 0, 0 },
                { { 7, 0, DAYTIME_MORNING, -1, 3 }, 6, 0, 0, 1, 7, 0 },
                { { 7, 0, DAYTIME_MORNING, -1, 3 }, 8, 0, 0, 8, 7, 0 },
                { { 7, 0, DAYTIME_MORNING, -1, 1 }, 8, 0, 0, 6, 7, 0 },
                { { 24, 0, DAYTIME_NONE, -1, -1 }, 8, 0, -EINVAL, 0, 0, 0 },
        };

        zone(BERLIN);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct wish_case *c = &cases[i];
                time_t now = (time_t) (local(2026, 7, 1, c->now_hour, c->now_minute) / SECOND);
                struct wall wall = {};
                int r = wall_find(&c->wish, now, &wall);
                bool is_right = r == c->r && (r < 0 || (wall.year == 2026 && wall.month == 7 &&
                                                        wall.day == c->day && wall.hour == c->hour &&
                                                        wall.minute == c->minute));

                if (!is_right)
                        printf("# case %zu: %d, %d %d:%02d\n", i, r, wall.day, wall.hour, wall.minute);
                expect(is_right);
        }
}

static bool is_said(int64_t usec, const char *words) {
        char buffer[96];

        if (strcmp(words_duration(buffer, sizeof(buffer), usec), words) == 0)
                return true;
        printf("# '%s'\n", buffer);
        return false;
}

static void durations(void) {
        expect(is_said(1, "one second") && is_said(SECOND, "one second"));
        expect(is_said(2 * SECOND, "two seconds") && is_said(45 * SECOND, "45 seconds"));
        expect(is_said(5 * MINUTE, "five minutes") && is_said(MINUTE, "one minute"));
        expect(is_said(90 * MINUTE, "one hour and 30 minutes"));
        expect(is_said(2 * HOUR + MINUTE + 12 * SECOND, "two hours, one minute and twelve seconds"));
        expect(is_said(2 * HOUR + 5 * SECOND, "two hours and five seconds"));
        expect(is_said(5 * MINUTE - SECOND / 2, "five minutes"));
        expect(is_said(TIMER_MAX_USEC, "2400 hours"));
}

static bool is_told(int64_t usec, const char *words) {
        char buffer[96];

        if (strcmp(words_moment(buffer, sizeof(buffer), usec, local(2026, 7, 1, 12, 0)), words) == 0)
                return true;
        printf("# '%s'\n", buffer);
        return false;
}

static void moments(void) {
        zone(BERLIN);
        expect(is_told(local(2026, 7, 1, 7, 5), "7:05"));
        expect(is_told(local(2026, 7, 2, 0, 0), "tomorrow, 0:00"));
        expect(is_told(local(2026, 6, 30, 23, 59), "yesterday, 23:59"));
        expect(is_told(local(2026, 7, 6, 14, 30), "Monday, 14:30"));
        expect(is_told(local(2026, 7, 8, 14, 30), "8 July, 14:30"));
}

static void in_empty(const char *name, void (*run)(void)) {
        empty_directory();
        rule(name, run);
}

int main(void) {
        expect(mkdtemp(directory));
        in_empty("a timer rings when it is due, once", rings_when_due);
        in_empty("one that rings is kept until it is removed", rings_until_removed);
        in_empty("a timer takes as long as was said, whatever the clock says", clock_steps);
        in_empty("it survives a restart of the machine", reboots);
        in_empty("pause, resume and add", pauses);
        in_empty("snoozing", snoozes);
        in_empty("their number and their names are bounded", is_bounded);
        in_empty("a damaged table", damaged);
        in_empty("what could not be written is written later", disk_full);
        in_empty("an alarm follows the clock on the wall", alarms_follow_the_wall);
        rule("nights of 23 and of 25 hours", summer_time);
        rule("the next time that fits", finds_the_next);
        rule("durations in words", durations);
        rule("moments in words", moments);
        empty_directory();
        (void) rmdir(directory);
        return tap_done();
}
