/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store/retention.h"

#include <errno.h>
#include <stdint.h>
#include <time.h>

#include "base/log.h"

#define DAY_USEC UINT64_C(86400000000)

struct retention {
        struct retention_config config;
        sd_event_source *daily; /* owned */
};

static void forget_old(struct retention *t) {
        struct store_span span = STORE_SPAN_ALL;
        struct timespec now;
        struct why why = {};
        uint64_t keep_us = t->config.keep_days * DAY_USEC;
        uint64_t n = 0, now_us;
        int r;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        now_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
        if (now_us <= keep_us)
                return;

        span.began_to_us = now_us - keep_us - 1;
        r = store_forget(t->config.store, &span, &n, &why);
        if (t->config.forgotten && (r < 0 || n > 0))
                t->config.forgotten(t->config.userdata);
        if (r < 0)
                log_warning("Old turns can not be forgotten (%s), trying again in a day", why.text);
        else if (n > 0)
                log_info("Forgot %llu old turns", (unsigned long long) n);
}

static int on_daily(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) usec;
        forget_old(userdata);
        (void) sd_event_source_set_time_relative(source, DAY_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int retention_new(struct retention **ret, const struct retention_config *config) {
        _cleanup_(retention_freep) struct retention *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->config = *config;

        /* A day that was slept through counts. */
        r = sd_event_add_time_relative(config->loop, &t->daily, CLOCK_BOOTTIME, DAY_USEC, 0,
                                       on_daily, t);
        if (r < 0)
                return r;
        forget_old(t);

        *ret = TAKE_PTR(t);
        return 0;
}

struct retention *retention_free(struct retention *t) {
        if (!t)
                return NULL;

        sd_event_source_disable_unref(t->daily);
        free(t);
        return NULL;
}
