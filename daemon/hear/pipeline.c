/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hear/pipeline.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/wake.h"
#include "base/wipe.h"
#include "daemon/common/thread.h"
#include "daemon/hear/command.h"
#include "daemon/hear/ear.h"
#include "daemon/hear/hearing.h"
#include "daemon/hear/interruption.h"
#include "daemon/hear/lister.h"

#define PIPELINE_MAX_JOBS 4
#define PIPELINE_IDLE_NS  UINT64_C(1000000000)
#define PIPELINE_FRAME_NS UINT64_C(40000000)

/* What has to be kept of a pipe for MaxSeconds of sound: 48 kHz, stereo, 32 bits, and never less
 * than this. */
#define PIPELINE_BYTES_PER_SECOND (48000 * 2 * 4)
#define PIPELINE_MIN_SPOOL        (64u * 1024 * 1024)

/* How long a turn listens to a microphone that gives nothing: whoever asked knows it within two seconds. */
#define PIPELINE_OPEN_NS  UINT64_C(1500000000)
#define PIPELINE_STALL_NS UINT64_C(1900000000)
#define PIPELINE_DEAD_NS  UINT64_C(7500000000)

#define PIPELINE_RETELL_NS UINT64_C(10000000000)

#define PIPELINE_EVENTS       32
#define PIPELINE_LEVEL_EVENTS 16 /* a meter that is not read may take no more */
#define PIPELINE_LEVEL_FRAMES 3

struct pipeline {
        const struct config *config; /* not owned */
        struct sound_queue *sounds;  /* not owned */
        struct spsc jobs;            /* of struct pipeline_job, main to pipeline */
        struct spsc events;          /* of struct pipeline_event, pipeline to main */
        int events_fd;               /* owned; rung for events */
        struct command command;
        struct thread thread;
        struct starter *starter; /* not owned; NULL: there is none */

        /* Written by the main thread only. */
        _Atomic uint64_t finished; /* the newest turn that is to listen no longer */
        atomic_bool is_muted, has_meter, is_answering, is_speaking;
        atomic_uint hands_free; /* frames of speech at most; 0: not hands free */
        atomic_uint n_lists;    /* how often the devices were asked for */
        atomic_uint n_drops;    /* ... speech that waits was not for us */
        atomic_uint n_sleeps;   /* of falling asleep and of waking, so odd while asleep */

        /* The thread's own. */
        uint64_t turn;
        struct microphone microphone;
        struct hearing *hearing; /* owned */
        struct interruption interruption;
        struct lister lister;
        unsigned n_pauses;   /* that were told, ever */
        bool is_listening;   /* for a turn */
        bool is_waiting;     /* for speech, or for the job of what was said */
        uint64_t told_ns;    /* ... of which PIPELINE_SPEECH was sent then; 0: not yet */
        uint64_t linger_ns;  /* until then the microphone stays open */
        uint64_t frame_ns;   /* when a frame last came */
        uint64_t metered_ns; /* when PIPELINE_METERED was last told */
        unsigned n_listed, n_dropped, n_forgotten;
        unsigned n_slept;    /* the n_sleeps that was answered last */
        unsigned n_measured; /* frames in the level under way */
        float peak;
        double power;
};

static bool has_room_for_event(const struct pipeline *p) {
        return spsc_count(&p->events) < PIPELINE_EVENTS;
}

static bool send_event(struct pipeline *p, const struct pipeline_event *event) {
        bool is_sent = spsc_push(&p->events, event, 1) == 1;

        wake_ring(p->events_fd);
        return is_sent;
}

static void on_state(void *userdata) {
        struct pipeline *p = userdata;
        struct pipeline_event event = {
                .kind = PIPELINE_MICROPHONE,
                .microphone = { .state = p->microphone.state,
                                .why = p->microphone.why,
                                .value = p->microphone.last_sample },
        };

        /* What comes next has nothing to do with what was heard before, perhaps an hour ago. */
        if (p->microphone.state != MICROPHONE_LIVE)
                hearing_forget(p->hearing);
        (void) snprintf(event.microphone.device, sizeof(event.microphone.device), "%s",
                        p->microphone.name);
        (void) send_event(p, &event);
}

static void on_listed(const struct lister_result *result, void *userdata) {
        const struct pipeline_event event = { .kind = PIPELINE_DEVICES, .devices = *result };

        (void) send_event(userdata, &event);
}

