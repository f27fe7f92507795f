/* SPDX-License-Identifier: Apache-2.0 */
#include "sound/live.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "audio/capture.h"
#include "audio/echo.h"
#include "audio/follow.h"
#include "audio/framer.h"
#include "audio/highpass.h"
#include "audio/mix.h"
#include "audio/resample.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/wake.h"

#define RING_MS      1000
#define READ_SAMPLES 1024 /* of each channel; the callback brings 640 at 16 kHz */
#define READ_FRAMES  WALL_LOW /* room for so many has to be there before */
#define BEAT_MS      500

DEFINE_CLEANUP(struct capture *, capture_close)
DEFINE_CLEANUP(struct resample *, resample_free)
DEFINE_CLEANUP(struct follow *, follow_stop)
DEFINE_CLEANUP(struct echo *, echo_free)

struct live {
        struct work *work;         /* not owned, nor is what follows */
        struct capture *capture;
        struct resample *resample;
        struct follow *follow;     /* NULL: of no server, like the next */
        struct echo *echo;
        struct mix mix;
        struct highpass highpass;
        struct framer framer;
        uint64_t n_lost;      /* capture_lost() when last looked */
        uint64_t captured_ns; /* of the last frame */
        float offset, value;
        bool has_sounded;
        bool is_read_still, is_still; /* what was read last; all that may be in the next frame */
        bool is_framed;               /* what was read last has completed a frame */
        bool any;                     /* frames were pushed since the bell was rung */
};

/* Followed for about a second. */
static void note_offset(struct live *l, const float *samples, size_t n) {
        float sum = 0, part = fminf(1, 2 * (float) n / (float) capture_rate(l->capture));

        for (size_t i = 0; i < n; i++)
                sum += isfinite(samples[i]) ? samples[i] : 0;
        l->offset += (l->has_sounded ? part : 1) * (sum / (float) n - l->offset);
}

static void note_sound(struct live *l, const float *samples, size_t n) {
        float value = l->has_sounded ? l->value : samples[0];

        l->is_read_still = true;
        for (size_t i = 0; i < n && l->is_read_still; i++)
                l->is_read_still = samples[i] == value;
        l->is_still &= l->is_read_still;
        note_offset(l, samples, n);
        l->value = samples[n - 1];
        l->has_sounded = true;
}

/* Of several blocks that waited, each counts as having come now, so that a frame from the end of one
 * may seem younger than the next; time does not go back for that. */
static void hand_on(struct live *l, struct frame *frame) {
        struct wall_frame out;

        if (frame->captured_ns < l->captured_ns)
                frame->captured_ns = l->captured_ns;
        l->captured_ns = frame->captured_ns;
        out = (struct wall_frame){
                .frame = *frame,
                .offset = l->offset,
                .value = l->value,
                .is_still = l->is_still,
        };
        l->any |= wall_push(l->work->wall, &out);
        l->is_framed = true;
}

/* What is no number would stay in the filter for ever. */
static void clean(float *samples, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!isfinite(samples[i]))
                        samples[i] = 0;
}

/* Samples at the device's rate, the last of which was there at that time. */
static void feed(struct live *l, const float *samples, size_t n, uint64_t captured_ns) {
        float resampled[READ_SAMPLES], clear[READ_SAMPLES + ECHO_HELD * ECHO_BLOCK];
        struct frame frame;
        size_t n_out;

        do {
                const float *at = resampled;
                size_t left;

                if (resample_feed(l->resample, &samples, &n, resampled, READ_SAMPLES, &n_out) < 0)
                        return;
                clean(resampled, n_out);
                highpass_apply(&l->highpass, resampled, n_out);
                left = n_out;
                if (l->echo) {
                        left = echo_cancel(l->echo, resampled, n_out, captured_ns, clear);
                        at = clear;
                }
                while (framer_feed(&l->framer, &at, &left, captured_ns, &frame) == 1)
                        hand_on(l, &frame);
        } while (n_out == READ_SAMPLES);
}

/* What was lost is a gap, and what was read since is from behind it, or a little from before. */
static void note_losses(struct live *l) {
        uint64_t n_lost = capture_lost(l->capture);

        if (n_lost == l->n_lost)
                return;
        resample_reset(l->resample);
        highpass_reset(&l->highpass);
        if (l->echo)
                echo_gap(l->echo, (n_lost - l->n_lost) * FRAME_RATE / capture_rate(l->capture));
        framer_gap(&l->framer, (n_lost - l->n_lost) * 1000 / capture_rate(l->capture));
        l->n_lost = n_lost;
}

_Static_assert((READ_FRAMES - 1) * FRAME_SAMPLES >=
                       (uint64_t) READ_SAMPLES * FRAME_RATE / RESAMPLE_RATE_MIN +
                               ECHO_HELD * ECHO_BLOCK,
               "what is read at once may find no room");

