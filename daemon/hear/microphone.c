/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/microphone.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define SECOND_NS UINT64_C(1000000000)

/* Whoever speaks into a microphone that is dead is to hear of it soon.  But some sources need more than
 * a second and a half for the first sample, so each attempt waits longer. */
#define FIRST_SAMPLE_NS (19 * SECOND_NS / 10)
#define LAST_SAMPLE_NS  (8 * SECOND_NS)
#define NEXT_SAMPLE_NS  (3 * SECOND_NS / 2)

#define FIRST_PAUSE_NS (SECOND_NS / 8)
#define LAST_PAUSE_NS  SECOND_NS

/* A room is never this quiet; a switch on the microphone is, and does not change by opening. */
#define FIRST_ZEROS_NS (3 * SECOND_NS / 2)
#define LAST_ZEROS_NS  (60 * SECOND_NS)

/* Nobody calls microphone_step() so rarely: the process or the machine was stopped. */
#define SLEPT_NS (5 * SECOND_NS)

#define READ_SAMPLES 512

static void set_state(struct microphone *m, enum microphone_state state) {
        if (m->state == state)
                return;
        m->state = state;
        if (state == MICROPHONE_CLOSED)
                m->name[0] = '\0';
        m->on_state(m->userdata);
}

void microphone_init(struct microphone *m) {
        m->pause_ns = FIRST_PAUSE_NS;
        m->patience_ns = FIRST_ZEROS_NS;
        m->first_ns = FIRST_SAMPLE_NS;
        framer_init(&m->framer);
}

void microphone_done(struct microphone *m) {
        device_end(m->device, m->capture);
        m->capture = NULL;
        m->resample = resample_free(m->resample);
}

static void begin(struct microphone *m, enum device_task task) {
        struct capture *capture = task == DEVICE_CLOSE ? TAKE_PTR(m->capture) : NULL;

        m->is_busy = device_begin(m->device, task, capture);
}

static void lose(struct microphone *m, uint64_t now_ns, const char *reason) {
        bool has_new_reason = m->state == MICROPHONE_LOST && strcmp(m->why.text, reason) != 0;

        (void) because(&m->why, 0, "%s", reason);
        m->name[0] = '\0';
        if (m->capture)
                begin(m, DEVICE_CLOSE);
        m->retry_ns = now_ns + m->pause_ns;
        m->pause_ns = m->pause_ns * 2 < LAST_PAUSE_NS ? m->pause_ns * 2 : LAST_PAUSE_NS;
        if (has_new_reason)
                m->on_state(m->userdata);
        set_state(m, MICROPHONE_LOST);
}

/* A stream begins: what comes now has nothing to do with what came before. */
static int begin_stream(struct microphone *m) {
        unsigned rate = capture_rate(m->capture);
        bool is_interrupted;
        int r;

        if (m->resample && rate == m->rate) {
                resample_reset(m->resample);
        } else {
                m->resample = resample_free(m->resample);
                r = resample_new(&m->resample, rate);
                if (r < 0)
                        return r;
                m->rate = rate;
        }
        /* While it was not wanted nothing was lost. */
        is_interrupted = m->state == MICROPHONE_LIVE || m->state == MICROPHONE_LOST;
        framer_gap(&m->framer, is_interrupted ? FRAME_GAP_UNKNOWN : 0);
        highpass_reset(&m->highpass);
        m->n_lost = capture_lost(m->capture);
        m->has_sounded = false;
        (void) snprintf(m->name, sizeof(m->name), "%s", capture_device(m->capture));
        return 0;
}

static void on_opened(struct microphone *m, const struct device_result *result, uint64_t now_ns) {
        int r;

        if (result->r < 0) {
                lose(m, now_ns, result->why.text);
                return;
        }
        m->capture = result->capture;
        r = begin_stream(m);
        if (r < 0)
                lose(m, now_ns, strerror(-r));
}

static void take_result(struct microphone *m, uint64_t now_ns) {
        const struct device_result *result = device_take(m->device);

        if (!result)
                return;
        m->is_busy = false;
        switch (result->task) {
        case DEVICE_OPEN:
                on_opened(m, result, now_ns);
                break;
        case DEVICE_CLOSE:
                break;
        case DEVICE_LIST:
                m->on_listed(result, m->userdata);
                break;
        }
}

/* Followed for about a second. */
static void note_offset(struct microphone *m, const float *samples, size_t n) {
        float sum = 0, part = fminf(1, 2 * (float) n / (float) m->rate);

        for (size_t i = 0; i < n; i++)
                sum += isfinite(samples[i]) ? samples[i] : 0;
        m->offset += (m->has_sounded ? part : 1) * (sum / (float) n - m->offset);
}

static void note_sound(struct microphone *m, const float *samples, size_t n, uint64_t now_ns) {
        float value = m->has_sounded ? m->last_sample : samples[0];
        bool is_still = true;

        for (size_t i = 0; i < n && is_still; i++)
                is_still = samples[i] == value;

        note_offset(m, samples, n);
        m->last_sample = samples[n - 1];
        m->has_sounded = true;
        m->pause_ns = FIRST_PAUSE_NS;
        m->first_ns = FIRST_SAMPLE_NS;
        if (!is_still) {
                m->zeros_ns = 0;
                m->patience_ns = FIRST_ZEROS_NS;
                set_state(m, MICROPHONE_LIVE);
        } else if (m->zeros_ns == 0) {
                m->zeros_ns = now_ns;
        }
        if (m->state != MICROPHONE_SILENT)
                set_state(m, MICROPHONE_LIVE);
}