static float decibel(double power) {
        return (float) (10 * log10(power + 1e-12));
}

static void measure(struct pipeline *p, const struct frame *frame) {
        struct pipeline_event event = { .kind = PIPELINE_LEVEL };

        for (unsigned i = 0; i < FRAME_SAMPLES; i++) {
                float s = fabsf(frame->samples[i]);

                p->peak = s > p->peak ? s : p->peak;
                p->power += (double) s * (double) s;
        }
        if (++p->n_measured < PIPELINE_LEVEL_FRAMES)
                return;

        event.level = (struct pipeline_level){
                .peak = decibel((double) p->peak * (double) p->peak),
                .rms = decibel(p->power / (PIPELINE_LEVEL_FRAMES * FRAME_SAMPLES)),
                .noise = hearing_noise_db(p->hearing),
                .offset = p->microphone.offset,
                .is_speaking = hearing_is_speaking(p->hearing),
        };
        p->n_measured = 0;
        p->peak = 0;
        p->power = 0;
        if (spsc_count(&p->events) < PIPELINE_LEVEL_EVENTS)
                (void) send_event(p, &event);
}

static void on_frame(const struct frame *frame, void *userdata) {
        struct pipeline *p = userdata;

        p->frame_ns = frame->framed_ns;
        hearing_push(p->hearing, frame);
        if (atomic_load_explicit(&p->has_meter, memory_order_relaxed))
                measure(p, frame);
}

static bool sleeps(unsigned n_sleeps) {
        return n_sleeps % 2 == 1;
}

/* Told once for each sleep, when the device is closed in truth and not only to be closed. */
static void tell_asleep(struct pipeline *p, unsigned n_sleeps) {
        const struct pipeline_event event = { .kind = PIPELINE_ASLEEP };

        if (sleeps(n_sleeps) && n_sleeps != p->n_slept && !microphone_has_device(&p->microphone) &&
            send_event(p, &event))
                p->n_slept = n_sleeps;
}

/* While no turn listens, speech is waited for that nobody has called for. */
static void wait_for_speech(struct pipeline *p, unsigned max_frames) {
        unsigned n_drops = atomic_load_explicit(&p->n_drops, memory_order_relaxed);
        bool is_wanted = max_frames > 0, is_dropped = n_drops != p->n_dropped;

        if (p->is_listening)
                return;
        p->n_dropped = n_drops;
        if (is_wanted && p->is_waiting)
                hearing_set_limit(p->hearing, max_frames);
        if (is_wanted == p->is_waiting && !is_dropped)
                return;
        interruption_reset(&p->interruption);
        if (is_wanted)
                hearing_wait(p->hearing, max_frames);
        else
                hearing_abandon(p->hearing);
        p->is_waiting = is_wanted;
        p->told_ns = 0;
}

/* What was heard before the call does not belong to it. */
static void drop_before_call(struct pipeline *p) {
        struct frame frame;

        for (size_t n = p->interruption.n_before; n > 0 && hearing_take(p->hearing, &frame); n--)
                ;
}

/* Whoever calls while a turn is answered, or the answer spoken, is not kept waiting. */
static void look_for_phrase(struct pipeline *p) {
        struct pipeline_event event = { .kind = PIPELINE_CALLED };
        bool is_speaking = atomic_load_explicit(&p->is_speaking, memory_order_relaxed);

        if (!p->is_waiting || !has_room_for_event(p) ||
            !(is_speaking || atomic_load_explicit(&p->is_answering, memory_order_relaxed)))
                return;
        switch (interruption_look(&p->interruption, p->hearing, is_speaking)) {
        case INTERRUPTION_UNDECIDED:
                return;
        case INTERRUPTION_NOT_CALLED:
                event.kind = PIPELINE_NOT_CALLED;
                break;
        case INTERRUPTION_STOPPED:
                event.kind = PIPELINE_STOPPED;
                break;
        case INTERRUPTION_CALLED:
                drop_before_call(p);
                break;
        }
        (void) send_event(p, &event);
}

/* Now and then again: a job that never comes may not make us deaf. */
static void tell_speech(struct pipeline *p, uint64_t now) {
        const struct pipeline_event event = { .kind = PIPELINE_SPEECH };

        if (!p->is_waiting || !hearing_has_begun(p->hearing) || !has_room_for_event(p))
                return;
        if (p->told_ns != 0 && now - p->told_ns < PIPELINE_RETELL_NS)
                return;
        (void) send_event(p, &event);
        p->told_ns = now;
}

