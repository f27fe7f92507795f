/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/upkeep.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

#define DAY_SECONDS 86400

/* How often it looks whether a day has begun or something is owed, which reads a few numbers. */
#define UPKEEP_USEC     (10 * UINT64_C(1000000))
#define UPKEEP_ACCURACY (5 * UINT64_C(1000000))

struct upkeep {
        struct upkeep_config config;
        sd_event_source *timer; /* owned */
        uint64_t day;           /* that was noted last */
        bool is_old_due;        /* old turns may be there: a day has begun, or it failed before */
        bool has_failed;        /* and that has been said */
};

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

static void forget_old(struct upkeep *u) {
        struct why why = {};
        uint64_t n = 0;
        int r;

        if (!u->is_old_due || u->config.keep_days == 0)
                return;
        r = store_forget_old(u->config.store, u->config.keep_days, &n, &why);
        u->is_old_due = r < 0;
        if (u->config.forgotten && (r < 0 || n > 0))
                u->config.forgotten(u->config.userdata);
        if (r < 0 && !u->has_failed)
                log_warning("Old turns can not be forgotten (%s), trying again", why.text);
        u->has_failed = r < 0;
        if (n > 0)
                log_info("Forgot %llu old turns", (unsigned long long) n);
}

static void settle(struct upkeep *u) {
        struct store *store = u->config.store;
        unsigned n = store_n_waiting(store);
        struct why why = {};
        bool is_settled = false;

        if (n > 0 && store_write_waiting(store, &why) >= 0) {
                log_notice("%u turns that waited are in the history now", n);
                is_settled = true;
        }
        if (store_owes(store) && store_settle(store, &why) >= 0) {
                log_notice("What was left of a forgetting is gone now");
                is_settled = true;
        }
        if (is_settled && u->config.settled)
                u->config.settled(u->config.userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct upkeep *u = userdata;

        (void) usec;
        note_day(u);
        forget_old(u);
        settle(u);
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

        *ret = TAKE_PTR(u);
        return 0;
}

void upkeep_set_keep_days(struct upkeep *u, unsigned keep_days) {
        u->config.keep_days = keep_days;
        u->is_old_due = true;
        forget_old(u);
}

struct upkeep *upkeep_free(struct upkeep *u) {
        if (!u)
                return NULL;

        sd_event_source_disable_unref(u->timer);
        free(u);
        return NULL;
}
