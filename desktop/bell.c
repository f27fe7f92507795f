/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "desktop/ring.h"
#include "desktop/words.h"

/* Nobody is there who would stop it. */
#define SILENCE_USEC (INT64_C(10) * 60 * USEC_PER_SEC)

/* Due longer ago than this, it was missed. */
#define LATE_USEC (INT64_C(30) * USEC_PER_SEC)

/* A change of the time zone is told by nobody, so while there is something to wait for the clock is
 * looked at this often. */
#define LOOK_USEC (INT64_C(60) * USEC_PER_SEC)

struct ringing {
        struct bell *owner;
        int64_t id;             /* of the timer; 0: this place is free */
        struct notice *notice; /* owned; NULL: nobody shows any */
        int64_t since_boot;
};

struct bell {
        struct notify *notify;  /* not owned */
        void (*changed)(void *userdata);
        void *userdata;
        struct timers *timers;  /* owned */
        struct ring *ring;      /* owned */
        int fd;                 /* owned; of the kernel's timer */
        sd_event_source *io;    /* owned */
        struct ringing ringing[TIMERS_MAX];
        unsigned n_ringing;
};

static const char *const actions[] = {
        "default", "Stop", "stop", "Stop", "snooze", "Snooze", NULL,
};

static int64_t usec_of(clockid_t clock) {
        struct timespec t;

        (void) clock_gettime(clock, &t);
        return (int64_t) t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

struct moment bell_now(void) {
        return (struct moment){ usec_of(CLOCK_REALTIME), usec_of(CLOCK_BOOTTIME) };
}

static struct ringing *find_ringing(struct bell *b, int64_t id) {
        for (unsigned i = 0; i < TIMERS_MAX; i++)
                if (b->ringing[i].id == id)
                        return &b->ringing[i];
        return NULL;
}

static void end_ringing(struct bell *b, struct ringing *ringing) {
        ringing->notice = notice_close(ringing->notice);
        ringing->id = 0;
        if (--b->n_ringing == 0)
                ring_stop(b->ring);
}

static void on_chosen(const char *key, void *userdata) {
        struct ringing *ringing = userdata;
        struct bell *b = ringing->owner;
        struct moment now = bell_now();

        if (key && strcmp(key, "snooze") == 0)
                (void) timers_snooze(b->timers, ringing->id, SNOOZE_USEC, &now);
        else
                (void) timers_remove(b->timers, ringing->id);
        bell_changed(b);
}

static void
describe(const struct timer *timer, const struct moment *now, char *title, char *body, size_t size) {
        char name[TIMER_NAME_SIZE] = "", text[96];
        bool is_late = now->real - timer->due_real > LATE_USEC;

        if (*timer->name)
                (void) snprintf(name, sizeof(name), "%.60s ", timer->name);
        (void) snprintf(title, size, "%s%s%s", is_late ? "Missed: " : "", name,
                        timer->is_alarm ? "alarm" : "timer");
        (void) words_capital(title);
        if (is_late)
                (void) snprintf(body, size, "It was due at %s.",
                                words_moment(text, sizeof(text), timer->due_real, now->real));
        else if (timer->is_alarm)
                (void) snprintf(body, size, "It is %s.",
                                words_moment(text, sizeof(text), now->real, now->real));
        else
                (void) snprintf(body, size, "It was set for %s.",
                                words_duration(text, sizeof(text), timer->duration));
}

static void begin_ringing(struct bell *b, const struct timer *timer, const struct moment *now) {
        struct ringing *ringing = find_ringing(b, 0);
        char title[160], body[160];
        const struct notice_config config = {
                .title = title,
                .body = body,
                .icon = "alarm-symbolic",
                .is_urgent = true,
                .actions = actions,
                .chosen = on_chosen,
                .userdata = ringing,
        };

        describe(timer, now, title, body, sizeof(title));
        *ringing = (struct ringing){ b, timer->id, NULL, now->boot };
        b->n_ringing++;
        log_notice("Ringing: %s is over%s", timer->is_alarm ? "the time until an alarm" : "a timer",
                   now->real - timer->due_real > LATE_USEC ? ", and was missed" : "");
        ring_start(b->ring);
        if (b->notify)
                ringing->notice = notice_show(b->notify, &config);
}

/* What has rung long enough is only shown from then on. */
static void end_unheard(struct bell *b, const struct moment *now) {
        for (unsigned i = 0; i < TIMERS_MAX; i++) {
                struct ringing *ringing = &b->ringing[i];

                if (ringing->id == 0 || now->boot - ringing->since_boot < SILENCE_USEC)
                        continue;
                log_notice("Nobody has stopped it");
                (void) timers_remove(b->timers, ringing->id);
                notice_leave(ringing->notice);
                ringing->notice = NULL;
                end_ringing(b, ringing);
        }
}

/* What rings no longer, because somebody has changed the table. */
static void end_changed(struct bell *b) {
        for (unsigned i = 0; i < TIMERS_MAX; i++) {
                const struct timer *timer;

                if (b->ringing[i].id == 0)
                        continue;
                timer = timers_find(b->timers, b->ringing[i].id);
                if (!timer || !timer->is_ringing)
                        end_ringing(b, &b->ringing[i]);
        }
}

/* On the wall clock, and told when that is set. */
static void arm(struct bell *b, const struct moment *now) {
        int64_t next = timers_next(b->timers);
        struct itimerspec spec = {};

        if (next != INT64_MAX || b->n_ringing > 0 || timers_are_behind(b->timers)) {
                if (next > now->real + LOOK_USEC)
                        next = now->real + LOOK_USEC;
                if (next <= now->real)
                        next = now->real + 1;
                spec.it_value.tv_sec = (time_t) (next / USEC_PER_SEC);
                spec.it_value.tv_nsec = (long) (next % USEC_PER_SEC * 1000);
        }
        (void) timerfd_settime(b->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL);
}

static void look(struct bell *b) {
        bool was_ringing = b->n_ringing > 0;
        struct moment now = bell_now();
        const struct timer *timer;

        timers_reconcile(b->timers, &now);
        end_changed(b);
        end_unheard(b, &now);
        while ((timer = timers_take_due(b->timers, &now)))
                begin_ringing(b, timer, &now);
        arm(b, &now);
        if (b->changed && was_ringing != (b->n_ringing > 0))
                b->changed(b->userdata);
}

/* Due, or the clock was set: reading says ECANCELED then, and either way all is looked at anew. */
static int on_time(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        uint64_t n;

        (void) source, (void) events;
        if (read(fd, &n, sizeof(n)) < 0 && errno == ECANCELED)
                log_debug("The clock was set");
        look(userdata);
        return 0;
}

/* One that wakes the machine where the session may do that. */
static int open_timer(void) {
        int fd;

        fd = timerfd_create(CLOCK_REALTIME_ALARM, TFD_CLOEXEC | TFD_NONBLOCK);
        if (fd < 0)
                fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

static void read_boot_id(char *ret, size_t size) {
        _cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

        ret[n > 0 ? n : 0] = 0;
        ret[strcspn(ret, "\n")] = 0;
}

static int open_table(struct bell *b, const char *directory, struct why *why) {
        struct moment now = bell_now();
        char boot_id[64];
        struct why reason = {};

        read_boot_id(boot_id, sizeof(boot_id));
        if (timers_open(&b->timers, directory, boot_id, &now, &reason) >= 0)
                return 0;
        log_warning("Timers can not be kept (%s): they end with this program", reason.text);
        return timers_open(&b->timers, NULL, boot_id, &now, why);
}

int bell_new(struct bell **ret, const struct bell_config *config, struct why *why) {
        _cleanup_(bell_freep) struct bell *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return because(why, -ENOMEM, "out of memory");
        b->notify = config->notify;
        b->fd = open_timer();
        if (b->fd < 0)
                return because(why, b->fd, "timerfd: %s", strerror(-b->fd));
        r = open_table(b, config->directory, why);
        if (r < 0)
                return r;
        r = ring_new(&b->ring, config->loop, config->sound, config->loudness);
        if (r >= 0)
                r = sd_event_add_io(config->loop, &b->io, b->fd, EPOLLIN, on_time, b);
        if (r < 0)
                return because(why, r, "bell: %s", strerror(-r));

        look(b);
        b->changed = config->changed;
        b->userdata = config->userdata;
        *ret = TAKE_PTR(b);
        return 0;
}

struct bell *bell_free(struct bell *b) {
        if (!b)
                return NULL;

        (void) sd_event_source_disable_unref(b->io);
        for (unsigned i = 0; i < TIMERS_MAX; i++)
                (void) notice_close(b->ringing[i].notice);
        (void) ring_free(b->ring);
        (void) timers_close(b->timers);
        closep(&b->fd);
        free(b);
        return NULL;
}

struct timers *bell_timers(struct bell *b) {
        return b->timers;
}

void bell_changed(struct bell *b) {
        look(b);
}

void bell_look(struct bell *b) {
        look(b);
}

bool bell_is_ringing(const struct bell *b) {
        return b->n_ringing > 0;
}

unsigned bell_stop(struct bell *b) {
        unsigned n = b->n_ringing;

        for (unsigned i = 0; i < TIMERS_MAX; i++)
                if (b->ringing[i].id != 0)
                        (void) timers_remove(b->timers, b->ringing[i].id);
        bell_changed(b);
        return n;
}

unsigned bell_snooze(struct bell *b, int64_t usec) {
        struct moment now = bell_now();
        unsigned n = b->n_ringing;

        for (unsigned i = 0; i < TIMERS_MAX; i++)
                if (b->ringing[i].id != 0)
                        (void) timers_snooze(b->timers, b->ringing[i].id, usec, &now);
        bell_changed(b);
        return n;
}