/* Who reads the meter may go while no level comes, which nothing else would show. */
static void tell_metered(struct pipeline *p, uint64_t now) {
        const struct pipeline_event event = { .kind = PIPELINE_METERED };

        if (now - p->metered_ns < PIPELINE_IDLE_NS || !has_room_for_event(p))
                return;
        (void) send_event(p, &event);
        p->metered_ns = now;
}

static void look_after_microphone(struct pipeline *p) {
        uint64_t now = clock_now_ns();
        unsigned n_lists = atomic_load_explicit(&p->n_lists, memory_order_relaxed);
        unsigned n_sleeps = atomic_load_explicit(&p->n_sleeps, memory_order_relaxed);
        bool has_meter = atomic_load_explicit(&p->has_meter, memory_order_relaxed);
        bool is_muted = atomic_load_explicit(&p->is_muted, memory_order_relaxed);
        unsigned hands_free = atomic_load_explicit(&p->hands_free, memory_order_relaxed);
        bool is_off = is_muted || sleeps(n_sleeps);

        p->lister.is_wanted |= n_lists != p->n_listed;
        p->n_listed = n_lists;
        /* Whoever wanted it then does not when it may be opened again. */
        if (is_off)
                p->linger_ns = 0;
        p->microphone.is_wanted =
                (p->is_listening || hands_free > 0 || has_meter || now < p->linger_ns) && !is_off;
        wait_for_speech(p, is_off ? 0 : hands_free);
        p->microphone.is_needed = hearing_has_begun(p->hearing);
        microphone_step(&p->microphone, now, clock_boot_ns());
        lister_step(&p->lister, now);
        tell_asleep(p, n_sleeps);
        tell_speech(p, now);
        if (has_meter)
                tell_metered(p, now);
}

/* To be asked between any two steps that take time, and whenever the bell rang: the bell is cleared
 * first, so that what rings it afterwards is not slept through. */
static bool is_over(void *userdata) {
        struct pipeline *p = userdata;

        wake_clear(p->sounds->room_fd);
        look_after_microphone(p);
        return command_ends(&p->command, p->turn);
}

/* Sleeps until a bell rings, that of a file's process included, but not beyond the given time.  Comes
 * after is_over(), which clears the others. */
static void wait_bell(struct pipeline *p, uint64_t until_ns, const struct ear *file) {
        struct pollfd bells[1 + 3 * EAR_MAX_POLLED] = {
                { .fd = p->sounds->room_fd, .events = POLLIN },
        };
        uint64_t now = clock_now_ns();
        struct timespec wait;
        size_t n = 1;
        uint64_t ns;

        if (now >= until_ns)
                return;
        ns = until_ns - now;
        if (ns > PIPELINE_IDLE_NS)
                ns = PIPELINE_IDLE_NS;

        n += microphone_poll(&p->microphone, bells + n);
        n += lister_poll(&p->lister, bells + n);
        n += ear_poll(file, bells + n);
        wait = (struct timespec){ .tv_sec = (time_t) (ns / 1000000000),
                                  .tv_nsec = (long) (ns % 1000000000) };
        (void) ppoll(bells, n, &wait, NULL);
}

/* -ECANCELED when the turn was over before there was room. */
static int push(struct pipeline *p, const struct sound *sound) {
        for (;;) {
                if (is_over(p))
                        return -ECANCELED;
                if (spsc_count(&p->sounds->queue) < SOUND_QUEUE_FRAMES) {
                        (void) spsc_push(&p->sounds->queue, sound, 1);
                        wake_ring(p->sounds->filled_fd);
                        return 0;
                }
                wait_bell(p, clock_now_ns() + PIPELINE_IDLE_NS, NULL);
        }
}

static int pace(struct pipeline *p, uint64_t due_ns) {
        while (clock_now_ns() < due_ns) {
                if (is_over(p))
                        return -ECANCELED;
                wait_bell(p, due_ns, NULL);
        }
        return 0;
}

static int new_hearing(const struct pipeline *p, struct hearing **ret) {
        const struct hearing_config config = {
                .end_ms = p->config->end_silence_ms,
                .preroll_ms = p->config->preroll_ms,
                .patience_ms = p->config->patience_ms,
                .speculate_ms = p->config->speculate_ms,
                .is_unlearned = !p->config->has_detector,
        };

        return hearing_new(ret, &config);
}

