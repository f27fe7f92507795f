/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/microphone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* Whoever speaks into a microphone that is dead is to hear of it soon.  But some sources need more than
 * a second and a half for the first sample, so each attempt waits longer. */
#define FIRST_SAMPLE_NS (19 * SECOND_NS / 10)
#define LAST_SAMPLE_NS  (8 * SECOND_NS)
#define NEXT_SAMPLE_NS  (3 * SECOND_NS / 2)

/* A frozen sound server holds up who opens something without end. */
#define OPENING_NS (8 * SECOND_NS)

#define FIRST_PAUSE_NS (SECOND_NS / 8)
#define LAST_PAUSE_NS  SECOND_NS

/* A room is never this quiet; a switch on the microphone is, and does not change by opening. */
#define FIRST_ZEROS_NS (3 * SECOND_NS / 2)
#define LAST_ZEROS_NS  (60 * SECOND_NS)

/* Nobody calls microphone_step() so rarely: the process or the machine was stopped. */
#define SLEPT_NS (5 * SECOND_NS)

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
        m->leniency = 1;
}

void microphone_done(struct microphone *m) {
        m->ear = ear_free(m->ear);
}

static void lose(struct microphone *m, uint64_t now_ns, const char *reason) {
        bool has_new_reason = m->state == MICROPHONE_LOST && strcmp(m->why.text, reason) != 0;

        (void) because(&m->why, 0, "%s", reason);
        m->name[0] = '\0';
        m->ear = ear_free(m->ear);
        m->retry_ns = now_ns + m->pause_ns;
        m->pause_ns = m->pause_ns * 2 < LAST_PAUSE_NS ? m->pause_ns * 2 : LAST_PAUSE_NS;
        if (has_new_reason)
                m->on_state(m->userdata);
        set_state(m, MICROPHONE_LOST);
}

static void lose_to_crash(struct microphone *m, uint64_t now_ns, const char *reason) {
        m->n_crashes++;
        lose(m, now_ns, reason);
}

static void begin_opening(struct microphone *m, uint64_t now_ns) {
        struct wall_task task = { .version = WALL_VERSION, .kind = WALL_MICROPHONE };
        struct why why = {};

        (void) snprintf(task.device, sizeof(task.device), "%s", m->device ? m->device : "");
        m->is_open = m->is_ending = m->is_other = false;
        m->begun_ns = now_ns;
        if (ear_start(&m->ear, m->starter, &task, -1, now_ns, &why) < 0)
                lose(m, now_ns, why.text);
        else if (m->state == MICROPHONE_CLOSED)
                set_state(m, MICROPHONE_OPENING);
}

static void begin_closing(struct microphone *m, uint64_t now_ns) {
        m->is_open = false;
        m->is_ending = true;
        ear_end(m->ear, now_ns);
}

/* A stream begins: what comes now has nothing to do with what came before. */
static void on_open(struct microphone *m, const struct wall_message *message, uint64_t now_ns) {
        m->is_open = m->is_first = true;
        m->is_other = false;
        m->begun_ns = m->heard_ns = now_ns;
        /* While it was not wanted nothing was lost. */
        m->was_interrupted = m->state == MICROPHONE_LIVE || m->state == MICROPHONE_LOST;
        m->has_sounded = false;
        if (strcmp(m->name, message->open.device) == 0)
                return;
        (void) snprintf(m->name, sizeof(m->name), "%s", message->open.device);
        /* Of any other state the name is told with what comes next. */
        if (m->state == MICROPHONE_LIVE)
                m->on_state(m->userdata);
}

static void note_sound(struct microphone *m, const struct wall_frame *f, uint64_t now_ns) {
        m->offset = f->offset;
        m->last_sample = f->value;
        m->heard_ns = now_ns;
        m->has_sounded = true;
        m->pause_ns = FIRST_PAUSE_NS;
        m->first_ns = FIRST_SAMPLE_NS;
        if (!f->is_still) {
                m->zeros_ns = 0;
                m->patience_ns = FIRST_ZEROS_NS;
                set_state(m, MICROPHONE_LIVE);
        } else if (m->zeros_ns == 0) {
                m->zeros_ns = now_ns;
        }
        if (m->state != MICROPHONE_SILENT)
                set_state(m, MICROPHONE_LIVE);
}

static void hand_on(struct microphone *m, struct frame *frame) {
        if (m->is_first) {
                frame->has_gap = 1;
                frame->gap_ms = m->was_interrupted ? FRAME_GAP_UNKNOWN : 0;
        }
        m->is_first = false;
        m->on_frame(frame, m->userdata);
}

/* 0, or -EBADMSG when what came was none.  Behind so many frames there are only such as were given
 * meanwhile, with the bell, and which may wait. */
static int take_frames(struct microphone *m, uint64_t now_ns) {
        struct wall_frame f;
        int r = 0;

        for (unsigned n = 0; n < WALL_FRAMES && (r = ear_take(m->ear, &f)) == 1; n++) {
                note_sound(m, &f, now_ns);
                hand_on(m, &f.frame);
        }
        return r < 0 ? r : 0;
}

