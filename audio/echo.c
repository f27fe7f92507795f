/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/echo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <speex/speex_echo.h>

#include "audio/delay.h"
#include "audio/frame.h"
#include "base/cleanup.h"

/* How much of the room's echo is learnt: 320 ms behind the delay. */
#define TAIL 5120

/* What is played is kept for 2 s. */
#define PLAYED (1u << 15)

/* So much earlier than the delay that was found the canceller begins to look. */
#define MARGIN 320

/* The delay may move so far into the tail before the canceller has to look elsewhere. */
#define LATEST (TAIL / 2)

/* A delay that is found counts when it stays for so many blocks of 20 ms. */
#define SETTLED 25

/* Behind what is audible; the echo of a room has gone by then. */
#define ACTIVE_SAMPLES FRAME_RATE

/* What is quieter is not heard back. */
#define AUDIBLE 0.0003f

/* A line in time on which blocks come when they come, but never early: the earliest counts, and the line
 * moves slowly later, because no two clocks go alike. */
#define LINE_LEAK 0.0002
#define LINE_GAP  (FRAME_RATE / 4) /* samples; what is so much later was not sent meanwhile */

/* The two lines are taken to be as before while they differ by less; in samples.  Not in the first second
 * of a stream, when each block that comes earlier than those before tells where its line is. */
#define SLACK     160
#define UNSETTLED FRAME_RATE

struct line {
        double start; /* the time of sample 0, in samples */
        uint64_t n;   /* samples, up to now */
        bool has_begun;
};

struct echo {
        SpeexEchoState *canceller; /* owned */
        struct delay delay;
        struct line played_line, heard_line;
        double shift; /* of sample i heard at the same time i + shift is played */
        bool has_shift;
        size_t n_unsettled; /* samples, until the lines are known */
        unsigned start;     /* the canceller looks so many samples before that */
        unsigned n_settled; /* blocks for which another delay was found */
        unsigned n_active;  /* samples for which something may still be heard */
        uint64_t n_looked;  /* samples played, which the delay has seen */
        float played[PLAYED]; /* sample i at i % PLAYED */
        float held[(ECHO_HELD + 1) * ECHO_BLOCK]; /* of the microphone, [n_held] */
        size_t n_held;
};

/* Of a block that ends there: where the line is.  Returns how many samples were not sent before it. */
static uint64_t line_advance(struct line *l, size_t n, uint64_t at_ns) {
        double at = (double) at_ns * FRAME_RATE / 1e9;
        uint64_t n_missing = 0;
        double start;

        l->n += n;
        start = at - (double) l->n;
        if (!l->has_begun)
                l->start = start;
        l->has_begun = true;
        if (start - l->start > LINE_GAP) {
                n_missing = (uint64_t) (start - l->start);
                l->n += n_missing;
                start -= (double) n_missing;
        }
        l->start += LINE_LEAK * (double) n;
        if (start < l->start)
                l->start = start;
        return n_missing;
}

static bool is_audible(const float *samples, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (fabsf(samples[i]) > AUDIBLE)
                        return true;
        return false;
}

/* n may be 0, and samples are silence then. */
static void keep_played(struct echo *e, uint64_t at, const float *samples, uint64_t n) {
        for (uint64_t i = n > PLAYED ? n - PLAYED : 0; i < n; i++)
                e->played[(at + i) % PLAYED] = samples ? samples[i] : 0;
}

/* The delay sees whole blocks. */
static void look_at_played(struct echo *e) {
        if (e->played_line.n - e->n_looked > PLAYED / 2) {
                delay_init(&e->delay);
                e->n_looked = e->played_line.n / SPECTRUM_BLOCK * SPECTRUM_BLOCK;
                e->delay.n_played = e->n_looked / SPECTRUM_BLOCK;
        }
        for (; e->played_line.n - e->n_looked >= SPECTRUM_BLOCK; e->n_looked += SPECTRUM_BLOCK) {
                float block[SPECTRUM_BLOCK];

                for (unsigned i = 0; i < SPECTRUM_BLOCK; i++)
                        block[i] = e->played[(e->n_looked + i) % PLAYED];
                delay_play(&e->delay, block);
        }
}

void echo_play(struct echo *e, const float *samples, size_t n, uint64_t at_ns) {
        uint64_t before = e->played_line.n;
        uint64_t n_missing = line_advance(&e->played_line, n, at_ns);

        if (n_missing > 0)
                e->n_unsettled = UNSETTLED;
        keep_played(e, before, NULL, n_missing);
        keep_played(e, before + n_missing, samples, n);
        if (is_audible(samples, n))
                e->n_active = ACTIVE_SAMPLES;
        look_at_played(e);
}

/* What is not there yet, or no longer, is silence. */
static float played_at(const struct echo *e, int64_t i) {
        if (i < 0 || (uint64_t) i >= e->played_line.n || (uint64_t) i + PLAYED < e->played_line.n)
                return 0;
        return e->played[(uint64_t) i % PLAYED];
}

/* Both lines move a little with each block that comes earlier than any before, which is no reason to
 * learn the room anew. */