/* h: what was heard by, NULL: nothing was.  ended_ns: when whoever played or held the key had done; 0: when he spoke last. */
static int
push_end(struct pipeline *p, const struct hearing *h, unsigned n_kept, uint64_t ended_ns) {
        const struct sound end = {
                .kind = SOUND_END,
                .turn = p->turn,
                .n_kept = n_kept,
                .given_ns = ended_ns,
                .ending = h ? hearing_ending(h) : ENDING_NONE,
                .is_faint = h && hearing_is_faint(h),
        };

        return push(p, &end);
}

/* What of a file belongs to the turn, when there is room for it. */
static int
push_heard(struct pipeline *p, struct hearing *hearing, struct sound *sound, unsigned *n) {
        int r;

        while (hearing_take(hearing, &sound->frame)) {
                sound->given_ns = clock_now_ns();
                r = push(p, sound);
                if (r < 0)
                        return r;
                (*n)++;
        }
        return 0;
}

/* What a file's process says: 1 and the message, or why there will be none. */
static int hear_file(struct pipeline *p, struct ear *ear, struct wall_message *ret, struct why *why) {
        int r;

        r = ear_hear(ear, ret);
        if (r == 0 && ear_hangs(ear, clock_now_ns()))
                return because(why, -ETIMEDOUT, "the sound process hangs");
        if (r == -EPIPE)
                return because(why, r, "the sound process ended");
        if (r < 0 || (r == 1 && ret->word != WALL_OPEN && ret->word != WALL_FAILED))
                return because(why, -EBADMSG, "the sound process made no sense");
        if (r == 1 && ret->word == WALL_FAILED)
                return because(why, ret->r, "%s", ret->why.text);
        if (r == 0)
                wait_bell(p, clock_now_ns() + PIPELINE_IDLE_NS, ear);
        return r;
}

/* Until it is known that it is a sound file. */
static int wait_open(struct pipeline *p, struct ear *ear, bool *ret_is_live, struct why *why) {
        struct wall_message message;
        int r;

        do {
                if (is_over(p))
                        return -ECANCELED;
                ear_clear(ear);
                r = hear_file(p, ear, &message, why);
        } while (r == 0);
        if (r == 1)
                *ret_is_live = message.open.is_live;
        return r;
}

/* Frames that were given before something was said come first. */
static int take_frame(struct pipeline *p, struct ear *ear, struct frame *ret, struct why *why) {
        struct wall_message message;
        struct wall_frame taken;
        int r, said = 0;

        for (;;) {
                if (is_over(p))
                        return -ECANCELED;
                ear_clear(ear);
                r = ear_take(ear, &taken);
                if (r != 0 || said < 0)
                        break;
                said = hear_file(p, ear, &message, why);
        }
        if (r == 1)
                *ret = taken.frame;
        if (r < 0)
                return because(why, r, "the sound process made no sense");
        return r == 1 ? 1 : said;
}

/* The next frame of a file, when it is due: frame k of speech that begins now is complete
 * (k + 1) * 40 ms from now. */
static int next_frame(struct pipeline *p,
                      const struct pipeline_job *job,
                      struct ear *ear,
                      uint64_t began_ns,
                      struct frame *ret,
                      struct why *why) {
        int r;

        r = take_frame(p, ear, ret, why);
        if (r < 0)
                return r;
        r = job->realtime ? pace(p, began_ns + (ret->sequence + 1) * PIPELINE_FRAME_NS) : 0;
        if (r < 0)
                return r;
        ret->captured_ns = ret->framed_ns = clock_now_ns();
        return 0;
}

/* A file is heard as if a key were held while it plays. */
static int
play(struct pipeline *p, const struct pipeline_job *job, struct ear *ear, struct why *why) {
        _cleanup_(hearing_freep) struct hearing *hearing = NULL;
        struct frame frame = {};
        unsigned n_pushed = 0, n_kept;
        struct sound sound = { .kind = SOUND_FRAME, .turn = job->turn };
        uint64_t began;
        int r;

        r = wait_open(p, ear, &sound.is_live, why);
        if (r < 0)
                return r;
        sound.is_live |= job->realtime;
        began = clock_now_ns();
        /* A new one, so that what is heard of a file does not depend on the one before. */
        r = new_hearing(p, &hearing);
        if (r < 0)
                return r;
        hearing_begin(hearing, true, job->max_seconds * FRAMES_PER_SECOND);

        do {
                r = next_frame(p, job, ear, began, &frame, why);
                if (r < 0)
                        return r;
                hearing_push(hearing, &frame);
                if (frame.is_last)
                        hearing_finish(hearing);
                r = push_heard(p, hearing, &sound, &n_pushed);
                if (r < 0)
                        return r;
        } while (!frame.is_last && !hearing_has_ended(hearing));

        /* What does not fit is told even when nobody spoke just then. */
        n_kept = hearing_n_kept(hearing) > 0 ? hearing_n_kept(hearing) : n_pushed;
        return push_end(p, hearing, frame.is_last ? 0 : n_kept, clock_now_ns());
}

