/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/upkeep.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/log.h"

#define DAY_SECONDS 86400

/* How often it looks whether a day has begun or something is owed, which reads a few numbers. */
#define UPKEEP_USEC     (10 * UINT64_C(1000000))
#define UPKEEP_ACCURACY (5 * UINT64_C(1000000))

struct waiting {
        struct waiting *next; /* owned by the list */
        struct upkeep_waiter waiter;
        uint64_t ticket;
};

struct upkeep {
        struct upkeep_config config;
        sd_event_source *timer;   /* owned */
        sd_event_source *erasing; /* owned; NULL: nothing is being erased */
        struct waiting *waiting;  /* owned list */
        uint64_t day;             /* that was noted last */
        bool is_old_due;          /* old turns may be there: a day has begun, or it failed before */
        bool has_failed;          /* and that has been said */
        bool has_erase_failed;
};

/* The list is taken first: who is told may forget more. */
static void tell_all(struct upkeep *u, int r, const struct why *why) {
        struct waiting *list = TAKE_PTR(u->waiting);

        while (list) {
                struct waiting *w = list;

                list = w->next;
                w->waiter.erased(r, r < 0 ? 0 : store_n_forgotten(u->config.store, w->ticket), why,
                                 w->waiter.userdata);
                free(w);
        }
}

static void settled(struct upkeep *u) {
        if (u->config.settled)
                u->config.settled(u->config.userdata);
}

static void erase_failed(struct upkeep *u, int r, const struct why *why) {
        if (!u->has_erase_failed)
                log_warning("What was forgotten may still be on the disk (%s), trying again",
                            why->text);
        u->has_erase_failed = true;
        tell_all(u, r, why);
}

static void begin_erasing(struct upkeep *u);

static int on_erased(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct upkeep *u = userdata;
        struct why why = {};
        int r;

        (void) source;
        (void) fd;
        (void) events;
        u->erasing = sd_event_source_disable_unref(u->erasing);
        r = store_erase_end(u->config.store, &why);
        if (r < 0 && !store_owes(u->config.store)) {
                tell_all(u, r, &why);
        } else if (r < 0) {
                erase_failed(u, r, &why);
        } else if (r > 0) {
                begin_erasing(u);
        } else {
                if (u->has_erase_failed)
                        log_notice("What was left of a forgetting is gone now");
                u->has_erase_failed = false;
                tell_all(u, 0, &why);
        }
        settled(u);
        return 0;
}

static void begin_erasing(struct upkeep *u) {
        struct store *store = u->config.store;
        struct why why = {};
        int r;

        if (u->erasing || !store_owes(store))
                return;
        r = store_erase_begin(store, &why);
        if (r < 0) {
                erase_failed(u, r, &why);
                return;
        }
        r = sd_event_add_io(u->config.loop, &u->erasing, store_erase_fd(store), EPOLLIN, on_erased,
                            u);
        if (r < 0) {
                (void) store_erase_end(store, &why);
                (void) because(&why, r, "event loop: %s", strerror(-r));
                erase_failed(u, r, &why);
        }
}

/* ticket: as store_forget() gave it. */
static int wait_for(struct upkeep *u, uint64_t ticket, const struct upkeep_waiter *waiter) {
        struct waiting *w = malloc(sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (struct waiting){ .next = u->waiting, .waiter = *waiter, .ticket = ticket };
        u->waiting = w;
        begin_erasing(u);
        return 0;
}

static void forgotten(struct upkeep *u) {
        if (u->config.forgotten)
                u->config.forgotten(u->config.userdata);
}

int upkeep_forget(struct upkeep *u,
                  const struct store_span *span,
                  const struct upkeep_waiter *waiter,
                  struct why *why) {
        uint64_t ticket;
        int r;

        r = store_forget(u->config.store, span, &ticket, why);
        /* Also after an error: what waited in memory is gone in any case. */
        forgotten(u);
        if (r < 0)
                return r;
        if (ticket == 0) {
                waiter->erased(0, 0, why, waiter->userdata);
                return 0;
        }
        r = wait_for(u, ticket, waiter);
        return r < 0 ? because(why, r, "out of memory") : 0;
}

static void note_day(struct upkeep *u) {
        uint64_t day = (uint64_t) time(NULL) / DAY_SECONDS;
        struct why why = {};

        if (day == u->day)
                return;
        if (store_note_day(u->config.store, day, &why) < 0) {
                log_debug("The day can not be noted: %s", why.text);
                return;
        }
        u->day = day;
        u->is_old_due = true;
}

static void on_old_erased(int r, uint64_t n, const struct why *why, void *userdata) {
        (void) why;
        (void) userdata;
        if (r >= 0 && n > 0)
                log_info("Forgot %llu old turns", (unsigned long long) n);
}

static void forget_old(struct upkeep *u) {
        const struct upkeep_waiter waiter = { .erased = on_old_erased };
        struct why why = {};
        uint64_t ticket = 0;
        int r;

        if (!u->is_old_due || u->config.keep_days == 0)
                return;
        r = store_forget_old(u->config.store, u->config.keep_days, &ticket, &why);
        u->is_old_due = r < 0;
        if (r < 0 && !u->has_failed)
                log_warning("Old turns can not be forgotten (%s), trying again", why.text);
        u->has_failed = r < 0;
        if (ticket == 0)
                return;
        forgotten(u);
        (void) wait_for(u, ticket, &waiter); /* without memory it is only not told */
}

static void write_waiting(struct upkeep *u) {
        struct store *store = u->config.store;
        unsigned n = store_n_waiting(store);
        struct why why = {};

        if (n == 0 || store_write_waiting(store, &why) < 0)
                return;
        log_notice("%u turns that waited are in the history now", n);
        settled(u);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct upkeep *u = userdata;

        (void) usec;
        note_day(u);
        forget_old(u);
        write_waiting(u);
        begin_erasing(u);
        (void) sd_event_source_set_time_relative(source, UPKEEP_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int upkeep_new(struct upkeep **ret, const struct upkeep_config *config) {
        _cleanup_(upkeep_freep) struct upkeep *u = NULL;
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->config = *config;

        r = sd_event_add_time_relative(config->loop, &u->timer, CLOCK_BOOTTIME, UPKEEP_USEC,
                                       UPKEEP_ACCURACY, on_timer, u);
        if (r < 0)
                return r;
        note_day(u);
        forget_old(u);
        begin_erasing(u);

        *ret = TAKE_PTR(u);
        return 0;
}

void upkeep_set_keep_days(struct upkeep *u, unsigned keep_days) {
        u->config.keep_days = keep_days;
        u->is_old_due = true;
        forget_old(u);
}

struct upkeep *upkeep_free(struct upkeep *u) {
        struct why why = {};

        if (!u)
                return NULL;

        sd_event_source_disable_unref(u->timer);
        sd_event_source_disable_unref(u->erasing);
        (void) because(&why, -ECANCELED, "gemmad is ending");
        tell_all(u, -ECANCELED, &why);
        free(u);
        return NULL;
}