/* False: the ear is gone. */
static bool take_message(struct microphone *m, const struct wall_message *message, uint64_t now_ns) {
        switch (message->word) {
        case WALL_OPEN:
                /* Once: it is a beginning, and whoever begins is waited for. */
                if (m->is_open)
                        break;
                on_open(m, message, now_ns);
                return true;
        case WALL_OTHER:
                m->is_other = true;
                return true;
        case WALL_FAILED:
                lose(m, now_ns, message->why.text);
                return false;
        default:
                break;
        }
        lose_to_crash(m, now_ns, "the sound process made no sense");
        return false;
}

static bool take_messages(struct microphone *m, uint64_t now_ns) {
        struct wall_message message;
        int r = 1;

        for (unsigned n = 0; n < EAR_MAX_HEARD && (r = ear_hear(m->ear, &message)) == 1; n++)
                if (!take_message(m, &message, now_ns))
                        return false;
        if (r >= 0)
                return true;
        lose_to_crash(m, now_ns,
                      r == -EPIPE ? "the sound process ended" : "the sound process made no sense");
        return false;
}

/* Opened anew at once, and again later and later, while it stays what it is. */
static void reopen_silent(struct microphone *m, uint64_t now_ns) {
        m->zeros_ns = now_ns;
        m->patience_ns = m->patience_ns * 2 < LAST_ZEROS_NS ? m->patience_ns * 2 : LAST_ZEROS_NS;
        set_state(m, MICROPHONE_SILENT);
        m->retry_ns = now_ns;
        begin_closing(m, now_ns);
}

static void use(struct microphone *m, uint64_t now_ns) {
        uint64_t limit_ns = m->has_sounded ? NEXT_SAMPLE_NS : m->first_ns;

        if (take_frames(m, now_ns) < 0) {
                lose_to_crash(m, now_ns, "the sound process made no sense");
        } else if (now_ns - m->heard_ns > limit_ns * m->leniency) {
                if (!m->has_sounded && m->first_ns < LAST_SAMPLE_NS)
                        m->first_ns *= 2;
                lose(m, now_ns, "the microphone gives nothing any more");
        } else if (m->zeros_ns != 0 && now_ns - m->zeros_ns > m->patience_ns) {
                reopen_silent(m, now_ns);
        } else if (m->is_other && !m->is_needed) {
                m->retry_ns = now_ns;
                begin_closing(m, now_ns);
        }
}

/* What was given before something was said comes first. */
static bool take_all(struct microphone *m, uint64_t now_ns) {
        ear_clear(m->ear);
        if (m->is_open && take_frames(m, now_ns) < 0) {
                lose_to_crash(m, now_ns, "the sound process made no sense");
                return false;
        }
        return take_messages(m, now_ns);
}

static void wait_for_opening(struct microphone *m, uint64_t now_ns) {
        if (ear_hangs(m->ear, now_ns))
                lose_to_crash(m, now_ns, "the sound process hangs");
        else if (now_ns - m->begun_ns > OPENING_NS * m->leniency)
                lose(m, now_ns, "the sound server does not answer");
}

static void close_unwanted(struct microphone *m, uint64_t now_ns) {
        if (m->ear && !m->is_ending)
                begin_closing(m, now_ns);
        m->retry_ns = 0;
        m->pause_ns = FIRST_PAUSE_NS;
        m->zeros_ns = 0;
        m->patience_ns = FIRST_ZEROS_NS;
        set_state(m, MICROPHONE_CLOSED);
}

void microphone_step(struct microphone *m, uint64_t now_ns, uint64_t boot_ns) {
        bool has_slept = boot_ns - m->last_boot_ns > SLEPT_NS * m->leniency;

        m->last_boot_ns = boot_ns;
        if (m->ear && m->is_ending && ear_has_ended(m->ear, now_ns))
                m->ear = ear_free(m->ear);
        if (!m->is_wanted) {
                close_unwanted(m, now_ns);
        } else if (!m->ear && now_ns >= m->retry_ns) {
                begin_opening(m, now_ns);
        } else if (m->ear && m->is_open && has_slept) {
                m->retry_ns = now_ns;
                begin_closing(m, now_ns);
        } else if (m->ear && !m->is_ending && take_all(m, now_ns)) {
                if (m->is_open)
                        use(m, now_ns);
                else
                        wait_for_opening(m, now_ns);
        }
}

size_t microphone_poll(const struct microphone *m, struct pollfd fds[static EAR_MAX_POLLED]) {
        return ear_poll(m->ear, fds);
}

bool microphone_has_device(const struct microphone *m) {
        return m->ear;
}

const char *microphone_state_name(enum microphone_state state) {
        static const char *const names[] = {
                [MICROPHONE_CLOSED] = "closed", [MICROPHONE_OPENING] = "opening",
                [MICROPHONE_LIVE] = "live",     [MICROPHONE_SILENT] = "silent",
                [MICROPHONE_LOST] = "lost",
        };

        return names[state];
}