static int play_file(struct pipeline *p, const struct pipeline_job *job, struct why *why) {
        size_t limit = (size_t) job->max_seconds * PIPELINE_BYTES_PER_SECOND;
        uint64_t max_ms = (uint64_t) job->max_seconds * 1000;
        uint64_t stall_ms = (uint64_t) job->stall_seconds * 1000;
        const struct wall_task task = {
                .version = WALL_VERSION,
                .kind = WALL_FILE,
                .stall_ms = stall_ms,
                .total_ms = max_ms + HEARING_DOUBT_MS + stall_ms,
                .max_spooled = limit > PIPELINE_MIN_SPOOL ? limit : PIPELINE_MIN_SPOOL,
        };
        _cleanup_(ear_freep) struct ear *ear = NULL;
        int r;

        r = ear_start(&ear, p->starter, &task, job->fd, clock_now_ns(), why);
        (void) close(job->fd);
        return r < 0 ? r : play(p, job, ear, why);
}

/* How many of the frames that could be taken find no room in the queue behind the next one. */
static unsigned n_left_behind(const struct pipeline *p) {
        size_t n_room = SOUND_QUEUE_FRAMES - 1 - spsc_count(&p->sounds->queue);
        size_t n_ready = hearing_n_ready(p->hearing);

        return n_ready > n_room ? (unsigned) (n_ready - n_room) : 0;
}

/* What can be handed over at once. */
static void hand_over(struct pipeline *p, uint64_t turn) {
        struct sound sound = {
                .kind = SOUND_FRAME,
                .turn = turn,
                .is_live = true,
                .given_ns = clock_now_ns(),
        };
        struct sound pause = { .kind = SOUND_PAUSE, .turn = turn };
        bool any = false;

        while (spsc_count(&p->sounds->queue) < SOUND_QUEUE_FRAMES &&
               hearing_take(p->hearing, &sound.frame)) {
                sound.n_behind = n_left_behind(p);
                (void) spsc_push(&p->sounds->queue, &sound, 1);
                any = true;
        }
        if (spsc_count(&p->sounds->queue) < SOUND_QUEUE_FRAMES &&
            hearing_take_pause(p->hearing, &pause.is_early)) {
                pause.pause = ++p->n_pauses;
                (void) spsc_push(&p->sounds->queue, &pause, 1);
                any = true;
        }
        if (any)
                wake_ring(p->sounds->filled_fd);
}

/* A microphone that gives nothing is waited for, but not as long as the user has patience. */
static int check_microphone(struct pipeline *p, uint64_t began_ns, struct why *why) {
        const struct microphone *m = &p->microphone;
        bool has_frames = p->frame_ns >= began_ns;
        uint64_t waited = clock_now_ns() - (has_frames ? p->frame_ns : began_ns);

        if (m->state == MICROPHONE_LOST &&
            (waited > PIPELINE_STALL_NS * m->leniency ||
             (waited > PIPELINE_OPEN_NS && !has_frames && !microphone_has_device(m))))
                return because(why, -ENODEV, "%s", m->why.text);
        if (m->state == MICROPHONE_SILENT && m->last_sample == 0)
                return because(why, -ENODEV,
                               "the microphone gives digital silence: is it switched off?");
        if (m->state == MICROPHONE_SILENT)
                return because(why, -ENODEV, "the microphone gives one value all the time");
        if (waited > PIPELINE_DEAD_NS * m->leniency)
                return because(why, -ETIMEDOUT, "the microphone does not give any sound");
        return 0;
}