/* Of several blocks that waited, each counts as having come now, so that a frame from the end of one
 * may seem younger than the next; time does not go back for that. */
static void hand_on(struct microphone *m, struct frame *frame) {
        if (frame->captured_ns < m->captured_ns)
                frame->captured_ns = m->captured_ns;
        m->captured_ns = frame->captured_ns;
        frame->framed_ns = clock_now_ns();
        m->on_frame(frame, m->userdata);
}

/* What is no number would stay in the filter for ever. */
static void clean(float *samples, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!isfinite(samples[i]))
                        samples[i] = 0;
}

/* Samples at the device's rate, the last of which was there at that time. */
static void feed(struct microphone *m, const float *samples, size_t n, uint64_t captured_ns) {
        float resampled[READ_SAMPLES];
        struct frame frame;
        size_t n_out;

        do {
                const float *at = resampled;

                if (resample_feed(m->resample, &samples, &n, resampled, READ_SAMPLES, &n_out) < 0)
                        return;
                clean(resampled, n_out);
                highpass_apply(&m->highpass, resampled, n_out);
                for (size_t left = n_out;
                     framer_feed(&m->framer, &at, &left, captured_ns, &frame) == 1;)
                        hand_on(m, &frame);
        } while (n_out == READ_SAMPLES);
}

/* What was lost is a gap, and what was read since is from behind it, or a little from before. */
static void note_losses(struct microphone *m) {
        uint64_t n_lost = capture_lost(m->capture);

        if (n_lost == m->n_lost)
                return;
        resample_reset(m->resample);
        highpass_reset(&m->highpass);
        framer_gap(&m->framer, (n_lost - m->n_lost) * 1000 / m->rate);
        m->n_lost = n_lost;
}

static void read_samples(struct microphone *m, uint64_t now_ns) {
        uint64_t captured_ns = now_ns - capture_age(m->capture);
        float samples[READ_SAMPLES];
        size_t n;

        note_losses(m);
        while ((n = capture_read(m->capture, samples, READ_SAMPLES)) > 0) {
                note_sound(m, samples, n, now_ns);
                feed(m, samples, n, captured_ns);
        }
}

/* Opened anew at once, and again later and later, while it stays what it is. */
static void reopen_silent(struct microphone *m, uint64_t now_ns) {
        m->zeros_ns = now_ns;
        m->patience_ns = m->patience_ns * 2 < LAST_ZEROS_NS ? m->patience_ns * 2 : LAST_ZEROS_NS;
        set_state(m, MICROPHONE_SILENT);
        m->retry_ns = now_ns;
        begin(m, DEVICE_CLOSE);
}

static void use(struct microphone *m, uint64_t now_ns, uint64_t boot_ns) {
        uint64_t limit_ns = m->has_sounded ? NEXT_SAMPLE_NS : m->first_ns;

        if (boot_ns - m->last_boot_ns > SLEPT_NS) {
                m->retry_ns = now_ns;
                begin(m, DEVICE_CLOSE);
                return;
        }
        read_samples(m, now_ns);
        if (!capture_is_active(m->capture)) {
                lose(m, now_ns, "the microphone is gone");
        } else if (capture_age(m->capture) > limit_ns) {
                if (!m->has_sounded && m->first_ns < LAST_SAMPLE_NS)
                        m->first_ns *= 2;
                lose(m, now_ns, "the microphone gives nothing any more");
        } else if (m->zeros_ns != 0 && now_ns - m->zeros_ns > m->patience_ns) {
                reopen_silent(m, now_ns);
        }
}

static void close_unwanted(struct microphone *m) {
        if (m->capture)
                begin(m, DEVICE_CLOSE);
        m->retry_ns = 0;
        m->pause_ns = FIRST_PAUSE_NS;
        m->zeros_ns = 0;
        m->patience_ns = FIRST_ZEROS_NS;
        set_state(m, MICROPHONE_CLOSED);
}

void microphone_step(struct microphone *m, uint64_t now_ns, uint64_t boot_ns) {
        if (m->is_busy)
                take_result(m, now_ns);

        if (!m->is_busy && m->list_is_wanted) {
                m->list_is_wanted = false;
                begin(m, DEVICE_LIST);
        }
        if (!m->is_busy && !m->is_wanted) {
                close_unwanted(m);
        } else if (!m->is_busy && m->capture) {
                use(m, now_ns, boot_ns);
        } else if (!m->is_busy && now_ns >= m->retry_ns) {
                begin(m, DEVICE_OPEN);
                if (m->state == MICROPHONE_CLOSED)
                        set_state(m, MICROPHONE_OPENING);
        }
        m->last_boot_ns = boot_ns;
}

bool microphone_has_device(const struct microphone *m) {
        return m->is_busy || m->capture;
}

const char *microphone_state_name(enum microphone_state state) {
        static const char *const names[] = {
                [MICROPHONE_CLOSED] = "closed", [MICROPHONE_OPENING] = "opening",
                [MICROPHONE_LIVE] = "live",     [MICROPHONE_SILENT] = "silent",
                [MICROPHONE_LOST] = "lost",
        };

        return names[state];
}