static void follow_shift(struct echo *e, size_t n) {
        double shift = e->heard_line.start - e->played_line.start;
        bool is_settled = e->n_unsettled == 0;

        e->n_unsettled -= n < e->n_unsettled ? n : e->n_unsettled;
        if (e->has_shift && is_settled && fabs(shift - e->shift) < SLACK)
                return;
        e->shift = shift;
        e->has_shift = true;
}

/* The place at which the canceller looks changes only when it has to: then it begins anew. */
static void follow_delay(struct echo *e) {
        int blocks = delay_blocks(&e->delay);
        unsigned found = (unsigned) (blocks < 0 ? 0 : blocks) * SPECTRUM_BLOCK;

        if (blocks < 0 || (found >= e->start + (e->start > 0 ? MARGIN / 2 : 0) && found < e->start + LATEST)) {
                e->n_settled = 0;
                return;
        }
        if (++e->n_settled < SETTLED)
                return;
        e->n_settled = 0;
        e->start = found > MARGIN ? found - MARGIN : 0;
        speex_echo_state_reset(e->canceller);
}

static spx_int16_t to_int16(float x) {
        float scaled = x * 32768;

        return (spx_int16_t) (scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : lrintf(scaled));
}

/* What the canceller looks at for the first sample that is held. */
static int64_t first_played(const struct echo *e) {
        return (int64_t) (e->heard_line.n - e->n_held) + llrint(e->shift) - (int64_t) e->start;
}

/* The first block that is held, and what was played when it was heard. */
static void cancel_block(struct echo *e, float out[ECHO_BLOCK]) {
        int64_t first = first_played(e);
        spx_int16_t heard[ECHO_BLOCK], played[ECHO_BLOCK], clean[ECHO_BLOCK];

        for (unsigned i = 0; i < ECHO_BLOCK; i++) {
                heard[i] = to_int16(e->held[i]);
                played[i] = to_int16(played_at(e, first + i));
        }
        for (unsigned i = 0; i < ECHO_BLOCK; i += SPECTRUM_BLOCK) {
                int64_t block = (first + i + e->start) / SPECTRUM_BLOCK;

                if (block >= 0)
                        delay_hear(&e->delay, e->held + i, (uint64_t) block);
        }
        follow_delay(e);
        speex_echo_cancellation(e->canceller, heard, played, clean);
        for (unsigned i = 0; i < ECHO_BLOCK; i++)
                out[i] = (float) clean[i] / 32768;
}

/* Whether the next block is whole and can be gone on with: what was played meanwhile is waited for, while
 * there is room. */
static bool has_block(const struct echo *e, bool is_active) {
        if (e->n_held < ECHO_BLOCK)
                return false;
        return !is_active || e->n_held > ECHO_HELD * ECHO_BLOCK ||
               first_played(e) + ECHO_BLOCK <= (int64_t) e->played_line.n;
}

static size_t give_blocks(struct echo *e, float *out) {
        size_t n_out = 0;
        bool is_active = e->n_active > 0 && e->has_shift;

        while (has_block(e, is_active)) {
                if (is_active)
                        cancel_block(e, out + n_out);
                else
                        memcpy(out + n_out, e->held, ECHO_BLOCK * sizeof(*out));
                n_out += ECHO_BLOCK;
                e->n_held -= ECHO_BLOCK;
                memmove(e->held, e->held + ECHO_BLOCK, e->n_held * sizeof(*e->held));
                e->n_active -= e->n_active < ECHO_BLOCK ? e->n_active : ECHO_BLOCK;
        }
        return n_out;
}

size_t echo_cancel(struct echo *e, const float *samples, size_t n, uint64_t at_ns, float *out) {
        size_t n_out = 0;

        /* Its own losses are told by echo_gap(). */
        (void) line_advance(&e->heard_line, n, at_ns);
        e->heard_line.n -= n;
        if (e->played_line.has_begun)
                follow_shift(e, n);
        while (n > 0) {
                size_t room = sizeof(e->held) / sizeof(*e->held) - e->n_held;
                size_t part = room < n ? room : n;

                memcpy(e->held + e->n_held, samples, part * sizeof(*samples));
                e->n_held += part;
                e->heard_line.n += part;
                samples += part;
                n -= part;
                n_out += give_blocks(e, out + n_out);
        }
        return n_out;
}

void echo_gap(struct echo *e, uint64_t n) {
        e->heard_line.n += n;
        e->n_held = 0;
}

bool echo_is_active(const struct echo *e) {
        return e->n_active > 0;
}

unsigned echo_delay(const struct echo *e) {
        return e->start;
}

struct echo *echo_free(struct echo *e) {
        if (!e)
                return NULL;

        if (e->canceller)
                speex_echo_state_destroy(e->canceller);
        free(e);
        return NULL;
}

DEFINE_CLEANUP(struct echo *, echo_free)

int echo_new(struct echo **ret) {
        _cleanup_(echo_freep) struct echo *e = calloc(1, sizeof(*e));
        int rate = FRAME_RATE;

        if (!e)
                return -ENOMEM;
        e->canceller = speex_echo_state_init(ECHO_BLOCK, TAIL);
        if (!e->canceller)
                return -ENOMEM;
        (void) speex_echo_ctl(e->canceller, SPEEX_ECHO_SET_SAMPLING_RATE, &rate);
        delay_init(&e->delay);
        e->n_unsettled = UNSETTLED;
        *ret = TAKE_PTR(e);
        return 0;
}