/* What was said is not acted on when something is missing of it: it may have been the word that mattered. */
static int check_whole(struct pipeline *p, struct why *why) {
        unsigned ms = hearing_n_torn_ms(p->hearing);

        if (ms == 0)
                return 0;
        if (ms == FRAME_GAP_UNKNOWN)
                return because(why, -EPIPE,
                               "the microphone was interrupted while somebody spoke: say it again");
        return because(why, -EPIPE, "%u ms of what was said were lost: say it again", ms);
}

static int listen_until_end(struct pipeline *p, const struct pipeline_job *job, struct why *why) {
        uint64_t began = clock_now_ns();
        unsigned n_crashes = p->microphone.n_crashes;
        int r;

        for (;;) {
                if (is_over(p))
                        return -ECANCELED;
                if (p->microphone.n_crashes != n_crashes)
                        return because(why, -EPIPE, "%s: say it again", p->microphone.why.text);
                r = check_whole(p, why);
                if (r < 0)
                        return r;
                if (atomic_load_explicit(&p->finished, memory_order_acquire) >= job->turn)
                        hearing_finish(p->hearing);

                hearing_judge(p->hearing, sound_judged(p->sounds, job->turn, p->n_pauses));
                hand_over(p, job->turn);
                if (hearing_has_ended(p->hearing) && hearing_n_ready(p->hearing) == 0)
                        return push_end(p, p->hearing, hearing_n_kept(p->hearing),
                                        job->is_held ? clock_now_ns() : 0);
                if (!hearing_has_ended(p->hearing)) {
                        r = check_microphone(p, began, why);
                        if (r < 0)
                                return r;
                }
                wait_bell(p, clock_now_ns() + PIPELINE_IDLE_NS / 4, NULL);
        }
}

static int
listen_to_microphone(struct pipeline *p, const struct pipeline_job *job, struct why *why) {
        int r;

        /* Speech that was meant for this job is gone when the microphone was muted, or another turn
         * has listened. */
        if (job->is_uncalled && !(p->is_waiting && hearing_has_begun(p->hearing)))
                return push_end(p, NULL, 0, 0);
        if (!job->is_uncalled)
                hearing_begin(p->hearing, job->is_held, job->max_frames);
        p->is_listening = true;
        p->is_waiting = false;
        interruption_reset(&p->interruption);
        r = listen_until_end(p, job, why);
        p->is_listening = false;
        /* Also for what is said again. */
        if (r >= 0 || r == -ECANCELED || r == -EPIPE)
                p->linger_ns = clock_now_ns() + (uint64_t) job->linger_seconds * 1000000000;
        hearing_abandon(p->hearing);
        return r;
}

static void run_job(struct pipeline *p, const struct pipeline_job *job) {
        struct sound failure = { .kind = SOUND_FAILED, .turn = job->turn };
        int r;

        p->turn = job->turn;
        r = job->fd >= 0 ? play_file(p, job, &failure.why)
                         : listen_to_microphone(p, job, &failure.why);
        if (r >= 0 || r == -ECANCELED)
                return;
        if (!failure.why.text[0])
                (void) because(&failure.why, r, "%s", strerror(-r));
        (void) push(p, &failure);
}

/* An open microphone rings the bell by itself, as long as it is well. */
static uint64_t next_look_ns(const struct pipeline *p) {
        return p->microphone.is_wanted ? PIPELINE_IDLE_NS / 8 : PIPELINE_IDLE_NS;
}

/* Something was forgotten: no sound of it stays that nobody waits for. */
static void forget(struct pipeline *p) {
        unsigned n = command_forgotten(&p->command);

        if (n == p->n_forgotten)
                return;
        p->n_forgotten = n;
        hearing_wipe(p->hearing);
        wipe_stack();
}

static void pipeline_run(void *userdata) {
        struct pipeline *p = userdata;
        struct pipeline_job job;

        /* A turn that is over says nothing about the next. */
        while (!command_stops(&p->command)) {
                (void) is_over(p);
                if (spsc_pop(&p->jobs, &job, 1) == 1) {
                        run_job(p, &job);
                        continue;
                }
                forget(p);
                look_for_phrase(p);
                wait_bell(p, clock_now_ns() + next_look_ns(p), NULL);
        }
        microphone_done(&p->microphone);
        lister_done(&p->lister);
        interruption_done(&p->interruption);
}

