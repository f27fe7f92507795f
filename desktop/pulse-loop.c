/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/pulse-loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>

/* The three kinds of sources of libpulse; each is one source of sd-event.  A callback may release
 * its own source, so nothing is touched after one. */
struct pa_io_event {
        struct pulse_loop *owner;
        sd_event_source *source; /* owned */
        pa_io_event_cb_t callback;
        pa_io_event_destroy_cb_t destroyed;
        void *userdata;
};

struct pa_time_event {
        struct pulse_loop *owner;
        sd_event_source *source; /* owned */
        struct timeval due;
        pa_time_event_cb_t callback;
        pa_time_event_destroy_cb_t destroyed;
        void *userdata;
};

struct pa_defer_event {
        struct pulse_loop *owner;
        sd_event_source *source; /* owned */
        pa_defer_event_cb_t callback;
        pa_defer_event_destroy_cb_t destroyed;
        void *userdata;
};

struct pulse_loop {
        pa_mainloop_api api;
        sd_event *loop; /* owned reference */
};

static uint32_t to_epoll(pa_io_event_flags_t flags) {
        return ((flags & PA_IO_EVENT_INPUT) ? EPOLLIN : 0u) |
               ((flags & PA_IO_EVENT_OUTPUT) ? EPOLLOUT : 0u);
}

static pa_io_event_flags_t from_epoll(uint32_t events) {
        unsigned flags = PA_IO_EVENT_NULL;

        if (events & EPOLLIN)
                flags |= PA_IO_EVENT_INPUT;
        if (events & EPOLLOUT)
                flags |= PA_IO_EVENT_OUTPUT;
        if (events & EPOLLHUP)
                flags |= PA_IO_EVENT_HANGUP;
        if (events & EPOLLERR)
                flags |= PA_IO_EVENT_ERROR;
        return (pa_io_event_flags_t) flags;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        pa_io_event *e = userdata;

        (void) source;
        e->callback(&e->owner->api, e, fd, from_epoll(events), e->userdata);
        return 0;
}

static pa_io_event *io_new(pa_mainloop_api *api,
                           int fd,
                           pa_io_event_flags_t flags,
                           pa_io_event_cb_t callback,
                           void *userdata) {
        struct pulse_loop *l = api->userdata;
        pa_io_event *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        *e = (pa_io_event){ .owner = l, .callback = callback, .userdata = userdata };
        if (sd_event_add_io(l->loop, &e->source, fd, to_epoll(flags), on_io, e) < 0) {
                free(e);
                return NULL;
        }
        return e;
}

static void io_enable(pa_io_event *e, pa_io_event_flags_t flags) {
        (void) sd_event_source_set_io_events(e->source, to_epoll(flags));
}

static void io_free(pa_io_event *e) {
        if (e->destroyed)
                e->destroyed(&e->owner->api, e, e->userdata);
        (void) sd_event_source_disable_unref(e->source);
        free(e);
}

static void io_set_destroy(pa_io_event *e, pa_io_event_destroy_cb_t destroyed) {
        e->destroyed = destroyed;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        pa_time_event *e = userdata;

        (void) source, (void) usec;
        e->callback(&e->owner->api, e, &e->due, e->userdata);
        return 0;
}

/* libpulse gives a foreign loop times of the wall clock, which may be set meanwhile: what counts is
 * how far away they are now. */
static uint64_t usec_from_now(const struct timeval *due) {
        struct timeval now, left;

        (void) gettimeofday(&now, NULL);
        if (!timercmp(due, &now, >))
                return 0;
        timersub(due, &now, &left);
        return (uint64_t) left.tv_sec * 1000000 + (uint64_t) left.tv_usec;
}

static void time_restart(pa_time_event *e, const struct timeval *due) {
        if (!due) {
                (void) sd_event_source_set_enabled(e->source, SD_EVENT_OFF);
                return;
        }
        e->due = *due;
        (void) sd_event_source_set_time_relative(e->source, usec_from_now(due));
        (void) sd_event_source_set_enabled(e->source, SD_EVENT_ONESHOT);
}

static pa_time_event *time_new(pa_mainloop_api *api,
                               const struct timeval *due,
                               pa_time_event_cb_t callback,
                               void *userdata) {
        struct pulse_loop *l = api->userdata;
        pa_time_event *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        *e = (pa_time_event){ .owner = l, .callback = callback, .userdata = userdata };
        if (sd_event_add_time_relative(l->loop, &e->source, CLOCK_MONOTONIC, 0, 1, on_time, e) < 0) {
                free(e);
                return NULL;
        }
        time_restart(e, due);
        return e;
}

static void time_free(pa_time_event *e) {
        if (e->destroyed)
                e->destroyed(&e->owner->api, e, e->userdata);
        (void) sd_event_source_disable_unref(e->source);
        free(e);
}

static void time_set_destroy(pa_time_event *e, pa_time_event_destroy_cb_t destroyed) {
        e->destroyed = destroyed;
}

static int on_defer(sd_event_source *source, void *userdata) {
        pa_defer_event *e = userdata;

        (void) source;
        e->callback(&e->owner->api, e, e->userdata);
        return 0;
}

static pa_defer_event *
defer_new(pa_mainloop_api *api, pa_defer_event_cb_t callback, void *userdata) {
        struct pulse_loop *l = api->userdata;
        pa_defer_event *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        *e = (pa_defer_event){ .owner = l, .callback = callback, .userdata = userdata };
        if (sd_event_add_defer(l->loop, &e->source, on_defer, e) < 0 ||
            sd_event_source_set_enabled(e->source, SD_EVENT_ON) < 0) {
                (void) sd_event_source_disable_unref(e->source);
                free(e);
                return NULL;
        }
        return e;
}

static void defer_enable(pa_defer_event *e, int is_on) {
        (void) sd_event_source_set_enabled(e->source, is_on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void defer_free(pa_defer_event *e) {
        if (e->destroyed)
                e->destroyed(&e->owner->api, e, e->userdata);
        (void) sd_event_source_disable_unref(e->source);
        free(e);
}

static void defer_set_destroy(pa_defer_event *e, pa_defer_event_destroy_cb_t destroyed) {
        e->destroyed = destroyed;
}

/* Nothing that is used of libpulse ends a loop. */
static void quit(pa_mainloop_api *api, int status) {
        (void) api, (void) status;
}

int pulse_loop_new(struct pulse_loop **ret, sd_event *loop) {
        struct pulse_loop *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->loop = sd_event_ref(loop);
        l->api = (pa_mainloop_api){
                .userdata = l,
                .io_new = io_new,
                .io_enable = io_enable,
                .io_free = io_free,
                .io_set_destroy = io_set_destroy,
                .time_new = time_new,
                .time_restart = time_restart,
                .time_free = time_free,
                .time_set_destroy = time_set_destroy,
                .defer_new = defer_new,
                .defer_enable = defer_enable,
                .defer_free = defer_free,
                .defer_set_destroy = defer_set_destroy,
                .quit = quit,
        };
        *ret = l;
        return 0;
}

struct pulse_loop *pulse_loop_free(struct pulse_loop *l) {
        if (!l)
                return NULL;

        (void) sd_event_unref(l->loop);
        free(l);
        return NULL;
}

pa_mainloop_api *pulse_loop_api(struct pulse_loop *l) {
        return &l->api;
}