/* The sides are compared, as those of a file are; one number that is none would count for ever. */
static void mix(struct live *l, float *read, float *mixed, size_t n) {
        clean(read, n * l->mix.n_channels);
        mix_apply(&l->mix, read, mixed, n);
}

/* What was played comes first: it is waited for. */
static void read_played(struct live *l) {
        float played[READ_SAMPLES];
        uint64_t at_ns;
        size_t n;

        while (l->echo && (n = follow_read_played(l->follow, played, READ_SAMPLES, &at_ns)) > 0) {
                clean(played, n);
                echo_play(l->echo, played, n, at_ns);
        }
}

static void read_samples(struct live *l) {
        uint64_t captured_ns = clock_now_ns() - capture_age(l->capture);
        float read[READ_SAMPLES * CAPTURE_CHANNELS_MAX], mixed[READ_SAMPLES];
        const float *samples = l->mix.n_channels > 1 ? mixed : read;
        size_t n;

        note_losses(l);
        read_played(l);
        /* What finds no room waits where it is, and is counted there should that be full, too. */
        while (wall_room(l->work->wall) >= READ_FRAMES &&
               (n = capture_read(l->capture, read, READ_SAMPLES)) > 0) {
                if (l->mix.n_channels > 1)
                        mix(l, read, mixed, n);
                note_sound(l, samples, n);
                feed(l, samples, n, captured_ns);
                if (l->is_framed)
                        l->is_still = l->is_read_still;
                l->is_framed = false;
        }
        if (l->any)
                wake_ring(l->work->up_fd);
        l->any = false;
}

/* The system's choice of a microphone may change, and one that is gone may be replaced under us by
 * something that gives zeros. */
static int look_around(struct live *l, bool *is_told, struct why *why) {
        const struct wall_message other = { .word = WALL_OTHER };

        switch (l->follow ? follow_state(l->follow) : FOLLOW_SAME) {
        case FOLLOW_GONE:
                return because(why, -ENODEV, "the microphone is gone");
        case FOLLOW_OTHER:
                if (!*is_told)
                        work_say(l->work, &other);
                *is_told = true;
                break;
        case FOLLOW_SAME:
                *is_told = false;
                break;
        }
        return 0;
}

/* Every frame comes through here, so it asks for nothing that the last poll() has told. */
static int listen_to(struct live *l, int bell_fd, struct why *why) {
        struct pollfd waits[] = {
                { .fd = bell_fd, .events = POLLIN },
                { .fd = l->work->socket_fd, .events = POLLIN },
                { .fd = l->work->down_fd, .events = POLLIN },
        };
        bool is_told = false, is_full = false;
        int r;

        while (!waits[1].revents) {
                work_beat(l->work);
                wake_clear(bell_fd);
                if (is_full)
                        wall_clear_bell(l->work->down_fd);
                read_samples(l);
                is_full = wall_room(l->work->wall) < READ_FRAMES;
                if (!capture_is_active(l->capture))
                        return because(why, -ENODEV, "the microphone is gone");
                r = look_around(l, &is_told, why);
                if (r < 0)
                        return r;
                (void) poll(waits, is_full ? 3 : 2, BEAT_MS);
        }
        return 0;
}

int live_run(struct work *w, struct why *why) {
        _cleanup_(closep) int bell_fd = -1;
        _cleanup_(capture_closep) struct capture *capture = NULL;
        _cleanup_(resample_freep) struct resample *resample = NULL;
        _cleanup_(follow_stopp) struct follow *follow = NULL;
        _cleanup_(echo_freep) struct echo *echo = NULL;
        struct capture_config config = { .device = w->task.device, .ring_ms = RING_MS };
        struct wall_message open = { .word = WALL_OPEN };
        struct live l = { .work = w, .is_still = true };
        int r;

        bell_fd = config.wake_fd = wake_open();
        if (bell_fd < 0)
                return because(why, bell_fd, "no doorbell: %s", strerror(-bell_fd));
        r = capture_open(&capture, &config, why);
        if (r < 0)
                return r;
        r = resample_new(&resample, capture_rate(capture));
        if (r < 0)
                return because(why, r, "cannot convert from %u Hz", capture_rate(capture));
        /* Without it the microphone is heard as well. */
        if (*capture_source(capture))
                (void) follow_start(&follow, config.device, capture_source(capture), bell_fd);
        if (follow)
                (void) echo_new(&echo);

        l.capture = capture;
        l.resample = resample;
        l.follow = follow;
        l.echo = echo;
        mix_init(&l.mix, capture_channels(capture), capture_rate(capture));
        framer_init(&l.framer);
        l.n_lost = capture_lost(capture);
        (void) snprintf(open.open.device, sizeof(open.open.device), "%s", capture_device(capture));
        work_say(w, &open);
        return listen_to(&l, bell_fd, why);
}