static int open_ears(struct pipeline *p, struct starter *starter) {
        p->starter = starter;
        p->microphone = (struct microphone){
                .starter = starter,
                .device = p->config->audio_device,
                .on_frame = on_frame,
                .on_state = on_state,
                .userdata = p,
        };
        microphone_init(&p->microphone);
        p->lister = (struct lister){ .starter = starter, .on_listed = on_listed, .userdata = p };
        return new_hearing(p, &p->hearing);
}

int pipeline_new(struct pipeline **ret,
                 const struct config *config,
                 struct sound_queue *sounds,
                 struct starter *starter) {
        _cleanup_(pipeline_freep) struct pipeline *p = NULL;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->config = config;
        p->sounds = sounds;
        p->events_fd = -1;

        r = spsc_init(&p->jobs, PIPELINE_MAX_JOBS, sizeof(struct pipeline_job));
        if (r < 0)
                return r;
        r = spsc_init(&p->events, PIPELINE_EVENTS, sizeof(struct pipeline_event));
        if (r < 0)
                return r;
        r = p->events_fd = wake_open();
        if (r < 0)
                return r;
        r = open_ears(p, starter);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(p);
        return 0;
}

struct pipeline *pipeline_free(struct pipeline *p) {
        struct pipeline_job job;

        if (!p)
                return NULL;

        while (p->jobs.slots && spsc_pop(&p->jobs, &job, 1) == 1)
                closep(&job.fd);
        spsc_done(&p->jobs);
        spsc_done(&p->events);
        closep(&p->events_fd);
        hearing_free(p->hearing);
        free(p);
        return NULL;
}

void pipeline_be_lenient(struct pipeline *p, unsigned times) {
        p->microphone.leniency = times;
}

int pipeline_start(struct pipeline *p) {
        return thread_start(&p->thread, "gemmad-audio", pipeline_run, p);
}

void pipeline_stop(struct pipeline *p) {
        command_stop(&p->command);
        wake_ring(p->sounds->room_fd);
}

bool pipeline_join(struct pipeline *p, uint64_t until_ns) {
        return thread_join(&p->thread, until_ns);
}

int pipeline_play(struct pipeline *p, const struct pipeline_job *job) {
        if (spsc_push(&p->jobs, job, 1) != 1)
                return -EBUSY;

        wake_ring(p->sounds->room_fd);
        return 0;
}

void pipeline_finish(struct pipeline *p, uint64_t turn) {
        if (atomic_load_explicit(&p->finished, memory_order_relaxed) < turn)
                atomic_store_explicit(&p->finished, turn, memory_order_release);
        wake_ring(p->sounds->room_fd);
}

void pipeline_set_muted(struct pipeline *p, bool muted) {
        atomic_store_explicit(&p->is_muted, muted, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

void pipeline_set_hands_free(struct pipeline *p, unsigned max_frames) {
        atomic_store_explicit(&p->hands_free, max_frames, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

void pipeline_set_answering(struct pipeline *p, bool is_answering) {
        atomic_store_explicit(&p->is_answering, is_answering, memory_order_relaxed);
}

void pipeline_set_speaking(struct pipeline *p, bool is_speaking) {
        atomic_store_explicit(&p->is_speaking, is_speaking, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

void pipeline_drop_speech(struct pipeline *p) {
        atomic_fetch_add_explicit(&p->n_drops, 1, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

void pipeline_forget(struct pipeline *p) {
        command_forget(&p->command);
        wake_ring(p->sounds->room_fd);
}

void pipeline_set_asleep(struct pipeline *p, bool is_asleep) {
        if (sleeps(atomic_load_explicit(&p->n_sleeps, memory_order_relaxed)) == is_asleep)
                return;
        atomic_fetch_add_explicit(&p->n_sleeps, 1, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

void pipeline_set_meter(struct pipeline *p, bool on) {
        atomic_store_explicit(&p->has_meter, on, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

void pipeline_list(struct pipeline *p) {
        atomic_fetch_add_explicit(&p->n_lists, 1, memory_order_relaxed);
        wake_ring(p->sounds->room_fd);
}

int pipeline_events_fd(const struct pipeline *p) {
        return p->events_fd;
}

bool pipeline_next_event(struct pipeline *p, struct pipeline_event *ret) {
        return spsc_pop(&p->events, ret, 1) == 1;
}

void pipeline_end_turn(struct pipeline *p, uint64_t turn) {
        command_end_turn(&p->command, turn);
        wake_ring(p->sounds->room_fd);
}

unsigned long pipeline_beat(const struct pipeline *p) {
        return command_beat(&p->command);
}
